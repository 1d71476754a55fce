/* The shared arena: one memfd per traced process, mapped by the agent and by the daemon.
 *
 *   0                64 KiB            128 KiB
 *   +----------------+-----------------+-----------------+--
 *   | control area   | chunk 0         | chunk 1         | ...  nchunks chunks of 64 KiB
 *   +----------------+-----------------+-----------------+--
 *
 * The agent maps it at a 64 KiB-aligned address, so the single test of the hot path, `cursor & 0xffff == 0`, covers: no chunk
 * yet, chunk full, forked child, stopped.
 *
 * A thread claims a chunk by compare-and-swap on `owner` (the free bitmap only says where to look;
 * a loser leaves the bit alone), fills it, takes the next. The daemon reads each thread's chunks
 * strictly in `seq` order, and gives a chunk back zeroed: owner = 0 with the rest, then the bit.
 * Only the daemon frees.
 *
 * Do not trust what the other side wrote: copy once, check, then use as an index.
 * Change rule: fields are only added in padding (bump VT_ABI_MINOR, older readers see 0); anything
 * else bumps VT_ABI_MAJOR. An agent refuses an arena of another major. */
#ifndef VT_PROTO_ABI_ARENA_H
#define VT_PROTO_ABI_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "proto/abi/atomic.h"
#include "proto/abi/record.h"

#define VT_ARENA_MAGIC 0x314152415a495656ull /* "VVIZARA1" */
#define VT_ABI_MAJOR 1
#define VT_ABI_MINOR 5

#define VT_CHUNK_SIZE 65536ul
#define VT_CHUNK_MASK (VT_CHUNK_SIZE - 1)
#define VT_CTL_SIZE 65536ul
#define VT_CHUNK_HDR 64u
#define VT_CHUNK_WORDS (VT_CHUNK_SIZE / 8)
#define VT_CHUNK_RECORDS (VT_CHUNK_WORDS - VT_CHUNK_HDR / 8)
#define VT_CHUNKS_MAX 16384u
#define VT_CHUNKS_MIN 16u
#define VT_CHUNKS_DEFAULT 4096u /* 256 MiB of address space, pages only where used */
#define VT_DROP_SLOTS 1024u
#define VT_FILTER_BYTES 16384u

enum vt_chunk_state { VT_CHUNK_FREE = 0, VT_CHUNK_OWNED = 1, VT_CHUNK_CLOSED = 2 };

struct vt_chunk {
    uint64_t limit;   /* W agent at take and on the slow path, W daemon 0 = "come to the slow path"; R agent, every event */
    uint64_t base;    /* W agent at take: full tsc, gives the upper bits of the first stamps */
    uint64_t owner;   /* W agent by CAS from 0: pid | (u64)tid << 32, in the target's pid namespace; W daemon: 0 */
    uint32_t seq;     /* W agent: 0, 1, 2 ... per thread: the order does not depend on time stamps */
    uint32_t state;   /* W agent, release: enum vt_chunk_state; W daemon: 0 */
    uint32_t thread;  /* W agent: thread serial of this arena, from 0 (tids are reused, serials are not) */
    uint32_t stack;   /* 1.4, W agent: the stack that ran when it took the chunk, as in a STACK record */
    uint64_t ident;   /* W agent: pthread_self() (fs base) */
    uint64_t dropped; /* W agent: events that this thread had dropped before it took the chunk, cumulative */
    uint64_t pad1;
    uint64_t rec[]; /* VT_CHUNK_RECORDS words: records and payload words; 0 = not yet written */
};
_Static_assert(sizeof(struct vt_chunk) == VT_CHUNK_HDR, "vt_chunk");
_Static_assert(offsetof(struct vt_chunk, owner) == 16 && offsetof(struct vt_chunk, state) == 28, "vt_chunk");

