/* The steps of a start that the ways in share: entry.c (injected), pymod.c (imported) and launched.c
 * (started by us). */
#ifndef VT_AGENT_ENTRY_H
#define VT_AGENT_ENTRY_H

#include "agent/record/state.h"

/* Maps the arena at a chunk-aligned address, not inherited by forks. Without the GIL. 0 or -errno. */
int arena_open(const struct vt_boot *boot, struct vt_ctl **ctl_out);
/* Closes the descriptors that the injector opened in the target. */
void agent_close_fds(const struct vt_boot *boot);
/* Makes this the session of the process, and the arena the agent's. False: another session is on; the arena is told so, and
 * unmapped. Without the GIL. */
bool agent_take(struct vt_ctl *ctl, uint64_t bytes);
/* A forked child of a traced process that has not noticed yet. */
bool agent_is_child(void);
/* Finds the interpreter and reads the options. Without the GIL. 0, or -errno with vt_ctl.err filled in: call agent_give_up then.
 */
int agent_prepare(uint64_t dlsym_address);
/* In a forked child of a traced process that gets a session of its own: takes the inherited hooks out. With the GIL. */
void agent_forget_parent(struct vt_ctl *ctl);
/* Puts the hooks in, or tells the arena why not and leaves. With the GIL. */
void agent_start(void);
/* Ends a start that did not get as far as agent_start. `why` is used where vt_ctl.err is still empty. */
void agent_give_up(const char *why);

#endif
