/* Owns thread blocks and the slow path of a record: chunks, drops, gaps and payload space.
 *
 * All blocks lie in one wipe-on-fork mapping, and each session uses another region of it. A thread's pointer into an older
 * region finds zeros, which mean "slow path", and never another thread's block. */
#include "agent/record/thread.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/symbols.h"
#include "agent/record/state.h"

struct thread thread_nobody;
__thread struct thread *this_thread __attribute__((tls_model("initial-exec"))) = &thread_nobody;

#define REGION_BYTES ((uint64_t)THREADS_PER_SESSION * sizeof(struct thread))
#define FAMILY_BYTES (4096 + SESSIONS_PER_LAP * REGION_BYTES)
enum { MADV_DONTNEED = 4, MADV_WIPEONFORK = 18 };
enum { BLOCKS_KEPT = 64 }; /* three pages of an old session's blocks stay */

/* The system call is the last way: the target may be under a seccomp filter that kills for it. */
static uint32_t native_id(void) {
    if (LIKELY(agent.tid_at)) return field32((const void *)arch_thread_pointer(), agent.tid_at);
    if (layout.ts_native_id) return field32(py.PyThreadState_Get(), layout.ts_native_id);
    return (uint32_t)arch_syscall3(SYS_GETTID, 0, 0, 0);
}

bool thread_is_ours(const struct thread *thread) {
    return (uint64_t)thread - (uint64_t)agent.threads < REGION_BYTES && thread->tid;
}

static void chunk_close(struct thread *thread) {
    if (!thread->cursor) return;
    struct vt_chunk *chunk = (struct vt_chunk *)(((uint64_t)thread->cursor - 1) & ~VT_CHUNK_MASK);
    thread->cursor = NULL;
    vt_store_release(&chunk->state, (uint32_t)VT_CHUNK_CLOSED);
}

/* pthread key destructor: runs without the GIL, maybe while another thread leaves. */
static void thread_ended(void *argument) {
    struct thread *thread = argument;
    this_thread = &thread_nobody;
    agent_lock();
    if (agent.ctl && thread_is_ours(thread) && agent.family->live) {
        chunk_close(thread);
        memset(thread, 0, sizeof *thread);
        thread->next_free = agent.free_threads;
        agent.free_threads = thread;
    }
    agent_unlock();
}

struct thread *thread_current(void) {
    struct thread *thread = this_thread;
    if (LIKELY(thread_is_ours(thread))) return thread;
    agent_lock();
    thread = agent.free_threads;
    if (thread)
        agent.free_threads = thread->next_free;
    else if (agent.nthreads < THREADS_PER_SESSION)
        thread = &agent.threads[agent.nthreads++];
    agent_unlock();
    if (!thread) return NULL;
    memset(thread, 0, sizeof *thread);
    thread->ident = arch_thread_pointer();
    thread->serial = vt_fetch_add(&agent.ctl->next_thread, 1u);
    thread->freed_seen = ~0ull;
    thread->tid = native_id();
    this_thread = thread;
    if (agent.key_made) py.pthread_setspecific(agent.key, thread);
    return thread;
}

int threads_start(void) {
    if (!agent.family) {
        int64_t at = arch_syscall6(SYS_MMAP, 0, FAMILY_BYTES, 3, 0x4022 /* PRIVATE|ANONYMOUS|NORESERVE */, ~0ull, 0);
        if (at < 0 && at > -4096) return (int)at;
        int64_t rc = arch_syscall3(SYS_MADVISE, (uint64_t)at, FAMILY_BYTES, MADV_WIPEONFORK);
        if (rc < 0) {
            arch_syscall3(SYS_MUNMAP, (uint64_t)at, FAMILY_BYTES, 0);
            return (int)rc;
        }
        agent.family = (struct family *)at;
    }
    if (agent.nthreads > BLOCKS_KEPT && !agent_filtered)
        arch_syscall3(SYS_MADVISE, (uint64_t)agent.threads, REGION_BYTES, MADV_DONTNEED);
    uint32_t region = agent.session++ % SESSIONS_PER_LAP;
    agent.threads = (struct thread *)(void *)((char *)agent.family + 4096 + region * REGION_BYTES);
    agent.nthreads = 0;
    agent.free_threads = NULL;
    agent.family->live = 1;
    agent.key_made = py.pthread_key_create && py.pthread_key_delete && py.pthread_setspecific &&
                     py.pthread_key_create(&agent.key, thread_ended) == 0;
    return 0;
}