/* Agent's state, W agent (release), R daemon. Values only grow within one session. */
enum vt_agent_state {
    VT_AGENT_NONE = 0,
    VT_AGENT_MAPPED = 1,   /* agent code runs and has mapped the arena */
    VT_AGENT_WAIT_GIL = 2, /* waiting for the GIL: "pending" */
    VT_AGENT_TRACING = 3,  /* hooks are in */
    VT_AGENT_LEAVING = 4,
    VT_AGENT_GONE = 5,   /* hooks are out; arena about to be unmapped: nothing more will be written */
    VT_AGENT_REFUSED = 6 /* nothing was installed; `err` says why */
};
/* Why the agent left. */
enum vt_leave_why {
    VT_WHY_NONE = 0,
    VT_WHY_STOP = 1,     /* daemon asked */
    VT_WHY_LEASE = 2,    /* lease ran out: daemon gone */
    VT_WHY_FINALIZE = 3, /* interpreter shuts down */
    VT_WHY_EXEC = 4,
    VT_WHY_ERROR = 5 /* `err` says which */
};
enum vt_clock { VT_CLOCK_TSC = 0, VT_CLOCK_MONOTONIC_NS = 1 };
enum vt_hook_kind { VT_HOOK_NONE = 0, VT_HOOK_MONITORING = 1, VT_HOOK_PROFILE = 2, VT_HOOK_EVAL = 3 };

/* vt_ctl.flags, W daemon before the agent starts. */
#define VT_F_C_CALLS 0x01u       /* off = --ignore_c_function */
#define VT_F_ARGS 0x02u          /* --log_func_args */
#define VT_F_RETVAL 0x04u        /* --log_func_retval */
#define VT_F_GC 0x08u            /* --log_gc */
#define VT_F_ASYNC 0x10u         /* --log_async */
#define VT_F_IGNORE_FROZEN 0x20u /* --ignore_frozen */
#define VT_F_REPR 0x40u          /* --log_func_repr */
#define VT_F_CPU_TOLD 0x100u     /* 1.5: who made the arena tells the CPU time: the agent makes no system call for it */
#define VT_F_SPARSE 0x200u       /* 1.5: --log_sparse: a launched program gets no hooks: only its own events are recorded */
#define VT_F_LOG_EXIT 0x80u      /* 1.4: --log_exit: the trace of a launched program has what runs after its own code, too */

/* Lists of globs behind the prefixes in vt_ctl.filters. */
enum vt_glob_list {
    VT_GLOB_INCLUDE_FUNCTIONS = 0,
    VT_GLOB_EXCLUDE_FUNCTIONS,
    VT_GLOB_INCLUDE_MODULES,
    VT_GLOB_EXCLUDE_MODULES,
    VT_GLOBS
};

/* Events dropped by a thread that never got another chunk: slot thread_serial % VT_DROP_SLOTS.
 * W agent (relaxed), R daemon. The serial that last used the slot is kept beside it. */
struct vt_drop_slot {
    uint32_t thread;
    uint32_t pad;
    uint64_t dropped; /* cumulative, of that thread */
};

