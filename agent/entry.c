/* Owns the way in of an injection: vt_agent_main, called on the bootstrap thread, a plain C thread of the target that does not
 * hold the GIL and ends when vt_agent_main returns. Owns also the steps of a start that pymod.c shares. */
#include "agent/entry.h"

#include "agent/cpython/collector.h"
#include "agent/cpython/gil.h"
#include "agent/cpython/layout.h"
#include "agent/cpython/locals.h"
#include "agent/cpython/repr.h"
#include "agent/hooks/eval_slot.h"
#include "agent/hooks/hooks.h"
#include "agent/limit/governor.h"
#include "agent/names/filter.h"
#include "agent/names/ids.h"
#include "agent/record/thread.h"
#include "agent/session/session.h"
#include "agent/session/threads.h"

enum {
    MADV_DONTFORK = 10,
    PROT_READ_WRITE = 3,
    MAP_SHARED = 1,
    MAP_FIXED_SHARED = 0x11,
    MAP_RESERVE = 0x4022,
    O_RDWR_CLOEXEC = 02000002,
    REPR_LIMIT_MAX = 4096,
    PATIENCE_MS = 10000 /* for the GIL, where the next look of a traced thread does the work anyway */
};

static bool failed(int64_t rc) { return rc < 0 && rc > -4096; }

/* ---- the arena ---- */

static void refuse(struct vt_ctl *ctl) { vt_store_release(&ctl->state, (uint32_t)VT_AGENT_REFUSED); }

int arena_open(const struct vt_boot *boot, struct vt_ctl **ctl_out) {
    uint64_t bytes = boot->arena_bytes;
    int64_t fd = boot->arena_fd, at;
    struct vt_ctl *ctl;
    if (bytes < vt_arena_bytes(VT_CHUNKS_MIN) || bytes > vt_arena_bytes(VT_CHUNKS_MAX) || bytes % VT_CHUNK_SIZE)
        return -VT_EINVAL;
    if (fd < 0) fd = arch_syscall3(SYS_OPENAT, (uint64_t)-100 /* AT_FDCWD */, (uint64_t)boot->arena_path, O_RDWR_CLOEXEC);
    if (failed(fd)) return (int)fd;
    int64_t area = arch_syscall6(SYS_MMAP, 0, bytes + VT_CHUNK_SIZE, 0, MAP_RESERVE, ~0ull, 0);
    if (failed(area)) {
        at = area;
        goto out;
    }
    uint64_t start = ((uint64_t)area + VT_CHUNK_MASK) & ~VT_CHUNK_MASK, end = (uint64_t)area + bytes + VT_CHUNK_SIZE;
    at = arch_syscall6(SYS_MMAP, start, bytes, PROT_READ_WRITE, MAP_FIXED_SHARED, (uint64_t)fd, 0);
    if (failed(at)) {
        arch_syscall3(SYS_MUNMAP, (uint64_t)area, bytes + VT_CHUNK_SIZE, 0);
        goto out;
    }
    if (start > (uint64_t)area) arch_syscall3(SYS_MUNMAP, (uint64_t)area, start - (uint64_t)area, 0);
    if (end > start + bytes) arch_syscall3(SYS_MUNMAP, start + bytes, end - start - bytes, 0);
    ctl = (struct vt_ctl *)at;
    if (ctl->magic != VT_ARENA_MAGIC || ctl->abi_major != VT_ABI_MAJOR || vt_arena_bytes(ctl->nchunks) > bytes ||
        arch_syscall3(SYS_MADVISE, start, bytes, MADV_DONTFORK) < 0) {
        arch_syscall3(SYS_MUNMAP, start, bytes, 0);
        at = -VT_EINVAL;
        goto out;
    }
    *ctl_out = ctl;
    at = 0;
out:
    if (boot->arena_fd < 0) arch_syscall3(SYS_CLOSE, (uint64_t)fd, 0, 0);
    return (int)at;
}

static void arena_drop(void) {
    struct vt_ctl *ctl = agent.ctl;
    agent.ctl = NULL;
    if (ctl) arch_syscall3(SYS_MUNMAP, (uint64_t)ctl, agent.arena_bytes, 0);
}

