/* Cost of tracing, side by side in one run: bare, a hook that does nothing (the floor), ours, cProfile.
 * One process per mode stays alive and is asked in turn (interleaved, so that a drifting machine hits
 * all modes alike). Figures: CPU time of the target's thread, ns per call (Python + C calls), minimum
 * over rounds; overhead = over bare, per event (call and return).
 *
 *   overhead [-r ROUNDS] [-w WORKLOAD]... [-j FILE.json]      VT_PYTHONS=/path/python3:... */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ROUNDS 64

enum mode { BARE, FLOOR_C, OURS_C, FLOOR_PY, OURS_PY, CPROFILE, MODES };
static const struct {
    const char *name;
    const char *target_mode;   /* argument of workload.py */
    const char *const *attach; /* further arguments of viztracer --attach, or NULL */
} modes[MODES] = {
    [BARE] = {"bare", "bare", NULL},
    [FLOOR_C] = {"no-op hook, C calls", "floor-c", NULL},
    [OURS_C] = {"viztracer, C calls", "bare", (const char *const[]){NULL}},
    [FLOOR_PY] = {"no-op hook, Python only", "floor-py", NULL},
    [OURS_PY] = {"viztracer --ignore_c_function", "bare", (const char *const[]){"--ignore_c_function", NULL}},
    [CPROFILE] = {"cProfile", "cprofile", NULL},
};
static const char *const workloads[] = {"fib", "oo", "cloop", "service", "asyncio", NULL};

struct child {
    pid_t pid;
    int in, out; /* we write to in, read from out */
};

static char bin_dir[PATH_MAX], src_dir[PATH_MAX];

static int spawn(struct child *c, char *const argv[]) {
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) return -errno;
    pid_t pid = fork();
    if (pid < 0) return -errno;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        execv(argv[0], argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *c = (struct child){pid, in[1], out[0]};
    return 0;
}

/* One line without newline; -ETIMEDOUT, -EPIPE. */
static int read_line(int fd, char *buf, size_t size, int timeout_ms) {
    size_t n = 0;
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        int r = poll(&p, 1, timeout_ms);
        if (r == 0) return -ETIMEDOUT;
        if (r < 0) return -errno;
        char ch;
        if (read(fd, &ch, 1) != 1) return -EPIPE;
        if (ch == '\n') break;
        if (n + 1 < size) buf[n++] = ch;
    }
    buf[n] = 0;
    return 0;
}

static void end_child(struct child *c) {
    if (c->pid <= 0) return;
    close(c->in);
    close(c->out);
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    c->pid = 0;
}

static int start_attach(struct child *c, pid_t target, const char *const *extra, const char *output) {
    char exe[PATH_MAX + 32], pid[16], line[1024];
    char *argv[16] = {exe, (char *)"--attach", pid, (char *)"-o", (char *)output};
    int n = 5;
    snprintf(exe, sizeof exe, "%s/viztracer", bin_dir);
    snprintf(pid, sizeof pid, "%d", target);
    for (; *extra; extra++) argv[n++] = (char *)*extra;
    int rc = spawn(c, argv);
    if (rc) return rc;
    rc = read_line(c->out, line, sizeof line, 20000);
    if (rc) end_child(c);
    return rc;
}

static void stop_attach(struct child *c) {
    char line[1024];
    if (c->pid <= 0) return;
    kill(c->pid, SIGINT);
    for (int i = 0; i < 100 && read_line(c->out, line, sizeof line, 60000) == 0; i++) continue;
    close(c->in);
    close(c->out);
    waitpid(c->pid, NULL, 0);
    c->pid = 0;
}

static int ask(struct child *c, long iterations, double *ns) {
    char line[64];
    int len = snprintf(line, sizeof line, "%ld\n", iterations);
    if (write(c->in, line, (size_t)len) != len) return -EPIPE;
    int rc = read_line(c->out, line, sizeof line, 60000);
    if (rc) return rc;
    *ns = strtod(line, NULL);
    return 0;
}

