/* Shared by the files of the profile back end, below 3.12: hook_profile.c (the back end) uses switch.c (the frame evaluation
 * function that helps it), and both use profile_thread.c (the function of one thread). With the GIL. */
#ifndef VT_AGENT_HOOK_PROFILE_H
#define VT_AGENT_HOOK_PROFILE_H

#include "agent/cpython/py_api.h"

enum profile_mode {
    PROFILE_PLAIN = 0, /* on in every thread */
    PROFILE_GUARD,     /* the same; each Python call checks that it is on */
    PROFILE_SWITCH     /* on only in frames of functions that are recorded */
};

/* Our profile functions. A thread has one of `own`, or `chained` when the target has set one, too. */
struct profile_functions {
    py_tracefunc own[6], chained;
};
/* profile_thread.c. Called first: threads get `lean` from now on, one of `own`. */
void profile_use(const struct profile_functions *functions, py_tracefunc lean);
/* Switches ours on or off in a thread that is current or cannot run. `knows_all`: a function of the target found there has
 * seen all open C calls begin (profilers.h). */
void profile_put(void *tstate, bool on, bool knows_all);
/* Takes ours out and leaves a function of the target in place. */
void profile_take(void *tstate);
bool profile_is_on(const void *tstate);
/* Calls of this thread were missed until now. */
void profile_missed(void *tstate);
/* The same for a thread that has recorded something. */
void profile_missed_if_known(void *tstate);
/* Tells that of the threads that have had no event since: the session ends. */
void profile_missed_to_the_end(void);
/* switch.c. `lean`: the profile function of a thread in the usual case. */
void switch_install(enum profile_mode mode, py_tracefunc lean);
void switch_remove(void);
/* Threads get another function from now on. */
void switch_use(py_tracefunc lean);
/* Also covers new interpreters. */
void switch_visit(void);
/* Must ours be on in the Python frame that runs? */
bool switch_on_here(const void *tstate);

#endif
