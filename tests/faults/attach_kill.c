/* SIGKILL for the injector at every rung and at random instants: the target lives and is as before, and the next attach works.
 * With the real agent and with a minimal one. About 200 kills; VT_LONG=1: more than 2,000. Kills at rungs need a build with
 * FAULTS=1; other builds kill at random only. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/attach_victim.h"
#include "tests/lib/suite.h"

#define RUNGS_MAX 128
#define LATE_US "1500" /* a second kill at the same rung, after a while spent in it */

static char rungs[RUNGS_MAX][64];
static unsigned nrungs;
static struct { unsigned kills, finished, damaged, attach_failed, victims, not_attached; } total;

/* The rungs of one climb, by name, in order. */
static void learn_rungs(struct victim *v) {
    char text[65536], name[64];
    struct injection in;
    int fd = memfd_create("rungs", MFD_CLOEXEC);
    victim_inject(v, (const char *[]){"VT_FAULT_LOG=1", NULL}, fd, &in);
    if (in.end != INJECTOR_OK) printf("%s on %s: a plain attach fails: %s\n", v->kind->name, v->ip->version, in.err.msg);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    for (char *at = text; (at = strstr(at, "rung ")); at++) {
        if (sscanf(at, "rung %63s", name) != 1) continue;
        unsigned i = 0;
        while (i < nrungs && strcmp(rungs[i], name)) i++;
        if (i == nrungs && nrungs < RUNGS_MAX) strcpy(rungs[nrungs++], name);
    }
}

static bool damaged(struct victim *v, const char *how) {
    const char *bad = victim_check(v);
    if (!bad) return false;
    printf("DAMAGED %s on %s by %s: %s\n", v->kind->name, v->ip->version, how, bad);
    total.damaged++;
    const struct interp *ip = v->ip;
    const struct victim_kind *kind = v->kind;
    victim_stop(v);
    if (victim_start(v, ip, kind)) v->t.pid = 0;
    return true;
}

static void kill_once(struct victim *v, const char *setting) {
    struct injection in;
    if (!v->t.pid) return;
    victim_inject(v, (const char *[]){"VT_BOOT_WAIT_MS=60", setting, NULL}, -1, &in);
    total.kills += in.end == INJECTOR_KILLED;
    total.finished += in.end != INJECTOR_KILLED;
    if (in.end == INJECTOR_HANGS) printf("%s on %s, %s: the injector hangs\n", v->kind->name, v->ip->version, setting);
    if (damaged(v, setting)) return;
    victim_inject(v, NULL, -1, &in);
    if (in.end != INJECTOR_OK) {
        printf("%s on %s after %s: the next attach fails: %s\n", v->kind->name, v->ip->version, setting, in.err.msg);
        total.attach_failed++;
    }
    damaged(v, "the attach after that");
}

/* What one victim gets: every `stride`th rung from `first` on, then random instants. */
static void torment(const struct interp *ip, const struct victim_kind *kind, unsigned first, unsigned stride, unsigned at_random,
                    unsigned *seed) {
    struct victim v;
    char setting[160];
    if (victim_start(&v, ip, kind)) {
        printf("%s on %s does not start\n", kind->name, ip->version);
        total.not_attached++;
        return;
    }
    total.victims++;
    learn_rungs(&v);
    unsigned before = total.kills;
    for (unsigned i = first; i < nrungs; i += stride) {
        snprintf(setting, sizeof setting, "VT_KILL=%s%s", rungs[i], (first + i / stride) % 2 ? ":" LATE_US : "");
        kill_once(&v, setting);
    }
    for (unsigned i = 0; i < at_random; i++) {
        snprintf(setting, sizeof setting, "VT_KILL_AFTER=%u", (unsigned)rand_r(seed) % (i % 3 ? 1200u : 4000u));
        kill_once(&v, setting);
    }
    printf("%-10s %-8s %4u kills, progress %lu, EINTR %lu\n", kind->name, ip->version, total.kills - before,
           v.t.pid ? (unsigned long)v.t.slots[0] : 0, v.t.pid ? (unsigned long)v.t.slots[4] : 0);
    fflush(stdout);
    victim_stop(&v);
}

