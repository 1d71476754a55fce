/* What the program itself asks of the agent, which it has imported as the extension module of the package `viztracer`: a session
 * of its own, and events of its own in whichever session is on. With the GIL of an interpreter that shares the main one's. */
#ifndef VT_AGENT_OWN_H
#define VT_AGENT_OWN_H

#include "agent/cpython/text.h"
#include "agent/record/state.h"
#include "agent/record/thread.h"

/* ---- own_session.c ---- */

/* Starts the session of the arena that `fd` is, which is closed. sparse: without hooks. repr: a callable that tells values in
 * place of repr(), or NULL. 0 or -errno; the daemon knows the cause. */
int own_start(int32_t fd, uint64_t bytes, bool sparse, void *repr);
/* Stops recording; own_go_on records again in the same session. Nothing if the program has no session. */
void own_hold(void);
int own_go_on(void);           /* 0 or -errno; then the session has ended */
bool own_go_on_possible(void); /* false: there is none, or the daemon has ended it */
/* Ends it. */
void own_leave(void);

enum own_state { OWN_NONE = 0, OWN_TRACING = 1, OWN_HELD = 2, OWN_OTHERS = 3 /* somebody else traces this process */ };
enum own_state own_state(void);

/* Until own_listen, nothing that this thread runs is recorded: Python code of the package. The result goes to own_listen. */
struct thread *own_hush(void);
void own_listen(struct thread *hushed);

/* ---- own_events.c ---- */

/* In a forked child, which takes its parent's session out and begins one of its own, if it gets one. */
bool own_on_in_child(void);
/* Is a session on, for this process? */
static inline bool own_on(void) {
    if (__builtin_expect(agent.state != AGENT_TRACING, 0)) return false;
    return LIKELY(agent.family->live) || own_on_in_child();
}

/* The id of a span's name, an exact str, shifted as in a record. While own_on. 0 = it could not be named now: use it all the
 * same, and the event counts as dropped. */
uint32_t own_name(void *str);
void own_span(uint32_t id, bool begin);
/* The arguments of the span that begins next: a VT_PL_ARGS payload. */
void own_span_args(const char *payload, uint32_t bytes);
/* Nothing is recorded of a mark that is longer than a payload can be; false then. id: NULL, or of an object. */
bool own_mark(char ph, char scope, const struct text *name, const struct text *id, const struct text *args);
/* A member of the "args" of this thread's innermost open call: its name and a JSON text; or an assignment in that call, one more
 * text of its "exec_steps". False as own_mark. */
bool own_note(const struct text *name, const struct text *json);
bool own_step(const struct text *step);
/* Gives back the references to names. */
void own_forget_names(void);

#endif
