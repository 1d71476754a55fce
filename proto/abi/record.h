/* The 8-byte record: one traced event in the arena.
 *
 *   63            30 29            4 3    0
 *  +----------------+---------------+------+
 *  | tsc, low 34 b  |  id, 26 bits  | type |      never zero (type >= 1)
 *  +----------------+---------------+------+
 *
 * One aligned store publishes a record; a reader stops at the first zero word. `id` is the name id
 * of a function (0 is never given out). EPOCH, GAP and STACK use all 60 upper bits as one number.
 *
 * A PAYLOAD record announces bytes: its id field is kind:6 | length:20 (bytes). The bytes follow in
 * ceil(length/8) words of the same chunk, written *before* the PAYLOAD record itself, so they may
 * contain zero words. A payload never spans chunks: when it does not fit, the rest of the chunk is
 * skipped by a PAD record (reader: go to the end of the chunk).
 *
 * Change rule: a new type or payload kind takes a free number and bumps VT_ABI_MINOR; the meaning of
 * an old one never changes. A change of layout bumps VT_ABI_MAJOR (arena.h). */
#ifndef VT_PROTO_ABI_RECORD_H
#define VT_PROTO_ABI_RECORD_H

#include <stdint.h>

#define VT_REC_TYPE_BITS 4
#define VT_REC_ID_BITS 26
#define VT_REC_TS_BITS 34
#define VT_REC_TS_SHIFT 30
#define VT_ID_MAX ((1u << VT_REC_ID_BITS) - 1) /* also: "more functions than ids" */

enum vt_rec_type {
    VT_REC_NONE = 0,
    VT_REC_CALL = 1,   /* Python function entered */
    VT_REC_RETURN = 2, /* ... returned */
    VT_REC_YIELD = 3,  /* generator or coroutine suspended: its frame leaves the stack */
    VT_REC_RESUME = 4, /* ... entered again */
    VT_REC_UNWIND = 5, /* Python function left by an exception */
    VT_REC_THROW = 6,  /* generator or coroutine entered by throw() */
    VT_REC_C_CALL = 7, /* C function entered */
    VT_REC_C_RETURN = 8,
    VT_REC_C_RAISE = 9, /* C function left by an exception */
    VT_REC_TASK = 10,   /* this thread now runs task `id` (0 = none); named by a TASK payload before */
    VT_REC_PAYLOAD = 11,
    VT_REC_EPOCH = 12, /* bits 4..: tsc >> 34, valid from here on in this chunk */
    VT_REC_GAP = 13,   /* bits 4..: number of events this thread dropped just before */
    VT_REC_PAD = 14,   /* nothing more in this chunk; the chunk counts as full */
    VT_REC_STACK = 15, /* 1.4: bits 4..: this thread now runs the stack of a greenlet, by its serial + 1; 0 = its own */
    VT_REC_TYPES = 16
};

/* A plain record is one event in one word. The other types control how the arena is read. */
#define VT_REC_IS_PLAIN(t) ((t) >= VT_REC_CALL && (t) <= VT_REC_TASK)
/* enter: pushes a frame; leave: pops one. */
#define VT_REC_IS_ENTER(t)                                                                                                       \
    ((1u << (t)) & ((1u << VT_REC_CALL) | (1u << VT_REC_RESUME) | (1u << VT_REC_THROW) | (1u << VT_REC_C_CALL)))
#define VT_REC_IS_LEAVE(t)                                                                                                       \
    ((1u << (t)) &                                                                                                               \
     ((1u << VT_REC_RETURN) | (1u << VT_REC_YIELD) | (1u << VT_REC_UNWIND) | (1u << VT_REC_C_RETURN) | (1u << VT_REC_C_RAISE)))

/* A call begins. RESUME and THROW begin a later piece of a call that was suspended by a yield. */
#define VT_REC_IS_CALL(t) (((1u << VT_REC_CALL | 1u << VT_REC_C_CALL) >> (t)) & 1u)

/* Payload kinds. All integers little endian, all strings UTF-8 (surrogateescape bytes possible), no
 * terminator, lengths given. Structs below are the fixed heads; strings follow in the order named. */
enum vt_payload_kind {
    VT_PL_NONE = 0,
    VT_PL_NAME = 1,      /* struct vt_pl_name + qualname + file (Python) or owner (C) */
    VT_PL_STACK = 2,     /* struct vt_pl_stack + thread name + u32 ids[nframes], outermost first; u32 lines[nframes] */
    VT_PL_THREAD = 3,    /* struct vt_pl_thread + name */
    VT_PL_ARGS = 4,      /* belongs to the next enter record of this thread: n x {u16 namelen, u16 vallen, name, value} */
    VT_PL_RETVAL = 5,    /* belongs to the next leave record of this thread: the repr */
    VT_PL_TASK = 6,      /* struct vt_pl_task + name */
    VT_PL_COUNTER = 7,   /* struct vt_pl_counter (garbage collection; --log_gc) */
    VT_PL_WINDOW = 8,    /* struct vt_pl_window + u32 ids[nframes], outermost first: this thread had no hook until now */
    VT_PL_THROTTLED = 9, /* n x struct vt_pl_throttled (--max_overhead); later ones replace what they say of an id */
    VT_PL_USER_END = 10, /* 8 bytes, 0: the launched program's own code has ended on this thread (no --log_exit) */
    VT_PL_MARK = 11,     /* 1.5: struct vt_pl_mark + name + id + JSON text of the args: an event of the program's own */
    VT_PL_PROCESS = 12,  /* 1.5: the name of the process, as its multiprocessing knows it; a later one replaces it */
    VT_PL_STEP = 13,     /* 1.5: text: an assignment in the innermost open call of this thread (--log_func_exec) */
    VT_PL_NOTE = 14, /* 1.5: u16 namelen, name, JSON text of a value: a member of the args of this thread's innermost open call */
    VT_PL_AWAIT = 15, /* 1.5: struct vt_pl_await: what the next YIELD record of this thread hands to its loop (--log_async) */
    VT_PL_KINDS = 64
};

