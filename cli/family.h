/* The descendants of processes: which there are, and which are new. Looks at /proc/PID/task/TID/children of every process of
 * the family, Python or not, so that a Python below a shell is found. One thread. */
#ifndef VT_CLI_FAMILY_H
#define VT_CLI_FAMILY_H

#include "proto/base.h"

struct family;

struct family_user {
    void *ctx;
    /* A Python process that is no root and has settled: it was the same program at two looks in a row. False: not now, it is
     * offered again after a while. */
    bool (*found)(void *ctx, pid_t pid);
};

/* -ENOENT: this kernel does not tell children. */
VT_MUST_CHECK int family_new(struct family **out, const pid_t *roots, size_t n, const struct family_user *user);
void family_free(struct family *f); /* NULL is fine */
/* Looks once. Returns the ms to wait before the next look. With that wait, looking takes a few per cent of one CPU. */
int family_look(struct family *f);
/* It is to be offered again, after a while. program: it became another program; else it was refused, perhaps because it was
 * just starting. False: it is not known, or was refused so often that it is not offered again. */
bool family_again(struct family *f, pid_t pid, bool program);
bool family_is_root(const struct family *f, pid_t pid);
/* Is there a Python process that may still be offered? */
bool family_pending(const struct family *f);
/* Python processes that had ended before they were offered. */
uint64_t family_missed(const struct family *f);

#endif
