/* Owns the order of the calls of one thread (lane.h). */
#include "cli/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDING_NS 2u /* start and length of a call are rounded each on its own */

static int grow(void **list, size_t n, size_t *room, size_t size) {
    if (n < *room) return 0;
    size_t more = *room ? *room * 2 : 64;
    void *grown = realloc(*list, more * size);
    if (!grown) return -ENOMEM;
    *list = grown;
    *room = more;
    return 0;
}

int lane_fit(struct lane *lane, uint64_t *start, uint64_t *end) {
    if (*end < lane->last_end) {
        if (lane->last_end - *end > ROUNDING_NS) return 1;
        *end = lane->last_end;
    }
    uint64_t first = *start, inside = UINT64_MAX; /* start of the first call that this one is around */
    while (lane->nspans && lane->spans[lane->nspans - 1].start >= *start) inside = lane->spans[--lane->nspans].mended;
    uint64_t before = lane->nspans ? lane->spans[lane->nspans - 1].end : 0; /* end of the call in front of it */
    if (before > *start) {
        if (before - *start > ROUNDING_NS) return 1;
        first = *start = before;
    }
    if (*start >= inside && inside && inside > before) *start = inside - 1;
    if (*end < *start) *end = *start;
    lane->last_end = *end;
    int rc = grow((void **)&lane->spans, lane->nspans, &lane->spans_room, sizeof *lane->spans);
    if (!rc) lane->spans[lane->nspans++] = (struct lane_span){.start = first, .end = *end, .mended = *start};
    return rc;
}

bool lane_fits_open(struct lane *lane, uint64_t start) {
    while (lane->nspans && lane->spans[lane->nspans - 1].start >= start) lane->nspans--;
    return !lane->nspans || lane->spans[lane->nspans - 1].end <= start;
}

int lane_hold(struct lane *lane, uint32_t name, uint64_t start, uint64_t end, const char *args, size_t args_len) {
    int rc = grow((void **)&lane->calls, lane->ncalls, &lane->calls_room, sizeof *lane->calls);
    if (rc || lane->ncalls == UINT32_MAX) return -ENOMEM;
    while (lane->nargs + args_len > lane->args_room && !rc) rc = grow((void **)&lane->args, lane->args_room, &lane->args_room, 1);
    if (rc) return rc;
    if (args_len) memcpy(lane->args + lane->nargs, args, args_len);
    lane->calls[lane->ncalls] = (struct lane_call){.start = start,
                                                   .end = end,
                                                   .name = name,
                                                   .seq = (uint32_t)lane->ncalls,
                                                   .args_at = lane->nargs,
                                                   .args_len = (uint32_t)args_len};
    lane->ncalls++;
    lane->nargs += args_len;
    return 0;
}

/* Outer calls first: of those that begin and end together the one that the file has last, as callers follow callees;
 * open ones stand in the file as they were entered. */
static int compare(const void *a, const void *b) {
    const struct lane_call *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    if (x->end != y->end) return x->end > y->end ? -1 : 1;
    return (x->seq < y->seq) == (x->end == LANE_OPEN) ? -1 : 1;
}

struct giver {
    struct lane *lane;
    int (*give)(void *, const struct lane_call *, const char *);
    void *ctx;
    uint32_t *stack; /* calls that are around the place we are at */
    size_t depth;
};

static int give_one(const struct giver *g, const struct lane_call *call) {
    return g->give(g->ctx, call, call->args_len ? g->lane->args + call->args_at : NULL);
}

int lane_give(struct lane *lane, int (*give)(void *, const struct lane_call *, const char *), void *ctx, uint64_t *cut) {
    struct giver g = {.lane = lane, .give = give, .ctx = ctx};
    int rc = 0;
    if (!lane->ncalls) return 0;
    g.stack = malloc(lane->ncalls * sizeof *g.stack);
    if (!g.stack) return -ENOMEM;
    qsort(lane->calls, lane->ncalls, sizeof *lane->calls, compare);
    for (size_t i = 0; i < lane->ncalls && !rc; i++) {
        struct lane_call *call = &lane->calls[i];
        while (g.depth && lane->calls[g.stack[g.depth - 1]].end <= call->start && !rc)
            rc = give_one(&g, &lane->calls[g.stack[--g.depth]]);
        if (g.depth && call->end > lane->calls[g.stack[g.depth - 1]].end) {
            uint64_t end = lane->calls[g.stack[g.depth - 1]].end;
            if (call->end - end > ROUNDING_NS) ++*cut;
            call->end = end;
        }
        if (g.depth && call->start <= lane->calls[g.stack[g.depth - 1]].start && call->start < call->end) /* 1 ns inside */
            call->start = lane->calls[g.stack[g.depth - 1]].start + 1;
        g.stack[g.depth++] = (uint32_t)i;
    }
    while (g.depth && !rc && lane->calls[g.stack[g.depth - 1]].end != LANE_OPEN)
        rc = give_one(&g, &lane->calls[g.stack[--g.depth]]);
    for (size_t i = 0; i < g.depth && !rc; i++) rc = give_one(&g, &lane->calls[g.stack[i]]);
    free(g.stack);
    return rc;
}

void lane_free(struct lane *lane) {
    free(lane->spans);
    free(lane->calls);
    free(lane->args);
    *lane = (struct lane){0};
}