struct vt_pl_name {
    uint32_t id;
    uint32_t line;    /* co_firstlineno; 0 for C */
    uint16_t namelen; /* qualname (co_name below 3.11); C: method name */
    uint16_t filelen; /* co_filename; C: "module" or "type" that goes before the dot, may be empty */
    uint8_t kind;     /* 0 Python, 1 C */
    uint8_t pad[3];
};
_Static_assert(sizeof(struct vt_pl_name) == 16, "vt_pl_name");

#define VT_STACK_TOP_LEFT_OUT 1u /* the innermost frame is not among the ids: a filter leaves it out */
#define VT_STACK_HAS_LINES 2u    /* behind the ids: the line that each frame was at, 0 = not known */
struct vt_pl_stack {
    uint64_t ident;   /* pthread_self() of the thread whose open frames these are */
    uint32_t tid;     /* native thread id in the target's pid namespace; 0 = not known */
    uint32_t nframes; /* ids in this payload */
    uint16_t part;    /* 0, 1, 2 ...: a deep stack comes in parts, outermost first */
    uint16_t namelen; /* only in part 0 */
    uint32_t flags;   /* VT_STACK_* */
};
_Static_assert(sizeof(struct vt_pl_stack) == 24, "vt_pl_stack");

struct vt_pl_thread {
    uint64_t ident;
    uint32_t tid; /* 0 = not known */
    uint16_t namelen;
    uint16_t pad;
};
_Static_assert(sizeof(struct vt_pl_thread) == 16, "vt_pl_thread");

struct vt_pl_task {
    uint64_t address; /* of the task object */
    uint32_t id;      /* the id that TASK records use */
    uint32_t namelen;
};
_Static_assert(sizeof(struct vt_pl_task) == 16, "vt_pl_task");

enum vt_await { VT_AWAIT_TASK = 1, VT_AWAIT_GATHER = 2 };
struct vt_pl_await {
    uint64_t address; /* of the object: of a task, as in its TASK payload */
    uint32_t kind;    /* enum vt_await */
    uint32_t pad;
};
_Static_assert(sizeof(struct vt_pl_await) == 16, "vt_pl_await");

struct vt_pl_counter { /* VizTracer's "garbage collection" counter */
    uint64_t collecting, collected, uncollectable;
};
_Static_assert(sizeof(struct vt_pl_counter) == 24, "vt_pl_counter");

/* Why a thread's events were not seen for a while. */
enum vt_window_cause {
    VT_WINDOW_LIMIT = 0,     /* the governor had taken the hooks out */
    VT_WINDOW_DISPLACED = 1, /* something in the process had taken the thread's profile function away */
    VT_WINDOW_GREENLET = 2   /* 1.4: a greenlet that was not known runs again, or events were dropped since it last ran */
};
/* As the last record of a thread, with cause DISPLACED: nothing was seen up to the end of the session. */
struct vt_pl_window { /* frames of this thread that are open now; nothing is known of the frames that were open before */
    uint32_t nframes;
    uint32_t cause; /* enum vt_window_cause; 1.2 and before: 0 */
};
_Static_assert(sizeof(struct vt_pl_window) == 8, "vt_pl_window");

#define VT_THROTTLED_OFF 1u      /* its events are switched off most of the time */
#define VT_THROTTLED_AT_LEAST 2u /* `estimated` is a lower bound at a steady rate; how many more is not known */
struct vt_pl_throttled {
    uint32_t id;
    uint32_t flags;     /* VT_THROTTLED_* */
    uint64_t since;     /* clock ticks */
    uint64_t counted;   /* calls seen since then, not recorded */
    uint64_t estimated; /* calls not seen since then: an estimate */
};
_Static_assert(sizeof(struct vt_pl_throttled) == 32, "vt_pl_throttled");

/* What the program itself tells of a moment: an instant, a counter, an object. */
struct vt_pl_mark {
    uint64_t ticks; /* the whole clock, because a payload has no time of its own in a trace */
    uint32_t args_len;
    uint16_t name_len;
    uint16_t id_len; /* of an object, a flow; 0 = it has none */
    uint8_t ph;      /* Chrome's letter: i, C, N, O, D, s, t, f, b, n, e */
    uint8_t scope;   /* of an instant: g, p, t; else 0 */
    uint8_t pad[6];
};
_Static_assert(sizeof(struct vt_pl_mark) == 24, "vt_pl_mark");

#define VT_PAYLOAD_MAX 32768u
static inline uint64_t vt_rec_payload_id(uint32_t kind, uint32_t len) { return (uint64_t)kind << 20 | len; }
static inline uint64_t vt_rec_make(uint64_t tsc, uint64_t id, uint32_t type) {
    return tsc << VT_REC_TS_SHIFT | id << VT_REC_TYPE_BITS | type;
}
static inline uint32_t vt_rec_type(uint64_t r) { return (uint32_t)(r & 15); }
static inline uint32_t vt_rec_id(uint64_t r) { return (uint32_t)(r >> VT_REC_TYPE_BITS) & VT_ID_MAX; }
static inline uint64_t vt_rec_ts(uint64_t r) { return r >> VT_REC_TS_SHIFT; }
static inline uint32_t vt_payload_kind(uint32_t id) { return id >> 20; }
static inline uint32_t vt_payload_len(uint32_t id) { return id & 0xfffff; }

#endif
