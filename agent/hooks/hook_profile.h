/* What the files of the profile back end know of each other, below 3.12: hook_profile.c (the back end) uses switch.c (the frame
 * evaluation function that helps it), and both use profile_thread.c (the function of one thread). With the GIL. */
#ifndef VT_AGENT_HOOK_PROFILE_H
#define VT_AGENT_HOOK_PROFILE_H

#include "agent/cpython/py_api.h"

enum profile_mode {
    PROFILE_PLAIN = 0, /* on in every thread */
    PROFILE_GUARD,     /* the same; each Python call looks whether it is */
    PROFILE_SWITCH     /* on in frames of functions that are recorded */
};

/* Our profile functions: a thread has one of `own`, or `chained` beside one of the target's. */
struct profile_functions {
    py_tracefunc own[3], chained;
};
/* profile_thread.c. Before the others of it: the function that threads get from now on is `lean`, one of `own`. */
void profile_use(const struct profile_functions *functions, py_tracefunc lean);
/* Switches ours on or off in a thread that is the current one or cannot run. `knows_all`: a function of the target's that is
 * found there knows of all C calls that are open (profilers.h). */
void profile_put(void *tstate, bool on, bool knows_all);
/* Takes ours out; a function of the target's stays. */
void profile_take(void *tstate);
bool profile_is_on(const void *tstate);
/* Calls of this thread were missed until now. */
void profile_missed(void *tstate);
/* switch.c. `lean`: what a thread has as its profile function where all is as usual. */
void switch_install(enum profile_mode mode, py_tracefunc lean);
void switch_remove(void);
/* New interpreters. */
void switch_visit(void);
/* Is ours to be on in the Python frame that runs? */
bool switch_on_here(const void *tstate);

#endif
