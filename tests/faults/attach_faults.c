/* Each rung of the ladder fails in turn. The climb reports it, and the target is as before: registers (the checker), signal
 * masks, descriptors, mappings, threads. The target runs on, and the next attach works. Needs a build with FAULTS=1. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/attach_victim.h"
#include "tests/lib/suite.h"

#define RUNGS_MAX 128
/* The scratch mapping. (What libc keeps of a thread that has been, a stack and a heap, it got at the first attach.) */
#define SCRATCH_KB 72u
/* Torn out of pthread_create, the thread restores itself, and the scratch mapping stays. */
#define STUCK_RUNG "create.syscall"

static unsigned passed, failed;

static unsigned learn_rungs(struct victim *v, char rungs[][64]) {
    char text[65536], name[64];
    struct injection in;
    unsigned count = 0;
    int fd = memfd_create("rungs", MFD_CLOEXEC);
    victim_inject(v, (const char *[]){"VT_FAULT_LOG=1", NULL}, fd, &in);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    for (char *at = text; in.end == INJECTOR_OK && (at = strstr(at, "rung ")); at++) {
        unsigned i = 0;
        if (sscanf(at, "rung %63s", name) != 1) continue;
        while (i < count && strcmp(rungs[i], name)) i++;
        if (i == count && count < RUNGS_MAX) strcpy(rungs[count++], name);
    }
    if (!count) printf("%s on %s: a plain attach fails: %s\n", v->kind->name, v->ip->version, in.err.msg);
    return count;
}

static void verdict(const struct victim *v, const char *rung, const char *bad) {
    if (bad) {
        printf("FAIL %s on %s, rung %s: %s\n", v->kind->name, v->ip->version, rung, bad);
        failed++;
    } else {
        passed++;
    }
}

/* Unnamed memory of a victim that does not allocate by itself. */
static const char *growth(const struct victim *v, const struct victim_state *after, bool stuck) {
    static char why[100];
    unsigned long allowed = v->before.anonymous_kb + (stuck ? SCRATCH_KB : 0);
    if (!v->kind->checker || after->anonymous_kb <= allowed) return NULL;
    snprintf(why, sizeof why, "%lu kB of unnamed memory, was %lu", after->anonymous_kb, v->before.anonymous_kb);
    return why;
}

/* true: this rung does fail when asked to. */
static bool fail_at(struct victim *v, const char *rung) {
    char setting[160];
    struct injection in;
    struct victim_state after;
    snprintf(setting, sizeof setting, "VT_FAULT=%.64s", rung);
    victim_state_take(v, &v->before);
    victim_inject(v, (const char *[]){"VT_BOOT_WAIT_MS=400", setting, NULL}, -1, &in);
    const char *bad = victim_check(v);
    verdict(v, rung, bad);
    if (bad) return true;
    if (in.end == INJECTOR_KILLED || in.end == INJECTOR_HANGS) {
        verdict(v, rung, "the injector ended badly");
        return true;
    }
    if (in.end == INJECTOR_OK) return false; /* a place where nothing can fail */
    verdict(v, rung, in.err.msg[0] ? NULL : "failed without a message");
    if (!strcmp(rung, STUCK_RUNG)) sleep_ms(600);
    victim_state_take(v, &after);
    verdict(v, rung, victim_compare(&v->before, &after));
    verdict(v, rung, growth(v, &after, !strcmp(rung, STUCK_RUNG)));
    victim_inject(v, NULL, -1, &in);
    verdict(v, rung, in.end == INJECTOR_OK ? NULL : in.err.msg);
    verdict(v, rung, victim_check(v));
    return true;
}

static void each_rung(const struct interp *ip, const struct victim_kind *kind) {
    static char rungs[RUNGS_MAX][64];
    struct victim v;
    unsigned failing = 0;
    if (victim_start(&v, ip, kind)) {
        printf("FAIL %s on %s does not start\n", kind->name, ip->version);
        failed++;
        return;
    }
    unsigned n = learn_rungs(&v, rungs);
    if (!n) failed++;
    verdict(&v, "none", victim_check(&v)); /* the first attach's thread has ended too */
    unsigned long kb = v.before.anonymous_kb;
    for (unsigned i = 0; i < n && !v.t.slots[1]; i++) {
        if (!strncmp(rungs[i], "tosyscall", 9)) continue; /* only on the way to a safe place */
        failing += fail_at(&v, rungs[i]);
    }
    victim_state_take(&v, &v.before);
    printf("%-10s %-8s %u rungs, %u can fail; unnamed memory %lu kB, then %lu kB\n", kind->name, ip->version, n, failing, kb,
           v.before.anonymous_kb);
    victim_stop(&v);
}

/* An injector that loses the CPU for so long that the new thread gives it up: it climbs again, and the attach works. */
static void sleeps_at(struct victim *v, const char *rung) {
    char setting[160];
    struct injection in;
    struct victim_state after;
    snprintf(setting, sizeof setting, "VT_SLEEP=%.64s:1500", rung);
    victim_state_take(v, &v->before);
    victim_inject(v, (const char *[]){"VT_BOOT_WAIT_MS=100", setting, NULL}, -1, &in);
    verdict(v, rung, in.end == INJECTOR_OK ? NULL : in.err.msg[0] ? in.err.msg : "slept, then failed without a message");
    verdict(v, rung, in.result.tries == 2 ? NULL : "slept, and did not climb twice");
    verdict(v, rung, victim_check(v));
    victim_state_take(v, &after);
    verdict(v, rung, victim_compare(&v->before, &after));
}

static void late_injector(const struct interp *ip) {
    static const char *const rungs[] = {"fill", "prepare", "go"};
    struct victim v;
    if (victim_start(&v, ip, &victim_kinds[0])) {
        printf("FAIL a victim on %s does not start\n", ip->version);
        failed++;
        return;
    }
    struct injection first; /* what libc sets up for a first thread stays */
    victim_inject(&v, NULL, -1, &first);
    verdict(&v, "none", victim_check(&v));
    for (unsigned i = 0; i < sizeof rungs / sizeof rungs[0]; i++) sleeps_at(&v, rungs[i]);
    victim_stop(&v);
}

int main(void) {
    static const char *const wanted[] = {"registers", "busy", "nanosleep", "read", "lock", "churn"};
    size_t n, next = 0;
    const struct interp *list = interp_list(&n);
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *bad = victim_tools();
    if (bad) {
        printf("%s\n1 failed\n", bad);
        return 1;
    }
    for (unsigned w = 0; w < sizeof wanted / sizeof wanted[0]; w++) {
        const struct victim_kind *kind = victim_kinds;
        while (strcmp(kind->name, wanted[w])) kind++;
        for (size_t i = 0; i < (suite_long() ? n : 1); i++, next++) {
            while (kind->checker && list[next % n].root[0]) next++;
            each_rung(&list[next % n], kind);
        }
    }
    for (size_t i = 0; i < n; i++)
        if (suite_long() || i == n / 2) late_injector(&list[i]);
    printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
