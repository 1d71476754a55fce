/* Measures how long an attach pauses a target, as the tool itself reports it, and how long it takes until it traces:
 * attach_pause [ROUNDS]. One line for each kind of target and interpreter. stop: time that the one thread is stopped. gil:
 * time that the GIL is held to put the hooks in, during which no other thread runs Python. The tool reports the sum of both as
 * the pause. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/interp.h"
#include "tests/lib/target.h"
#include "tests/lib/tool.h"

enum { MAX_ROUNDS = 1000 };

static const struct {
    const char *name, *script, *args[3];
} kinds[] = {
    {"asleep", "blocked.py", {"sleep"}}, {"asyncio", "aio.py", {"8"}},       {"busy", "busy.py", {"0"}},
    {"4 busy", "busy.py", {"3"}},        {"4 in malloc", "churn.py", {"4"}},
};

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The figure before `unit` and after `word` in the tool's last lines, in ms; -1 when it is not there. */
static double figure(const char *text, const char *word) {
    const char *p = strstr(text, word);
    if (!p) return -1;
    for (p += strlen(word); *p && *p != '\n' && (*p < '0' || *p > '9'); p++) continue;
    char *end;
    double v = strtod(p, &end);
    while (*end == ' ') end++;
    if (!strncmp(end, "us", 2)) return v / 1000;
    if (!strncmp(end, "ms", 2)) return v;
    return !strncmp(end, "s", 1) ? v * 1000 : -1;
}

static void measure(const struct interp *ip, int kind, int rounds) {
    static double pause[MAX_ROUNDS], ready[MAX_ROUNDS], stop[MAX_ROUNDS], gil[MAX_ROUNDS];
    struct target t;
    struct tool tool;
    const char *out = temp_path(".vzt");
    int n = 0, failed = 0;
    if (target_spawn(&t, ip, kinds[kind].script, kinds[kind].args, NULL)) return;
    for (int i = 0; i < rounds; i++) {
        tool_startf(&tool, "--attach %d -t 0.05 -o %s", (int)t.pid, out);
        double traces = tool_expect(&tool, "racing", 20000) ? -1 : (double)(now_ms() - tool.start_ms);
        double v = tool_wait(&tool, 30000) ? -1 : figure(tool.out, "paused");
        if (tool.exit_code || v < 0) {
            failed++;
            if (failed == 1) fprintf(stderr, "attach_pause: exit %d: %s%s\n", tool.exit_code, tool.out, tool.err);
            continue;
        }
        ready[n] = traces;
        stop[n] = figure(tool.err, ": stopped");
        gil[n] = figure(tool.err, "GIL held");
        pause[n++] = v;
    }
    target_kill(&t);
    unlink(out);
    if (!n) return;
    qsort(pause, (size_t)n, sizeof *pause, by_value);
    qsort(ready, (size_t)n, sizeof *ready, by_value);
    qsort(stop, (size_t)n, sizeof *stop, by_value);
    qsort(gil, (size_t)n, sizeof *gil, by_value);
    printf("%-8s %-12s pause ms: median %6.2f (stop %.2f, gil %.2f) p95 %6.2f max %6.2f   command to tracing ms: median %4.0f "
           "p95 %4.0f"
           "   %d attaches, %d failed\n",
           ip->version, kinds[kind].name, pause[n / 2], stop[n / 2], gil[n / 2], pause[n * 95 / 100], pause[n - 1], ready[n / 2],
           ready[n * 95 / 100], n, failed);
    fflush(stdout);
}

int main(int argc, char **argv) {
    size_t n;
    const struct interp *ip = interp_list(&n);
    int rounds = argc > 1 ? atoi(argv[1]) : 20;
    if (rounds < 1 || rounds > MAX_ROUNDS || setenv("VIZTRACERD_LOG", "info", 1)) return 2;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < (int)(sizeof kinds / sizeof *kinds); k++) measure(&ip[i], k, rounds);
    return 0;
}