void agent_close_fds(const struct vt_boot *boot) {
    if (boot->agent_fd >= 0) arch_syscall3(SYS_CLOSE, (uint64_t)boot->agent_fd, 0, 0);
    if (boot->arena_fd >= 0) arch_syscall3(SYS_CLOSE, (uint64_t)boot->arena_fd, 0, 0);
}

/* ---- start ---- */

bool agent_is_child(void) {
    return agent.family && !agent.family->live && (agent.state == AGENT_TRACING || agent.state == AGENT_HELD);
}

/* A forked child of a traced process has inherited `busy`, but is not traced. */
bool agent_take(struct vt_ctl *ctl, uint64_t bytes) {
    uint32_t free = 0;
    bool inherited = agent_is_child();
    if (inherited || vt_cas_acqrel(&vt_agent_info.busy, &free, 1u)) {
        agent.ctl = ctl;
        agent.arena_bytes = bytes;
        vt_store_release(&vt_agent_info.ctl,
                         (uint64_t)ctl); /* shows other injectors whose session it is, from before we have the GIL */
        vt_store_release(&ctl->state, (uint32_t)VT_AGENT_MAPPED);
        return true;
    }
    text_append(ctl->err, sizeof ctl->err, "this process is being traced already");
    refuse(ctl);
    arch_syscall3(SYS_MUNMAP, (uint64_t)ctl, bytes, 0);
    return false;
}

static void find_tid(void) {
    static const uint32_t places[] = ARCH_PTHREAD_TIDS;
    uint32_t tid = (uint32_t)arch_syscall3(SYS_GETTID, 0, 0, 0);
    agent.tid_at = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0] && !agent.tid_at; i++)
        if (field32((const void *)arch_thread_pointer(), places[i]) == tid) agent.tid_at = places[i];
}

int agent_prepare(uint64_t dlsym_address) {
    struct vt_ctl *ctl = agent.ctl;
    if (agent_is_child()) agent.state = AGENT_LEAVING; /* agent_start takes the inherited hooks out first */
    int rc = py_api_resolve(dlsym_address, ctl->err, sizeof ctl->err);
    if (!rc) rc = layout_select(ctl->err, sizeof ctl->err);
    if (!rc && ctl->clock != VT_CLOCK_TSC && !py.clock_gettime) {
        text_append(ctl->err, sizeof ctl->err, "no clock_gettime in this process");
        rc = -VT_ENOENT;
    }
    if (rc) return rc;
    agent.clock = ctl->clock;
    agent.flags = ctl->flags;
    agent.c_calls = ctl->flags & VT_F_C_CALLS;
    agent.user_code = NULL;
    agent.governed = ctl->max_overhead;
    agent.in_slices = agent.some_left = agent.own = agent.user_over = false;
    agent.sparse = ctl->flags & VT_F_SPARSE;
    agent.full = detail_wanted(ctl) || (agent.governed && (layout.python >= 0x30c || agent.c_calls));
    filter_start();
    agent.max_stack_depth = ctl->max_stack_depth;
    agent.repr_limit = ctl->repr_limit && ctl->repr_limit < REPR_LIMIT_MAX ? ctl->repr_limit : REPR_LIMIT_MAX;
    agent.pid = (uint32_t)arch_syscall3(SYS_GETPID, 0, 0, 0);
    find_tid();
    agent.ticks_per_ms = ctl->span / 20 ? ctl->span / 20 : 1;
    agent.rearm_ticks = ctl->rearm_ms * agent.ticks_per_ms;
    ctl->tool_id = -1;
    ctl->agent_base = (uint64_t)&vt_agent_info;
    ctl->python_hex = layout.python;
    return 0;
}

static int install_none(char *why, size_t why_size) {
    (void)why, (void)why_size;
    return 0;
}
static void nothing(void) {}
static const struct hook_ops hook_none = {.kind = VT_HOOK_NONE, .install = install_none, .remove = nothing, .visit = nothing};

static const struct hook_ops *choose_hooks(void) {
    if (agent.sparse) return &hook_none;
    if (layout.python >= 0x30c) return &hook_monitoring;
    if (!agent.c_calls && !agent.full && eval_slot_possible()) return &hook_eval;
    return &hook_profile;
}

