/* Owns the making of a large trace (trace_service.h). */
#include "tests/lib/trace_service.h"

#include <stdio.h>
#include <string.h>

#include "proto/abi/record.h"

enum { THREADS = 4, NAMES = 500, DEPTH = 40, TEXTS = 1 << 20 };

static uint64_t state = 88172645463325252ull;
static uint64_t next(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}
static uint32_t dice(uint32_t n) { return (uint32_t)(next() >> 33) % n; }

/* The payload of a call: one argument, a text of half to all of `most` characters out of 64. Its length. */
static uint32_t put_args(uint8_t *to, uint32_t most) {
    static const char chars[] = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789", name[] = "request";
    uint16_t name_len = sizeof name - 1, len = (uint16_t)(most - dice(most / 2 + 1));
    memcpy(to, &name_len, 2);
    memcpy(to + 2, &len, 2);
    memcpy(to + 4, name, name_len);
    uint64_t bits = 0;
    for (uint32_t i = 0; i < len; i++, bits >>= 6) {
        if (i % 10 == 0) bits = next();
        to[4 + name_len + i] = (uint8_t)chars[bits & 63];
    }
    return 4u + name_len + len;
}

void trace_service_make(struct trace_build *b, uint64_t calls, uint32_t arg_chars) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    static uint8_t texts[TEXTS];
    static uint32_t stack[THREADS][DEPTH], depth[THREADS];
    static uint64_t ticks[THREADS];
    trace_build_open(b);
    for (uint32_t id = 1; id <= NAMES; id++) {
        char name[32];
        snprintf(name, sizeof name, "Class%u.method_%u", id % 50, id);
        trace_build_name(b, id, 0, name, "service/handlers.py", id * 7);
    }
    for (uint64_t made = 0, k = 0; made < calls; k++) {
        uint32_t t = (uint32_t)(k % THREADS), n = 0, used = 0;
        while (n + (arg_chars ? 2 : 1) <= VT_BLOCK_EVENTS && used + VT_PAYLOAD_MAX <= TEXTS) {
            bool enter = !depth[t] || (depth[t] < DEPTH && dice(2));
            uint32_t top = depth[t] ? stack[t][depth[t] - 1] : 0;
            ticks[t] += dice(256) ? 20 + dice(300) : dice(1000000);
            if (enter) { /* a function calls few others, again and again */
                stack[t][depth[t]++] = 1 + (top * 7 + dice(dice(8) ? 2 : 20)) % NAMES;
                made++;
            } else {
                depth[t]--;
            }
            if (enter && arg_chars) {
                uint32_t len = put_args(texts + used, arg_chars);
                ev[n++] = (struct vt_event){
                    .ticks = ticks[t], .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = texts + used, .payload_len = len};
                used += len;
            }
            ev[n++] = (struct vt_event){
                .ticks = ticks[t], .type = enter ? VT_REC_CALL : VT_REC_RETURN, .id = enter ? stack[t][depth[t] - 1] : top};
        }
        trace_build_block(b, t, t + 1, 100 + t, ev, n);
    }
    trace_build_end(b, 0, 0);
    trace_build_close(b);
}
