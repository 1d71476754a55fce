/* One traced process, from the request to the saved trace. Everything runs in the thread of the event loop. */
#ifndef VT_DAEMON_SESSION_H
#define VT_DAEMON_SESSION_H

#include <sys/queue.h>

#include "daemon/drain/arena_map.h"
#include "daemon/drain/drain.h"
#include "daemon/drain/inside.h"
#include "daemon/io/peer.h"
#include "daemon/io/spool.h"
#include "daemon/session/birth.h"
#include "daemon/session/helper.h"
#include "daemon/session/host.h"
#include "daemon/session/launch.h"
#include "outside/outside.h"

/* Somebody who wants to know when a session has ended. Embedded in its owner, all zero while not in use. */
struct session_waiter {
    LIST_ENTRY(session_waiter) link;
    void (*fn)(void *ctx, const struct session *s); /* called once; NULL = not waiting */
    void *ctx;
};

struct session {
    LIST_ENTRY(session) link;
    LIST_HEAD(, session_waiter) waiters;
    struct host *host;
    struct peer *peer;     /* connection of the foreground client; NULL when it is gone */
    struct session **held; /* that client's pointer to this session: set to NULL when the session is freed */
    struct creds creds;
    char owner_name[64];
    pid_t pid;
    int pidfd;
    struct loop_io pidfd_io;
    struct loop_timer timer, watch; /* the periodic check; the look at the CPU time between two of them */
    Vt__SessionState state;
    bool answered; /* ATTACHED or ERROR was sent */
    bool header_done, cpu_times_put;
    /* request */
    uint64_t duration_ns, min_duration_ns;
    uint32_t max_overhead;   /* 1/10000 */
    uint64_t gil_timeout_ns; /* 0 = none */
    uint32_t nchunks;
    char *options_text, *output;
    /* attach */
    struct helper helper; /* the one that goes in, later the one that goes in to stop */
    void (*on_helper)(void *session, const struct helper_msg *msg, int arena_fd); /* gets the messages of each */
    bool helper_running;
    unsigned stop_helpers;  /* started so far */
    bool stop_helper_died;  /* the last one */
    char stop_trouble[200]; /* why the last one could not do its work; "" = it did, or none was sent */
    bool waking;            /* the helper puts the hooks back in */
    bool asking;            /* the helper finds out who holds the GIL */
    unsigned asked;         /* how often that was begun */
    uint64_t asked_ns;
    char gil_holder[OUTSIDE_HOLDER_MAX]; /* the last answer; "" = none yet */
    uint64_t got_ns;                     /* last time that there was something in the arena */
    uint64_t wake_ns, wake_wait;         /* when that was last tried; how long until it may be again */
    bool injected;                       /* the helper said so */
    char comm[64];                       /* its name, as the kernel has it; "" = not read yet */
    struct birth birth;
    struct vt_launch_origin origin; /* of a launch: as the process said itself */
    struct attach_info info;
    struct attach_result result;
    uint64_t begun_ns, begun_ticks, start_real_ns;
    uint64_t injected_ns, hooks_ns;
    /* trace */
    struct arena arena;
    struct drain *drain;
    struct launch launch;  /* the way in of a launched program; fd -1: an attach */
    struct family *family; /* of a launch whose processes are all traced; shared by them. NULL = one process */
    uint32_t section;      /* its number in the family's file */
    LIST_ENTRY(session) relative;
    struct inside *inside; /* system calls that threads were in; NULL = none is known */
    struct drain_totals totals;
    struct spool *spool; /* own_spool, or that of the family */
    struct spool own_spool;
    uint64_t mapped_ticks; /* when the agent was last seen in the target; 0 = nobody has looked */
    Vt__Clock replaced;    /* when it became another program that is traced, too; zero = it did not */
    uint32_t agent_state;  /* at the end */
    bool began;            /* known at the end: the hooks were in */
    int unread;            /* why nothing more is read from the arena, -errno; 0 = it is read */
    uint64_t poll_ns;      /* current interval */
    uint64_t stats_ns, clock_ns, check_ns, moved_ns, cpu_ns; /* when last done */
    /* end */
    Vt__EndReason reason;
    char end_text[384];
    uint64_t stop_ns;
    uint64_t stop_pause_ns;
    bool seen_stopped; /* STOPPING: the target was stopped when last no helper was at it */
    bool target_gone;
    bool keep_spool;
};

/* Starts a session for the client at `peer`. Errors before anything was begun are returned; later ones go to the client as
 * CTL_ERROR. On success *held is the session, until it is freed or session_orphan is called. */
VT_MUST_CHECK int session_start(struct host *host, struct peer *peer, struct session **held, const Vt__AttachReq *req,
                                struct vt_err *err);
/* The same for a program that the client, req->pid, will start: the session waits for the first Python interpreter that comes in
 * by the launch socket. preload[512]: path of the library; *key: as Launched.key, the session's. */
VT_MUST_CHECK int session_launch(struct host *host, struct peer *peer, struct session **held, const Vt__AttachReq *req,
                                 char preload[512], const char **key, struct vt_err *err);
/* Begins an orderly end; the first reason counts. `text`: one line or "". The session is not freed within this call. */
void session_stop(struct session *s, Vt__EndReason reason, const char *text);
/* Its client is gone: the session ends; one that has ended keeps its spool and is freed. */
void session_orphan(struct session *s);
/* Its client has saved the trace: the spool is removed, the session freed. */
void session_saved(struct session *s);
/* The daemon ends: no helper stays behind, a trace with events stays in its spool file, the session is freed. */
void session_abandon(struct session *s);
/* The session on pid that has not ended yet, or NULL. */
struct session *session_find(struct host *host, pid_t pid);
/* Calls fn when the session has ended: once, before it is freed. */
void session_wait(struct session *s, struct session_waiter *w, void (*fn)(void *ctx, const struct session *s), void *ctx);
bool session_waiting(const struct session_waiter *w);
/* Also for a waiter that does not wait. */
void session_unwait(struct session_waiter *w);
/* Is a client there that will save it? */
bool session_has_client(const struct session *s);
/* What `status` shows. The strings stay the session's. */
void session_fill_info(const struct session *s, Vt__SessionInfo *info);

#endif
