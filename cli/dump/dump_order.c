/* Owns the order of threads in a dump, and which of them are told together (dump.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dump/dump.h"

struct ranked {
    const struct outside_thread *thread;
    uint64_t hash; /* of its state and its stack */
    int rank;      /* less comes first */
    pid_t leader;  /* the least id of its group */
};

enum { HOLDS_THE_GIL, RUNS, WAITS_FOR_THE_GIL, WAITS, HAS_NO_FRAMES };

static int rank_of(const struct outside_thread *t) {
    if (t->gil == OUTSIDE_GIL_HOLDS) return HOLDS_THE_GIL;
    if (t->gil == OUTSIDE_GIL_WAITS) return WAITS_FOR_THE_GIL;
    if (t->state == 'R' && t->nframes) return RUNS;
    return t->nframes ? WAITS : HAS_NO_FRAMES;
}

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ull;
    return hash ^ hash >> 29;
}

static uint64_t mix_text(uint64_t hash, const char *text) {
    for (const char *c = text; *c; c++) hash = mix(hash, (uint8_t)*c);
    return mix(hash, 0);
}

static uint64_t mix_frame(uint64_t hash, const struct outside_frame *f) {
    hash = mix(mix(hash, (uint64_t)(uintptr_t)f->code), f->line);
    for (uint32_t i = 0; i < f->nvalues; i++) hash = mix_text(mix_text(hash, f->values[i].name), f->values[i].text);
    return hash;
}

static uint64_t hash_of(const struct outside_thread *t) {
    uint64_t hash = mix(mix(mix(t->interpreter, (uint64_t)t->gil), (uint64_t)t->state), t->torn | t->cut << 1 | t->unread << 2);
    /* each of many threads may wait for a lock of its own, as in Condition.wait() */
    hash = mix(mix(mix(hash, t->lock != 0), (uint64_t)(uintptr_t)t->lock_owner), t->deadlocked);
    hash = mix_text(hash, t->call);
    for (uint32_t i = 0; i < t->nframes; i++) hash = mix_frame(hash, &t->frames[i]);
    return mix(hash, t->changed);
}

static int compare(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int by_group(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank) return x->rank - y->rank;
    if (x->hash != y->hash) return compare(x->hash, y->hash);
    return compare((uint64_t)x->thread->tid, (uint64_t)y->thread->tid);
}

static int by_leader(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank) return x->rank - y->rank;
    if (x->leader != y->leader) return x->leader < y->leader ? -1 : 1;
    return by_group(a, b);
}

static bool same_group(const struct ranked *a, const struct ranked *b) { return a->rank == b->rank && a->hash == b->hash; }

int dump_order_make(struct dump_order *order, const struct outside *o) {
    size_t n;
    const struct outside_thread *threads = outside_threads(o, &n);
    struct ranked *ranked = calloc(n + 1, sizeof(*ranked));
    *order =
        (struct dump_order){.threads = calloc(n + 1, sizeof(*order->threads)), .groups = calloc(n + 1, sizeof(*order->groups))};
    if (!ranked || !order->threads || !order->groups) {
        free(ranked);
        dump_order_free(order);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) ranked[i] = (struct ranked){&threads[i], hash_of(&threads[i]), rank_of(&threads[i]), 0};
    qsort(ranked, n, sizeof(*ranked), by_group);
    for (size_t i = 0; i < n; i++)
        ranked[i].leader = i && same_group(&ranked[i], &ranked[i - 1]) ? ranked[i - 1].leader : ranked[i].thread->tid;
    qsort(ranked, n, sizeof(*ranked), by_leader);
    for (size_t i = 0; i < n; i++) {
        order->threads[order->nthreads++] = ranked[i].thread;
        if (i && same_group(&ranked[i], &ranked[i - 1]))
            order->groups[order->ngroups - 1].n++;
        else
            order->groups[order->ngroups++] = (struct dump_group){(uint32_t)i, 1};
    }
    free(ranked);
    return 0;
}

void dump_order_free(struct dump_order *order) {
    free(order->threads);
    free(order->groups);
    *order = (struct dump_order){0};
}
