/* The frames that a session writes about itself: header, clock, statistics, end. */
#ifndef VT_DAEMON_SESSION_FRAMES_H
#define VT_DAEMON_SESSION_FRAMES_H

#include "daemon/session/session.h"

/* Header and first clock, once. */
VT_MUST_CHECK int session_put_header(struct session *s);
void session_clock_frame(struct session *s, Vt__Clock *m);
/* Last clock and end: also when the disk is full. */
/* The CPU times of the target's threads so far; last: tracing ends now. Nothing when the target is gone or the spool full. */
void session_put_cpu_times(struct session *s, bool last);
void session_put_end(struct session *s);
/* To the client only. */
void session_send_stats(struct session *s, uint64_t now);
/* How long the attach paused the target, in ns: threads stopped, and the GIL held. */
uint64_t session_attach_pause(struct session *s);

#endif
