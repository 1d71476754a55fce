/* Owns `viztracer report FILE`: where the time went. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/interrupt.h"
#include "cli/base/memory.h"
#include "cli/cli.h"
#include "cli/format/format.h"
#include "cli/report/report.h"
#include "cli/report/report_async.h"

#define SLOWEST_KEPT 20u
#define LIMIT_MAX 1000000u
#define SLOWEST_MAX 1000u

struct line {
    struct report_opts report;
    struct profile_opts profile;
    uint64_t max_memory;
    bool async;
};

static int take_sort(void *at, const char *text) { return report_sort_of(text, at); }

static int take_share(void *at, const char *text) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= 0) || v > 100) return -EINVAL;
    *(double *)at = v;
    return 0;
}

#define AT(field) OPTION_AT(struct line, field)
static const struct option_row rows[] = {
    {"FILE", NULL, OPTION_TEXT, AT(report.file), .ask = "which trace?",
     .wants = "one trace at a time (viztracer diff A B compares two)", .help = "the trace, of any format that can be read"},
    {"--sort", NULL, OPTION_CHOICE, AT(report.sort), .choices = "self total calls mean p50 p99 max name", .take = take_sort,
     .arg = "KEY", .help = "self (own time, the default), total, calls, mean, p50, p99, max or name"},
    {"--limit", NULL, OPTION_INT, AT(report.limit), .min = 1, .arg = "N",
     .help = "rows per table (20 functions, 8 that wait, 8 threads)"},
    {"--slowest", NULL, OPTION_INT, AT(report.slowest), .arg = "N",
     .help = "how many single calls to show, at most 3 of one function; 0 = none (5, one of a function)"},
    {"--match", NULL, OPTION_TEXT, AT(report.match), .arg = "GLOB",
     .help = "only functions of that name or file: 'tax_*', '*/shop.py', 'sqlite3.*'"},
    {"--thread", NULL, OPTION_TEXT, AT(profile.thread), .arg = "GLOB", .help = "only threads with such a name"},
    {"--tid", NULL, OPTION_INT, AT(profile.tid), .min = 1, .arg = "N", .help = "only this thread"},
    {"--tree", NULL, OPTION_FLAG, AT(report.tree), .help = "shows the call tree, merged by stack, instead"},
    {"--min_share", NULL, OPTION_CUSTOM, AT(report.min_percent), .take = take_share, .wants = "a percentage, 0 to 100",
     .arg = "PERCENT", .help = "with --tree: hides what has less than this share of the time (1)"},
    {"--threads", NULL, OPTION_FLAG, AT(report.threads),
     .help = "shows every thread, and where it was at the start and at the end"},
    {"--gaps", NULL, OPTION_FLAG, AT(report.gaps), .help = "shows where events were dropped"},
    {"--async", NULL, OPTION_FLAG, AT(async),
     .help = "shows the tasks of asyncio instead: what coroutines waited for (of a trace with --log_async)"},
    {"--json", NULL, OPTION_FLAG, AT(report.json), .help = "everything, for programs (fields: docs/formats.md)"},
    CLI_MAX_MEMORY_ROW(AT(max_memory)),
    OPTION_END,
};

static int parse(struct line *o, int argc, char **argv) {
    int rc = cli_parse(&cli_report, o, argc, argv);
    const char *other = o->report.tree ? "--tree" : o->report.threads ? "--threads" : o->report.gaps ? "--gaps" : NULL;
    if (!rc && o->async && other) return cli_usage("report: --async shows other tables than %s: use one of them", other);
    o->profile.match = o->report.match;
    o->profile.tree = o->report.tree;
    if (o->report.limit > LIMIT_MAX) o->report.limit = LIMIT_MAX;
    if (o->report.slowest != REPORT_AS_FITS && o->report.slowest > SLOWEST_MAX) o->report.slowest = SLOWEST_MAX;
    o->profile.slowest =
        o->report.slowest < SLOWEST_KEPT || o->report.slowest == REPORT_AS_FITS ? SLOWEST_KEPT : o->report.slowest;
    return rc;
}

/* The tasks of asyncio instead of everything else. */
static int tell_async(const struct line *o, struct trace_source *source, const struct tasks_profile *p) {
    if (o->report.json) return report_async_json(p, source, &o->report);
    report_async_text(p, source, &o->report);
    return 0;
}

static int run(int argc, char **argv) {
    struct line o = {.report = {.min_percent = 1, .slowest = REPORT_AS_FITS}, .profile = {.stop = &interrupts_seen}};
    int parsed = parse(&o, argc, argv);
    if (parsed) return CLI_RETURN(parsed);
    struct trace_source *source = NULL;
    struct profile *p = NULL;
    struct tasks_profile *tasks = NULL;
    struct vt_err err = {0};
    struct interrupt interrupt;
    memory_limit_usual(o.max_memory);
    interrupt_catch(&interrupt, 0);
    int rc = trace_source_open(o.report.file, &source, &err);
    if (!rc) rc = o.async ? tasks_profile_make(source, o.profile.stop, &tasks, &err) : profile_make(source, &o.profile, &p, &err);
    interrupt_release(&interrupt);
    rc = memory_verdict(rc, o.report.file, &err);
    if (!rc && tasks) rc = tell_async(&o, source, tasks);
    if (!rc && p) rc = o.report.json ? report_json(p, source, &o.report) : report_text(p, source, &o.report);
    rc = memory_verdict(rc, o.report.file, &err);
    if (rc && !err.msg[0]) vt_err_set(&err, rc, "%s", strerror(-rc));
    profile_free(p);
    tasks_profile_free(tasks);
    trace_source_close(source);
    if (rc) return cli_fail("report: %s", err.msg);
    return cli_flush();
}

_Static_assert(DURATIONS_EXACT == 64, "the text below names it");
_Static_assert(REPORT_FUNCTIONS == 20 && REPORT_WAITING == 8 && REPORT_THREADS == 8 && REPORT_SLOWEST == 5,
               "the help of the rows names them");
const struct cli_cmd cli_report = {
    .options =
        {.program = "viztracer",
         .name = "report",
         .args = "FILE",
         .summary = "shows where the time went",
         .about =
             "Adds up a trace: functions by own time, threads, and the slowest single calls.\n"
             "self is the time in a function without what it calls; total is with it (of a recursive function: its outermost "
             "calls); mean, p50, p99 and max are per call. Percentiles of more than 64 calls are within 0.8 %.",
         .examples = "viztracer report slow.vzt\nviztracer report slow.vzt --tree --min_share 5",
         .rows = rows},
    .group = CLI_LOOKING,
    .run = run,
};
