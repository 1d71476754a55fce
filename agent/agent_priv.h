/* The agent: one import-free library that runs inside a live CPython and writes what it calls into the
 * shared arena. It is a guest: it never exits, prints, waits or keeps anything once it has left.
 *
 *   entry.c            vt_agent_main: boot block in, arena mapped, hooks in; START and STOP
 *   pymod.c            the same as a Python extension module (remote exec)
 *   gil.c              how a plain C thread gets the GIL
 *   session.c          leaving, the forked child, the periodic visit of running threads
 *   py_api.[ch]        the CPython functions, by name        symbols.c   finding names without dlsym
 *   layout.[ch]        where things lie in CPython's objects, checked against the live interpreter
 *   emit.h             the hot path: one record              thread.c    its slow path: chunks, drops, payloads
 *   names.c            ids of functions, and their names     threads.c   names of threads
 *   hooks.h            what a hook back end is               hook_monitoring.c  3.12+
 *   interps.[ch]       which interpreters have them, 3.12+   parallel.[ch]      those with a GIL of their own
 *   hook_profile.c     below 3.12                            hook_eval.c        below 3.12 without C calls
 *   stacks.c           frames open at the start              detail.[ch] depth, options per event
 *   filter.c           which functions are left out
 *   values.c repr.c    arguments, return values, their texts gc.c task.c        --log_gc, --log_async
 *   locals.c           arguments in the frame that runs
 *   governor.[ch] throttle.c window.c   --max_overhead
 *   libc.c arch.h      what a C library and a CPU give
 *
 * Concurrency: every function here runs with the main interpreter's GIL held unless its comment says otherwise; that is
 * also why leaving may unmap the arena at once. What runs without it: vt_agent_main up to the wait for
 * the GIL, the end of a thread (thread_ended), which takes agent.lock, and parallel.c, which has rules of its own. */
#ifndef VT_AGENT_PRIV_H
#define VT_AGENT_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cpython/arch.h"
#include "agent/cpython/gil.h"
#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/text.h"
#include "proto/abi/arena.h"
#include "proto/abi/boot.h"

/* What this process is to us. Not the same as vt_ctl.state: a forked child has no arena. */
enum agent_state {
    AGENT_IDLE = 0,     /* never started, or left again */
    AGENT_STARTING = 1, /* hooks are being put in */
    AGENT_TRACING = 2,
    AGENT_LEAVING = 3, /* hooks are being removed */
    AGENT_INERT = 4    /* interpreter is shutting down: hooks stay where they are and do nothing */
};

/* One per traced thread, in a mapping that a forked child sees as zeros (MADV_WIPEONFORK), whoever
 * forks and however: its cursor then says "slow path" and agent.family->live says "child". Written by its
 * own thread; by others only under the GIL while that thread cannot run. 128 bytes: no shared lines. */
struct thread {
    uint64_t *cursor; /* next free word of the chunk; VT_CHUNK_MASK bits 0: no chunk, full, child, stopped */
    uint64_t epoch;   /* clock >> 34 of the last EPOCH record or chunk base */
    uint64_t ident;   /* pthread_self() */
    uint32_t tid;     /* 0 = this block belongs to nobody */
    uint32_t serial;
    uint32_t seq; /* of the next chunk */
    uint32_t name_tries;
    uint64_t dropped, dropped_told; /* cumulative; up to the last GAP record */
    uint64_t freed_seen;            /* vt_ctl.freed when no chunk was to be had */
    struct thread *next_free;
    void *tstate;       /* identity only, never followed */
    int32_t ignored;    /* depth below a filtered function, 0 = record */
    int32_t depth;      /* for max_stack_depth */
    int32_t coroutines; /* coroutine frames entered on this thread */
    uint32_t task;      /* task id of the last TASK record */
    uint32_t paused;    /* we run Python code (repr) ourselves: record nothing */
    uint32_t starved;
    uint32_t unrecorded; /* events that were left out, for a look now and then */
    uint32_t window;     /* window.c: the last one that it had an event in */
    uint32_t missed;     /* enum vt_window_cause: its hook was gone until now; its next event tells */
    uint32_t pad0;
    uint64_t pad1;
};
_Static_assert(sizeof(struct thread) == 128, "thread");

/* `threading` knows a new thread's name after some 50 of its events; after that look only now and then. */
enum { NAME_TRIES_EACH_EVENT = 128, NAME_TRIES = 160 };
#define THREADS_PER_SESSION 4096u
#define SESSIONS_PER_LAP 128u

