/* The facts of a trace, gathered in one pass that does not decode events: processes, threads, names, clock, the
 * stacks open at attach, tasks, the end. Memory grows with functions and threads, not with events. Filled from a .vzt by
 * trace_info_load, from other kinds of files by their source (source.h). */
#ifndef VT_CLI_TRACE_INFO_H
#define VT_CLI_TRACE_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/base/id_table.h"
#include "cli/base/text_map.h"
#include "cli/trace/left_out.h"
#include "proto/base.h"
#include "proto/clock.h"
#include "proto/msg.h"
#include "proto/trace_reader.h"

struct trace_name {
    uint32_t index; /* dense, 0 .. names-1: for tables of a writer */
    uint32_t line;
    uint32_t name_len, file_len;
    uint8_t kind;            /* 0 Python, 1 C */
    bool used;               /* set by a writer that wants to know */
    bool inside;             /* a system call that a thread was in at the attach; kind is 1, it has no events */
    const char *name, *file; /* not terminated, any bytes */
};

struct trace_process {
    uint32_t pid;
    uint32_t index; /* in trace_info.processes */
    char *name;     /* "" = not known */
    uint32_t name_len;
    char *cmdline; /* NULL = not known */
    uint32_t cmdline_len;
    bool hidden;               /* not in the part that is wanted (select.h) */
    bool cut_off;              /* its trace has no end, as far as the source tells that of each process */
    uint64_t start_ns, end_ns; /* when tracing of it began and ended; end_ns 0 = not known. Writers: trace_process_end */
    uint32_t parent_pid;       /* 0 = not known */
    uint64_t born_ns;          /* when the process was made, to 10 ms; 0 = not known */
    /* Which traced process started it, on which thread and when: of a launch, and not of a program that replaced another one. */
    uint32_t origin_pid; /* 0 = none */
    uint64_t origin_ident, origin_ns;
};

/* Where a frame was at the attach. */
struct trace_line {
    uint32_t line; /* 0 = not known */
    char json[28]; /* {"at_line":LINE}, as an argument of the call; "" = not known */
};

struct trace_thread {
    const struct trace_process *process; /* never NULL */
    struct trace_thread *same_ident;     /* .vzt: a later thread of that ident, or NULL */
    uint64_t ident;
    uint32_t index;  /* in trace_info.threads */
    uint32_t serial; /* of its stream; TRACE_NO_SERIAL = no events */
    bool shown; /* has events, or had frames open at attach; others have nothing to show, for example our own thread in the target
                 */
    uint32_t tid; /* as shown: the daemon's view, else the target's, else made up from the serial */
    char *name;   /* may be NULL */
    uint32_t name_len;
    uint32_t nstack; /* frames open at attach, outermost first */
    uint32_t *stack;
    struct trace_line *stack_lines; /* nstack of them, or NULL: no line is known */
    uint64_t stack_ticks;
    uint64_t cpu_ns; /* CPU time that it used while the trace was made */
    enum trace_cpu {
        TRACE_CPU_UNKNOWN,
        TRACE_CPU_AT_LEAST, /* it ended, or tracing did, after the last look */
        TRACE_CPU_EXACT,    /* to the kernel's step, mostly 10 ms */
    } cpu;
    struct trace_thread *greenlet_of; /* .vzt: this is the stack of a greenlet of that thread; NULL = it is a thread */
    uint32_t ngreenlets;              /* of a thread */
    uint64_t end_ticks;               /* its open frames were open until then; 0 = until the end of its process. .vzt only */
};
#define TRACE_NO_SERIAL UINT32_MAX

struct trace_task {
    uint32_t id; /* .vzt: in trace_info.tasks */
    uint64_t address;
    char *name;
    uint32_t name_len;
    bool used;
};

/* Source text that came with the trace. */
struct trace_text {
    uint64_t lines;
    size_t len;
    char json[]; /* as in the JSON file, with quotes */
};

#define LIMIT_TEXT 320 /* bytes of the line about --max_overhead */

