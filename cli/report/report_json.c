/* Owns `viztracer report --json` (report.h). One object; times in ns, those of calls and drops from the first event of the trace,
 * as
 * --slice has it:
 * - version: 1
 * - trace: {kind, file, pid, start_ns (of the first event, wall clock; null: the file does not say), duration_ns, calls, pieces,
 * open, functions, threads, total_ns (of all threads), wait_ns (of it: waiting), dropped, unseen (times in which a thread's calls
 * were not seen), unseen_ns (together), folded (calls that --budget left out of the file), limit (of --max_overhead and what it
 * left out, text or null), filters (the options that left calls out when it was made), cut_off, damage (text or null),
 * wrong_checksum, left_out {cause: number of events}}
 * - functions: [{name, file, line, kind ("python" or "c"), module (of c: the module or type, which file has too; else null),
 * calls, pieces, open, raised, self_ns, wait_ns (of self_ns: waiting that holds up no event loop), total_ns, mean_ns, min_ns,
 * p50_ns, p99_ns, max_ns, waits (a function that waits), waiter (who waited most, by name, or null), loop_waiter (the same in an
 * event loop)}]
 * - processes: [{pid, parent_pid, name, calls, total_ns}]
 * - threads: [{pid, tid, name, calls, total_ns, wait_ns, cpu_ns (null: not known), cpu_exact (false: at least that), dropped,
 * stack (open at the end), stack_at_start [{name, file, module, line, kind, at_line (0: in C)}]}]
 * - calls: [{name, file, module, line, kind, pid, tid, start_ns, duration_ns, self_ns, raised, from_attach, resumed, stack (its
 * callers)}], the slowest single calls, at most 3 of a function
 * - drops: [{pid, tid, from_ns, to_ns, count}], where events were dropped
 * - throttled: [{name, file, module, line, kind, calls_counted, calls_estimated, at_least, exact}]: of --max_overhead, calls that
 * are not in the trace
 * - tree, with --tree only: [{name, file, module, line, kind, calls, total_ns, self_ns, children: [...]}]
 *
 * A call of a generator or coroutine runs in pieces, from a start or a resume to the next yield. It counts once in calls; pieces
 * has all; mean_ns, min_ns, max_ns, percentiles and the slowest calls are of pieces.
 *
 * A stack is a list of names, outermost first, the innermost 64 of them; of C functions "module.func".
 * Fields are added, never renamed or taken away; version changes if that cannot be kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/report/report.h"
#include "cli/report/report_json.h"
#include "cli/trace/limit.h"
#include "cli/trace/names.h"

static int put_string(const void *text, size_t len) {
    char *buf = memory_alloc(JSON_TEXT_MAX(len) + 2);
    if (!buf) return -ENOMEM;
    fwrite(buf, 1, (size_t)(json_put_string(buf, text, len) - buf), stdout);
    memory_free(buf);
    return 0;
}

void report_json_number(const char *key, uint64_t n) { printf(",\"%s\":%llu", key, (unsigned long long)n); }
static void put_bool(const char *key, bool is) { printf(",\"%s\":%s", key, is ? "true" : "false"); }
int report_json_text(const char *key, const void *text, size_t len) {
    printf(",\"%s\":", key);
    return put_string(text ? text : "", text ? len : 0);
}

int report_json_function(const char *before, const struct trace_name *name) {
    printf("%s{\"name\":", before);
    int rc = put_string(name->name, name->name_len);
    if (!rc) rc = report_json_text("file", name->file, name->file_len);
    if (!rc && name->kind)
        rc = report_json_text("module", name->file, name->file_len);
    else
        printf(",\"module\":null");
    report_json_number("line", name->line);
    printf(",\"kind\":\"%s\"", name->kind ? "c" : "python");
    return rc;
}

static int put_stack(const struct trace_name *const *stack, uint32_t n) {
    printf(",\"stack\":[");
    for (uint32_t i = 0; i < n; i++) {
        char *name = memory_alloc(JSON_TEXT_MAX(name_text_max(stack[i])));
        if (!name) return -ENOMEM;
        printf("%s\"", i ? "," : "");
        fwrite(name, 1, (size_t)(name_put_short_json(name, stack[i]) - name), stdout);
        putchar('"');
        memory_free(name);
    }
    putchar(']');
    return 0;
}

void report_json_left_out(const struct left_out *l) {
    const char *comma = "";
    put_bool("wrong_checksum", l->wrong_checksum);
    printf(",\"left_out\":{");
    for (int i = 0; i < LEFT_OUT_EVENTS_END; i++) {
        if (!l->n[i]) continue;
        printf("%s\"%s\":%llu", comma, left_out_word((enum left_out_cause)i), (unsigned long long)l->n[i]);
        comma = ",";
    }
    putchar('}');
}

/* "module.func" or a qualified name; null for none. */
static int put_short_name(const char *key, const struct trace_name *name) {
    char *text = memory_alloc(name ? JSON_TEXT_MAX(name_text_max(name)) : 1);
    if (!text) return -ENOMEM;
    if (name)
        printf(",\"%s\":\"%.*s\"", key, (int)(name_put_short_json(text, name) - text), text);
    else
        printf(",\"%s\":null", key);
    memory_free(text);
    return 0;
}

