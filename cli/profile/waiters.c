/* Owns the callers of functions that wait (waiters.h). */
#include "cli/profile/waiters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"
#include "cli/trace/waits.h"

#define SEEN_MAX 64u /* callers looked at for one wait */

struct waiter {
    uint32_t fn;
    bool in_loop;
    uint64_t ns;
};

struct waiters_function {
    uint8_t bits;
    bool by_hand;     /* a person wrote it, and it is not all of a script */
    uint32_t n, last; /* last: the one that was added to */
    struct waiter *list;
};

struct waiters {
    struct trace_name *const *names; /* of the walk */
    uint32_t nfunctions;
    struct waiters_function functions[];
};

int waiters_new(const struct trace_writer *walk, struct waiters **out) {
    struct waiters *w = memory_calloc(1, sizeof *w + walk->nfunctions * sizeof w->functions[0]);
    if (!w) return -ENOMEM;
    w->names = walk->functions;
    w->nfunctions = walk->nfunctions;
    for (uint32_t i = 0; i < w->nfunctions; i++) {
        w->functions[i].bits = (uint8_t)waits_of(w->names[i]);
        bool script = w->names[i]->name_len == 8 && !memcmp(w->names[i]->name, "<module>", 8);
        w->functions[i].by_hand = !script && !waits_in_library(w->names[i]);
    }
    *out = w;
    return 0;
}

void waiters_free(struct waiters *w) {
    if (!w) return;
    for (uint32_t i = 0; i < w->nfunctions; i++) memory_free(w->functions[i].list);
    memory_free(w);
}

unsigned waiters_bits(const struct waiters *w, uint32_t fn) { return w->functions[fn].bits; }

/* The nearest caller that a person wrote; without one, the nearest that does not wait itself. UINT32_MAX = none. */
static uint32_t caller(const struct waiters *w, const struct walk_thread *t) {
    uint32_t other = UINT32_MAX;
    for (uint32_t at = t->depth - 1, seen = 0; at-- > 0 && seen < SEEN_MAX; seen++) {
        uint32_t fn = t->frames[at].fn;
        if (w->functions[fn].by_hand) return fn;
        if (other == UINT32_MAX && !(w->functions[fn].bits & WAITS)) other = fn;
    }
    return other;
}

int waiters_add(struct waiters *w, const struct walk_thread *t, bool in_loop, uint64_t ns) {
    struct waiters_function *f = &w->functions[t->frames[t->depth - 1].fn];
    uint32_t fn = caller(w, t);
    if (fn == UINT32_MAX) return 0;
    uint32_t at = f->last;
    if (at >= f->n || f->list[at].fn != fn || f->list[at].in_loop != in_loop)
        for (at = 0; at < f->n && (f->list[at].fn != fn || f->list[at].in_loop != in_loop);) at++;
    if (at == WAITERS_MAX) return 0;
    if (at == f->n) {
        if (!(f->n & (f->n - 1))) { /* full: 0, 1, 2, 4 ... */
            struct waiter *grown = memory_realloc(f->list, (f->n ? 2 * f->n : 1) * sizeof *grown);
            if (!grown) return -ENOMEM;
            f->list = grown;
        }
        f->list[f->n++] = (struct waiter){.fn = fn, .in_loop = in_loop};
    }
    f->list[at].ns += ns;
    f->last = at;
    return 0;
}

const struct trace_name *waiters_most(const struct waiters *w, uint32_t fn, bool in_loop) {
    const struct waiters_function *f = &w->functions[fn];
    const struct waiter *most = NULL;
    for (uint32_t i = 0; i < f->n; i++)
        if (f->list[i].in_loop == in_loop && (!most || f->list[i].ns > most->ns)) most = &f->list[i];
    return most ? w->names[most->fn] : NULL;
}
