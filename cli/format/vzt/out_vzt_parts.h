/* What the files of the .vzt writer share (out_vzt.c): its state, its head, its end. Private to them. One thread. Functions
 * return 0 or -errno. */
#ifndef VT_OUT_VZT_PARTS_H
#define VT_OUT_VZT_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/base/memory.h"
#include "cli/format/vzt/args_payload.h"
#include "cli/format/vzt/vzt_put.h"
#include "cli/trace/writer.h"

enum what { CALL, GAP, COUNTER, MARK };

struct pending {
    uint64_t start, end; /* end: of a gap its count */
    size_t data;         /* args, then retval; or the counter */
    uint32_t args_len, retval_len, id, task, seq, at_line;
    uint8_t what;
    bool c, raised, from_attach, resumed, suspended, has_args, has_retval, open;
};

struct lane {    /* of a thread */
    bool holds;  /* its calls are not announced: all of them wait */
    bool events; /* something besides the Stack frame was written */
    uint32_t task;
    uint32_t *stack, *lines; /* of the Stack frame */
    uint32_t nstack, stack_room;
    uint64_t stack_ns;
    uint64_t open_end_ns; /* of its unfinished calls; 0 = it has none */
    struct pending *list;
    size_t first, n, room;
    uint8_t *data;
    size_t ndata, data_room;
};

struct section {                         /* of a process that has something to show */
    const struct trace_process *process; /* NULL = not known */
    uint8_t *named;                      /* a bit by index of the name: its frame is written */
    uint32_t threads;
    uint64_t calls, events, dropped;
};

struct trace_writer {
    struct trace_info *info;
    struct section *sections; /* at least one */
    uint32_t nsections;
    struct writer_opts opts;
    struct writer_unheld unheld;
    struct vzt_put put;
    struct lane *lanes;    /* by index of the thread */
    struct text_map tasks; /* id by pointer and section */
    uint32_t ntasks;
    struct args_payload json;
    struct origin_thread { /* out_vzt_head.c: those that may have started a process, by number */
        uint64_t pid, ident;
        uint32_t index;
    } * origins;
    uint32_t norigins;
    size_t pending, pending_bytes;
};

/* Keeps `text` as the reason why the writer refuses. Returns rc. */
int out_vzt_refuse(struct trace_writer *w, int rc, const char *text);

/* out_vzt_head.c: the magic, the sections, and of each its header, threads and CPU times. */
int vzt_begin(struct trace_writer *w);
/* When the process began, ns. */
uint64_t out_vzt_begin_of(const struct trace_writer *w, const struct trace_process *process);
int out_vzt_clock(struct trace_writer *w, uint32_t section, uint64_t ns);
/* Writes the name to the section unless it is there. *id: its id in the file. */
int out_vzt_name(struct trace_writer *w, uint32_t section, const struct trace_name *from, uint32_t *id);

/* out_vzt_end.c: Stack frames, the ends of threads, what the limit left out, the ends of the sections. */
int out_vzt_end(struct trace_writer *w, const struct trace_totals *totals);

#endif
