/* Owns the mending of rounded calls (cvf_nest.h). */
#include "cli/format/cvf/cvf_nest.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/base/memory.h"

/* Thread by thread, outer calls first. */
static int compare(const void *a, const void *b) {
    const struct cvf_span *x = a, *y = b;
    if (x->pid != y->pid) return x->pid < y->pid ? -1 : 1;
    if (x->tid != y->tid) return x->tid < y->tid ? -1 : 1;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    if (x->end != y->end) return x->end > y->end ? -1 : 1;
    return x->seq > y->seq ? -1 : x->seq < y->seq;
}

struct around {
    const struct cvf_span *span;
    uint64_t end;  /* before it was moved */
    uint64_t free; /* its next callee begins no earlier */
};

/* The call around it is `a`, and the call that went before it in there ended at a->free. */
static void fit(struct cvf_span *s, struct around *a) {
    bool alike = s->start <= a->span->start && s->end == a->span->end && a->span->end > a->span->start;
    uint64_t start = s->start < a->free ? a->free : s->start, end = s->end;
    if (alike && start == a->span->start) start++;
    if (s->end <= a->end && end > a->span->end) end = a->span->end;
    if (start > end && s->end <= a->end) start = a->span->end > start ? start : a->span->end;
    if (end < start) end = start;
    s->moved = start != s->start || end != s->end;
    s->start = start;
    s->end = end;
    a->free = end;
}

int cvf_nest(struct cvf_span *spans, size_t n) {
    struct around *stack = NULL;
    size_t depth = 0, room = 0;
    if (n) qsort(spans, n, sizeof *spans, compare);
    for (size_t i = 0; i < n; i++) {
        struct cvf_span *s = &spans[i];
        bool same = depth && stack[0].span->pid == s->pid && stack[0].span->tid == s->tid;
        if (!same) depth = 0;
        while (depth && stack[depth - 1].end <= s->start) depth--;
        if (depth == room) {
            room = room ? 2 * room : 64;
            struct around *grown = memory_realloc(stack, room * sizeof *grown);
            if (!grown) {
                memory_free(stack);
                return -ENOMEM;
            }
            stack = grown;
        }
        uint64_t end = s->end;
        if (depth) fit(s, &stack[depth - 1]);
        stack[depth++] = (struct around){.span = s, .end = end, .free = s->start};
    }
    memory_free(stack);
    return 0;
}
