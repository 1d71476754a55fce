/* Owns reading /proc/PID/status and stat, and the identity of a process: pid and start time, because the kernel reuses pids. */
#include "attach/attach_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESS_FLAG_KTHREAD 0x00200000u

/* Value of "\nName:\t" in a status text, or NULL. */
static const char *field(const char *status, const char *name) {
    size_t n = strlen(name);
    for (const char *line = status; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, name, n) || line[n] != ':') continue;
        line += n + 1;
        while (*line == ' ' || *line == '\t') line++;
        return line;
    }
    return NULL;
}

static long number(const char *status, const char *name) {
    const char *v = field(status, name);
    return v ? strtol(v, NULL, 10) : 0;
}

static uint32_t filters(const char *status) {
    if (field(status, "Seccomp_filters")) return (uint32_t)number(status, "Seccomp_filters");
    return number(status, "Seccomp") == 2;
}

static void four(const char *status, const char *name, uint32_t out[4]) {
    const char *v = field(status, name);
    for (unsigned i = 0; v && i < 4; i++) {
        char *end;
        out[i] = (uint32_t)strtoul(v, &end, 10);
        v = end;
    }
}

static uint32_t groups(const char *status, gid_t out[CREDS_GROUPS]) {
    uint32_t n = 0;
    for (const char *v = field(status, "Groups"); v && n < CREDS_GROUPS;) {
        char *end;
        while (*v == ' ') v++;
        if (*v < '0' || *v > '9') break; /* the end of the line: strtoul would continue on the next line */
        out[n++] = (gid_t)strtoul(v, &end, 10);
        v = end;
    }
    return n;
}

/* The last number of a line: NSpid lists our view first and the target's own last. */
static long last_number(const char *v) {
    long last = 0;
    while (v && *v && *v != '\n') {
        char *end;
        long n = strtol(v, &end, 10);
        if (end == v) break;
        last = n;
        v = end;
        while (*v == ' ' || *v == '\t') v++;
    }
    return last;
}

/* Field `index` (as proc(5) counts) of a stat line. The name in field 2 may contain blanks and ')'. */
static bool stat_field(const char *stat, unsigned index, uint64_t *out) {
    const char *at = strrchr(stat, ')');
    if (!at) return false;
    at++;
    for (unsigned i = 3;; i++) {
        while (*at == ' ') at++;
        if (!*at) return false;
        if (i == index) break;
        while (*at && *at != ' ') at++;
    }
    char *end;
    *out = strtoull(at, &end, 10);
    return end != at;
}

static void copy_line(char *buf, size_t size, const char *from) {
    size_t n = strcspn(from, "\n");
    if (n >= size) n = size - 1;
    memcpy(buf, from, n);
    buf[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)buf[i] < ' ' || buf[i] == 0x7f) buf[i] = '?';
}

int target_status_parse(const char *status, const char *stat, struct target_status *out) {
    *out = (struct target_status){0};
    const char *state = field(status, "State"), *name = field(status, "Name"), *caps = field(status, "CapPrm"),
               *effective = field(status, "CapEff");
    uint64_t flags = 0;
    if (!state || !field(status, "Tgid")) return -EINVAL;
    if (!stat_field(stat, 9, &flags) || !stat_field(stat, 22, &out->start_time)) return -EINVAL;
    out->state = *state;
    out->tgid = (pid_t)number(status, "Tgid");
    out->ppid = (pid_t)number(status, "PPid");
    out->tracer = (pid_t)number(status, "TracerPid");
    out->ns_pid = (pid_t)last_number(field(status, "NSpid"));
    if (!out->ns_pid) out->ns_pid = out->tgid;
    if (name) copy_line(out->comm, sizeof(out->comm), name);
    four(status, "Uid", out->uid);
    four(status, "Gid", out->gid);
    out->ngroups = groups(status, out->groups);
    if (caps) out->cap_permitted = strtoull(caps, NULL, 16);
    if (effective) out->cap_effective = strtoull(effective, NULL, 16);
    out->seccomp = (int)number(status, "Seccomp");
    out->filters = filters(status);
    out->no_new_privs = number(status, "NoNewPrivs") != 0;
    out->has_memory = field(status, "VmSize") != NULL;
    out->kernel_thread = flags & PROCESS_FLAG_KTHREAD;
    return 0;
}

int target_status_read(pid_t pid, struct target_status *out) {
    char path[64], status[8192], stat[1024];
    if (pid <= 0) return -ESRCH;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    int rc = vt_read_file(path, status, sizeof(status), NULL);
    if (!rc || rc == -E2BIG) {
        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        rc = vt_read_file(path, stat, sizeof(stat), NULL);
    }
    if (rc) return rc == -ENOENT ? -ESRCH : rc;
    return target_status_parse(status, stat, out);
}

uint32_t target_thread_filters(pid_t pid, pid_t tid) {
    char path[64], status[8192];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
    int rc = vt_read_file(path, status, sizeof(status), NULL);
    return !rc || rc == -E2BIG ? filters(status) : 0;
}

int target_check(pid_t pid, uint64_t start_time) {
    char path[64], stat[1024];
    uint64_t start;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int rc = vt_read_file(path, stat, sizeof(stat), NULL);
    if (rc) return rc == -ENOENT ? -ESRCH : rc;
    return stat_field(stat, 22, &start) && start == start_time ? 0 : -ESRCH;
}

void target_comm(pid_t pid, char *buf, size_t size) {
    char path[64], text[64];
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    if (pid <= 0 || vt_read_file(path, text, sizeof(text), NULL))
        snprintf(buf, size, "?");
    else
        copy_line(buf, size, text);
}
