/* What the session_*.c files use of each other. Nothing outside this folder includes it. Order, lowest first: session_life.c with
 * family.c, session_helpers.c, session_stop.c, session.c, session_start.c. */
#ifndef VT_DAEMON_SESSION_PARTS_H
#define VT_DAEMON_SESSION_PARTS_H

#include "daemon/session/session.h"

/* ---- session_life.c ---- */

/* Does the daemon start the program itself? */
bool session_is_launch(const struct session *s);

/* States only advance: an earlier one is ignored. */
void session_set_state(struct session *s, Vt__SessionState state);
/* There is more in the spool: its client is sent it. */
void session_kick(struct session *s);
/* The periodic check comes at once. */
void session_look_now(struct session *s);
void session_tell_waiters(struct session *s);
/* The session no longer has a client. */
void session_let_go_of_client(struct session *s);
/* Its spool file stays if keep_spool is set. */
void session_free(struct session *s);
/* The attach failed: the client is told, nothing of the session remains. */
void session_refuse(struct session *s, int code, const char *text);
/* ATTACHED, once. pending: the agent waits for the GIL. */
void session_answer(struct session *s, bool pending);

/* ---- session_helpers.c ---- */

VT_MUST_CHECK int session_start_helper(struct session *s, struct helper_req *req, struct vt_err *err);
/* Finds out who holds the GIL; the answer comes to s->on_helper. */
void session_ask_holder(struct session *s, uint64_t now);
void session_stop_asking(struct session *s);
/* Has the hooks removed. s->helper_running is false when it could not be started. */
void session_start_stop_helper(struct session *s);
/* Tells the agent the CPU time of the process, if it needs that. */
void session_tell_cpu(struct session *s);
/* Sends a helper when the agent asked to be woken and its time has come. */
void session_wake_agent(struct session *s, uint64_t now);
/* That helper's result. */
void session_woken(struct session *s, const struct helper_msg *msg);
/* Looks at the target's CPU time until `next`, the next check: it may be time to wake the agent before that. */
void session_watch_until(struct session *s, uint64_t now, uint64_t next);
/* Function of the session's timer `watch`. */
void session_watch_cpu(void *session);
/* How long to wait between two of them, in ns. */
uint64_t session_wake_every(const struct session *s);

/* ---- session_stop.c ---- */

/* STOPPING: true when nothing more will be written, or when waiting any longer is useless. */
bool session_stop_is_over(struct session *s, uint64_t now);

/* ---- session.c ---- */

/* Nothing more comes from its process, or from others of its family: writes END. May free the session. */
void session_finish_end(struct session *s);
/* The periodic check: function of the session's timer. */
void session_tick(void *session);

#endif
