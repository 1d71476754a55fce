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
    bool is_private; /* started by one client, for the sessions of its user */
    bool leaving;    /* told to end: no new sessions */
    LIST_HEAD(, requester) requesters;
};

/* A connected client. */
struct requester {
    LIST_ENTRY(requester) link;
    struct service *service;
    struct peer peer;
    bool starter;                 /* the client that started this private daemon */
    bool greeted;                 /* HELLO came */
    struct session *session;      /* its foreground session; the session sets this to NULL when it is freed */
    struct session_waiter waiter; /* DETACH or UNINSTALL: answer when that session has ended */
    uint32_t answer;              /* frame type of that answer */
    struct helper helper;         /* UNINSTALL without a session: the process that goes in */
};

/* Takes fd, also on error. *out may be NULL. */
VT_MUST_CHECK int requester_new(struct service *service, int fd, struct requester **out);
/* Closes the connection. Its foreground session ends, or keeps its spool when it has ended already. */
void requester_free(struct requester *r);

#endif
