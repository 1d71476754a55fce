/* Owns the fault points of fault.h. A normal build contains none of this. */
#include "attach/fault.h"

#ifdef VT_FAULTS
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base.h"

static void wait_us(long us) {
    for (uint64_t end = vt_mono_ns() + (uint64_t)us * 1000; vt_mono_ns() < end;) {
        struct timespec slice = {0, 50000};
        nanosleep(&slice, NULL);
    }
}

static void maybe_kill(const char *rung) {
    const char *spec = getenv("VT_KILL");
    if (!spec) return;
    size_t len = strcspn(spec, ":");
    if (strlen(rung) != len || strncmp(spec, rung, len)) return;
    if (spec[len] == ':') wait_us(atol(spec + len + 1));
    kill(getpid(), SIGKILL);
}

static void maybe_sleep(const char *rung) {
    static bool slept;
    const char *spec = getenv("VT_SLEEP");
    size_t len = strlen(rung);
    if (slept || !spec || strncmp(spec, rung, len) || spec[len] != ':') return;
    slept = true;
    wait_us(atol(spec + len + 1) * 1000);
}

int fault_point(const char *rung) {
    static bool failed;
    const char *fault = getenv("VT_FAULT");
    if (getenv("VT_FAULT_LOG")) fprintf(stderr, "rung %s\n", rung);
    maybe_kill(rung);
    maybe_sleep(rung);
    if (failed || !fault || strcmp(fault, rung)) return 0;
    failed = true;
    return -EIO;
}

void fault_seized(void) {
    static bool armed;
    const char *after = getenv("VT_KILL_AFTER");
    if (armed || !after) return;
    armed = true;
    long us = atol(after);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec when = {.it_value = {us / 1000000, us % 1000000 * 1000 + 1}};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &when, NULL)) perror("VT_KILL_AFTER");
}

uint64_t fault_boot_wait_ns(uint64_t usual) {
    const char *ms = getenv("VT_BOOT_WAIT_MS");
    return ms ? (uint64_t)atol(ms) * 1000000 : usual;
}
void fault_env(char **env, size_t room, int pid) {
    static char text[512];
    const char *prefix = getenv("VT_FAULT_ENV");
    char path[256];
    size_t len;
    if (!prefix) return;
    snprintf(path, sizeof path, "%s%d", prefix, pid);
    if (vt_read_file(path, text, sizeof text, &len)) return;
    while (*env) env++;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line && room; line = strtok_r(NULL, "\n", &save), room--)
        *env++ = line;
    *env = NULL;
}
#else
typedef int fault_not_built; /* ISO C forbids an empty file */
#endif
