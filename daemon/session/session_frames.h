/* The frames that a session writes about itself: header, clock, statistics, end. */
#ifndef VT_DAEMON_SESSION_FRAMES_H
#define VT_DAEMON_SESSION_FRAMES_H

#include "daemon/session/session.h"

/* Reads what the header says of the process, while it lives: its name, its parent. */
void session_describe(struct session *s);
/* Header and first clock, once. */
VT_MUST_CHECK int session_put_header(struct session *s);
void session_clock_frame(struct session *s, Vt__Clock *m);
/* The CPU times of the target's threads so far; last: tracing ends now. Nothing when the target is gone or the spool full. */
void session_put_cpu_times(struct session *s, bool last);
/* The last clock: the moment at which nothing more came. This and the end are written also when the disk is full. */
void session_put_last_clock(struct session *s);
/* Behind it. */
void session_put_end(struct session *s);
/* To the client only. */
void session_send_stats(struct session *s, uint64_t now);
/* How long the attach paused the target, in ns: threads stopped, and the GIL held. */
uint64_t session_attach_pause(struct session *s);

#endif
