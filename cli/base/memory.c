/* Owns the count of the memory that readers of traces use (memory.h). */
#include "cli/base/memory.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/figures.h"

static _Atomic uint64_t used, most, limit;
static atomic_bool is_short;

static bool take(size_t size) {
    uint64_t before = atomic_fetch_add_explicit(&used, size, memory_order_relaxed), allowed = atomic_load(&limit);
    if (allowed && before + size > allowed) {
        atomic_fetch_sub_explicit(&used, size, memory_order_relaxed);
        atomic_store(&is_short, true);
        errno = ENOMEM;
        return false;
    }
    if (before + size > atomic_load_explicit(&most, memory_order_relaxed)) atomic_store(&most, before + size);
    return true;
}
static void give(size_t size) { atomic_fetch_sub_explicit(&used, size, memory_order_relaxed); }

/* What an allocation takes is known when it is there: the rest is settled then. */
static void *settle(void *p, size_t taken) {
    size_t real = p ? malloc_usable_size(p) : 0;
    if (real > taken)
        atomic_fetch_add_explicit(&used, real - taken, memory_order_relaxed);
    else
        give(taken - real);
    return p;
}

void *memory_alloc(size_t size) { return take(size) ? settle(malloc(size), size) : NULL; }

void *memory_calloc(size_t n, size_t size) {
    size_t all;
    if (__builtin_mul_overflow(n, size, &all)) return NULL;
    return take(all) ? settle(calloc(n, size), all) : NULL;
}

void *memory_realloc(void *old, size_t size) {
    size_t before = old ? malloc_usable_size(old) : 0;
    if (!take(size)) return NULL; /* while it moves both are there */
    void *p = realloc(old, size);
    if (!p) {
        give(size);
        return NULL;
    }
    give(before);
    return settle(p, size);
}

char *memory_strndup(const char *text, size_t len) {
    char *copy = memory_alloc(len + 1);
    if (!copy) return NULL;
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

char *memory_strdup(const char *text) { return memory_strndup(text, strlen(text)); }

void memory_free(void *p) {
    if (!p) return;
    give(malloc_usable_size(p));
    free(p);
}

void memory_again(void) { atomic_store(&is_short, false); }
void memory_limit(uint64_t bytes) {
    atomic_store(&limit, bytes);
    memory_again();
}

/* Of the machine, or of the container if that is less. */
static uint64_t memory_there_is(void) {
    uint64_t there = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    char text[64];
    size_t len;
    if (vt_read_file("/sys/fs/cgroup/memory.max", text, sizeof text, &len)) return there;
    text[len] = 0;
    uint64_t container = strtoull(text, NULL, 10); /* "max" is 0 */
    return container && container < there ? container : there;
}

void memory_limit_usual(uint64_t given) { memory_limit(given ? given : memory_there_is() / MEMORY_SHARE); }

uint64_t memory_used(void) { return atomic_load(&used); }
uint64_t memory_most(void) { return atomic_load(&most); }
bool memory_is_short(void) { return atomic_load(&is_short); }

int memory_verdict(int rc, const char *file, struct vt_err *err) {
    char text[32];
    if (!memory_is_short()) return rc;
    err->msg[0] = 0;
    return vt_err_set(err, -ENOMEM,
                      "%s: needs more than %s of memory; convert a part of it (--slice, --pid, --tid) or allow more with "
                      "--max_memory",
                      file, format_bytes(text, sizeof text, atomic_load(&limit)));
}
