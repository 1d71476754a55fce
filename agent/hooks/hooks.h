/* What the start of a session takes from the hooks. With the main interpreter's GIL unless a comment says otherwise. */
#ifndef VT_AGENT_HOOKS_H
#define VT_AGENT_HOOKS_H

#include "agent/session/session.h"

extern const struct hook_ops hook_monitoring, hook_profile, hook_eval;

/* Does the session need the complete callbacks (agent.full)? Without the GIL. */
bool detail_wanted(const struct vt_ctl *ctl);
/* Tells the frames that every thread has open. */
void stacks_emit(void);

/* Parts of a session. */
void profile_tell_missed(void);
void callers_start(void);
void greenlets_start(void);
void greenlets_stop(void);
void tasks_start(void);
void tasks_stop(void);
void gc_log_start(void);
void gc_log_stop(void);

#endif
