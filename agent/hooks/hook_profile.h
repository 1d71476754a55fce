/* Between the profile function (hook_profile.c) and the frame evaluation function that helps it (switch.c). Below 3.12. */
#ifndef VT_AGENT_HOOK_PROFILE_H
#define VT_AGENT_HOOK_PROFILE_H

#include "agent/agent_priv.h"

enum profile_mode {
    PROFILE_PLAIN = 0, /* on in every thread */
    PROFILE_GUARD,     /* the same; each Python call looks whether it is */
    PROFILE_SWITCH     /* on in frames of functions that are recorded */
};

/* hook_profile.c: switches ours on or off in a thread that is the current one or cannot run. `knows_all`: a function of the
 * target's that it finds there knows of all C calls that are open (profilers.h). */
void profile_put(void *tstate, bool on, bool knows_all);
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
