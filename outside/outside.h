/* What the threads of a Python process do right now, read from outside: its memory and /proc. Nothing in the process stops or
 * changes, and it need not run. What is read may change meanwhile, so each stack is read twice; what was not the same both times
 * is marked, never made up. The bytes of a target are hostile: memory and time are bounded.
 *
 * The public header of outside/, which knows no sessions and no protobuf. One thread. Everything belongs to struct outside. */
#ifndef VT_OUTSIDE_OUTSIDE_H
#define VT_OUTSIDE_OUTSIDE_H

#include "attach/attach.h"
#include "attach/inside.h"

struct outside; /* one target */

struct outside_code {
    const char *name; /* qualified from 3.11 on; UTF-8, any other bytes in it are the target's */
    const char *file;
    uint32_t first_line;
};

struct outside_value { /* of a variable of a function; both are UTF-8, any other bytes are the target's */
    const char *name, *text;
};

struct outside_frame {
    const struct outside_code *code;    /* NULL: it could not be read */
    uint32_t line;                      /* where it is; 0 = unknown */
    uint64_t address;                   /* of the frame in the target */
    const struct outside_value *values; /* outside_want_values; those that have a value, arguments first */
    uint32_t nvalues;
};

enum outside_gil { OUTSIDE_GIL_NOT, OUTSIDE_GIL_HOLDS, OUTSIDE_GIL_WAITS };

struct outside_thread {
    uint64_t address;     /* of its PyThreadState */
    uint64_t interpreter; /* id of its interpreter; the main one has 0 */
    pid_t tid;            /* as we see it; 0 = unknown */
    uint64_t ident;       /* pthread_self() */
    char name[64];        /* one clean line; "" = unknown */
    enum outside_gil gil;

    struct outside_frame *frames; /* innermost first */
    uint32_t nframes;
    bool torn;    /* it changed all the time: there are frames inside the first one that are not told */
    bool cut;     /* there are more frames outside the last one */
    bool unread;  /* the stack could not be read at all */
    bool changed; /* outside_want_values: it ran while its variables were read, so none are told */

    /* From /proc; not filled by outside_read. */
    char state;                 /* R S D T t Z, or 0 = unknown */
    char call[INSIDE_TEXT_MAX]; /* the system call that it is in: "read(3: pipe)"; "" = none, or unknown */
    uint64_t since_ns;          /* how long it has not been on a CPU; 0 = it is, or unknown */
    uint64_t cpu_ns;            /* that it has had; outside_read_cpu_times */
    uint64_t futex;             /* address of the futex that it waits in; 0 = none */

    /* The lock of threading that it waits for. */
    uint64_t lock;                           /* address of the object; 0 = none, or unknown */
    const char *lock_type;                   /* "Lock", "RLock" */
    const struct outside_thread *lock_owner; /* of an RLock; NULL = unknown */
    bool deadlocked;                         /* it waits for itself, through the owners */
};

/* A task of asyncio that is not done. */
struct outside_task {
    uint64_t address;
    pid_t tid;                    /* of its thread; 0 = unknown, as below 3.14 unless it runs */
    char name[64];                /* one clean line */
    char waits_for[32];           /* the type of the future that it waits for; "" = nothing */
    bool runs;                    /* it is on the stack of its thread */
    bool changed;                 /* it ran while it was read: where it is is not known */
    struct outside_frame *frames; /* innermost first */
    uint32_t nframes;
    const uint32_t *waits; /* the tasks that it waits for, by their place among all */
    uint32_t nwaits;
    bool is_awaited; /* another task waits for it */
};

/* Opens a process. Refuses as an attach does: one line in err. */
VT_MUST_CHECK int outside_open(struct outside **out, pid_t pid, struct vt_err *err);
/* Opens a core file. exe: its program's file, where that is not where the core says; or NULL. There is nothing in /proc then. */
VT_MUST_CHECK int outside_open_core(struct outside **out, const char *path, const char *exe, struct vt_err *err);
bool outside_is_core(const struct outside *o);
void outside_close(struct outside *o);
const struct attach_info *outside_info(const struct outside *o);

/* From now on outside_read reads the variables of all functions, too. outside_sample does not. */
void outside_want_values(struct outside *o);

/* Reads all stacks of all interpreters, and who holds the GIL. -ESRCH: the process is gone. What the last reading gave is void
 * then. */
VT_MUST_CHECK int outside_read(struct outside *o, struct vt_err *err);
/* The same at a low price, to be called many times a second: it notices within a second that the process has ended. */
VT_MUST_CHECK int outside_sample(struct outside *o, struct vt_err *err);
/* Fills in `state` only. */
void outside_read_running(struct outside *o);
/* Fills in `state`, `gil`, and `call` without its arguments: of threads that do not run. */
void outside_read_calls(struct outside *o);
/* Fills in `state` and `cpu_ns` only. */
void outside_read_cpu_times(struct outside *o);
/* Reads the tasks of asyncio, after outside_read. */
VT_MUST_CHECK int outside_read_tasks(struct outside *o, struct vt_err *err);
const struct outside_task *outside_tasks(const struct outside *o, size_t *n, bool *cut);
/* Fills in what /proc says about each of these threads, and the locks that they wait for. */
void outside_read_states(struct outside *o);

/* Tells which C function a thread is in that waits in a system call: "time.sleep". Only outside_open is needed before it. 0;
 * -ENOENT: it is not known. */
VT_MUST_CHECK int outside_c_call(struct outside *o, pid_t tid, char *text, size_t size);

/* What was read last. */
const struct outside_thread *outside_threads(const struct outside *o, size_t *n);
/* Threads of the process that are not Python's, or whose id is unknown. */
size_t outside_other_threads(const struct outside *o);
/* Some threads were left out, because there are too many. */
bool outside_is_cut(const struct outside *o);

/* One clean line that goes after "held by": "thread 4711 (worker-1) in match at app.py:88, in read(0: pipe)". Thread ids are as
 * we see them. Where the memory cannot be read: "probably" and a thread that is on a CPU. A moment later another thread may hold
 * the GIL. */
#define OUTSIDE_HOLDER_MAX 256u /* with the NUL */
void outside_tell_holder(pid_t pid, char *text, size_t size);

/* Calls fn for each process below this one: children, their children, and so on. fn returns non-zero to end it, which is
 * returned. */
VT_MUST_CHECK int outside_each_below(pid_t pid, int (*fn)(void *ctx, pid_t pid), void *ctx);

/* How often a stack had changed while it was read, and how often it was given up. */
struct outside_counts {
    uint64_t stacks, torn, lost;
};
const struct outside_counts *outside_counts(const struct outside *o);

#endif
