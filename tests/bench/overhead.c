/* Measures the cost of tracing, side by side in one run: bare, a hook that does nothing (the floor), one that reads the clock,
 * ours in several settings, cProfile, VizTracer. Each mode has a process, and they run in turn, so that a drift of the machine
 * affects all modes alike.
 *
 *   overhead [-r ROUNDS] [-w WORKLOAD]... [-m MODE]... [-j FILE] [-i]
 *
 * CPU time of the target's thread (threads4: of the process). An event is a call or a return, of Python or C functions; a mode
 * that sees Python functions only is still divided by all of them in x bare, and by its own in ns per event. Overhead is over
 * bare, pair by pair: the least of all rounds, and the median. -j: one JSON object a line. -i: instructions per event instead of
 * time, counted one by one in a small run of the workload; of ours with the constant clock only: single steps take so long that
 * what the agent does once in a millisecond would be done at each event (reading the clock is one instruction more). VT_PYTHONS:
 * as for the tests. VIZTRACER_PY: a folder that has VizTracer installed for each version, DIR/3.12 ...; modes without it
 * are skipped by name. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/interp.h"
#include "tests/lib/steps.h"
#include "tests/lib/target.h"
#include "tests/lib/tool.h"

#define MAX_ROUNDS 64
#define MAX_WANTED 16
#define STEP_ROUNDS 5
#define SAMPLE_NS 6e7 /* of the bare target */

enum floor { FLOOR_NONE, FLOOR_C, FLOOR_PY };
/* "filtered": 20 functions, 19 of them in a file that can be excluded. */
enum where { NOT_FILTERED, FILTERED, ANYWHERE };
struct mode {
    const char *name, *text;
    const char *target_mode;
    const char *attach;    /* further arguments of viztracer --attach; NULL = nobody attaches */
    bool constant_clock;   /* the build whose agent does not read the clock */
    bool python_only;      /* sees Python functions only */
    enum where where;      /* its workloads */
    const char *floor;     /* the mode that is its floor */
    const char *viztracer; /* the mode of VizTracer that does the same */
};
static const struct mode modes[] = {
    {"bare", "bare", "bare", NULL, false, false, ANYWHERE, NULL, NULL},
    {"floor", "no-op hook, C calls", "floor-c", NULL, false, false, NOT_FILTERED, NULL, NULL},
    {"floor-clock", "the same, reading the clock", "floor-c-clock", NULL, false, false, NOT_FILTERED, "floor", "viztracer"},
    {"ours", "viztracer, C calls", "bare", "", false, false, NOT_FILTERED, "floor", "viztracer"},
    {"ours-noclock", "the same, constant clock", "bare", "", true, false, NOT_FILTERED, "floor", NULL},
    {"ours-args", "--log_func_args --log_func_retval", "bare", "--log_func_args --log_func_retval", false, false, NOT_FILTERED,
     "floor", "viztracer-args"},
    {"ours-limited", "viztracer --max_overhead 5%", "bare", "--max_overhead 5%", false, false, NOT_FILTERED, NULL, NULL},
    {"viztracer", "VizTracer, C calls", "viztracer", NULL, false, false, NOT_FILTERED, "floor", NULL},
    {"viztracer-args", "VizTracer, arguments and results", "viztracer-args", NULL, false, false, NOT_FILTERED, "floor", NULL},
    {"floor-py", "no-op hook, Python only", "floor-py", NULL, false, true, ANYWHERE, NULL, NULL},
    {"floor-py-clock", "the same, reading the clock", "floor-py-clock", NULL, false, true, NOT_FILTERED, "floor-py",
     "viztracer-py"},
    {"ours-py", "viztracer --ignore_c_function", "bare", "--ignore_c_function", false, true, NOT_FILTERED, "floor-py",
     "viztracer-py"},
    {"ours-py-noclock", "the same, constant clock", "bare", "--ignore_c_function", true, true, NOT_FILTERED, "floor-py", NULL},
    {"viztracer-py", "VizTracer ignore_c_function", "viztracer-py", NULL, false, true, NOT_FILTERED, "floor-py", NULL},
    {"cprofile", "cProfile", "cprofile", NULL, false, false, NOT_FILTERED, "floor", NULL},
    {"ours-nothing", "everything excluded", "bare", "--exclude_functions *", false, false, ANYWHERE, "floor-py", NULL},
    {"ours-nothing-noclock", "the same, constant clock", "bare", "--exclude_functions *", true, false, ANYWHERE, "floor-py",
     NULL},
    {"ours-excluded", "19 of 20 excluded by file", "bare", "--exclude_files %s", false, false, FILTERED, "floor-py",
     "viztracer-excluded"},
    {"viztracer-excluded", "VizTracer, the same", "viztracer-excluded", NULL, false, false, FILTERED, NULL, NULL},
};
#define MODES (sizeof modes / sizeof modes[0])
static const char *const workloads[] = {"fib", "oo", "cloop", "service", "asyncio", "threads4", "filtered", NULL};

