/* What the processes of one launched program have in common: the request, the socket, the file and the client. The first one that
 * ran Python code owns them and lives until the last of the others has ended. Event loop thread only. */
#ifndef VT_DAEMON_FAMILY_H
#define VT_DAEMON_FAMILY_H

#include "daemon/session/session.h"

struct family {
    struct session *first;
    LIST_HEAD(, session) others; /* those that are traced now */
    struct vt_ctl *request;      /* what every agent is asked for */
    uint64_t lease_ticks;        /* of a new arena */
    uint32_t sections;           /* numbers given out */
    uint32_t lost;               /* processes that ran Python code and could not be traced */
    uint64_t events;             /* of others that have ended */
    bool over;                   /* the trace ends: no more processes come in */
};

/* For a session that has its spool and has read its request into `request`. 0 or -errno. */
VT_MUST_CHECK int family_new(struct session *first, const struct vt_ctl *request, uint64_t lease_ticks);
/* With the first session; the others are gone by then. */
void family_free(struct session *first);
/* Makes the session another one of the family. -E2BIG: the file has as many processes as it can hold. */
VT_MUST_CHECK int family_join(struct family *family, struct session *s);
/* A session ends. True: the first one has to look whether it waited for this one only. Nothing for sessions of no family. */
bool family_leave(struct session *s);

/* Is it a process of a family that did not come first? */
bool family_is_other(const struct session *s);
/* The first session of its family; `s` where it has none. */
struct session *family_first(struct session *s);
/* Does this session, from whose process nothing more will come, have to wait for others before it may end? */
bool family_waits(const struct session *s);
/* Of all processes so far. */
uint64_t family_events(const struct session *s);
uint32_t family_lost(const struct session *s);

#endif
