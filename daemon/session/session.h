/* One traced process, from the request to the saved trace. */
#ifndef VT_DAEMON_SESSION_H
#define VT_DAEMON_SESSION_H

#include <sys/queue.h>

#include "daemon/drain/arena_map.h"
#include "daemon/drain/drain.h"
#include "daemon/io/spool.h"
#include "daemon/session/helper.h"
#include "proto/frame.h"

struct peer;
struct server;

struct session {
    LIST_ENTRY(session) link;
    struct server *server;
    struct peer *peer; /* foreground client, NULL once it has gone */
    struct creds creds;
    char owner_name[64];
    pid_t pid;
    int pidfd;
    struct loop_io pidfd_io;
    struct loop_timer timer;
    enum vt_session_state state;
    bool answered; /* ATTACHED or ERROR was sent */
    bool header_done;
    /* request */
    uint64_t duration_ns, min_duration_ns;
    uint32_t max_overhead; /* 1/10000 */
    uint32_t nchunks;
    char *options_text, *output;
    /* attach */
    struct helper helper; /* the one that goes in, later the one that goes in to stop */
    bool helper_running;
    bool stop_helper_used;
    bool waking;                 /* the helper puts the hooks back in */
    uint64_t wake_ns, wake_wait; /* when that was last tried; how long until it may be again */
    bool injected;               /* the helper said so */
    struct attach_info info;
    struct attach_result result;
    uint64_t begun_ns, begun_ticks, start_real_ns;
    uint64_t injected_ns, hooks_ns;
    /* trace */
    struct arena arena;
    struct drain *drain;
    struct drain_totals totals;
    struct spool spool;
    uint64_t poll_ns;                                /* current interval */
    uint64_t stats_ns, clock_ns, check_ns, moved_ns; /* when last done */
    /* end */
    enum vt_end_reason reason;
    char end_text[384];
    uint64_t stop_ns;
    uint64_t stop_pause_ns;
    bool target_gone;
    bool keep_spool;
};

/* Starts a session for p; errors before anything was begun are returned, later ones go to p as CTL_ERROR. */
VT_MUST_CHECK int session_start(struct server *server, struct peer *p, const Vt__AttachReq *req, struct vt_err *err);
/* Ends it in good order; the first reason counts. */
void session_stop(struct session *s, enum vt_end_reason reason, const char *text);
/* Its client has gone. */
void session_orphan(struct session *s);
/* Its client has the trace. */
void session_saved(struct session *s);
struct session *session_find(struct server *server, pid_t pid);
void session_fill_info(const struct session *s, Vt__SessionInfo *info);

#endif
