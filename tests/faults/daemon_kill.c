/* SIGKILL for the helper of a daemon at each of its steps, while the daemon serves other sessions: the daemon and the other
 * sessions go on, the client gets one line, the target lives, is as before and can be traced afterwards. Each step once or twice;
 * VT_LONG=1: 2,000 kills, or as many as fit into VT_SECONDS. VT_DAEMON names another viztracerd, such as one with sanitizers; it
 * needs FAULTS=1, too. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/attach_victim.h"
#include "tests/lib/suite.h"

#define STEPS_MAX 128
#define OTHERS 2u
#define WORKERS 4u
#define LATE_US "1500"
#define AGAIN_MS 15000u /* for the end of a session whose helper was killed */
#define SHORT_SECONDS 45u
#define SHOWN 3000u /* characters of a program's output, after a failure */

static unsigned starved; /* sessions that ended for lack of CPU */
static char dir[64], faults[96], socket_path[96], steps[STEPS_MAX][64];
static unsigned nsteps;
static struct tool daemon_tool;
static struct other {
    struct target target;
    struct tool client;
    const char *out;
} others[OTHERS];

/* Shared with the workers. */
static struct total { unsigned kills, finished, stops, said, failed; } * total;

static void wrong(const struct victim *v, const char *how, const char *what) {
    printf("FAIL %s on %s, %s: %s\n", v->kind->name, v->ip->version, how, what);
    __atomic_fetch_add(&total->failed, 1, __ATOMIC_RELAXED);
}

/* What helpers for this target get in their environment. */
static void set_faults(pid_t pid, const char *text) {
    char path[128], other[136];
    snprintf(path, sizeof path, "%s%d", faults, (int)pid);
    snprintf(other, sizeof other, "%s.new", path);
    FILE *f = fopen(other, "we");
    if (!f || fputs(text, f) < 0 || fclose(f) || rename(other, path)) perror(path), exit(1);
}

static const char *pid_text(pid_t pid) {
    static char text[16];
    snprintf(text, sizeof text, "%d", (int)pid);
    return text;
}

static bool runs(pid_t pid) {
    siginfo_t info = {0};
    return !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid;
}

/* ---- the daemon and its other sessions ---- */

/* Prints the last lines of a program's output, and how it ended. */
static void show(const char *who, struct tool *t) {
    if (runs(t->pid))
        (void)tool_expect(t, "\1", 100);
    else
        tool_wait(t, 1000);
    size_t out = t->out_len > SHOWN ? t->out_len - SHOWN : 0, err = t->err_len > SHOWN ? t->err_len - SHOWN : 0;
    printf("%s: exit code %d (-1: it runs), after %.1f s\nstdout: %s\nstderr: %s\n", who, t->exit_code,
           (double)(now_ms() - t->start_ms) / 1000, t->out + out, t->err + err);
}

static void must(bool ok, const char *what) {
    if (ok) return;
    printf("FAIL %s\n", what);
    if (daemon_tool.start_ms) show("the daemon", &daemon_tool);
    for (unsigned i = 0; i < OTHERS; i++)
        if (others[i].client.start_ms) show("the client of another session", &others[i].client);
    printf("1 failed\n");
    exit(1);
}

static void other_start(struct other *o) {
    tool_startf(&o->client, "--attach %d -o %s", (int)o->target.pid, o->out);
    must(!tool_expect(&o->client, "racing", 30000), "no other session");
}

static void daemon_start(const struct interp *ip) {
    char spool[96];
    strcpy(dir, "/tmp/daemon-kill-XXXXXX");
    must(mkdtemp(dir) != NULL, "no folder");
    snprintf(faults, sizeof faults, "%s/faults-", dir);
    snprintf(spool, sizeof spool, "%s/spool", dir);
    snprintf(socket_path, sizeof socket_path, "%s/sock", dir);
    setenv("VT_FAULT_ENV", faults, 1);
    setenv("VIZTRACERD_SOCKET", socket_path, 1);
    const char *args[] = {"--socket", socket_path, "--spool-dir", spool, NULL}, *program = getenv("VT_DAEMON");
    must(!tool_start(&daemon_tool, args, &(struct tool_opts){.program = program ? program : "viztracerd"}), "no daemon");
    for (int i = 0; i < 500 && access(socket_path, F_OK); i++) sleep_ms(20);
    for (unsigned i = 0; i < OTHERS; i++) {
        struct other *o = &others[i];
        o->out = strdup(temp_path(".vzt"));
        must(!target_spawn(&o->target, ip, "clocked.py", NULL, NULL), "no other target");
        other_start(o);
    }
}