struct vt_ctl {
    /* -- W daemon before the agent sees it; constant afterwards -- */
    uint64_t magic;
    uint32_t abi_major, abi_minor;
    uint32_t nchunks;
    uint32_t clock;          /* enum vt_clock */
    uint32_t flags;          /* VT_F_* */
    int32_t max_stack_depth; /* -1 = no limit */
    uint32_t repr_limit;     /* characters of one repr */
    uint32_t include_bytes;  /* filters[]: NUL-terminated prefixes of files, first include then exclude, then glob_bytes */
    uint32_t exclude_bytes;
    uint32_t rearm_ms;             /* 3.12+: restart_events at this period; 0 = never */
    uint64_t span;                 /* clock ticks between two slow-path visits of a running thread (~20 ms) */
    uint64_t session_start;        /* CLOCK_REALTIME ns */
    uint32_t owner_pid, owner_uid; /* the client that asked, for "already traced by" (its own pid namespace) */
    char owner_name[64];           /* user name or "uid N", NUL-terminated */
    uint32_t glob_bytes[VT_GLOBS]; /* 1.1: NUL-terminated globs, in the order of enum vt_glob_list */
    uint32_t max_overhead;         /* 1.1: limit of the governor, in 1/10000 of the CPU time; 0 = no governor */
    uint32_t filters_known;        /* 1.5, W injector: seccomp filters of the main thread at the attach, + 1; 0 = not known */
    uint32_t instrument_bytes;     /* 1.5: launch: NUL-terminated options of the source instrumentation, behind the globs */
    uint32_t pad0;
    /* -- W daemon while tracing -- */
    uint32_t enabled; /* 1 = trace; 0 = leave at the next slow path (release; after limits were set to 0) */
    uint32_t pad1;
    uint64_t lease;   /* clock ticks: the agent leaves when its clock passes this */
    uint64_t freed;   /* counts chunks given back: a thread without chunk retries only when it moved */
    uint32_t cpu_seq; /* 1.5: of cpu_ns and cpu_at: odd while they are written, 0 = not told yet; with VT_F_CPU_TOLD */
    uint32_t pad2;
    uint64_t cpu_ns, cpu_at; /* 1.5: CPU time that the process had, ns, at this clock tick */
    uint64_t pad3[2];
    /* -- W agent -- */
    uint32_t state;                   /* enum vt_agent_state (release) */
    uint32_t why;                     /* enum vt_leave_why, before state = GONE */
    uint32_t hook_kind;               /* enum vt_hook_kind */
    int32_t tool_id;                  /* sys.monitoring tool id or -1 */
    uint32_t python_hex;              /* like PY_VERSION_HEX >> 16: 0x030c */
    uint32_t next_thread;             /* next thread serial */
    uint64_t dropped;                 /* events dropped, all threads */
    uint64_t t_hooks_on, t_hooks_off; /* clock ticks */
    uint64_t hold_on, hold_off;       /* clock ticks for which installing/removing the hooks held the GIL */
    uint64_t agent_base;              /* load address of the agent */
    uint32_t reserved;                /* 1.3: was written by agents that took a GIL of unknown fields */
    uint32_t hooked_most;             /* 1.4: most threads that got their profile function in one hold of the GIL; 0 = 3.12+ */
    uint32_t next_id;                 /* name ids given out so far */
    uint32_t windows;                 /* 1.1: how often the governor removed all hooks */
    uint64_t off_ticks;               /* 1.1: for how long in total, clock ticks */
    uint64_t off_since;               /* 1.1: when they were removed, clock ticks; 0 = they are in */
    uint64_t wake_cpu_ns;             /* 1.2: CPU time of the process at which VT_OP_WAKE is due; 0 = never */
    char err[256];                    /* cause of REFUSED or of a degraded start, NUL-terminated */
    uint64_t pad5[8];
    /* -- both -- */
    uint64_t free[VT_CHUNKS_MAX / 64]; /* bit = free and all zero; agent clears after its claim, daemon sets */
    struct vt_drop_slot drops[VT_DROP_SLOTS];
    char filters[VT_FILTER_BYTES];
};
_Static_assert(sizeof(struct vt_ctl) <= VT_CTL_SIZE, "vt_ctl");
_Static_assert(offsetof(struct vt_ctl, enabled) == 168 && offsetof(struct vt_ctl, state) == 232, "vt_ctl");
_Static_assert(offsetof(struct vt_ctl, err) == 344 && offsetof(struct vt_ctl, free) == 664, "vt_ctl");

static inline struct vt_chunk *vt_chunk_at(struct vt_ctl *ctl, uint32_t i) {
    return (struct vt_chunk *)(void *)((char *)ctl + VT_CTL_SIZE + (uint64_t)i * VT_CHUNK_SIZE);
}
static inline uint64_t vt_arena_bytes(uint32_t nchunks) { return VT_CTL_SIZE + (uint64_t)nchunks * VT_CHUNK_SIZE; }

#endif
