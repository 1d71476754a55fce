/* `viztracer report FILE`: where the time went. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/interrupt.h"
#include "cli/cli.h"
#include "cli/format/format.h"
#include "cli/report/report.h"

#define SLOWEST_KEPT 20u
#define LIMIT_MAX 1000000u
#define SLOWEST_MAX 1000u

static int help(void) {
    printf("usage: viztracer report FILE [options]\n\n"
           "  --sort KEY       self (default), total, calls, mean, p50, p99, max, name\n"
           "  --limit N        rows per table\n"
           "  --slowest N      so many single calls (up to 3 of a function)\n"
           "  --match GLOB     only functions like this: 'tax_*', '*/shop.py', 'sqlite3.*'\n"
           "  --thread GLOB    only threads with such a name      --tid N  only this thread\n"
           "  --tree           the call tree instead; --min_share PERCENT of the time (default 1) to be in it\n"
           "  --threads        every thread, and where it was at the end\n"
           "  --gaps           where events were dropped\n"
           "  --json           all of it for programs (fields: docs/formats.md)\n\n"
           "self is the time in a function without what it calls; total with it (of a recursive function: its outermost calls);\n"
           "mean, p50, p99 and max are per call. Percentiles of more than %u calls are within 0.8 %%.\n",
           DURATIONS_EXACT);
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

struct options {
    struct report_opts report;
    struct profile_opts profile;
};

static int parse_share(const char *text, double *to) {
    char *end;
    *to = strtod(text, &end);
    if (end == text || *end || !(*to >= 0) || *to > 100)
        return cli_usage("report: --min_share wants percent, 0 to 100, not %s", text);
    return CLI_OK;
}

/* -1 when help was asked for. */
static int parse(int argc, char **argv, struct options *o) {
    enum {
        OPT_SORT = 256,
        OPT_LIMIT,
        OPT_SLOWEST,
        OPT_MATCH,
        OPT_THREAD,
        OPT_TID,
        OPT_TREE,
        OPT_SHARE,
        OPT_THREADS,
        OPT_GAPS,
        OPT_JSON
    };
    static const struct option options[] = {
        {"sort", required_argument, NULL, OPT_SORT},
        {"limit", required_argument, NULL, OPT_LIMIT},
        {"slowest", required_argument, NULL, OPT_SLOWEST},
        {"match", required_argument, NULL, OPT_MATCH},
        {"thread", required_argument, NULL, OPT_THREAD},
        {"tid", required_argument, NULL, OPT_TID},
        {"tree", no_argument, NULL, OPT_TREE},
        {"threads", no_argument, NULL, OPT_THREADS},
        {"min_share", required_argument, NULL, OPT_SHARE},
        {"gaps", no_argument, NULL, OPT_GAPS},
        {"json", no_argument, NULL, OPT_JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c, rc = CLI_OK;
    optind = 0;
    while (!rc && (c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        switch (c) {
        case OPT_SORT: rc = report_parse_sort("report", optarg, &o->report.sort); break;
        case OPT_LIMIT: rc = report_parse_number("report", "--limit", optarg, &o->report.limit); break;
        case OPT_SLOWEST: rc = report_parse_number("report", "--slowest", optarg, &o->report.slowest); break;
        case OPT_MATCH: o->report.match = o->profile.match = optarg; break;
        case OPT_THREAD: o->profile.thread = optarg; break;
        case OPT_TID: rc = report_parse_number("report", "--tid", optarg, &o->profile.tid); break;
        case OPT_TREE: o->report.tree = o->profile.tree = true; break;
        case OPT_SHARE: rc = parse_share(optarg, &o->report.min_percent); break;
        case OPT_THREADS: o->report.threads = true; break;
        case OPT_GAPS: o->report.gaps = true; break;
        case OPT_JSON: o->report.json = true; break;
        case 'h': return -1;
        case ':': return cli_usage("report: %s needs a value", argv[optind - 1]);
        default: return cli_usage("report: unknown option %s", argv[optind - 1]);
        }
    }
    if (rc) return rc;
    if (optind >= argc) return cli_usage("report: which trace? viztracer report FILE");
    if (optind + 1 < argc)
        return cli_usage("report: one trace at a time; what is %s? (viztracer diff A B compares two)", argv[optind + 1]);
    o->report.file = argv[optind];
    if (o->report.limit > LIMIT_MAX) o->report.limit = LIMIT_MAX;
    if (o->report.slowest > SLOWEST_MAX) o->report.slowest = SLOWEST_MAX;
    o->profile.slowest = o->report.slowest < SLOWEST_KEPT ? SLOWEST_KEPT : o->report.slowest;
    return CLI_OK;
}

int cmd_report(int argc, char **argv) {
    struct options o = {.report = {.min_percent = 1}, .profile = {.stop = &interrupts_seen}};
    int parsed = parse(argc, argv, &o);
    if (parsed < 0) return help();
    if (parsed) return parsed;
    struct trace_source *source = NULL;
    struct profile *p = NULL;
    struct vt_err err = {0};
    struct interrupt interrupt;
    interrupt_catch(&interrupt, 0);
    int rc = trace_source_open(o.report.file, &source, &err);
    if (!rc) rc = profile_make(source, &o.profile, &p, &err);
    interrupt_release(&interrupt);
    if (!rc) rc = o.report.json ? report_json(p, source, &o.report) : report_text(p, source, &o.report);
    if (rc && !err.msg[0]) vt_err_set(&err, rc, "%s", strerror(-rc));
    profile_free(p);
    trace_source_close(source);
    if (rc) return cli_fail("report: %s", err.msg);
    return fflush(stdout) == 0 && !ferror(stdout) ? CLI_OK : cli_fail("cannot write to stdout: %s", strerror(errno));
}
