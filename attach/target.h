/* What /proc says about a process. */
#ifndef VT_ATTACH_TARGET_H
#define VT_ATTACH_TARGET_H

#include "attach/creds.h"

struct target_status {
    pid_t tgid, ppid, tracer;
    pid_t ns_pid; /* as the target sees itself */
    char state;   /* R S D T t Z X I */
    char comm[64];
    uint32_t uid[4], gid[4]; /* real, effective, saved, file system */
    uint32_t ngroups;        /* of the supplementary groups, the first CREDS_GROUPS */
    gid_t groups[CREDS_GROUPS];
    uint64_t cap_permitted, cap_effective;
    int seccomp;      /* 0 off, 1 strict, 2 filter */
    uint32_t filters; /* seccomp filters of the thread; before Linux 5.9 one for any number */
    bool no_new_privs;
    bool has_memory; /* false: kernel thread or exiting */
    bool kernel_thread;
    uint64_t start_time; /* clock ticks after boot */
};
VT_MUST_CHECK int target_status_parse(const char *status, const char *stat, struct target_status *out);
VT_MUST_CHECK int target_status_read(pid_t pid, struct target_status *out);
/* Seccomp filters of one thread; 0 also when it has just ended. */
uint32_t target_thread_filters(pid_t pid, pid_t tid);
/* 0 while pid is still the process that started then; -ESRCH when it is gone or another one. */
VT_MUST_CHECK int target_check(pid_t pid, uint64_t start_time);
/* NUL-terminated name of a process for messages ("?" when unknown). */
void target_comm(pid_t pid, char *buf, size_t size);

#endif
