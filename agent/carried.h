/* Python files that the agent carries in itself: python/viztracer/_instrument.py and _extras.py. Each has an object `api` with a
 * method start(argument, options), which gives None or what is wrong. With the GIL, on the thread that starts the program. */
#ifndef VT_AGENT_CARRIED_H
#define VT_AGENT_CARRIED_H

#include "agent/record/state.h"

/* Has the session options for such files? */
static inline bool carried_wanted(const struct vt_ctl *ctl) { return ctl->instrument_bytes != 0; }
/* Runs a file in a namespace of its own: its `api`, a new reference; NULL: it could not be run. An exception may be pending. */
void *carried_run(const char *source);
/* Calls api.start. 0, or -errno with vt_ctl.err filled in: what is wrong, else that `what` could not be started. */
int carried_start(void *api, void *argument, const char *what);

#endif