struct run {
    const struct interp *ip;
    const char *workload;
    struct target target[MODES];
    struct tool attach[MODES];
    bool here[MODES];
    const char *why[MODES];       /* it is not */
    double ns[MODES][MAX_ROUNDS]; /* of one iteration */
    double instructions[MODES];
    long calls, c_calls; /* of one iteration */
};

static const char *only_workload[MAX_WANTED], *only_mode[MAX_WANTED];
static unsigned nworkloads, nonly;

static bool wanted(const struct mode *m) {
    for (unsigned i = 0; i < nonly; i++)
        if (!strcmp(only_mode[i], m->name)) return true;
    return !nonly || !strcmp(m->name, "bare");
}

static int find_mode(const char *name) {
    for (size_t i = 0; name && i < MODES; i++)
        if (!strcmp(modes[i].name, name)) return (int)i;
    return -1;
}

/* A line of the target. */
static int answer(struct target *t, char *line, size_t size) {
    for (uint64_t end = now_ms() + 120000; now_ms() < end;) {
        t->text[t->text_len] = 0;
        char *stop = strchr(t->text, '\n');
        if (stop) {
            *stop = 0;
            snprintf(line, size, "%.*s", (int)size - 1, t->text);
            size_t used = (size_t)(stop + 1 - t->text);
            t->text_len -= used;
            memmove(t->text, stop + 1, t->text_len);
            return 0;
        }
        if (target_expect(t, "no such text", 2) == -EPIPE) return -EPIPE;
    }
    return -ETIMEDOUT;
}

static const char *output_of(const struct run *r, size_t m) {
    static char path[128];
    snprintf(path, sizeof path, "/tmp/viztracer-bench-%d-%s-%zu.vzt", (int)getpid(), r->ip->version, m);
    return path;
}

static const char *attach_ours(struct run *r, size_t m) {
    char words[PATH_MAX + 64] = "", other[PATH_MAX], program[PATH_MAX + 64], command[2 * PATH_MAX + 256];
    char source[PATH_MAX + 64];
    const char *argv[24] = {"--attach"};
    int n = 1;
    snprintf(source, sizeof source, "%s/tests/targets/bench_other.py", tree_root());
    if (target_copy_in(r->ip, source, other, sizeof other)) return "its files cannot be copied";
    snprintf(program, sizeof program, "%s/viztracer", tree_bin());
    if (modes[m].constant_clock) {
        const char *dir = getenv("VT_CONSTANT_CLOCK");
        snprintf(program, sizeof program, "%s/bin/viztracer", dir ? dir : "");
        if (!dir || access(program, X_OK)) return "no build with a constant clock (make bench makes one)";
    }
    if (strstr(modes[m].attach, "%s"))
        snprintf(words, sizeof words, "--exclude_files %s", other);
    else
        snprintf(words, sizeof words, "%s", modes[m].attach);
    snprintf(command, sizeof command, "%d -o %s %s", (int)r->target[m].pid, output_of(r, m), words);
    for (char *save = NULL, *w = strtok_r(command, " ", &save); w && n < 23; w = strtok_r(NULL, " ", &save)) argv[n++] = w;
    argv[n] = NULL;
    if (tool_start(&r->attach[m], argv, &(struct tool_opts){.program = program})) return "the tool cannot be started";
    if (tool_expect(&r->attach[m], "racing", 30000)) {
        fprintf(stderr, "overhead: %s: %s%s", modes[m].name, r->attach[m].out, r->attach[m].err);
        tool_kill(&r->attach[m]);
        r->attach[m].pid = 0;
        return "the attach failed";
    }
    return NULL;
}

