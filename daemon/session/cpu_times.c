/* Owns reading the CPU times of threads (cpu_times.h). */
#include "daemon/session/cpu_times.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base.h"

#define UTIME 11 /* fields behind the name, from 0 */
#define STIME 12

int cpu_times_of_stat(const char *stat, uint64_t hz, uint64_t *ns) {
    uint64_t ticks = 0;
    const char *at = strrchr(stat, ')'); /* the name may hold blanks and brackets */
    if (!at || at[1] != ' ' || !hz) return -EBADMSG;
    at += 2;
    for (int field = 0; field <= STIME; field++) {
        const char *end = strchr(at, ' ');
        if (!end) return -EBADMSG;
        if (field == UTIME || field == STIME) {
            if (*at < '0' || *at > '9') return -EBADMSG;
            ticks += strtoull(at, NULL, 10);
        }
        at = end + 1;
    }
    *ns = ticks / hz * 1000000000u + ticks % hz * 1000000000u / hz;
    return 0;
}

/* schedstat counts ns where the kernel has it; stat counts clock ticks. */
static int read_one(pid_t pid, uint32_t tid, uint64_t *ns) {
    static long hz;
    char path[96], text[1024];
    size_t len;
    if (!hz) hz = sysconf(_SC_CLK_TCK);
    snprintf(path, sizeof(path), "/proc/%d/task/%u/schedstat", (int)pid, tid);
    if (!vt_read_file(path, text, sizeof(text), &len) && text[0] >= '1' && text[0] <= '9') {
        *ns = strtoull(text, NULL, 10);
        return 0;
    }
    snprintf(path, sizeof(path), "/proc/%d/task/%u/stat", (int)pid, tid);
    int rc = vt_read_file(path, text, sizeof(text), &len);
    return rc ? rc : cpu_times_of_stat(text, hz > 0 ? (uint64_t)hz : 0, ns);
}

int cpu_times_read(pid_t pid, uint32_t most, Vt__CpuTimes *m) {
    static uint32_t tids[CPU_TIMES_THREADS];
    static uint64_t times[CPU_TIMES_THREADS];
    char path[64];
    vt__cpu_times__init(m);
    m->tids = tids;
    m->cpu_ns = times;
    m->whole = true;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir) return -errno;
    for (struct dirent *e; (e = readdir(dir));) {
        uint32_t tid = (uint32_t)strtoul(e->d_name, NULL, 10);
        if (!tid) continue;
        if (m->n_tids == most || m->n_tids == CPU_TIMES_THREADS) {
            m->whole = false;
            break;
        }
        if (read_one(pid, tid, &times[m->n_tids])) continue; /* it has just ended */
        tids[m->n_tids++] = tid;
    }
    closedir(dir);
    m->n_cpu_ns = m->n_tids;
    return m->n_tids ? 0 : -ESRCH;
}
