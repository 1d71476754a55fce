/* One thread's calls on their way from a file that has them in any order to a writer, which wants them in the order of
 * their end, and nested (writer.h). Files of tracers are in that order but for rounding; a lane mends a rounding of a
 * nanosecond or two as calls pass. When a call does not fit, the lane can hold all calls of its thread instead (40
 * bytes for each, and its arguments) and sort them. */
#ifndef VT_CLI_LANE_H
#define VT_CLI_LANE_H

#include "cli/writer.h"

struct lane { /* all zero = new */
    bool holds;
    uint64_t last_end;
    struct lane_span {       /* calls that have ended and are not yet seen to be inside another one, oldest first */
        uint64_t start, end; /* start as the file has it */
        uint64_t mended;     /* start as handed over: 1 ns before the first call inside */
    } * spans;
    size_t nspans, spans_room;
    struct lane_call {
        uint64_t start, end; /* end: UINT64_MAX = open */
        uint64_t args_at;
        uint32_t args_len, name, seq, pad;
    } * calls;
    size_t ncalls, calls_room;
    char *args;
    size_t nargs, args_room;
};
#define LANE_OPEN UINT64_MAX

/* A call that ended, as the file has it. 0: it fits, start and end may have been mended; 1: it does not; -ENOMEM. */
VT_MUST_CHECK int lane_fit(struct lane *lane, uint64_t *start, uint64_t *end);
/* Would a call that is open since start fit among those that passed? Ask for the innermost first. */
bool lane_fits_open(struct lane *lane, uint64_t start);
/* Keeps a call for later; end LANE_OPEN = still open. -ENOMEM. */
VT_MUST_CHECK int lane_hold(struct lane *lane, uint32_t name, uint64_t start, uint64_t end, const char *args, size_t args_len);
/* Hands what is held to give in the right order; calls that reach out of the call around them end with it, and are
 * counted in *cut. Open ones come last, outermost first. -errno of give, -ENOMEM. */
VT_MUST_CHECK int lane_give(struct lane *lane, int (*give)(void *ctx, const struct lane_call *call, const char *args), void *ctx,
                            uint64_t *cut);
void lane_free(struct lane *lane);

#endif
