/* Thread blocks, and the slow path of a record: chunks, drops, payloads. With the GIL of the current interpreter; under
 * parallel_lock where that is not the main interpreter's GIL. */
#ifndef VT_AGENT_THREAD_H
#define VT_AGENT_THREAD_H

#include "agent/cpython/base.h"

/* One per traced thread, in a mapping that a forked child sees as zeros (MADV_WIPEONFORK): there the cursor means "slow
 * path", and agent.family->live means "child". Written by its own thread; by others only under the GIL while that thread cannot
 * run. A multiple of 64 bytes, so that no two threads share a cache line. */
struct thread {
    uint64_t *cursor; /* next free word of the chunk; its VT_CHUNK_MASK bits are 0 without a usable chunk */
    uint64_t epoch;   /* clock >> 34 of the last EPOCH record or chunk base */
    uint64_t ident;   /* pthread_self() */
    uint32_t tid;     /* 0 = this block belongs to nobody */
    uint32_t serial;
    uint32_t seq; /* of the next chunk */
    uint32_t name_tries;
    uint64_t dropped, dropped_told; /* in all; up to the last GAP record */
    uint64_t freed_seen;            /* vt_ctl.freed when no chunk was free */
    struct thread *next_free;
    uint64_t root;      /* greenlets.c: of the stack that runs; 0 = not known yet */
    int32_t ignored;    /* depth below a filtered function, 0 = record */
    int32_t depth;      /* for max_stack_depth */
    int32_t coroutines; /* open steps of tasks on this thread (hooks/task.c); where frames are not known, coroutine frames */
    uint32_t task;      /* task id of the last TASK record */
    uint32_t paused;    /* depth of calls of the agent's own Python code, or of a repr: record nothing */
    uint32_t starved;
    uint32_t unrecorded; /* events that were left out: every 1024th looks after the session */
    uint32_t window;     /* limit/window.c: number of the window of its last event */
    uint32_t missed;     /* enum vt_window_cause: its hook was gone until now; its next event tells */
    uint32_t step_code;  /* of the coroutine of `step`: a part of the address of its code */
    uint64_t step;       /* coroutine of the outermost open step: an address, never followed */
    uint64_t stack_at;   /* greenlets.c: what the thread runs while it is on that stack */
    uint32_t stack;      /* serial + 1 of the greenlet's stack that runs; 0 = the thread's own */
    uint32_t pad0;
    uint64_t awaited; /* hooks/task.c: what the last coroutine of this step has yielded: an address, never followed */
    uint64_t pad1[5];
};
_Static_assert(sizeof(struct thread) == 192, "thread");

/* `threading` registers a new thread's name within about 50 events of the thread. After that, look only at visits. */
enum { NAME_TRIES_EACH_EVENT = 128, NAME_TRIES = 160 };
#define THREADS_PER_SESSION 4096u
#define SESSIONS_PER_LAP 128u

extern struct thread thread_nobody; /* always zero: threads without a block point to it */
extern __thread struct thread *this_thread __attribute__((tls_model("initial-exec")));

/* The blocks of a session: once per session, before any hook is in. 0 or -errno. */
int threads_start(void);
/* Closes every thread's chunk and forgets the blocks. Nothing of the arena is touched afterwards. */
void threads_stop(void);
/* This thread's block, claimed if it has none; NULL = none is left. */
struct thread *thread_current(void);
/* Makes the thread's next event take the slow path. Called by another thread while that one cannot run. */
void thread_send_slow(struct thread *thread);
/* Does the block belong to this session and to a thread? */
bool thread_is_ours(const struct thread *thread);

/* Writes a record while tracing, on a thread that has its block: id << VT_REC_TYPE_BITS | type. False: it was counted as dropped,
 * as is an event without an id. */
bool emit_here(uint64_t word);
/* Tells that the thread runs another stack: thread->stack. */
void thread_tell_stack(struct thread *thread);
/* Room for a payload in this thread's stream, zero-filled up to the next word; NULL = there is none now. Belongs to the
 * caller until payload_commit, before which nothing else may be emitted. */
uint8_t *payload_reserve(uint32_t bytes);
/* kind: enum vt_payload_kind; bytes: as reserved. */
void payload_commit(uint32_t kind, uint32_t bytes);

#endif