struct trace_info {
    /* .vzt only, else NULL or 0 */
    struct vt_trace *trace; /* borrowed */
    Vt__TraceHeader *header;
    Vt__End *end;             /* NULL: the trace was cut off */
    Vt__Throttled *throttled; /* NULL: nothing was left out because of --max_overhead */
    struct vt_clock_map clock;
    /* any kind */
    bool native;    /* it is one of our own files, whole: a copy of the file is a copy of the trace */
    bool announces; /* its source tells calls as they begin (writer.h) */
    bool counted;   /* the three numbers are known: what the end of a .vzt says */
    uint64_t end_calls, end_short_calls, end_dropped;
    uint32_t uid;              /* whose process it was; (uint32_t)-1 = not known */
    bool cut_off;              /* its writer died: it holds what was written before */
    uint64_t real_minus_mono;  /* ns */
    uint64_t hooks_on_ticks;   /* 0 = not known */
    struct id_table names;     /* struct trace_name by id */
    struct trace_name unknown; /* the name of ids without a name: index 0 */
    uint32_t nnames;           /* indexes in use */
    uint32_t await_base;       /* awaits.c: id of the first name of a wait; 0 = there are none */
    struct trace_process **processes;
    uint32_t nprocesses;
    struct trace_thread **threads;
    uint32_t nthreads;
    uint32_t nshown;           /* of them, without greenlets */
    struct id_table by_serial; /* struct trace_thread */
    struct id_table tasks;     /* struct trace_task by id */
    uint64_t events;           /* in all blocks, as their heads say */
    uint64_t dropped;          /* in Drops frames */
    bool truncated;            /* ends inside a frame */
    bool range_known;          /* else only a run tells: trace_source_range */
    uint64_t first_ns;         /* when its first event began; 0 without events */
    uint64_t last_ns;          /* when its last event ended, or tracing did, whichever was later */
    uint64_t sync_ns;          /* VizTracer's sync_marker; 0 = none */
    uint64_t from_ns, to_ns;   /* the window of the run (select.h); all of it: 0 and UINT64_MAX */
    bool overflow;             /* its maker left out older calls; how many is not known */
    struct text_map texts;     /* struct trace_text by path */
    bool raised_unknown;       /* it does not tell which calls an exception ended */
    bool only_texts;           /* of sources: files of this machine have nothing to do with it */
    char limit[LIMIT_TEXT];    /* --max_overhead: that there was one, and what it left out, one line (limit.h); "" = none */
    char filters[256];         /* the options that left calls out when it was made (filters.h); "" = none, or not known */
    struct left_out left_out;  /* of traces that others wrote */
    struct vt_err damage;      /* code != 0: nothing behind that place was read */
    uint64_t good_until;       /* offset in the file: frames from there on are not used */
};

/* Empty, for sources that are no .vzt; info_build.h fills it. NULL = out of memory. */
struct trace_info *trace_info_new(void);
/* Reads all of t once. Fails only when nothing can be made of it: no header, no clock, no memory. */
VT_MUST_CHECK int trace_info_load(struct vt_trace *t, struct trace_info **out, struct vt_err *err);
void trace_info_free(struct trace_info *info);
/* When tracing of a process began and ended in what a writer is given: the one place that says until when calls were open. */
static inline uint64_t trace_process_end(const struct trace_info *info, const struct trace_process *process) {
    return process->end_ns < info->to_ns ? process->end_ns : info->to_ns;
}
static inline uint64_t trace_process_start(const struct trace_info *info, const struct trace_process *process) {
    uint64_t start = process->start_ns > info->from_ns ? process->start_ns : info->from_ns,
             end = trace_process_end(info, process);
    return start < end ? start : end;
}
/* last_ns becomes no earlier than the ends of all processes. */
void trace_info_put_ends(struct trace_info *info);
/* Never NULL. */
static inline struct trace_name *trace_info_name(struct trace_info *info, uint32_t id) {
    struct trace_name *name = id_table_get(&info->names, id);
    return name ? name : &info->unknown;
}

#endif