/* Queued signals, each with its number: every one arrives once, whatever becomes of the injector. */
static void send_all(pid_t pid, unsigned count) {
    for (unsigned i = 1; i <= count; i++) {
        while (sigqueue(pid, SIGRTMIN + 1, (union sigval){.sival_int = (int)i}) && errno == EAGAIN) usleep(100);
        usleep(30);
    }
    _exit(0);
}

static void signal_storm(const struct interp *ip, unsigned count, unsigned *seed) {
    static const struct victim_kind kind = {"signals", true, true, false};
    struct victim v;
    char setting[64];
    struct injection in;
    unsigned kills = total.kills;
    int status;
    if (victim_start(&v, ip, &kind)) {
        printf("signals on %s does not start\n", ip->version);
        total.not_attached++;
        return;
    }
    total.victims++;
    pid_t sender = fork();
    if (!sender) send_all(v.t.pid, count);
    while (v.t.pid && waitpid(sender, &status, WNOHANG) == 0) {
        snprintf(setting, sizeof setting, "VT_KILL_AFTER=%u", (unsigned)rand_r(seed) % 900u);
        victim_inject(&v, (const char *[]){"VT_BOOT_WAIT_MS=20", setting, NULL}, -1, &in);
        total.kills += in.end == INJECTOR_KILLED;
        total.finished += in.end != INJECTOR_KILLED;
    }
    if (damaged(&v, "signals and kills together")) return;
    for (int i = 0; i < 200 && v.t.pid && v.t.slots[5] < count; i++) sleep_ms(10);
    uint64_t sum = (uint64_t)count * (count + 1) / 2;
    if (v.t.pid && (v.t.slots[5] != count || v.t.slots[6] != sum)) {
        printf("DAMAGED signals on %s: %lu of %u signals\n", ip->version, (unsigned long)v.t.slots[5], count);
        total.damaged++;
    }
    printf("%-10s %-8s %4u kills, %lu of %u signals\n", kind.name, ip->version, total.kills - kills, (unsigned long)v.t.slots[5],
           count);
    victim_stop(&v);
}

/* The i-th interpreter that can run this kind. */
static const struct interp *interp_for(const struct victim_kind *kind, size_t i) {
    size_t n;
    const struct interp *list = interp_list(&n);
    for (size_t tried = 0; tried < n && kind->checker && list[i % n].root[0]; tried++) i++;
    return &list[i % n];
}

int main(void) {
    size_t n;
    (void)interp_list(&n);
    const char *seed_text = getenv("VT_SEED");
    unsigned seed = seed_text ? (unsigned)atoi(seed_text) : (unsigned)now_ms();
    bool all = suite_long();
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *bad = victim_tools();
    if (bad) {
        printf("%s\n1 failed\n", bad);
        return 1;
    }
    printf("seed %u\n", seed);
    for (unsigned k = 0; k < victim_nkinds; k++) {
        const char *only = getenv("VT_KINDS"); /* for a closer look at one */
        if (only && !strstr(only, victim_kinds[k].name)) continue;
        victim_use_real_agent(k % 2);
        if (!all) { /* each kind once, each rung once in all, interpreters in turn */
            torment(interp_for(&victim_kinds[k], k), &victim_kinds[k], k % 4, 4, 5, &seed);
            continue;
        }
        for (unsigned i = 0; i < 2; i++) {
            victim_use_real_agent((k + i) % 2);
            torment(interp_for(&victim_kinds[k], k + i * (n / 2 + 1)), &victim_kinds[k], 0, 1, 60, &seed);
        }
    }
    signal_storm(interp_for(&victim_kinds[1], 4), all ? 60000 : 10000, &seed);
    printf("%u kills (%u climbs ended before theirs) of %u victims, %u rungs: %u damaged, %u next attaches failed\n", total.kills,
           total.finished, total.victims, nrungs, total.damaged, total.attach_failed);
    unsigned wanted = all ? 2000 : 100;
    bool enough = total.kills >= wanted;
    if (!enough) printf("FAIL: only %u kills of %u wanted\n", total.kills, wanted);
    unsigned failed = total.damaged + total.attach_failed + total.not_attached + !enough;
    printf("%u passed, %u failed, 0 skipped\n", total.kills - (total.damaged < total.kills ? total.damaged : total.kills),
           failed);
    return failed != 0;
}
