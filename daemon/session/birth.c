/* Owns reading where a process comes from (birth.h). */
#include "daemon/session/birth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PARENT = 1, START = 19 }; /* fields behind the name, from 0 */

int birth_of_stat(const char *stat, uint64_t hz, uint64_t boot_minus_mono, struct birth *b) {
    const char *at = strrchr(stat, ')'); /* the name may hold blanks and brackets */
    *b = (struct birth){0};
    if (!at || at[1] != ' ' || !hz) return -EBADMSG;
    at += 2;
    for (int field = 0; field <= START; field++) {
        const char *end = at + strcspn(at, " \n");
        if ((field == PARENT || field == START) && (*at < '0' || *at > '9')) return -EBADMSG;
        if (field == PARENT) b->parent_pid = (uint32_t)strtoul(at, NULL, 10);
        if (field == START) {
            uint64_t ticks = strtoull(at, NULL, 10), ns = ticks / hz * 1000000000u + ticks % hz * 1000000000u / hz;
            b->born_ns = ns > boot_minus_mono ? ns - boot_minus_mono : 0;
            return 0;
        }
        if (*end != ' ') return -EBADMSG;
        at = end + 1;
    }
    return -EBADMSG;
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec ts;
    return clock_gettime(clock, &ts) ? 0 : (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int birth_read(pid_t pid, struct birth *b) {
    char path[64], text[1024];
    size_t len;
    long hz = sysconf(_SC_CLK_TCK);
    uint64_t mono = clock_ns(CLOCK_MONOTONIC), boot = clock_ns(CLOCK_BOOTTIME);
    *b = (struct birth){0};
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int rc = vt_read_file(path, text, sizeof(text), &len);
    return rc ? rc : birth_of_stat(text, hz > 0 ? (uint64_t)hz : 0, boot > mono ? boot - mono : 0, b);
}
