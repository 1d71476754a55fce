/* Owns what a written .vzt begins with: its sections, and of each the header, threads and CPU times; and the names. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/format/vzt/out_vzt_parts.h"
#include "proto/abi/arena.h"

#define CPU_TIMES_IN_FRAME 1024u
#define NAME_MAX_BYTES (1u << 20)

/* ---- head ---- */

static uint64_t first_ns(const struct trace_info *info) {
    return info->trace ? vt_clock_to_ns(&info->clock, info->hooks_on_ticks) : info->range_known ? info->first_ns : 0;
}

static char *terminated(const char *text, uint32_t len) {
    char *copy = memory_alloc(len + 1u);
    if (!copy) return NULL;
    if (len) memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

/* A section for each process that has threads to show, or whose times are known, at least one; and which section each thread
 * belongs to. */
static int make_sections(struct trace_writer *w) {
    const struct trace_info *info = w->info;
    uint32_t *of = memory_calloc(info->nprocesses + 1u, sizeof *of); /* section of a process, plus 1 */
    w->sections = memory_calloc(info->nprocesses + 1u, sizeof *w->sections);
    for (uint32_t i = 0; of && w->sections && i < info->nthreads; i++) {
        const struct trace_process *process = info->threads[i]->process;
        if (!info->threads[i]->shown) continue;
        if (!of[process->index]) {
            of[process->index] = ++w->nsections;
            w->sections[w->nsections - 1].process = process;
        }
        w->put.streams[i].section = of[process->index] - 1;
        w->sections[of[process->index] - 1].threads++;
    }
    bool ok = of && w->sections;
    for (uint32_t i = 0; ok && i < info->nprocesses; i++) /* traced, but nothing was called */
        if (!of[i] && info->processes[i]->end_ns && !info->processes[i]->hidden)
            w->sections[w->nsections++].process = info->processes[i];
    if (ok && !w->nsections) w->sections[w->nsections++].process = info->nprocesses ? info->processes[0] : NULL;
    for (uint32_t i = 0; ok && i < w->nsections; i++)
        ok = (w->sections[i].named = memory_calloc(info->nnames / 8u + 1u, 1)) != NULL;
    memory_free(of);
    return ok ? 0 : -ENOMEM;
}

static int by_number(const void *left, const void *right) {
    const struct origin_thread *a = left, *b = right;
    if (a->pid != b->pid) return a->pid < b->pid ? -1 : 1;
    if (a->ident != b->ident) return a->ident < b->ident ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static int list_origins(struct trace_writer *w) {
    const struct trace_info *info = w->info;
    bool any = false;
    for (uint32_t i = 0; i < info->nprocesses; i++) any |= info->processes[i]->origin_pid != 0;
    if (!any) return 0;
    w->origins = memory_calloc(info->nthreads + 1u, sizeof *w->origins);
    if (!w->origins) return -ENOMEM;
    for (uint32_t i = 0; i < info->nthreads; i++) {
        const struct trace_thread *thread = info->threads[i];
        if (!thread->shown || thread->greenlet_of) continue;
        w->origins[w->norigins++] = (struct origin_thread){thread->process->pid, thread->ident, i};
    }
    qsort(w->origins, w->norigins, sizeof *w->origins, by_number);
    return 0;
}

/* The number that the thread gets which started the process, as put_threads gives them: the first thread with its ident. */
static uint64_t origin_thread(const struct trace_writer *w, const struct trace_process *process) {
    const struct origin_thread key = {process->origin_pid, process->origin_ident, 0};
    uint32_t low = 0, high = process->origin_pid ? w->norigins : 0;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (by_number(&w->origins[mid], &key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    const struct origin_thread *at = low < w->norigins && process->origin_pid ? &w->origins[low] : NULL;
    return at && at->pid == key.pid && at->ident == key.ident ? at->index + 1u : 0;
}

/* When tracing of a section's process began. */
uint64_t out_vzt_begin_of(const struct trace_writer *w, const struct trace_process *process) {
    return process && process->end_ns ? trace_process_start(w->info, process) : first_ns(w->info);
}

static int put_header(struct trace_writer *w, uint32_t section) {
    const struct trace_process *process = w->sections[section].process;
    Vt__TraceHeader header = VT__TRACE_HEADER__INIT;
    if (w->info->header) header = *w->info->header;
    header.base.n_unknown_fields = 0;
    header.base.unknown_fields = NULL;
    header.format = VT_TRACE_FORMAT;
    header.clock = VT_CLOCK_MONOTONIC_NS;
    header.min_duration_ns = w->opts.min_duration_ns;
    header.flags |= VT_F_ASYNC; /* set wherever the trace has tasks */
    char *name = terminated(process ? process->name : NULL, process ? process->name_len : 0);
    char *cmdline = terminated(process ? process->cmdline : NULL, process ? process->cmdline_len : 0);
    if (!name || !cmdline) {
        memory_free(name);
        memory_free(cmdline);
        return -ENOMEM;
    }
    header.process_name = name;
    if (process) {
        header.pid = process->pid;
        header.parent_pid = process->parent_pid;
        header.born_ns = process->born_ns;
        header.origin_pid = process->origin_pid;
        header.origin_ident = origin_thread(w, process);
        header.origin_ns = process->origin_ns;
    }
    if (!w->info->header) {
        header.tool_version = (char *)(uintptr_t)VT_VERSION;
        header.ns_pid = header.pid;
        header.uid = w->info->uid;
        header.options = w->info->filters;
        header.cmdline = cmdline;
        header.start_real_ns = out_vzt_begin_of(w, process) + w->info->real_minus_mono;
    }
    int rc = vzt_put_frame(&w->put.file, section, VT_FRAME_HEADER, &header.base);
    memory_free(name);
    memory_free(cmdline);
    return rc;
}

static int put_threads(struct trace_writer *w) {
    int rc = 0;
    for (uint32_t i = 0; i < w->info->nthreads && !rc; i++) {
        const struct trace_thread *from = w->info->threads[i];
        Vt__Thread to = VT__THREAD__INIT;
        to.ident = i + 1u; /* a number per thread: pthread idents are reused, and joined traces share them */
        to.tid = to.ns_tid = from->tid;
        to.serial = i + 1;
        to.greenlet_of = from->greenlet_of ? from->greenlet_of->index + 1 : 0;
        to.name = (ProtobufCBinaryData){from->name_len < VT_PAYLOAD_MAX ? from->name_len : VT_PAYLOAD_MAX, (uint8_t *)from->name};
        w->put.streams[i].ident = to.ident;
        w->put.streams[i].tid = from->tid;
        if (from->shown) rc = vzt_put_frame(&w->put.file, w->put.streams[i].section, VT_FRAME_THREAD, &to.base);
    }
    return rc;
}

/* The CPU times of a section's threads on their way into frames. */
struct cpu_frames {
    struct trace_writer *w;
    uint32_t section;
    bool any;
    Vt__CpuTimes m;
    uint32_t tids[CPU_TIMES_IN_FRAME];
    uint64_t times[CPU_TIMES_IN_FRAME];
};

/* A first frame without threads comes before the first one with some, so that each used what the next ones say. */
static int put_cpu_frame(struct cpu_frames *c) {
    Vt__CpuTimes first = VT__CPU_TIMES__INIT;
    int rc = 0;
    first.whole = true;
    if (!c->m.n_tids) return 0;
    if (!c->any) rc = vzt_put_frame(&c->w->put.file, c->section, VT_FRAME_CPU_TIMES, &first.base);
    if (!rc) rc = vzt_put_frame(&c->w->put.file, c->section, VT_FRAME_CPU_TIMES, &c->m.base);
    c->m.n_tids = c->m.n_cpu_ns = 0;
    c->any = true;
    return rc;
}

static int put_cpu_times_of(struct trace_writer *w, uint32_t section, const uint32_t *threads, uint32_t n) {
    static const enum trace_cpu kinds[] = {TRACE_CPU_AT_LEAST, TRACE_CPU_EXACT};
    struct cpu_frames c = {.w = w, .section = section, .m = VT__CPU_TIMES__INIT};
    int rc = 0;
    c.m.tids = c.tids;
    c.m.cpu_ns = c.times;
    for (size_t k = 0; k < VT_ARRAY_LEN(kinds) && !rc; k++) {
        c.m.last = kinds[k] == TRACE_CPU_EXACT;
        for (uint32_t i = 0; i < n && !rc; i++) {
            const struct trace_thread *t = w->info->threads[threads[i]];
            if (t->cpu != kinds[k]) continue;
            if (c.m.n_tids == CPU_TIMES_IN_FRAME) rc = put_cpu_frame(&c);
            c.tids[c.m.n_tids++] = t->tid;
            c.times[c.m.n_cpu_ns++] = t->cpu_ns;
        }
        if (!rc) rc = put_cpu_frame(&c);
    }
    return rc;
}

static int put_cpu_times(struct trace_writer *w) {
    if (!w->opts.cpu_times) return 0;
    uint32_t *threads = memory_alloc((w->info->nthreads + 1u) * sizeof *threads);
    uint32_t *ends = memory_calloc(w->nsections + 1u, sizeof *ends), at = 0;
    int rc = threads && ends ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < w->nsections && !rc; i++) {
        ends[i] = at; /* for now where they begin */
        at += w->sections[i].threads;
    }
    for (uint32_t i = 0; i < w->info->nthreads && !rc; i++)
        if (w->info->threads[i]->shown) threads[ends[w->put.streams[i].section]++] = i;
    for (uint32_t i = 0; i < w->nsections && !rc; i++)
        rc = put_cpu_times_of(w, i, threads + ends[i] - w->sections[i].threads, w->sections[i].threads);
    memory_free(threads);
    memory_free(ends);
    return rc;
}

int out_vzt_clock(struct trace_writer *w, uint32_t section, uint64_t ns) {
    Vt__Clock clock = VT__CLOCK__INIT;
    clock.ticks = clock.mono_ns = ns;
    clock.real_ns = ns + w->info->real_minus_mono;
    clock.hz = 1000000000;
    return vzt_put_frame(&w->put.file, section, VT_FRAME_CLOCK, &clock.base);
}

static int put_head(struct trace_writer *w, uint32_t section) {
    int rc = put_header(w, section);
    return rc ? rc : out_vzt_clock(w, section, out_vzt_begin_of(w, w->sections[section].process));
}

int vzt_begin(struct trace_writer *w) {
    int rc = make_sections(w);
    if (!rc) rc = list_origins(w);
    if (rc) return rc;
    output_write(w->put.file.out, VT_FILE_MAGIC, 8);
    if (w->nsections > VT_SECTIONS_MAX) return out_vzt_refuse(w, -E2BIG, "too many processes for a .vzt; choose some with --pid");
    if (w->nsections > 1) rc = vzt_file_sections(&w->put.file, w->nsections);
    for (uint32_t i = 0; i < w->nsections && !rc; i++) rc = put_head(w, i);
    for (size_t i = 0; i < w->info->texts.slots; i++)
        w->unheld.texts += w->info->texts.entries[i].key && w->info->texts.entries[i].value;
    if (!rc) rc = put_threads(w);
    return rc ? rc : put_cpu_times(w);
}

/* ---- names ---- */

/* The id of a name. Its frame is written when the id is first needed. Id 0 is never given. */
int out_vzt_name(struct trace_writer *w, uint32_t section, const struct trace_name *from, uint32_t *id) {
    uint8_t *named = &w->sections[section].named[from->index / 8], bit = (uint8_t)(1u << from->index % 8);
    *id = from->index < VT_ID_MAX - 1 ? from->index + 1 : VT_ID_MAX;
    if (*named & bit || *id == VT_ID_MAX) return 0;
    *named |= bit;
    Vt__Name one = VT__NAME__INIT, *list[] = {&one};
    Vt__Names names = VT__NAMES__INIT;
    one.id = *id;
    one.kind = from->inside ? VT_NAME_INSIDE : from->kind;
    one.line = from->line;
    one.name = (ProtobufCBinaryData){from->name_len < NAME_MAX_BYTES ? from->name_len : NAME_MAX_BYTES, (uint8_t *)from->name};
    one.file = (ProtobufCBinaryData){from->file_len < NAME_MAX_BYTES ? from->file_len : NAME_MAX_BYTES, (uint8_t *)from->file};
    names.n_names = 1;
    names.names = list;
    return vzt_put_frame(&w->put.file, section, VT_FRAME_NAMES, &names.base);
}
