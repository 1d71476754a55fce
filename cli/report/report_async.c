/* Owns what `viztracer report --async` prints. With --json one object; times in ns, from the first event of the trace:
 * - version: 1
 * - async: {tasks, awaits (how often a task was suspended), dropped}
 * - functions: [{name, file, module, line, kind, calls, wall_ns (first step to return), running_ns, wait_ns (wall_ns is their
 * sum), waits [{name, file, module, line, kind (of the coroutine that waits), for, task (of a task's waits:
 * the one that is awaited, by name, or null), ns, times}]}], coroutines that were suspended
 * - tasks: [{task, pid, tid, function (its outermost coroutine, or null), start_ns, duration_ns, running_ns, wait_ns, open, waits
 * as above}], longest first
 *
 * Fields are added, never renamed or taken away; version changes if that cannot be kept. */
#include "cli/report/report_async.h"

#include <stdio.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/report/put_name.h"
#include "cli/report/report_json.h"
#include "cli/trace/names.h"

#define WAITS_SHOWN 6u

/* ---- for people ---- */

static void put_waits(const struct term *term, const struct tasks_wait *waits, uint32_t n, uint64_t running_ns) {
    char took[16], name[CLEAN_TEXT_MAX], count[48];
    printf("%s%8s running", term_dim(term), format_duration(took, running_ns));
    for (uint32_t i = 0; i < n && i < WAITS_SHOWN; i++) {
        printf(", %s ", format_duration(took, waits[i].ns));
        if (waits[i].kind == AWAIT_OTHER)
            printf("in %s", name_short(name, waits[i].in));
        else
            printf("%s", await_words[waits[i].kind]);
        if (waits[i].awaited) {
            size_t len;
            const char *task = name_of_task(waits[i].awaited, &len);
            printf(" %s", clean_text(name, task, len));
        }
        if (waits[i].times > 1) printf(" (%sx)", format_count(count, sizeof count, waits[i].times));
    }
    if (n > WAITS_SHOWN) printf(", %s", format_things(count, sizeof count, n - WAITS_SHOWN, "more cause"));
    printf("%s\n", term_off(term));
}

static bool wanted(const struct report_opts *opts, const struct trace_name *name) {
    return !opts->match || (name && profile_match(name, opts->match));
}

void report_async_text(const struct tasks_profile *p, struct trace_source *source, const struct report_opts *opts) {
    const uint32_t functions = opts->limit ? opts->limit : REPORT_COROUTINES, tasks = opts->limit ? opts->limit : REPORT_TASKS;
    char a[48], b[48], c[48], name[CLEAN_TEXT_MAX], offset[32];
    struct term term;
    uint32_t shown = 0;
    (void)source;
    term_init(&term);
    clean_text(name, opts->file, strlen(opts->file));
    printf("%s%s%s: %s of asyncio, suspended %s, in %s\n", term_bold(&term), name, term_off(&term),
           format_things(a, sizeof a, p->ntasks, "task"), format_things(b, sizeof b, p->awaits, "time"),
           format_things(c, sizeof c, p->nfunctions, "coroutine function"));
    if (p->totals.dropped)
        printf("%s%s dropped in the target: times around these places are wrong (--gaps shows where)%s\n", term_red(&term),
               format_things(a, sizeof a, p->totals.dropped, "event"), term_off(&term));
    printf("\n%sCoroutines by wall time: from the first step to the return%s\n", term_bold(&term), term_off(&term));
    printf("%s%10s%10s%10s%12s  function%s\n", term_dim(&term), "wall", "running", "waiting", "calls", term_off(&term));
    for (uint32_t i = 0; i < p->nfunctions && shown < functions; i++) {
        const struct tasks_function *f = &p->functions[i];
        char wall[16], running[16], waiting[16];
        if (!wanted(opts, f->name)) continue;
        shown++;
        printf("%10s%10s%10s%12s  ", format_duration(wall, f->wall_ns), format_duration(running, f->running_ns),
               format_duration(waiting, f->wait_ns), format_count(a, sizeof a, f->calls));
        put_name(&term, f->name, term.width ? (term.width > 54 ? term.width - 44 : 10) : 0);
        printf("\n%14s", "");
        put_waits(&term, f->waits, f->nwaits, f->running_ns);
    }
    printf("\n%sTasks by time: from the first step to the end%s\n", term_bold(&term), term_off(&term));
    printf("%s%10s%14s  task%s\n", term_dim(&term), "wall", "from", term_off(&term));
    shown = 0;
    for (uint32_t i = 0; i < p->ntasks && shown < tasks; i++) {
        const struct tasks_task *t = &p->tasks[i];
        size_t len;
        const char *text = name_of_task(t->task, &len);
        char wall[16];
        if (!wanted(opts, t->function)) continue;
        shown++;
        printf("%10s%14s  %s", format_duration(wall, t->end_ns - t->start_ns), report_offset(offset, t->start_ns - p->start_ns),
               clean_text(name, text, len));
        if (t->function) printf(": %s", name_short(name, t->function));
        puts(t->open ? " (not over)" : "");
        printf("%14s", "");
        put_waits(&term, t->waits, t->nwaits, t->end_ns - t->start_ns - t->wait_ns);
    }
}

