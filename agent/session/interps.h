/* The interpreters of the process, 3.12+, and how each gets and loses our hooks. With the main interpreter's GIL unless a comment
 * says otherwise. */
#ifndef VT_AGENT_INTERPS_H
#define VT_AGENT_INTERPS_H

#include "agent/record/state.h"

/* What a back end does in the current interpreter, with its GIL. */
struct interp_hooks {
    /* Puts the hooks in; the tool id, or -errno. */
    int (*in)(void);
    void (*out)(int tool);
    void (*rearm)(void);
};

/* Once per session, before the functions below. */
void interps_start(const struct interp_hooks *hooks);
/* Hooks the current interpreter; returns what `in` returned. */
int interps_enter(void);
/* Hooks or unhooks the current interpreter, as the session demands now. With its GIL; may be called from inside a callback, and
 * when no session is on. */
void interps_settle(void);
/* Asks the other interpreters to do the same. interps_ask: whenever something changed. interps_look: at a visit, if there may
 * be something to do. interps_news: between visits, if there is a new interpreter. */
void interps_ask(void);
void interps_look(void);
void interps_news(void);
/* Switches events that were switched off on again, in every interpreter. */
void interps_rearm(void);
/* Fills `list` with at most `most` thread states, of interpreters that share our GIL, and returns how many. They stay valid while
 * the GIL is held. `wanted` is called under the runtime's lock, and must accept only thread states with open frames, which cannot
 * be deleted without the GIL. If the lock is busy, only the current thread is considered. */
uint32_t interps_threads(void **list, uint32_t most, bool (*wanted)(void *tstate));
/* Has the current interpreter a GIL of its own? With that GIL. */
bool interps_own_gil(void);
/* The session is over. True: an interpreter with a GIL of its own may still write into its arena, which now belongs to this file.
 */
bool interps_keep(void *arena, uint64_t bytes);

#endif