static const char *start_mode(struct run *r, size_t m, bool small) {
    char floor[PATH_MAX], from[PATH_MAX + 64], viztracer[PATH_MAX + 64] = "-", line[256];
    const char *dir = getenv("VIZTRACER_PY");
    snprintf(from, sizeof from, "%s/../lib/floor.so", tree_bin());
    if (target_copy_in(r->ip, from, floor, sizeof floor)) return "its files cannot be copied";
    if (dir) snprintf(viztracer, sizeof viztracer, "%s/3.%d", r->ip->root[0] ? "/opt/viztracer" : dir, r->ip->minor);
    const char *args[] = {r->workload, modes[m].target_mode, small ? "0" : "1", floor, viztracer, NULL};
    if (target_spawn(&r->target[m], r->ip, "bench_work.py", args, &(struct target_opts){.no_ready = true}))
        return "it does not start";
    if (answer(&r->target[m], line, sizeof line) || sscanf(line, "ready %ld %ld", &r->calls, &r->c_calls) != 2) {
        target_kill(&r->target[m]);
        return !strncmp(modes[m].name, "viztracer", 9) ? "VizTracer is not installed for it (VIZTRACER_PY, make deps-bench)"
                                                       : "not on this version or workload";
    }
    const char *why = modes[m].attach ? attach_ours(r, m) : NULL;
    if (why) target_kill(&r->target[m]);
    return why;
}

static int ask(struct target *t, long iterations, double *ns) {
    char line[64];
    snprintf(line, sizeof line, "%ld\n", iterations);
    int rc = target_send(t, line);
    if (!rc) rc = answer(t, line, sizeof line);
    if (!rc) *ns = strtod(line, NULL) / (double)iterations;
    return rc;
}

static int measure_time(struct run *r, int rounds) {
    double ns = 0;
    int rc = ask(&r->target[0], 5, &ns);
    if (!rc) rc = ask(&r->target[0], 5, &ns);
    long iterations = (long)(SAMPLE_NS / (ns + 1)) + 1;
    for (int i = -1; i < rounds && !rc; i++)
        for (size_t m = 0; m < MODES && !rc; m++) {
            if (!r->here[m]) continue;
            rc = ask(&r->target[m], i < 0 ? iterations / 5 + 1 : iterations, &ns);
            if (i >= 0) r->ns[m][i] = ns;
        }
    return rc;
}

static void tell_steps(void *target) {
    char line[32];
    snprintf(line, sizeof line, "steps %d\n", STEP_ROUNDS);
    if (target_send(target, line)) fprintf(stderr, "overhead: a target has gone\n");
}

static int measure_instructions(struct run *r) {
    double ns;
    for (size_t m = 0; m < MODES; m++) {
        char line[64];
        uint64_t steps;
        if (!r->here[m]) continue;
        int rc = ask(&r->target[m], 3000, &ns); /* warm */
        if (!rc) rc = steps_count(r->target[m].pid, SYS_getppid, STEP_ROUNDS, tell_steps, &r->target[m], &steps);
        if (!rc) rc = answer(&r->target[m], line, sizeof line);
        if (rc) return rc;
        r->instructions[m] = (double)steps;
    }
    return 0;
}