/* ---- for programs ---- */

static int put_json_waits(const struct tasks_wait *waits, uint32_t n) {
    int rc = 0;
    printf(",\"waits\":[");
    for (uint32_t i = 0; i < n && !rc; i++) {
        rc = report_json_function(i ? "," : "", waits[i].in);
        printf(",\"for\":\"%s\"", await_words[waits[i].kind]);
        size_t len = 0;
        const char *task = waits[i].awaited ? name_of_task(waits[i].awaited, &len) : NULL;
        if (task && !rc)
            rc = report_json_text("task", task, len);
        else
            printf(",\"task\":null");
        report_json_number("ns", waits[i].ns);
        report_json_number("times", waits[i].times);
        putchar('}');
    }
    printf("]}");
    return rc;
}

int report_async_json(const struct tasks_profile *p, struct trace_source *source, const struct report_opts *opts) {
    const char *before = "\n";
    uint32_t shown = 0;
    int rc = 0;
    (void)source;
    printf("{\"version\":1,\n\"async\":{\"tasks\":%u", p->ntasks);
    report_json_number("awaits", p->awaits);
    report_json_number("dropped", p->totals.dropped);
    printf("},\n\"functions\":[");
    for (uint32_t i = 0; i < p->nfunctions && !rc && (!opts->limit || shown < opts->limit); i++) {
        const struct tasks_function *f = &p->functions[i];
        if (!wanted(opts, f->name)) continue;
        rc = report_json_function(before, f->name);
        report_json_number("calls", f->calls);
        report_json_number("wall_ns", f->wall_ns);
        report_json_number("running_ns", f->running_ns);
        report_json_number("wait_ns", f->wait_ns);
        if (!rc) rc = put_json_waits(f->waits, f->nwaits);
        before = ",\n";
        shown++;
    }
    printf("],\n\"tasks\":[");
    before = "\n{";
    shown = 0;
    for (uint32_t i = 0; i < p->ntasks && !rc && (!opts->limit || shown < opts->limit); i++) {
        const struct tasks_task *t = &p->tasks[i];
        size_t len;
        const char *text = name_of_task(t->task, &len);
        if (!wanted(opts, t->function)) continue;
        printf("%s\"pid\":%u", before, t->thread->process->pid);
        report_json_number("tid", t->thread->tid);
        rc = report_json_text("task", text, len);
        if (!t->function)
            printf(",\"function\":null");
        else if (!rc)
            rc = report_json_text("function", t->function->name, t->function->name_len);
        report_json_number("start_ns", t->start_ns - p->start_ns);
        report_json_number("duration_ns", t->end_ns - t->start_ns);
        report_json_number("running_ns", t->end_ns - t->start_ns - t->wait_ns);
        report_json_number("wait_ns", t->wait_ns);
        printf(",\"open\":%s", t->open ? "true" : "false");
        if (!rc) rc = put_json_waits(t->waits, t->nwaits);
        before = ",\n{";
        shown++;
    }
    printf("]}\n");
    return rc;
}
