/* Owns telling the frames that are open when the hooks go in: STACK payloads for every thread of every interpreter, in the stream
 * of the thread that puts the hooks in. */
#include "agent/hooks/stacks.h"

#include "agent/cpython/frames.h"
#include "agent/cpython/layout.h"
#include "agent/cpython/text.h"
#include "agent/hooks/depth.h"
#include "agent/hooks/greenlets.h"
#include "agent/hooks/hooks.h"
#include "agent/limit/governor.h"
#include "agent/names/filter.h"
#include "agent/names/ids.h"
#include "agent/session/interps.h"
#include "agent/session/threads.h"

enum { IDS_HERE = 256, IDS_PER_PART = 2048, THREAD_NAME_MAX = 1024, UNSEEN_MAX = 512 };
enum { LINES_MAX = 256 }; /* innermost frames whose lines are looked up: that takes as long as the function is long */
#define THREADS_BYTES (THREADS_PER_SESSION * sizeof(void *))

struct part {
    struct vt_pl_stack head;
    struct text name;
};

static void emit_part(struct part *part, const uint32_t *ids, const uint32_t *lines) {
    uint32_t ids_bytes = part->head.nframes * 4, bytes = (uint32_t)sizeof part->head + part->head.namelen + 2 * ids_bytes;
    uint8_t *to = payload_reserve(bytes);
    if (to) {
        memcpy(to, &part->head, sizeof part->head);
        memcpy(to + sizeof part->head, part->name.bytes, part->head.namelen);
        memcpy(to + sizeof part->head + part->head.namelen, ids, ids_bytes);
        memcpy(to + sizeof part->head + part->head.namelen + ids_bytes, lines, ids_bytes);
        payload_commit(VT_PL_STACK, bytes);
    }
    part->head.part++;
    part->head.namelen = 0;
}

void stacks_emit_thread(void *tstate) {
    greenlets_note(tstate);
    struct part part = {.head = {.ident = frames_ident(tstate), .flags = VT_STACK_HAS_LINES}};
    uint64_t count = frames_depth(tstate, ~0ull), at = count;
    if (layout.ts_native_id) part.head.tid = (uint32_t)(uint64_t)field(tstate, layout.ts_native_id);
    bool foreign = layout.python >= 0x30c && interps_own_gil(); /* `threading` is the main interpreter's */
    void *name = foreign ? NULL : thread_object_name(part.head.ident, part.head.tid ? NULL : &part.head.tid);
    text_of_unicode(&part.name, name);
    part.head.namelen = (uint16_t)(part.name.len > THREAD_NAME_MAX ? THREAD_NAME_MAX : part.name.len);
    uint32_t few[2 * IDS_HERE]; /* ids, then lines */
    uint64_t bytes = count * 8 + 8;
    bool mapped = count > IDS_HERE; /* a mapping for each of thousands of threads would take longer than all the rest */
    int64_t area = mapped ? arch_syscall6(SYS_MMAP, 0, bytes, 3, 0x22 /* PRIVATE|ANONYMOUS */, ~0ull, 0) : (int64_t)few;
    if (area > 0) {
        uint32_t *ids = (uint32_t *)area, *lines = ids + count;
        bool innermost = true;
        for (void *frame = frames_first(tstate); frame && at; frame = frames_next(frame)) {
            void *code = frames_code(frame);
            uint32_t id = name_code(code, frame) >> VT_REC_TYPE_BITS;
            uint64_t flags = filter_flags_of(code);
            filter_was_open(code, frame);
            if (agent.governed) throttle_was_open(id << VT_REC_TYPE_BITS);
            bool told = id && !(flags & FILTER_LEFT_OUT);
            if (told) {
                ids[--at] = id;
                lines[at] = count - at <= LINES_MAX ? frames_line(frame) : 0;
            }
            if (innermost && !told) part.head.flags |= VT_STACK_TOP_LEFT_OUT;
            innermost = false;
        }
        do {
            part.head.nframes = (uint32_t)(count - at > IDS_PER_PART ? IDS_PER_PART : count - at);
            emit_part(&part, ids + at, lines + at);
            at += part.head.nframes;
        } while (at < count);
        if (mapped) arch_syscall3(SYS_MUNMAP, (uint64_t)area, bytes, 0);
    }
    text_done(&part.name);
    drop_ref(name);
}

/* ---- which threads ---- */

struct threads {
    void **list; /* NULL = no memory */
    uint32_t n;
};

/* Threads with open frames that cannot run while we hold the GIL. */
static struct threads threads_find(void) {
    int64_t area = arch_syscall6(SYS_MMAP, 0, THREADS_BYTES, 3, 0x22 /* PRIVATE|ANONYMOUS */, ~0ull, 0);
    if (area <= 0) return (struct threads){NULL, 0};
    return (struct threads){(void **)area, interps_threads((void **)area, THREADS_PER_SESSION, frames_any)};
}

static void threads_drop(const struct threads *threads) {
    if (threads->list) arch_syscall3(SYS_MUNMAP, (uint64_t)threads->list, THREADS_BYTES, 0);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
}

void stacks_emit(void) {
    struct threads threads = threads_find();
    for (uint32_t i = 0; i < threads.n; i++)
        if (!agent.hooks->has || agent.hooks->has(threads.list[i])) stacks_emit_thread(threads.list[i]);
    threads_drop(&threads);
}

/* ---- an interpreter that is hooked later ---- */

static bool has_events(uint64_t ident) {
    for (uint32_t i = 0; i < agent.nthreads; i++)
        if (agent.threads[i].ident == ident && agent.threads[i].tid && agent.threads[i].seq) return true;
    return false;
}

/* A thread may have frames in several interpreters, one called from the other; they are told once. */
static bool is_elsewhere(const struct threads *threads, const void *tstate) {
    for (uint32_t i = 0; i < threads->n; i++) {
        const void *other = threads->list[i];
        if (frames_ident(other) == frames_ident(tstate) && field(other, layout.ts_interp) != field(tstate, layout.ts_interp))
            return true;
    }
    return false;
}

/* Only threads that have recorded nothing: the reader already knows the open calls of the others. */
void stacks_emit_current(void) {
    const void *interpreter = field(py.PyThreadState_Get(), layout.ts_interp);
    uint32_t ids[UNSEEN_MAX];
    if (depth_is_kept()) depth_entered_unseen(stack_ids(py.PyThreadState_Get(), ids, UNSEEN_MAX, false));
    if (agent.governed) return; /* the governor has counted the open calls already */
    struct threads threads = threads_find();
    for (uint32_t i = 0; i < threads.n; i++) {
        void *tstate = threads.list[i];
        bool late = field(tstate, layout.ts_interp) == interpreter && !has_events(frames_ident(tstate));
        if (late && !is_elsewhere(&threads, tstate)) stacks_emit_thread(tstate);
    }
    threads_drop(&threads);
}