/* Runs in a thread of the target, whose seccomp filter may kill for madvise: the pages are given back by the next session. */
void threads_stop(void) {
    agent_lock();
    for (uint32_t i = 0; i < agent.nthreads; i++) chunk_close(&agent.threads[i]);
    memset(agent.threads, 0, agent.nthreads * sizeof *agent.threads);
    agent.ctl = NULL;
    agent_unlock();
    if (agent.key_made) py.pthread_key_delete(agent.key);
    agent.key_made = false;
    this_thread = &thread_nobody;
}

/* ---- chunks ---- */

/* The lowest free chunk first, because its pages are warm. Reading the owner before writing it lets the kernel map the
 * whole chunk in one fault. */
static struct vt_chunk *chunk_claim(uint64_t owner) {
    struct vt_ctl *ctl = agent.ctl;
    uint32_t words = (ctl->nchunks + 63) / 64;
    for (uint32_t w = 0; w < words; w++) {
        for (uint64_t bits = vt_load_acquire(&ctl->free[w]); bits; bits &= bits - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(bits);
            if (i >= ctl->nchunks) break;
            struct vt_chunk *chunk = vt_chunk_at(ctl, i);
            uint64_t nobody = 0;
            if (vt_load_relaxed(&chunk->owner) || !vt_cas_acqrel(&chunk->owner, &nobody, owner)) continue;
            vt_fetch_and_acqrel(&ctl->free[w], ~(1ull << (i & 63)));
            return chunk;
        }
    }
    return NULL;
}

static void count_drop(struct thread *thread) {
    struct vt_drop_slot *slot = &agent.ctl->drops[thread->serial % VT_DROP_SLOTS];
    thread->dropped++;
    vt_store_relaxed(&slot->thread, thread->serial);
    vt_store_relaxed(&slot->dropped, thread->dropped);
    vt_fetch_add(&agent.ctl->dropped, 1ull);
}

static uint64_t next_limit(const struct thread *thread, uint64_t now) {
    uint64_t wrap = ((now >> VT_REC_TS_BITS) + 1) << VT_REC_TS_BITS, limit = now + agent.ctl->span;
    if (thread->missed || thread->paused) limit = now;
    if (thread->name_tries < NAME_TRIES_EACH_EVENT) limit = now; /* a new thread's name is found at its first events */
    return limit < wrap ? limit : wrap;
}

/* Pairs with the daemon's "limit = 0, enabled = 0, limit = 0": either the daemon sees our limit, or we see its 0. */
static bool set_limit(struct vt_chunk *chunk, uint64_t limit) {
    vt_store_relaxed(&chunk->limit, limit);
    vt_full_fence();
    if (UNLIKELY(!vt_load_relaxed(&agent.ctl->enabled))) vt_store_relaxed(&chunk->limit, 0ull);
    return true;
}

static bool chunk_take(struct thread *thread, uint64_t now) {
    struct vt_ctl *ctl = agent.ctl;
    chunk_close(thread);
    uint64_t freed = vt_load_acquire(&ctl->freed);
    if (thread->starved && freed == thread->freed_seen) return false;
    uint64_t owner = (uint64_t)thread->tid << 32 | agent.pid;
    struct vt_chunk *chunk = chunk_claim(owner);
    thread->starved = !chunk;
    thread->freed_seen = freed;
    if (!chunk) return false;
    chunk->base = now;
    chunk->seq = thread->seq++;
    chunk->thread = thread->serial;
    chunk->stack = thread->stack;
    chunk->ident = thread->ident;
    chunk->dropped = thread->dropped;
    thread->epoch = now >> VT_REC_TS_BITS;
    uint64_t *cursor = chunk->rec;
    if (thread->dropped != thread->dropped_told) {
        arch_publish(cursor++, (thread->dropped - thread->dropped_told) << VT_REC_TYPE_BITS | VT_REC_GAP);
        thread->dropped_told = thread->dropped;
    }
    thread->cursor = cursor;
    vt_store_release(&chunk->state, (uint32_t)VT_CHUNK_OWNED);
    return set_limit(chunk, next_limit(thread, now));
}

