/* Owns `viztracer diff A B`: which functions got slower or faster between two traces. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/interrupt.h"
#include "cli/base/memory.h"
#include "cli/cli.h"
#include "cli/format/format.h"
#include "cli/report/compare.h"
#include "cli/report/report.h"

static int take_sort(void *at, const char *text) { return report_sort_of(text, at); }

#define AT(field) OPTION_AT(struct compare_opts, field)
static const struct option_row rows[] = {
    {"BEFORE", NULL, OPTION_TEXT, AT(files[0]), .ask = "two traces, please:", .wants = "two traces at a time",
     .help = "a trace, of any format that can be read"},
    {"AFTER", NULL, OPTION_TEXT, AT(files[1]), .ask = "two traces, please:", .wants = "two traces at a time",
     .help = "the trace to compare with it"},
    {"--sort", NULL, OPTION_CHOICE, AT(sort), .choices = "self total calls mean name", .take = take_sort, .arg = "KEY",
     .help = "by the change of self (the default; without waiting), total, calls (all per second of trace), mean (per call), or "
             "by name"},
    {"--limit", NULL, OPTION_INT, AT(limit), .min = 1, .arg = "N", .help = "rows (20)"},
    {"--match", NULL, OPTION_TEXT, AT(match), .arg = "GLOB",
     .help = "only functions of that name or file: 'tax_*', '*/shop.py', 'sqlite3.*'"},
    {"--json", NULL, OPTION_FLAG, AT(json), .help = "for programs (fields: docs/formats.md)"},
    CLI_MAX_MEMORY_ROW(AT(max_memory)),
    OPTION_END,
};

static int run(int argc, char **argv) {
    struct compare_opts o = {0};
    int parsed = cli_parse(&cli_diff, &o, argc, argv);
    if (parsed) return CLI_RETURN(parsed);
    struct profile_opts profile_opts = {.stop = &interrupts_seen};
    struct trace_source *sources[2] = {NULL, NULL};
    struct profile *profiles[2] = {NULL, NULL};
    struct vt_err err = {0};
    struct interrupt interrupt;
    int rc = 0;
    memory_limit_usual(o.max_memory);
    interrupt_catch(&interrupt, 0);
    for (int i = 0; i < 2 && !rc; i++) {
        rc = trace_source_open(o.files[i], &sources[i], &err);
        if (!rc) rc = profile_make(sources[i], &profile_opts, &profiles[i], &err);
        rc = memory_verdict(rc, o.files[i], &err);
        if (!rc) o.limits[i] = trace_source_info(sources[i])->limit;
        if (!rc) o.left_out[i] = &trace_source_info(sources[i])->left_out;
    }
    interrupt_release(&interrupt);
    if (!rc) {
        rc = memory_verdict(compare_print(profiles[0], profiles[1], &o), o.files[1], &err);
        if (rc == -ESRCH)
            vt_err_set(&err, rc, "no function or file of the two matches %s; '*WORD*' finds a word anywhere", o.match);
        else if (rc)
            vt_err_set(&err, rc, "%s", strerror(-rc));
    }
    for (int i = 0; i < 2; i++) {
        profile_free(profiles[i]);
        trace_source_close(sources[i]);
    }
    if (rc) return cli_fail("diff: %s", err.msg);
    return cli_flush();
}

const struct cli_cmd cli_diff = {
    .options =
        {.program = "viztracer",
         .name = "diff",
         .args = "BEFORE AFTER",
         .summary = "shows what got slower between two traces",
         .about =
             "Compares two traces function by function: own time and calls per second of trace, and the mean per call. The "
             "largest change comes first; waiting has a table of its own. Two functions are the same when name and file are the "
             "same; lines may move.",
         .examples = "viztracer diff monday.vzt tuesday.vzt --match '*/shop.py'",
         .rows = rows},
    .group = CLI_LOOKING,
    .run = run,
};