/* First page of that mapping. */
struct family {
    uint64_t live; /* 1 in the process that was attached to, 0 in its forked children */
};

struct agent {
    uint32_t state;
    uint32_t lock;      /* spin: free list of thread blocks and agent.ctl, against thread_ended */
    uint32_t base_id;   /* first name id of the session, shifted like a record's */
    uint32_t next_id;   /* name ids grow for ever: an id of an older session is told by its value */
    struct vt_ctl *ctl; /* NULL when not tracing */
    struct family *family;
    struct thread *threads; /* the session's blocks */
    struct thread *free_threads;
    uint32_t nthreads, session;
    uint32_t clock, pid;
    uint64_t visit_at; /* clock: when the next periodic visit is due */
    uint64_t rearm_at, rearm_ticks;
    uint64_t arena_bytes;
    const struct hook_ops *hooks;
    bool full;     /* filters, arguments, ... : the complete callbacks instead of the lean ones */
    bool governed; /* --max_overhead */
    bool parallel; /* interpreters with a GIL of their own are traced, too */
    bool c_calls;
    bool tid_in_pthread;
    bool key_made;
    uint32_t key;   /* pthread key whose destructor tells us that a thread ends */
    uint32_t flags; /* vt_ctl.flags */
    int32_t max_stack_depth;
    uint32_t repr_limit;    /* characters */
    void *threading_active; /* threading._active or NULL; owned reference */
    void *main_interpreter;
    int64_t extra_index;   /* of our slot in co_extra, the same in each interpreter; -1 = none yet */
    uint64_t ticks_per_ms; /* from span, which is 20 ms */
};
extern HIDDEN struct agent agent;
extern __thread struct thread *this_thread __attribute__((tls_model("initial-exec")));

static inline uint64_t clock_full(void) {
    int64_t time[2];
    if (LIKELY(agent.clock == VT_CLOCK_TSC)) return arch_ticks();
    py.clock_gettime(1 /* CLOCK_MONOTONIC */, time);
    return (uint64_t)time[0] * 1000000000u + (uint64_t)time[1];
}
static inline void agent_lock(void) {
    while (__atomic_exchange_n(&agent.lock, 1u, __ATOMIC_ACQUIRE)) arch_pause();
}
static inline void agent_unlock(void) { vt_store_release(&agent.lock, 0u); }

/* Between interpreters with GILs of their own. Held by one thread of this process: what a forked child inherits is open. */
void process_lock(uint32_t *lock);
static inline void process_unlock(uint32_t *lock) { vt_store_release(lock, 0u); }

extern struct vt_agent_info vt_agent_info;
extern struct vt_boot vt_agent_boot;

/* entry.c */
int arena_open(const struct vt_boot *boot, struct vt_ctl **ctl_out);
bool agent_take(struct vt_ctl *ctl, uint64_t bytes);
int agent_prepare(uint64_t dlsym_address);
void agent_start(void);
void agent_give_up(const char *why);
void agent_forget_parent(struct vt_ctl *ctl);
void agent_close_fds(const struct vt_boot *boot);
/* thread.c */
extern struct thread thread_nobody;
bool emit_slow(uint64_t id_and_type);
uint8_t *payload_reserve(uint32_t bytes);
void payload_commit(uint32_t kind, uint32_t bytes);
int threads_start(void);
void threads_stop(void);
struct thread *thread_current(void);
bool thread_is_ours(const struct thread *thread);
bool emit_here(uint64_t id_and_type);
uint32_t thread_native_id(void);
void thread_send_slow(struct thread *thread);
/* session.c */
void agent_not_busy(void);
bool session_visit(void);
void session_leave(uint32_t why);
void session_wake(void);
void session_child(void);
/* names.c */
int names_start(char *why, size_t why_size);
uint32_t name_code_slow(void *code);
uint32_t name_code_entered(void *code, void *globals);
uint32_t name_function_slow(void *callable, void *definition);
uint32_t name_code(void *code, void *frame);
/* threads.c */
bool thread_name_tell(struct thread *thread);
void thread_names_tell_all(void);
void thread_names_find_module(void);
void *thread_object_name(uint64_t ident, uint32_t *native_id);
/* stacks.c */
void stacks_emit(void);
void stacks_emit_current(void);
void stacks_emit_thread(void *tstate);
uint32_t stack_ids(void *tstate, uint32_t *ids, uint32_t most, bool without_first);
/* task.c */
void tasks_start(void);
void tasks_stop(void);
/* gc.c */
int gc_log_start(void);
void gc_log_stop(void);

#endif
