/* What the agent knows of the process and of the session: one struct, changed under the main interpreter's GIL unless a
 * field says otherwise. Times are ticks of the session's clock unless a name says otherwise. */
#ifndef VT_AGENT_STATE_H
#define VT_AGENT_STATE_H

#include "agent/cpython/arch.h"
#include "agent/cpython/base.h"
#include "agent/cpython/py_api.h"
#include "proto/abi/arena.h"
#include "proto/abi/boot.h"

struct thread;
struct hook_ops;

/* What this process is to us. Not the same as vt_ctl.state: a forked child has no arena. */
enum agent_state {
    AGENT_IDLE = 0,     /* never started, or left again */
    AGENT_STARTING = 1, /* hooks are being put in */
    AGENT_TRACING = 2,
    AGENT_LEAVING = 3, /* hooks are being removed */
    AGENT_HELD = 5,    /* the program's own session is stopped and may go on: the hooks are out, the arena is mapped */
    AGENT_INERT = 4    /* the interpreter is shutting down: hooks stay in and do nothing */
};

/* First page of the mapping that holds the thread blocks (thread.h). */
struct family {
    uint64_t live;   /* 1 in the process that was attached to, 0 in its forked children */
    uint32_t number; /* parallel_lock.c: of this process among its ancestors; 0 = it has none yet */
};

struct agent {
    uint32_t state;
    uint32_t lock;      /* spin lock of the free list of thread blocks and of agent.ctl, against thread_ended */
    uint32_t base_id;   /* first name id of the session, shifted like a record's */
    uint32_t next_id;   /* name ids are never reused: those of older sessions are smaller than base_id */
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
    bool full;      /* the session has options: the complete callbacks instead of the lean ones */
    bool governed;  /* --max_overhead */
    bool in_slices; /* who starts the session calls hooks->more until nothing is left */
    bool some_left; /* threads wait for their hook */
    bool parallel;  /* interpreters with a GIL of their own are traced, too (hooks/parallel.c) */
    bool c_calls;
    bool own;    /* the program itself has started the session (own_session.c) */
    bool sparse; /* the session has no hooks: only the program's own events are recorded */
    bool key_made;
    uint32_t tid_at; /* offset of the thread id from pthread_self(), 0 = not known */
    uint32_t key;    /* pthread key whose destructor tells us that a thread ends */
    uint32_t flags;  /* vt_ctl.flags */
    int32_t max_stack_depth;
    uint32_t repr_limit;    /* characters */
    void *threading_active; /* threading._active or NULL; owned reference */
    void *main_interpreter;
    int64_t extra_index;   /* of our slot in co_extra, the same in each interpreter; -1 = none yet */
    uint64_t ticks_per_ms; /* from span, which is 20 ms */
    void *user_code;       /* launch: code object of the program's __main__ while it runs, borrowed; NULL = none or not known */
    bool user_over;        /* launch: that code has ended, and with it the main thread's trace */
    bool launched;         /* started by us, or forked by such a process */
    bool joined; /* a forked child has begun its session: the event at which it did is among the open frames, or is none */
    void (*forked)(void); /* a child of a traced process gets a session of its own, or stays untraced. NULL: stays */
    uint64_t naming;      /* governed: ticks that giving ids has cost since the account last took it */
};
extern HIDDEN struct agent agent;

/* What injectors and the daemon read of a loaded agent, in the target's memory. */
extern struct vt_agent_info vt_agent_info;

/* The session's clock, whichever it is. Any thread. */
static inline uint64_t clock_full(void) {
    int64_t time[2];
    if (LIKELY(agent.clock == VT_CLOCK_TSC)) return arch_ticks();
    py.clock_gettime(1 /* CLOCK_MONOTONIC */, time);
    return (uint64_t)time[0] * 1000000000u + (uint64_t)time[1];
}
/* Never held across anything that waits. */
static inline void agent_lock(void) {
    while (__atomic_exchange_n(&agent.lock, 1u, __ATOMIC_ACQUIRE)) arch_pause();
}
static inline void agent_unlock(void) { vt_store_release(&agent.lock, 0u); }

#endif