/* What belongs to a session besides its hooks. A new part is a row here; parts are started and stopped in this order. */
static const struct session_part parts[] = {
    {.start = callers_start, .tell = profile_tell_missed},
    {.start = governor_start, .tell = governor_tell, .stop = governor_stop, .child = governor_stop},
    {.start = greenlets_start, .stop = greenlets_stop, .child = greenlets_stop},
    {.start = tasks_start, .stop = tasks_stop, .child = tasks_stop},
    {.start = gc_log_start, .stop = gc_log_stop, .child = gc_log_stop},
};

/* The hooks go in and the open frames are told in one go: no Python code runs in between. */
void agent_start(void) {
    struct vt_ctl *ctl = agent.ctl;
    uint64_t start = clock_full();
    void *me = py.PyThreadState_Get();
    bool collecting = collector_off(); /* before anything makes an object */
    repr_use(NULL);
    int rc = names_start(ctl->err, sizeof ctl->err);
    if (!rc) rc = layout_check(me, agent.extra_index, ctl->err, sizeof ctl->err);
    if (!rc) value_check();
    if (!rc) locals_check();
    if (!rc) rc = threads_start();
    if (rc) goto refused;
    agent.main_interpreter = py.PyInterpreterState_Main ? py.PyInterpreterState_Main() : field(me, layout.ts_interp);
    agent.visit_at = start + ctl->span;
    agent.rearm_at = start + agent.rearm_ticks;
    agent.hooks = choose_hooks();
    if (agent.governed && layout.python >= 0x30c)
        agent.rearm_ticks *= 2; /* a look costs more in such a session (limit/throttle.c) */
    /* callbacks that are called before AGENT_TRACING do nothing */
    agent.state = AGENT_STARTING;
    session_start_parts(parts, sizeof parts / sizeof parts[0]);
    thread_names_find_module();
    rc = agent.hooks->install(ctl->err, sizeof ctl->err);
    if (!rc) {
        ctl->hook_kind = agent.hooks->kind;
        ctl->t_hooks_on = clock_full();
        if (!agent.own && !agent.sparse) stacks_emit(); /* VizTracer's start tells only what begins after it */
    }
    if (!rc) {
        if (collecting) collector_on();
        ctl->hold_on = clock_full() - start;
        vt_store_release(&ctl->state, (uint32_t)VT_AGENT_TRACING);
        vt_store_release(&agent.state, (uint32_t)AGENT_TRACING);
        return;
    }
    agent.state = AGENT_LEAVING;
    session_stop_parts();
    threads_stop();
refused:
    if (collecting) collector_on();
    agent.ctl = ctl;
    if (!*ctl->err) {
        text_append(ctl->err, sizeof ctl->err, "agent start failed: error ");
        text_append_number(ctl->err, sizeof ctl->err, rc);
    }
    agent.state = AGENT_IDLE;
    refuse(ctl);
    arena_drop();
    session_not_busy();
}

static bool still_wanted(void *ctx) {
    const struct vt_ctl *ctl = ctx;
    return vt_load_acquire(&ctl->enabled) && clock_full() < vt_load_relaxed(&ctl->lease);
}

void agent_give_up(const char *why) {
    struct vt_ctl *ctl = agent.ctl;
    if (!*ctl->err) text_append(ctl->err, sizeof ctl->err, why);
    refuse(ctl);
    arena_drop();
    agent.state = agent.state == AGENT_LEAVING ? AGENT_IDLE : agent.state;
    session_not_busy();
}

void agent_forget_parent(struct vt_ctl *ctl) {
    session_child();
    agent.governed = ctl->max_overhead;
    vt_store_release(&vt_agent_info.busy, 1u);
    vt_store_release(&vt_agent_info.ctl, (uint64_t)ctl);
    agent.ctl = ctl;
}

