/* The interpreters of the process, 3.12+: which there are, and how each comes to have our hooks. */
#ifndef VT_AGENT_INTERPS_H
#define VT_AGENT_INTERPS_H

#include "agent/agent_priv.h"

/* What a back end does in the interpreter that is current. */
struct interp_hooks {
    /* Tool id that it has now, or -errno. */
    int (*in)(void);
    void (*out)(int tool);
    void (*rearm)(void);
};

/* Once per session, before anything else. */
void interps_start(const struct interp_hooks *hooks);
/* Hooks the current interpreter: what `in` says. */
int interps_enter(void);
/* Brings the current interpreter into the state that it is to have now: hooked, or not. May be called from inside a
 * callback, and when no session is on. */
void interps_settle(void);
/* Asks the others to do so: all of them; at a visit; in between, when there is one that was not seen before. */
void interps_ask(void);
void interps_look(void);
void interps_news(void);
/* Sites that were switched off get another chance, in each of them. */
void interps_rearm(void);
/* Thread states of the interpreters of which nothing runs while we hold the GIL, at most `most`: how many. They stay as long as
 * the GIL is held. `wanted` runs under the runtime's lock on them and must choose only such as cannot be deleted without the GIL:
 * with open frames. When the lock is not to be had: only the current one. */
uint32_t interps_threads(void **list, uint32_t most, bool (*wanted)(void *tstate));
/* Has the current interpreter a GIL that is not the main interpreter's? */
bool interps_own_gil(void);
/* Takes the arena of a session that is over, if an interpreter with a GIL of its own may still write into it. */
bool interps_keep(void *arena, uint64_t bytes);

#endif
