/* One trace into one output file: what `convert` does, and what an attach does when its session has ended. */
#ifndef VT_CLI_CONVERT_H
#define VT_CLI_CONVERT_H

#include <stdint.h>

#include "cli/trace/select.h"
#include "cli/trace/trace_info.h"
#include "proto/base.h"

struct convert_opts {
    const char *input;         /* a trace of any format that we read */
    const char *const *inputs; /* several of them, made one trace; then input is not looked at. NULL = one */
    size_t ninputs;
    bool align;                                /* several: source_many.h */
    void (*note)(void *arg, const char *text); /* what the user should know; may be NULL */
    void *note_arg;
    const char *output; /* the suffix chooses the format (format.h) */
    uint64_t min_duration_ns;
    uint64_t newest_calls; /* --tracer_entries: at most this many, the newest; 0 = all. Not for .vzt outputs */
    uint64_t budget;       /* --budget: at most this many calls are shown, the others folded; 0 = all. Not for .vzt outputs */
    uint64_t usual_budget; /* when neither is given: about this many; 0 = the default of the format */
    uint64_t usual_whole;  /* and a trace with up to this many calls is shown whole */
    struct trace_select select; /* the wanted part */
    bool log_async;             /* calls under their asyncio task's tid; the trace's own flag does it too */
    bool no_file_info;          /* without source text */
    bool for_viewer;            /* as in writer.h */
    bool per_thread;            /* flame graphs: one tree per thread */
    bool move_input;            /* .vzt to .vzt: rename where that is possible */
    const char *source_root;    /* /proc/PID/root while the target lives, else NULL */
    const char *source_cwd;     /* /proc/PID/cwd while the target lives, else NULL */
    void (*progress)(void *arg, uint64_t done, uint64_t size); /* may be NULL */
    void *progress_arg;
    const volatile int *stop; /* may be NULL: nonzero = give up, -EINTR, nothing is left behind */
};

struct convert_result {
    struct trace_totals totals;  /* of a copied .vzt from its end record: calls are all of them, open is 0 */
    uint64_t bytes;              /* of the output */
    unsigned files_left_out;     /* of several inputs: no traces */
    bool cut_off;                /* the trace has no end: its writer died */
    struct writer_unheld unheld; /* what the format cannot hold */
    struct left_out left_out;    /* what the reader of the trace left out */
    char limit[LIMIT_TEXT];      /* as of trace_info */
    char damage[384];            /* not "": the trace is damaged and what comes after that place is not in the output */
};

/* 0 and a whole output file, or -errno, err, and no output file. */
VT_MUST_CHECK int convert_trace(const struct convert_opts *opts, struct convert_result *result, struct vt_err *err);

/* The calls that are in the output, unfinished ones too. */
static inline uint64_t convert_calls(const struct convert_result *r) {
    const struct trace_totals *t = &r->totals;
    uint64_t all = t->calls + t->open, left_out = t->short_calls + t->left_out + t->folded + t->unselected;
    return all > left_out ? all - left_out : 0;
}

#endif