/* True: threads wait for their hooks. */
static bool start(const struct vt_boot *boot, struct vt_ctl *ctl) {
    if (!agent_take(ctl, boot->arena_bytes)) return false;
    if (agent_prepare(boot->f_dlsym)) {
        agent_give_up("agent start failed");
        return false;
    }
    if (!py.Py_IsInitialized() || (py.Py_IsFinalizing && py.Py_IsFinalizing())) {
        agent_give_up("the interpreter is not running");
        return false;
    }
    vt_store_release(&ctl->state, (uint32_t)VT_AGENT_WAIT_GIL);
    if (!still_wanted(ctl)) {
        agent_give_up("cancelled");
        return false;
    }
    struct gil gil;
    int rc = gil_take(&gil, still_wanted, ctl);
    if (rc) {
        agent_give_up(rc == -VT_ECANCELED ? "cancelled"
                      : rc == -VT_ENOTSUP ? "the GIL of this build of Python is not known, so a wait for it could have no end: "
                                            "start the program with viztracer"
                                          : "no memory for a thread state");
        return false;
    }
    if (agent.state == AGENT_LEAVING) agent_forget_parent(ctl);
    agent.in_slices = true;
    if (still_wanted(ctl))
        agent_start();
    else
        agent_give_up("cancelled");
    bool left = agent.state == AGENT_TRACING && agent.some_left;
    gil_give(&gil);
    return left;
}

/* The next slice of threads, of whichever session is on. */
static bool more(void) {
    if (agent.state != AGENT_TRACING || !agent.family->live || !agent.hooks->more) return false;
    agent.hooks->more();
    return agent.some_left;
}

static bool stop(void) {
    if (agent.state != AGENT_TRACING && agent.state != AGENT_HELD) return false;
    if (agent.family->live)
        session_leave(VT_WHY_STOP);
    else
        session_child();
    return false;
}

static bool wake(void) {
    if (agent.governed)
        governor_wake();
    else
        session_wake();
    return false;
}

/* Counts down the calls, of which there are about a thousand in a second. */
static bool still_patient(void *ctx) {
    uint32_t *left = ctx;
    return *left && (*left)--;
}

/* Does `work` with the GIL if a session is on, and returns its result. False: it was not done. */
static bool with_gil(bool (*work)(void)) {
    if (!vt_load_acquire(&vt_agent_info.busy) || !py.PyGILState_Ensure) return false;
    if (!py.Py_IsInitialized() || (py.Py_IsFinalizing && py.Py_IsFinalizing())) return false;
    struct gil gil;
    uint32_t patience = PATIENCE_MS;
    if (gil_take(&gil, still_patient, &patience)) return false;
    bool result = work();
    gil_give(&gil);
    return result;
}

EXPORT void *vt_agent_main(struct vt_boot *shared);
void *vt_agent_main(struct vt_boot *shared) {
    struct vt_boot boot;
    uint64_t signals = ~VT_SIGSETXID_BIT;
    arch_syscall6(SYS_SIGPROCMASK, 2 /* SIG_SETMASK */, (uint64_t)&signals, 0, 8, 0, 0);
    memcpy(&boot, shared, sizeof boot);
    if (boot.magic != VT_BOOT_MAGIC || boot.abi_major != VT_ABI_MAJOR) return NULL;
    agent_filtered = boot.flags & VT_BOOT_F_FILTERED;
    struct vt_ctl *ctl = NULL;
    int rc = boot.op == VT_OP_START ? arena_open(&boot, &ctl) : 0;
    agent_close_fds(&boot);
    if (rc) { /* the injector unmaps the scratch area when it has read this */
        text_append(shared->err, sizeof shared->err, "agent cannot map the arena: error ");
        text_append_number(shared->err, sizeof shared->err, rc);
        vt_store_release(&shared->state, (uint32_t)VT_BOOT_FAILED);
        return NULL;
    }
    vt_store_release(&shared->state, (uint32_t)VT_BOOT_AGENT);
    if (boot.scratch) arch_syscall3(SYS_MUNMAP, boot.scratch, boot.scratch_len, 0);
    bool left = boot.op == VT_OP_START && start(&boot, ctl);
    while (left) left = with_gil(more);
    if (boot.op == VT_OP_STOP) with_gil(stop);
    if (boot.op == VT_OP_WAKE) {
        with_gil(wake);
        vt_fetch_add(&vt_agent_info.woken, 1u);
    }
    return NULL;
}