/* Takes what a program has said, and makes room in the buffers: they keep what comes first. */
static void take_output(struct tool *t) {
    (void)tool_expect(t, "\1", 1);
    struct {
        char *text;
        size_t *len;
    } streams[] = {{t->out, &t->out_len}, {t->err, &t->err_len}};
    for (unsigned i = 0; i < VT_ARRAY_LEN(streams); i++) {
        if (*streams[i].len < 2 * SHOWN) continue;
        memmove(streams[i].text, streams[i].text + *streams[i].len - SHOWN, SHOWN + 1);
        *streams[i].len = SHOWN;
    }
}

/* The client has ended: its trace is saved and readable. */
static void other_saved(struct other *o) {
    struct tool tool;
    struct stat st;
    must(!o->client.exit_code, "the client of another session failed");
    must(!stat(o->out, &st) && st.st_size > 1000, "another session saved nothing");
    tool_startf(&tool, "report %s", o->out);
    tool_wait(&tool, 300000);
    if (tool.exit_code || !strstr(tool.out, "tick"))
        show("report", &tool), must(false, "another session's trace is not readable");
    unlink(o->out);
}

/* A session may end when the daemon had no CPU for the time of its lease, as with sanitizers on a machine with other work. Its
 * trace is saved then, too, and it starts again. */
static void others_go_on(void) {
    must(runs(daemon_tool.pid), "the daemon died");
    for (unsigned i = 0; i < OTHERS; i++) {
        struct other *o = &others[i];
        if (!runs(o->client.pid)) {
            tool_wait(&o->client, 1000);
            must(strstr(o->client.out, "lost touch with the target") != NULL, "the client of another session ended");
            other_saved(o);
            other_start(o);
            starved++;
        }
        must(!target_progresses(&o->target, 1, 30000), "the target of another session does not run on");
        take_output(&o->client);
    }
    take_output(&daemon_tool);
}

static void daemon_end(void) {
    struct tool tool;
    char command[128];
    for (unsigned i = 0; i < OTHERS; i++) {
        kill(others[i].client.pid, SIGINT);
        tool_wait(&others[i].client, 60000);
        other_saved(&others[i]);
        target_kill(&others[i].target);
    }
    tool_runf(&tool, "status"); /* of every daemon of this host: others may have sessions */
    for (unsigned i = 0; i < OTHERS; i++) {
        snprintf(command, sizeof command, "\n%d ", (int)others[i].target.pid);
        must(!tool.exit_code && !strstr(tool.out, command), "a session is left");
    }
    kill(daemon_tool.pid, SIGTERM);
    must(!tool_wait(&daemon_tool, 30000), "the daemon ended with an error");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    must(!system(command), "cannot remove the folder");
}

/* ---- steps ---- */

/* The steps of an attach and of the stop of a target that does not run, by name. */
static void learn_steps(struct victim *v) {
    struct tool tool;
    char name[64];
    set_faults(v->t.pid, "VT_FAULT_LOG=1\n");
    tool_runf(&tool, "--attach %d -t 0.1 -o %s", (int)v->t.pid, temp_path(".vzt"));
    must(tool.exit_code == 0, "a plain attach fails");
    (void)tool_expect(&daemon_tool, "\1", 200);
    for (char *at = daemon_tool.err; (at = strstr(at, "rung ")); at++) {
        if (sscanf(at, "rung %63s", name) != 1) continue;
        unsigned i = 0;
        while (i < nsteps && strcmp(steps[i], name)) i++;
        if (i == nsteps && nsteps < STEPS_MAX) strcpy(steps[nsteps++], name);
    }
    must(nsteps >= 20, "this is no build with FAULTS=1: too few steps");
}

static bool attach_again(struct victim *v, const char *how) {
    struct tool tool;
    const char *out = temp_path(".vzt");
    set_faults(v->t.pid, "");
    for (uint64_t limit = now_ms() + AGAIN_MS;; sleep_ms(50)) {
        tool_runf(&tool, "--attach %d -t 0.05 -o %s", (int)v->t.pid, out);
        if (!tool.exit_code || now_ms() > limit) break;
    }
    bool ok = !tool.exit_code && !access(out, F_OK);
    if (!ok) wrong(v, how, tool.err);
    unlink(out);
    return ok;
}