static int put_trace(const struct profile *p, struct trace_source *source, const struct report_opts *opts) {
    const struct trace_info *info = trace_source_info(source);
    printf("{\"version\":1,\n\"trace\":{\"kind\":\"%s\"", trace_source_kind(source));
    int rc = report_json_text("file", opts->file, strlen(opts->file));
    report_json_number("pid", info->nprocesses ? info->processes[0]->pid : 0);
    if (info->real_minus_mono)
        report_json_number("start_ns", p->start_ns + info->real_minus_mono);
    else
        printf(",\"start_ns\":null");
    report_json_number("duration_ns", p->end_ns - p->start_ns);
    report_json_number("calls", p->calls);
    report_json_number("pieces", p->pieces);
    report_json_number("open", p->open);
    report_json_number("functions", p->nfunctions);
    report_json_number("threads", p->nthreads);
    report_json_number("total_ns", p->total_ns);
    report_json_number("wait_ns", p->wait_ns);
    report_json_number("dropped", p->totals.dropped);
    report_json_number("unseen", p->unseen);
    report_json_number("unseen_ns", p->unseen_ns);
    report_json_number("folded", p->folded);
    if (info->limit[0])
        rc = rc ? rc : report_json_text("limit", info->limit, strlen(info->limit));
    else
        printf(",\"limit\":null");
    rc = rc ? rc : report_json_text("filters", info->filters, strlen(info->filters));
    put_bool("cut_off", info->cut_off);
    if (info->damage.code)
        rc = rc ? rc : report_json_text("damage", info->damage.msg, strlen(info->damage.msg));
    else
        printf(",\"damage\":null");
    report_json_left_out(&info->left_out);
    printf("},\n");
    return rc;
}

static int put_functions(const struct profile *p, const struct report_opts *opts) {
    const struct profile_function **list;
    size_t n;
    int rc = profile_sorted(p, opts->sort, opts->match, &list, &n);
    if (rc) return rc;
    printf("\"functions\":[");
    for (size_t i = 0; i < n && !rc && (!opts->limit || i < opts->limit); i++) {
        const struct profile_function *f = list[i];
        rc = report_json_function(i ? ",\n" : "\n", f->name);
        report_json_number("calls", f->calls);
        report_json_number("pieces", f->pieces.n);
        report_json_number("open", f->open);
        if (p->raised_unknown)
            printf(",\"raised\":null");
        else
            report_json_number("raised", f->raised);
        report_json_number("self_ns", f->self_ns);
        report_json_number("wait_ns", f->wait_ns);
        report_json_number("total_ns", f->total_ns);
        report_json_number("mean_ns", profile_mean(f));
        report_json_number("min_ns", f->pieces.min_ns);
        report_json_number("p50_ns", durations_percentile(&f->pieces, 50));
        report_json_number("p99_ns", durations_percentile(&f->pieces, 99));
        report_json_number("max_ns", f->pieces.max_ns);
        put_bool("waits", f->waits);
        if (!rc) rc = put_short_name("waiter", f->waiter);
        if (!rc) rc = put_short_name("loop_waiter", f->loop_waiter);
        putchar('}');
    }
    printf("],\n");
    memory_free(list);
    return rc;
}

static int put_processes(const struct profile *p, const struct trace_info *info) {
    struct sums {
        uint64_t calls, total_ns;
    } *sums = memory_calloc(info->nprocesses + 1u, sizeof *sums);
    int rc = sums ? 0 : -ENOMEM;
    for (uint32_t k = 0; k < p->nthreads && !rc; k++) {
        struct sums *of = &sums[p->threads[k].thread->process->index];
        of->calls += p->threads[k].calls;
        of->total_ns += p->threads[k].total_ns;
    }
    printf("\"processes\":[");
    for (uint32_t i = 0; i < info->nprocesses && !rc; i++) {
        const struct trace_process *process = info->processes[i];
        printf("%s{\"pid\":%u,\"parent_pid\":", i ? ",\n" : "\n", process->pid);
        if (process->parent_pid)
            printf("%u", process->parent_pid);
        else
            printf("null");
        rc = report_json_text("name", process->name, process->name_len);
        report_json_number("calls", sums[i].calls);
        report_json_number("total_ns", sums[i].total_ns);
        putchar('}');
    }
    printf("],\n");
    memory_free(sums);
    return rc;
}

static void put_where(const char *before, const struct trace_thread *t) {
    printf("%s\"pid\":%u,\"tid\":%u", before, t->process->pid, t->tid);
}

