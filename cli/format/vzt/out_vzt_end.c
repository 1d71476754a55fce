/* Owns what a written .vzt ends with: Stack frames, the ends of threads, what the limit left out, the ends of the sections. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/format/vzt/out_vzt_parts.h"
#include "proto/abi/arena.h"

static uint64_t ns_of(const struct trace_writer *w, uint64_t ticks) { return ticks ? vt_clock_to_ns(&w->info->clock, ticks) : 0; }

static int put_stacks(struct trace_writer *w) {
    int rc = 0;
    for (uint32_t i = 0; i < w->info->nthreads && !rc; i++) {
        const struct lane *lane = &w->lanes[i];
        Vt__Stack stack = VT__STACK__INIT;
        if (!lane->nstack) continue;
        stack.ident = i + 1u;
        stack.ticks = lane->stack_ns;
        stack.n_ids = lane->nstack;
        stack.ids = lane->stack;
        stack.n_lines = lane->nstack;
        stack.lines = lane->lines;
        rc = vzt_put_frame(&w->put.file, w->put.streams[i].section, VT_FRAME_STACK, &stack.base);
    }
    return rc;
}

/* Until when the unfinished calls of each thread were open. */
static int put_thread_ends(struct trace_writer *w) {
    int rc = 0;
    for (uint32_t i = 0; i < w->info->nthreads && !rc; i++) {
        Vt__Thread to = VT__THREAD__INIT;
        if (!w->lanes[i].open_end_ns) continue;
        to.ident = i + 1u;
        to.serial = i + 1;
        to.end_ticks = w->lanes[i].open_end_ns;
        rc = vzt_put_frame(&w->put.file, w->put.streams[i].section, VT_FRAME_THREAD, &to.base);
    }
    return rc;
}

static int put_throttled(struct trace_writer *w) {
    const Vt__Throttled *from = w->info->throttled;
    if (!from) return 0;
    Vt__Throttled to = VT__THROTTLED__INIT;
    Vt__ThrottledFunction *all = memory_calloc(from->n_functions + 1, sizeof *all);
    Vt__ThrottledFunction **list = memory_calloc(from->n_functions + 1, sizeof(Vt__ThrottledFunction *));
    int rc = all && list ? 0 : -ENOMEM;
    for (size_t i = 0; i < from->n_functions && !rc; i++) {
        const Vt__ThrottledFunction *f = from->functions[i];
        list[i] = &all[i];
        vt__throttled_function__init(&all[i]);
        all[i].counted = f->counted;
        all[i].estimated = f->estimated;
        all[i].off = f->off;
        all[i].at_least = f->at_least;
        all[i].since_ticks = ns_of(w, f->since_ticks);
        rc = out_vzt_name(w, 0, trace_info_name(w->info, f->id), &all[i].id);
    }
    to.functions = list;
    to.n_functions = from->n_functions;
    to.max_overhead = from->max_overhead;
    to.windows = from->windows;
    to.off_ticks = ns_of(w, w->info->hooks_on_ticks + from->off_ticks) - ns_of(w, w->info->hooks_on_ticks);
    if (!rc) rc = vzt_put_frame(&w->put.file, 0, VT_FRAME_THROTTLED, &to.base);
    memory_free(all);
    memory_free(list);
    return rc;
}

/* What no section can be said to have lost (rest), or left out, is the first one's. */
static int put_end(struct trace_writer *w, uint32_t at, const struct trace_totals *totals, uint64_t rest) {
    const struct section *section = &w->sections[at];
    const struct trace_process *process = section->process;
    Vt__End end = VT__END__INIT;
    if (w->info->end) end = *w->info->end;
    end.base.n_unknown_fields = 0;
    end.base.unknown_fields = NULL;
    if (!w->info->end && w->info->overflow) end.text = (char *)(uintptr_t) "older calls are not in this trace";
    end.dropped = section->dropped + (at ? 0 : rest);
    end.events = section->events;
    end.short_calls = at ? 0 : totals->short_calls;
    end.calls = section->calls + end.short_calls;
    end.threads = w->nsections == 1 ? (uint32_t)totals->threads : section->threads;
    end.hooks_on_ticks = out_vzt_begin_of(w, process);
    end.hooks_off_ticks = process && process->end_ns ? trace_process_end(w->info, process) : 0;
    end.bytes = 0;
    return vzt_put_frame(&w->put.file, at, VT_FRAME_END, &end.base);
}

/* A process without an end in the source gets none, so that the output is cut off, too. A source that is cut off without
 * saying whose end is missing, or is damaged, has none for all. */
static int put_ends(struct trace_writer *w, const struct trace_totals *totals) {
    int rc = output_error(w->put.file.out);
    uint64_t rest = totals->dropped;
    bool told = false;
    for (uint32_t i = 0; i < w->info->nprocesses; i++) told |= w->info->processes[i]->cut_off;
    bool none = w->info->damage.code || (w->info->cut_off && !told);
    for (uint32_t i = 0; i < w->nsections; i++) rest -= w->sections[i].dropped < rest ? w->sections[i].dropped : rest;
    for (uint32_t i = 0; i < w->nsections && !rc; i++) {
        const struct trace_process *process = w->sections[i].process;
        if (!none && !(process && process->cut_off))
            rc = put_end(w, i, totals, rest);
        else if (process && process->end_ns) /* the reader takes the last moment that it hears of */
            rc = out_vzt_clock(w, i, trace_process_end(w->info, process));
    }
    return rc ? rc : vzt_file_flush(&w->put.file);
}

int out_vzt_end(struct trace_writer *w, const struct trace_totals *totals) {
    int rc = put_stacks(w);
    if (!rc) rc = put_thread_ends(w);
    if (!rc) rc = put_throttled(w);
    return rc ? rc : put_ends(w, totals);
}