void thread_send_slow(struct thread *thread) {
    if (((uint64_t)thread->cursor & VT_CHUNK_MASK) == 0) return;
    vt_store_relaxed(&((struct vt_chunk *)((uint64_t)thread->cursor & ~VT_CHUNK_MASK))->limit, 0ull);
}

/* Makes thread->cursor usable for at least one word at time `now`. */
static bool chunk_ready(struct thread *thread, uint64_t now) {
    uint64_t epoch = now >> VT_REC_TS_BITS;
    if (LIKELY(((uint64_t)thread->cursor & VT_CHUNK_MASK) != 0)) {
        set_limit((struct vt_chunk *)((uint64_t)thread->cursor & ~VT_CHUNK_MASK), next_limit(thread, now));
        if (thread->epoch == epoch) return true;
        arch_publish(thread->cursor++, epoch << VT_REC_TYPE_BITS | VT_REC_EPOCH);
        thread->epoch = epoch;
        if (((uint64_t)thread->cursor & VT_CHUNK_MASK) != 0) return true;
    }
    return chunk_take(thread, now);
}

bool emit_here(uint64_t word) {
    struct thread *thread = this_thread;
    if (!(word >> VT_REC_TYPE_BITS) && word != VT_REC_TASK) { /* the function has no id: the reader could not show it */
        if (!agent.joined) count_drop(thread);
        agent.joined = false;
        return false;
    }
    agent.joined = false;
    uint64_t now = clock_full();
    if (!chunk_ready(thread, now)) {
        count_drop(thread);
        return false;
    }
    arch_publish(thread->cursor, now << VT_REC_TS_SHIFT | word);
    thread->cursor++;
    return true;
}

/* Without a usable chunk the head of the next one tells. */
void thread_tell_stack(struct thread *thread) {
    if (((uint64_t)thread->cursor & VT_CHUNK_MASK) == 0) return;
    arch_publish(thread->cursor, (uint64_t)thread->stack << VT_REC_TYPE_BITS | VT_REC_STACK);
    thread->cursor++;
}

uint8_t *payload_reserve(uint32_t bytes) {
    uint64_t words = 1 + (bytes + 7) / 8, now;
    if (bytes > VT_PAYLOAD_MAX || !agent.ctl || !agent.family->live) return NULL;
    struct thread *thread = thread_current();
    if (!thread) return NULL;
    now = clock_full();
    if (!chunk_ready(thread, now)) return NULL;
    if ((VT_CHUNK_SIZE - ((uint64_t)thread->cursor & VT_CHUNK_MASK)) / 8 < words) {
        arch_publish(thread->cursor, vt_rec_make(now, 0, VT_REC_PAD));
        thread->cursor = (uint64_t *)(((uint64_t)thread->cursor | VT_CHUNK_MASK) + 1);
        if (!chunk_take(thread, now)) return NULL;
    }
    return (uint8_t *)(thread->cursor + 1);
}

void payload_commit(uint32_t kind, uint32_t bytes) {
    struct thread *thread = this_thread;
    uint64_t now = clock_full();
    /* the clock wrapped between reserve and commit: stay in the epoch that the stream knows */
    if (now >> VT_REC_TS_BITS != thread->epoch) now = ((thread->epoch + 1) << VT_REC_TS_BITS) - 1;
    arch_publish(thread->cursor, vt_rec_make(now, vt_rec_payload_id(kind, bytes), VT_REC_PAYLOAD));
    thread->cursor += 1 + (bytes + 7) / 8;
}
