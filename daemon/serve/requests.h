/* The clients that are connected, and what they may ask: a table with one row per request (requests.c).
 * Everything runs in the thread of the event loop. */
#ifndef VT_DAEMON_REQUESTS_H
#define VT_DAEMON_REQUESTS_H

#include <sys/queue.h>

#include "daemon/io/peer.h"
#include "daemon/session/host.h"
#include "daemon/session/session.h"

/* The daemon as its clients see it. */
struct service {
    struct host host;
    bool leaving;                           /* told to end: no new sessions */
    unsigned connections, connections_most; /* in total; root's are not limited by it */
    LIST_HEAD(, requester) requesters;
};

/* A connected client. */
struct requester {
    LIST_ENTRY(requester) link;
    struct service *service;
    struct peer peer;
    bool starter;                 /* the client that started this private daemon */
    bool greeted;                 /* HELLO came */
    struct loop_timer deadline;   /* for HELLO */
    struct session *session;      /* its foreground session; the session sets this to NULL when it is freed */
    struct session_waiter waiter; /* DETACH or UNINSTALL: answer when that session has ended */
    uint32_t answer;              /* frame type of that answer */
    struct helper helper;         /* UNINSTALL without a session: the process that goes in */
};

/* Takes fd, also on error. Refuses, with an Error frame and -EUSERS, a client whose user has too many connections, or any but
 * root when there are too many in total. It is closed when no HELLO comes in time. */
VT_MUST_CHECK int requester_new(struct service *service, int fd);
/* The same for the client that started this private daemon: no limits. */
VT_MUST_CHECK int requester_new_starter(struct service *service, int fd);
/* Closes the connection. Its foreground session ends, or keeps its spool when it has ended already. */
void requester_free(struct requester *r);

#endif
