/* `viztracer diff A B`: what got slower or faster between two traces, function by function. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/interrupt.h"
#include "cli/cli.h"
#include "cli/format/format.h"
#include "cli/report/compare.h"
#include "cli/report/report.h"

static int help(void) {
    printf("usage: viztracer diff BEFORE AFTER [options]\n\n"
           "  --sort KEY     by the change of: self (default), total, calls (all per second of trace), mean (per call); or name\n"
           "  --limit N      rows (default 20)\n"
           "  --match GLOB   only functions like this: 'tax_*', '*/shop.py', 'sqlite3.*'\n"
           "  --json         for programs (fields: docs/formats.md)\n\n"
           "Functions are the same when name and file are; lines may have moved. Traces need not be of one length: times and\n"
           "calls are per second of trace.\n");
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

/* -1 when help was asked for. */
static int parse(int argc, char **argv, struct compare_opts *o) {
    enum { OPT_SORT = 256, OPT_LIMIT, OPT_MATCH, OPT_JSON };
    static const struct option options[] = {
        {"sort", required_argument, NULL, OPT_SORT},
        {"limit", required_argument, NULL, OPT_LIMIT},
        {"match", required_argument, NULL, OPT_MATCH},
        {"json", no_argument, NULL, OPT_JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c, rc = CLI_OK;
    optind = 0;
    while (!rc && (c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        switch (c) {
        case OPT_SORT: rc = report_parse_sort("diff", optarg, &o->sort); break;
        case OPT_LIMIT: rc = report_parse_number("diff", "--limit", optarg, &o->limit); break;
        case OPT_MATCH: o->match = optarg; break;
        case OPT_JSON: o->json = true; break;
        case 'h': return -1;
        case ':': return cli_usage("diff: %s needs a value", argv[optind - 1]);
        default: return cli_usage("diff: unknown option %s", argv[optind - 1]);
        }
    }
    if (rc) return rc;
    if (o->sort == PROFILE_P50 || o->sort == PROFILE_P99 || o->sort == PROFILE_MAX)
        return cli_usage("diff: cannot sort by %s; by self, total, calls, mean or name", profile_sort_names[o->sort]);
    if (argc - optind != 2) return cli_usage("diff: two traces, please: viztracer diff BEFORE AFTER");
    o->files[0] = argv[optind];
    o->files[1] = argv[optind + 1];
    return CLI_OK;
}

int cmd_diff(int argc, char **argv) {
    struct compare_opts o = {0};
    int parsed = parse(argc, argv, &o);
    if (parsed < 0) return help();
    if (parsed) return parsed;
    struct profile_opts profile_opts = {.stop = &interrupts_seen};
    struct trace_source *sources[2] = {NULL, NULL};
    struct profile *profiles[2] = {NULL, NULL};
    struct vt_err err = {0};
    struct interrupt interrupt;
    int rc = 0;
    interrupt_catch(&interrupt, 0);
    for (int i = 0; i < 2 && !rc; i++) {
        rc = trace_source_open(o.files[i], &sources[i], &err);
        if (!rc) rc = profile_make(sources[i], &profile_opts, &profiles[i], &err);
        if (!rc) o.limits[i] = trace_source_info(sources[i])->limit;
    }
    interrupt_release(&interrupt);
    if (!rc) {
        rc = compare_print(profiles[0], profiles[1], &o);
        if (rc) vt_err_set(&err, rc, "%s", strerror(-rc));
    }
    for (int i = 0; i < 2; i++) {
        profile_free(profiles[i]);
        trace_source_close(sources[i]);
    }
    if (rc) return cli_fail("diff: %s", err.msg);
    return fflush(stdout) == 0 && !ferror(stdout) ? CLI_OK : cli_fail("cannot write to stdout: %s", strerror(errno));
}