static int compare(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static int bench(const char *python, const char *version, const char *workload, int rounds, FILE *json, int *printed) {
    struct child target[MODES] = {{0}}, attach[MODES] = {{0}};
    double sample[MODES][MAX_ROUNDS];
    char script[PATH_MAX + 64], floor[PATH_MAX + 64], line[256], output[64];
    long calls = 0, c_calls = 0, iterations = 0;
    int rc = 0;
    snprintf(script, sizeof script, "%s/tests/bench/workload.py", src_dir);
    snprintf(floor, sizeof floor, "%s/../lib/floor.so", bin_dir);
    for (int m = 0; m < MODES; m++) {
        char *argv[] = {(char *)python, script, (char *)workload, (char *)modes[m].target_mode, floor, NULL};
        if ((rc = spawn(&target[m], argv)) || (rc = read_line(target[m].out, line, sizeof line, 20000))) goto out;
        if (sscanf(line, "ready %ld %ld", &calls, &c_calls) != 2) {
            end_child(&target[m]);
            continue;
        }
        if (modes[m].attach) {
            snprintf(output, sizeof output, "/tmp/viztracer-bench-%d-%d.vzt", getpid(), m);
            rc = start_attach(&attach[m], target[m].pid, modes[m].attach, output);
            if (rc) {
                fprintf(stderr, "overhead: %s %s: attach failed: %s\n", version, workload, strerror(-rc));
                goto out;
            }
        }
    }
    double ns;
    if ((rc = ask(&target[BARE], 10, &ns)) || (rc = ask(&target[BARE], 10, &ns))) goto out;
    iterations = (long)(1e8 / (ns / 10)) + 1; /* ~100 ms bare */
    for (int r = -1; r < rounds; r++)
        for (int m = 0; m < MODES; m++) {
            if (target[m].pid <= 0) continue;
            if ((rc = ask(&target[m], r < 0 ? iterations / 10 + 1 : iterations, &ns))) goto out;
            if (r >= 0) sample[m][r] = ns / (double)iterations / (double)(calls + c_calls);
        }
    if (!(*printed)++)
        printf("%-7s %-8s %-30s %10s %10s %12s %10s\n", "python", "workload", "mode", "min ns/call", "median", "over bare/ev",
               "x bare");
    for (int m = 0; m < MODES; m++) {
        if (target[m].pid <= 0) {
            printf("%-7s %-8s %-30s not available on this version\n", version, workload, modes[m].name);
            continue;
        }
        qsort(sample[m], (size_t)rounds, sizeof(double), compare);
        double min = sample[m][0], median = sample[m][rounds / 2], bare = sample[BARE][0];
        printf("%-7s %-8s %-30s %10.1f %10.1f %12.1f %10.2f\n", version, workload, modes[m].name, min, median, (min - bare) / 2,
               min / bare);
        if (json)
            fprintf(json,
                    "{\"python\":\"%s\",\"workload\":\"%s\",\"mode\":\"%s\",\"min_ns_per_call\":%.2f,\"median_ns_per_call\":%.2f,"
                    "\"rounds\":%d}\n",
                    version, workload, modes[m].name, min, median, rounds);
    }
    fflush(stdout);
out:
    for (int m = 0; m < MODES; m++) {
        stop_attach(&attach[m]);
        end_child(&target[m]);
        snprintf(output, sizeof output, "/tmp/viztracer-bench-%d-%d.vzt", getpid(), m);
        unlink(output);
    }
    return rc;
}

static int python_version(const char *python, char *version, size_t size) {
    struct child c;
    char *argv[] = {(char *)python, (char *)"-c", (char *)"import sys; print('%d.%d' % sys.version_info[:2])", NULL};
    int rc = spawn(&c, argv);
    if (rc) return rc;
    rc = read_line(c.out, version, size, 10000);
    end_child(&c);
    return rc;
}

int main(int argc, char **argv) {
    const char *only[8] = {0};
    int nonly = 0, rounds = 9, opt, failed = 0, printed = 0;
    FILE *json = NULL;
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return 1;
    self[n] = 0; /* BUILD/tests/bench/overhead */
    snprintf(bin_dir, sizeof bin_dir, "%.*s/bin", (int)(strlen(self) - strlen("/tests/bench/overhead")), self);
    if (!getcwd(src_dir, sizeof src_dir)) return 1;
    while ((opt = getopt(argc, argv, "r:w:j:")) != -1) switch (opt) {
        case 'r': rounds = atoi(optarg); break;
        case 'w':
            if (nonly < 7) only[nonly++] = optarg;
            break;
        case 'j': json = fopen(optarg, "w"); break;
        default: return 2;
        }
    if (rounds < 1 || rounds > MAX_ROUNDS) return 2;
    signal(SIGPIPE, SIG_IGN);
    const char *list = getenv("VT_PYTHONS");
    if (!list || !*list) {
        fprintf(stderr, "overhead: set VT_PYTHONS to a colon separated list of interpreters (make bench does)\n");
        return 2;
    }
    char *copy = strdup(list), *save = NULL;
    for (char *python = strtok_r(copy, ":", &save); python; python = strtok_r(NULL, ":", &save)) {
        char version[32];
        if (python_version(python, version, sizeof version)) {
            printf("%s: skipped: cannot be run\n", python);
            continue;
        }
        for (const char *const *w = nonly ? only : (const char *const *)workloads; *w; w++) {
            int rc = bench(python, version, *w, rounds, json, &printed);
            if (rc) {
                fprintf(stderr, "overhead: %s %s failed: %s\n", version, *w, strerror(-rc));
                failed = 1;
            }
        }
    }
    free(copy);
    if (json) fclose(json);
    return failed;
}