static int compare(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

struct figures {
    double least, bare_least;       /* ns of one iteration */
    double over_least, over_median; /* over bare */
    double ratio_median;
    double events;
};

static void figure(const struct run *r, size_t m, int rounds, struct figures *f) {
    double over[MAX_ROUNDS], ratio[MAX_ROUNDS];
    f->least = f->bare_least = 1e18;
    for (int i = 0; i < rounds; i++) {
        over[i] = r->ns[m][i] - r->ns[0][i];
        ratio[i] = r->ns[m][i] / r->ns[0][i];
        if (r->ns[m][i] < f->least) f->least = r->ns[m][i];
        if (r->ns[0][i] < f->bare_least) f->bare_least = r->ns[0][i];
    }
    qsort(over, (size_t)rounds, sizeof over[0], compare);
    qsort(ratio, (size_t)rounds, sizeof ratio[0], compare);
    f->over_least = f->least - f->bare_least;
    f->over_median = over[rounds / 2];
    f->ratio_median = ratio[rounds / 2];
    f->events = 2.0 * (double)(r->calls + (modes[m].python_only ? 0 : r->c_calls));
}

/* Overhead of one mode as a share of another's; 0 = cannot be told. */
static double share(const struct run *r, size_t m, const char *of, int rounds) {
    int other = find_mode(of);
    struct figures a, b;
    if (other < 0 || !r->here[other]) return 0;
    figure(r, m, rounds, &a);
    figure(r, (size_t)other, rounds, &b);
    return b.over_least > 0 ? a.over_least / b.over_least : 0;
}

static void ratio_text(char *text, size_t size, double v) { snprintf(text, size, v > 0 ? "%.2f" : "-", v); }

static void print_times(const struct run *r, int rounds, FILE *json) {
    for (size_t m = 0; m < MODES; m++) {
        char floor[16], viztracer[16];
        struct figures f;
        if (!r->here[m]) continue;
        figure(r, m, rounds, &f);
        double x_floor = share(r, m, modes[m].floor, rounds), x_viztracer = share(r, m, modes[m].viztracer, rounds);
        ratio_text(floor, sizeof floor, x_floor);
        ratio_text(viztracer, sizeof viztracer, x_viztracer);
        printf("%-8s %-9s %-34s %9.1f %9.1f %9.1f %7.2f %8s %11s\n", r->ip->version, r->workload, modes[m].text,
               f.least / f.events * 2, m ? f.over_least / f.events : 0.0, m ? f.over_median / f.events : 0.0,
               f.least / f.bare_least, floor, viztracer);
        if (json)
            fprintf(json,
                    "{\"python\":\"%s\",\"workload\":\"%s\",\"mode\":\"%s\",\"rounds\":%d,\"calls\":%ld,\"c_calls\":%ld,"
                    "\"ns_per_iteration\":%.1f,\"over_bare_ns_per_event\":%.2f,\"over_bare_median_ns_per_event\":%.2f,"
                    "\"x_bare\":%.4f,\"x_bare_median\":%.4f,\"x_floor\":%.3f,\"x_viztracer\":%.3f}\n",
                    r->ip->version, r->workload, modes[m].name, rounds, r->calls, r->c_calls, f.least,
                    m ? f.over_least / f.events : 0, m ? f.over_median / f.events : 0, f.least / f.bare_least, f.ratio_median,
                    x_floor, x_viztracer);
    }
}

static void print_instructions(const struct run *r, FILE *json) {
    for (size_t m = 0; m < MODES; m++) {
        double events = 2.0 * (double)(r->calls + (modes[m].python_only ? 0 : r->c_calls));
        if (!r->here[m]) continue;
        double over = (r->instructions[m] - r->instructions[0]) / events;
        printf("%-8s %-9s %-34s %12.0f %12.1f\n", r->ip->version, r->workload, modes[m].text, r->instructions[m], over);
        if (json)
            fprintf(json, "{\"python\":\"%s\",\"workload\":\"%s\",\"mode\":\"%s\",\"instructions_over_bare_per_event\":%.1f}\n",
                    r->ip->version, r->workload, modes[m].name, over);
    }
}

/* A cause that holds for an interpreter is said once for it. */
static void say_skipped(const struct run *r, size_t m) {
    static struct {
        const struct interp *ip;
        const char *why;
    } said[MODES];
    if (said[m].ip == r->ip && said[m].why == r->why[m]) return;
    said[m].ip = r->ip;
    said[m].why = r->why[m];
    printf("%-8s %-9s %-34s skipped: %s\n", r->ip->version, r->workload, modes[m].text, r->why[m]);
}

/* In a mode's turn everything else sleeps. */
static int bench(const struct interp *ip, const char *workload, int rounds, bool instructions, FILE *json) {
    struct run *r = calloc(1, sizeof *r);
    int rc = r ? 0 : -ENOMEM;
    if (rc) return rc;
    r->ip = ip;
    r->workload = workload;
    bool filtered = !strcmp(workload, "filtered"), no_python = !strcmp(workload, "cloop");
    for (size_t m = 0; m < MODES; m++) {
        if (!wanted(&modes[m]) || modes[m].where == (filtered ? NOT_FILTERED : FILTERED) || (no_python && modes[m].python_only))
            continue;
        if (instructions && modes[m].attach && !modes[m].constant_clock) continue;
        r->why[m] = start_mode(r, m, instructions);
        r->here[m] = !r->why[m];
        if (r->why[m]) say_skipped(r, m);
    }
    rc = !r->here[0] ? -ENOENT : instructions ? measure_instructions(r) : measure_time(r, rounds);
    if (!rc && instructions)
        print_instructions(r, json);
    else if (!rc)
        print_times(r, rounds, json);
    fflush(stdout);
    for (size_t m = 0; m < MODES; m++) {
        if (!r->here[m]) continue;
        if (modes[m].attach) {
            kill(r->attach[m].pid, SIGINT);
            tool_wait(&r->attach[m], 60000);
            unlink(output_of(r, m));
        }
        target_kill(&r->target[m]);
    }
    free(r);
    return rc;
}

int main(int argc, char **argv) {
    int rounds = 7, opt, failed = 0;
    bool instructions = false;
    FILE *json = NULL;
    while ((opt = getopt(argc, argv, "r:w:m:j:i")) != -1) switch (opt) {
        case 'r': rounds = atoi(optarg); break;
        case 'w':
            if (nworkloads < MAX_WANTED - 1) only_workload[nworkloads++] = optarg;
            break;
        case 'm':
            if (nonly < MAX_WANTED) only_mode[nonly++] = optarg;
            break;
        case 'j':
            json = fopen(optarg, "w");
            if (!json) return perror(optarg), 2;
            break;
        case 'i': instructions = true; break;
        default: return 2;
        }
    if (rounds < 1 || rounds > MAX_ROUNDS) return 2;
    signal(SIGPIPE, SIG_IGN);
    size_t n;
    const struct interp *all = interp_list(&n);
    if (instructions)
        printf("%-8s %-9s %-34s %12s %12s\n", "python", "workload", "mode", "instructions", "over bare/ev");
    else
        printf("%-8s %-9s %-34s %9s %9s %9s %7s %8s %11s\n", "python", "workload", "mode", "ns/call", "over/ev", "median",
               "x bare", "x floor", "x VizTracer");
    for (size_t i = 0; i < n; i++)
        for (const char *const *w = nworkloads ? only_workload : (const char *const *)workloads; *w; w++) {
            int rc = bench(&all[i], *w, rounds, instructions, json);
            if (!rc) continue;
            fprintf(stderr, "overhead: %s %s failed: %s\n", all[i].version, *w, strerror(-rc));
            failed = 1;
        }
    if (json) fclose(json);
    return failed;
}
