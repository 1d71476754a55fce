/* Owns the making of a large trace (trace_service.h). */
#include "tests/lib/trace_service.h"

#include <stdio.h>

enum { THREADS = 4, NAMES = 500, DEPTH = 40 };

static uint64_t state = 88172645463325252ull;
static uint32_t dice(uint32_t n) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

void trace_service_make(struct trace_build *b, uint64_t calls) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    static uint32_t stack[THREADS][DEPTH], depth[THREADS];
    static uint64_t ticks[THREADS];
    trace_build_open(b);
    for (uint32_t id = 1; id <= NAMES; id++) {
        char name[32];
        snprintf(name, sizeof name, "Class%u.method_%u", id % 50, id);
        trace_build_name(b, id, 0, name, "service/handlers.py", id * 7);
    }
    for (uint64_t made = 0, k = 0; made < calls; k++) {
        uint32_t t = (uint32_t)(k % THREADS);
        for (uint32_t i = 0; i < VT_BLOCK_EVENTS; i++) {
            bool enter = !depth[t] || (depth[t] < DEPTH && dice(2));
            uint32_t top = depth[t] ? stack[t][depth[t] - 1] : 0;
            ticks[t] += dice(256) ? 20 + dice(300) : dice(1000000);
            if (enter) { /* a function calls few others, again and again */
                stack[t][depth[t]++] = 1 + (top * 7 + dice(dice(8) ? 2 : 20)) % NAMES;
                made++;
            } else {
                depth[t]--;
            }
            ev[i] = (struct vt_event){
                .ticks = ticks[t], .type = enter ? VT_REC_CALL : VT_REC_RETURN, .id = enter ? stack[t][depth[t] - 1] : top};
        }
        trace_build_block(b, t, t + 1, 100 + t, ev, VT_BLOCK_EVENTS);
    }
    trace_build_end(b, 0, 0);
    trace_build_close(b);
}