static int put_threads(const struct profile *p) {
    int rc = 0;
    printf("\"threads\":[");
    for (uint32_t i = 0; i < p->nthreads && !rc; i++) {
        const struct profile_thread *t = &p->threads[i];
        put_where(i ? ",\n{" : "\n{", t->thread);
        char made_up[NAME_MADE_UP];
        size_t len;
        const char *name = name_of_thread(t->thread, made_up, &len);
        rc = report_json_text("name", name, len);
        report_json_number("calls", t->calls);
        report_json_number("total_ns", t->total_ns);
        report_json_number("wait_ns", t->wait_ns);
        if (t->thread->cpu)
            report_json_number("cpu_ns", t->thread->cpu_ns);
        else
            printf(",\"cpu_ns\":null");
        put_bool("cpu_exact", t->thread->cpu == TRACE_CPU_EXACT);
        report_json_number("dropped", t->dropped);
        if (!rc) rc = put_stack(t->open, t->nopen);
        printf(",\"stack_at_start\":[");
        for (uint32_t k = 0; k < t->nstart && !rc; k++) {
            rc = report_json_function(k ? "," : "", t->start[k]);
            report_json_number("at_line", t->start_lines[k]);
            putchar('}');
        }
        printf("]}");
    }
    printf("],\n");
    return rc;
}

static int put_calls(const struct profile *p, const struct report_opts *opts) {
    int rc = 0;
    printf("\"calls\":[");
    for (uint32_t i = 0; i < p->nslow && !rc && i < opts->slowest; i++) {
        const struct profile_slow *s = &p->slow[i];
        rc = report_json_function(i ? ",\n" : "\n", s->name);
        put_where(",", s->thread);
        report_json_number("start_ns", s->start_ns - p->start_ns);
        report_json_number("duration_ns", s->end_ns - s->start_ns);
        report_json_number("self_ns", s->self_ns);
        if (p->raised_unknown)
            printf(",\"raised\":null");
        else
            put_bool("raised", s->raised);
        put_bool("from_attach", s->from_attach);
        put_bool("resumed", s->resumed);
        if (!rc) rc = put_stack(s->stack, s->nstack);
        putchar('}');
    }
    printf("],\n");
    return rc;
}

static void put_drops(const struct profile *p) {
    printf("\"drops\":[");
    for (uint32_t i = 0; i < p->ngaps; i++) {
        const struct profile_gap *g = &p->gaps[i];
        put_where(i ? ",\n{" : "\n{", g->thread);
        report_json_number("from_ns", g->from_ns - p->start_ns);
        report_json_number("to_ns", g->to_ns - p->start_ns);
        report_json_number("count", g->count);
        putchar('}');
    }
    putchar(']');
}

static int put_nodes(const struct profile *p, uint32_t node, double least_ns) {
    static const struct trace_name other = {.name = "(other)", .name_len = 7}, process = {.name = "(process)", .name_len = 9};
    const struct stacks *s = &p->stacks;
    const char *before = "\n";
    int rc = 0;
    putchar('[');
    for (uint32_t n = s->nodes[node].first_child; n && !rc; n = s->nodes[n].next) {
        const struct stacks_node *one = &s->nodes[n];
        if ((double)one->total_ns < least_ns) continue;
        rc = report_json_function(before, one->fn < STACKS_ROOT     ? p->names[one->fn]
                                          : one->fn == STACKS_OTHER ? &other
                                                                    : &process);
        report_json_number("calls", one->calls);
        report_json_number("total_ns", one->total_ns);
        report_json_number("self_ns", one->self_ns);
        printf(",\"children\":");
        if (!rc) rc = put_nodes(p, n, least_ns); /* no deeper than STACKS_DEPTH */
        putchar('}');
        before = ",\n";
    }
    putchar(']');
    return rc;
}

/* Functions that --max_overhead throttled, none in what does not come from a .vzt. */
static int put_throttled(struct trace_info *info, const char *match) {
    const char *before = "\n";
    int rc = 0;
    printf(",\n\"throttled\":[");
    for (size_t i = 0; i < limit_functions(info) && !rc; i++) {
        const Vt__ThrottledFunction *f = info->throttled->functions[i];
        const struct trace_name *name = trace_info_name(info, f->id);
        if (match && !profile_match(name, match)) continue;
        rc = report_json_function(before, name);
        report_json_number("calls_counted", f->counted);
        report_json_number("calls_estimated", f->estimated);
        put_bool("at_least", f->at_least);
        put_bool("exact", !f->off && !f->estimated);
        putchar('}');
        before = ",\n";
    }
    printf("]");
    return rc;
}

int report_json(const struct profile *p, struct trace_source *source, const struct report_opts *opts) {
    int rc = put_trace(p, source, opts);
    if (!rc) rc = put_functions(p, opts);
    if (!rc) rc = put_processes(p, trace_source_info(source));
    if (!rc) rc = put_threads(p);
    if (!rc) rc = put_calls(p, opts);
    if (rc) return rc;
    put_drops(p);
    rc = put_throttled(trace_source_info(source), opts->match);
    if (opts->tree && !rc) {
        printf(",\n\"tree\":");
        rc = put_nodes(p, 0, opts->min_percent / 100 * (double)p->total_ns);
    }
    printf("}\n");
    return rc;
}