static bool unharmed(struct victim *v, const char *how) {
    const char *bad = victim_check(v);
    if (!bad) return true;
    wrong(v, how, bad);
    return false;
}

/* The helper that attaches is killed, and the one that then removes the agent, too. */
static bool kill_attach(struct victim *v, const char *setting) {
    struct tool tool;
    const char *out = temp_path(".vzt");
    char text[160];
    snprintf(text, sizeof text, "VT_BOOT_WAIT_MS=60\n%s\n", setting);
    set_faults(v->t.pid, text);
    tool_runf(&tool, "--attach %d -t 0.05 -o %s", (int)v->t.pid, out);
    bool saved = !access(out, F_OK);
    unlink(out);
    __atomic_fetch_add(tool.exit_code == 1 ? &total->kills : &total->finished, 1, __ATOMIC_RELAXED);
    if (tool.exit_code == 1 ? !tool_one_line(&tool) || saved : tool.exit_code || !saved) {
        snprintf(text, sizeof text, "exit %d, saved %d: %.100s", tool.exit_code, saved, tool.err);
        wrong(v, setting, text);
    }
    return unharmed(v, setting) && attach_again(v, setting) && unharmed(v, "the attach after that");
}

/* Only the helper that removes the agent is killed. */
static bool kill_stop(struct victim *v, const char *setting) {
    struct tool tool;
    const char *out = temp_path(".vzt");
    char text[1024];
    set_faults(v->t.pid, "");
    tool_startf(&tool, "--attach %d -o %s", (int)v->t.pid, out);
    if (tool_expect(&tool, "racing", 20000)) {
        tool_kill(&tool);
        wrong(v, setting, tool.err);
        return false;
    }
    snprintf(text, sizeof text, "VT_BOOT_WAIT_MS=60\n%s\n", setting);
    set_faults(v->t.pid, text);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 30000);
    bool saved = !access(out, F_OK);
    unlink(out);
    __atomic_fetch_add(&total->stops, 1, __ATOMIC_RELAXED);
    bool said = strstr(tool.out, "process that removes the hooks was"), blamed = strstr(tool.out, "GIL");
    if (said) __atomic_fetch_add(&total->said, 1, __ATOMIC_RELAXED);
    if (tool.exit_code || !saved || blamed) {
        snprintf(text, sizeof text, "the stop: exit %d, saved %d, after %.1f s: %.400s %.400s", tool.exit_code, saved,
                 (double)tool.took_ms / 1000, tool.out, tool.err);
        wrong(v, setting, text);
    }
    return unharmed(v, setting) && attach_again(v, setting) && unharmed(v, "the attach after that");
}

/* ---- a daemon that ends ---- */

static bool gone(pid_t pid, unsigned ms) {
    uint64_t limit = now_ms() + ms;
    while (!kill(pid, 0) && now_ms() < limit) sleep_ms(10);
    return kill(pid, 0) != 0;
}

/* A private daemon ends while its helper is at some step: the helper ends with it. */
static void end_of_daemon(const struct interp *ip, const char *step, int number) {
    struct tool tool;
    struct victim v;
    char text[96];
    const char *out = temp_path(".vzt");
    if (victim_start(&v, ip, &victim_kinds[0])) must(false, "a victim does not start");
    snprintf(text, sizeof text, "VT_BOOT_WAIT_MS=60\nVT_SLEEP=%s:40000\n", step);
    set_faults(v.t.pid, text);
    tool_start(&tool, (const char *[]){"--attach", pid_text(v.t.pid), "-o", out, NULL}, NULL);
    pid_t daemon = -1, helper = -1;
    for (int i = 0; i < 500 && helper < 0; i++, sleep_ms(20)) {
        daemon = process_below(tool.pid, "viztracerd");
        if (daemon > 0) helper = process_below(daemon, "viztracerd-help");
    }
    sleep_ms(300);
    must(helper > 0 && !kill(helper, 0), "a helper that sleeps at a step is not found");
    kill(daemon, number);
    snprintf(text, sizeof text, "end of its daemon by signal %d at %s", number, step);
    if (!gone(helper, 20000)) wrong(&v, text, "the helper is left behind");
    tool_wait(&tool, 30000);
    if (tool.exit_code != 1 || !tool_one_line(&tool) || !access(out, F_OK)) wrong(&v, text, tool.err);
    if (unharmed(&v, text)) attach_again(&v, text);
    victim_stop(&v);
}

