/* Getting in and out of a live CPython process. The public header of attach/, which knows no sessions and no
 * protobuf. All calls block. Make them from a separate process (the daemon's helper) with the credentials of the
 * client: then the kernel decides what may be traced. That process may be killed at any instant; the target survives.
 *
 * Sources: ptrace(2), rt_sigreturn in arch/x86/kernel/signal_64.c, PEP 768, Include/internal/pycore_debug_offsets.h. */
#ifndef VT_ATTACH_ATTACH_H
#define VT_ATTACH_ATTACH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base.h"

enum attach_method { ATTACH_AUTO = 0, ATTACH_PTRACE = 1, ATTACH_REMOTE_EXEC = 2 };

struct attach_opts {
    pid_t pid;
    enum attach_method method;
    bool force;          /* attach although the target has opted out of remote debugging, or its seccomp filters cannot be read */
    unsigned timeout_ms; /* for all tries together, until the agent starts to load; 0 = 10 s. Loading may take 20 s more */
    const char *agent_path; /* libviztracer_agent.so on our side */
    uint64_t arena_bytes;   /* vt_arena_bytes(nchunks); an arena in a file may be smaller */
    /* Called once with the arena's fd (its length says how many chunks there are): writes the control area. The
     * agent sees the arena only after it returned 0. Target not stopped. */
    int (*prepare_arena)(void *ctx, int arena_fd, struct vt_err *err);
    /* For log lines; may be NULL. */
    void (*log)(void *ctx, const char *line);
    void *ctx;
};

/* Results of the preflight. For a refused target: what was known when it was refused. */
struct attach_info {
    pid_t pid;
    uint64_t start_time;    /* field 22 of /proc/PID/stat: with pid, the identity of the target */
    uint32_t uid;           /* effective uid of the target */
    int py_major, py_minor; /* 0 = no Python found */
    bool free_threaded, debug_build, musl;
    bool opted_out;       /* PYTHON_DISABLE_REMOTE_DEBUG or -X disable-remote-debug */
    bool seccomp;         /* a filter is on */
    bool has_remote_exec; /* PEP 768 usable */
    pid_t ns_pid;         /* pid as the target itself sees it */
    char exe[256];
    char cmdline[512]; /* arguments joined by blanks, control characters replaced */
};

struct attach_result {
    int arena_fd; /* owned by the caller, mapped by the agent; sealed against resizing unless file-backed */
    enum attach_method method;
    uint64_t pause_ns;    /* stop -> continue of the one thread that was used; 0 with remote exec */
    uint64_t max_stop_ns; /* longest stop of any thread, rejected ones included */
    uint32_t stops;       /* threads stopped in all, rejected ones included */
    uint64_t total_ns;    /* whole climb */
    uint32_t tries;       /* climbs; more than one: the new thread timed out waiting for this process */
    bool pages_first;     /* the target's memory is limited: give it only chunks whose pages are there (attach/headroom.h) */
    bool reused;          /* an inert agent of an earlier attach was used again */
};

/* Inspects the target and changes nothing. Returns 0, or -errno with the refusal in err: -ESRCH no such process / gone,
 * -ENOEXEC not Python, -ENOTSUP version/libc/mode not supported, -EPERM no right, -EBUSY traced by
 * another tracer or by us already, -EAGAIN stopped, -ECANCELED opted out. */
VT_MUST_CHECK int attach_preflight(const struct attach_opts *o, struct attach_info *info, struct vt_err *err);

/* Injects the agent. On success the agent runs in the target; it may still wait for the GIL (its state is in the
 * arena's control area). On error everything was undone. Calls attach_preflight first. Call it in a process that does nothing
 * else: it takes real-time priority where that is allowed, and keeps it (ptrace.h). */
VT_MUST_CHECK int attach_inject(const struct attach_opts *o, struct attach_info *info, struct attach_result *res,
                                struct vt_err *err);

/* Starts a thread in the target that removes the agent's hooks now (idle target, --uninstall). 0 also when there is no
 * agent or its hooks are out already. */
VT_MUST_CHECK int attach_stop(const struct attach_opts *o, struct attach_result *res, struct vt_err *err);
/* The same, for an agent whose governor has removed the hooks: installs them again (vt_ctl.wake_cpu_ns). */
VT_MUST_CHECK int attach_wake(const struct attach_opts *o, struct attach_result *res, struct vt_err *err);

/* Whether our agent is in the process and traces. Only reads memory. */
struct attach_agent {
    bool present, busy;
    uint64_t info_addr;     /* of struct vt_agent_info in the target */
    uint64_t ctl_addr;      /* of the arena in the target while busy */
    uint32_t filters_known; /* vt_ctl.filters_known */
    uint32_t owner_pid, owner_uid;
    uint64_t session_start; /* CLOCK_REALTIME ns */
    uint64_t lease_left_ns; /* 0 = ran out */
    char owner_name[64];
};
VT_MUST_CHECK int attach_find_agent(pid_t pid, struct attach_agent *a, struct vt_err *err);

const char *attach_method_name(enum attach_method m);

#endif