/* ---- workers ---- */

static const struct plan {
    const char *kind;
    bool stop; /* kills the helper of the stop */
} plans[WORKERS] = {{"busy", false}, {"read", true}, {"sleep", false}, {"busy4", false}};

/* Every stride-th step from `first` on, again and again until there were enough. */
static void torment(const struct interp *ip, const struct plan *plan, unsigned first, unsigned stride, unsigned wanted,
                    uint64_t until) {
    struct victim v;
    char setting[96];
    unsigned k = 0;
    while (k < victim_nkinds && strcmp(victim_kinds[k].name, plan->kind)) k++;
    if (victim_start(&v, ip, &victim_kinds[k])) must(false, "a victim does not start");
    for (unsigned i = first, n = 0; n < wanted && now_ms() < until; i += stride, n++) {
        snprintf(setting, sizeof setting, "VT_KILL=%s%s", steps[i % nsteps], i / nsteps % 2 ? ":" LATE_US : "");
        if (plan->stop ? kill_stop(&v, setting) : kill_attach(&v, setting)) continue;
        victim_stop(&v);
        if (victim_start(&v, ip, &victim_kinds[k])) must(false, "a victim does not start");
    }
    victim_stop(&v);
}

static const struct {
    const char *step;
    int number;
} ends[] = {{"asked", SIGKILL}, {"thread", SIGKILL}, {"wait", SIGKILL}, {"fill", SIGTERM}};

int main(void) {
    size_t n;
    const struct interp *list = interp_list(&n);
    bool all = suite_long();
    struct victim v;
    pid_t workers[WORKERS];
    setvbuf(stdout, NULL, _IOLBF, 0);
    total = mmap(NULL, sizeof *total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(total != MAP_FAILED, "no memory");
    const char *bad = victim_tools(), *seconds = getenv("VT_SECONDS");
    must(!bad, bad);
    size_t plain = 0; /* not in a chroot: the checker is needed */
    while (plain < n && list[plain].root[0]) plain++;
    must(plain < n, "no interpreter");
    daemon_start(&list[plain]);
    must(!victim_start(&v, &list[plain], &victim_kinds[5]), "no victim");
    learn_steps(&v);
    victim_stop(&v);
    uint64_t until = now_ms() + 1000 * (seconds ? (unsigned)atoi(seconds) : all ? 6000u : SHORT_SECONDS);
    unsigned wanted = all && seconds ? UINT_MAX : all ? 2000 / WORKERS : (nsteps + 2) / 3;
    pid_t parent = getpid();
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = fork();
        must(workers[i] >= 0, "fork");
        if (workers[i]) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        for (unsigned done = 0; done < wanted && now_ms() < until; done += 50)
            torment(&list[(i + done / 50) % n], &plans[i], i + done * 3, 3, wanted - done < 50 ? wanted - done : 50, until);
        fflush(stdout);
        _exit(0);
    }
    for (unsigned left = WORKERS; left; sleep_ms(100)) {
        int status;
        others_go_on();
        for (unsigned i = 0; i < WORKERS; i++)
            if (workers[i] && waitpid(workers[i], &status, WNOHANG) == workers[i]) {
                workers[i] = 0;
                left--;
                must(status == 0, "a worker failed");
            }
    }
    setenv("VIZTRACERD_SOCKET", "none", 1);
    for (unsigned i = 0; i < VT_ARRAY_LEN(ends); i++) end_of_daemon(&list[plain], ends[i].step, ends[i].number);
    setenv("VIZTRACERD_SOCKET", socket_path, 1);
    daemon_end();
    if (!total->said) printf("FAIL: no client was told that the helper of the stop was killed\n"), total->failed++;
    if (starved) printf("%u times another session ended for lack of CPU, with its trace saved\n", starved);
    printf(
        "%u kills of the helper that attaches (%u times it had ended before), %u of the helper that removes the agent, %u steps: "
        "%u failed\n",
        total->kills, total->finished, total->stops, nsteps, total->failed);
    if (total->kills < nsteps / 4) printf("FAIL: too few kills\n"), total->failed++;
    printf("%u passed, %u failed, 0 skipped\n", total->kills + total->stops, total->failed);
    return total->failed != 0;
}
