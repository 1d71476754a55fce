/* Owns the choice of the clock and its calibration against CLOCK_MONOTONIC. */
#include "daemon/drain/calibrate.h"

#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "proto/abi/clock.h"

#define NS_PER_S 1000000000ull
#define BRACKETS 8

#if VT_HAS_TSC
/* True when the CPU reports an invariant TSC and the kernel still lists it as a clock source. */
static bool tsc_invariant(void) {
    unsigned a, b, c, d;
    char sources[256];
    size_t len;
    if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & 1u << 8)) return false;
    if (vt_read_file("/sys/devices/system/clocksource/clocksource0/available_clocksource", sources, sizeof(sources), &len))
        return false;
    for (char *save, *word = strtok_r(sources, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
        if (!strcmp(word, "tsc")) return true;
    return false;
}
#else
static bool tsc_invariant(void) { return false; }
#endif

uint64_t clock_ticks(const struct clock_source *c) { return c->kind == VT_CLOCK_TSC ? vt_tsc() : vt_mono_ns(); }

static void read_point(const struct clock_source *c, struct clock_point *p) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < BRACKETS; i++) {
        uint64_t before = vt_mono_ns(), ticks = clock_ticks(c), real = vt_real_ns(), after = vt_mono_ns();
        if (after - before >= best) continue;
        best = after - before;
        p->ticks = ticks;
        p->mono_ns = c->kind == VT_CLOCK_TSC ? before + (after - before) / 3 : ticks;
        p->real_ns = real;
    }
}

void clock_read(struct clock_source *c, struct clock_point *p) {
    read_point(c, p);
    uint64_t ns = p->mono_ns - c->first.mono_ns;
    if (c->kind == VT_CLOCK_TSC && ns > NS_PER_S / 1000 && p->ticks > c->first.ticks)
        c->hz = (uint64_t)((unsigned __int128)(p->ticks - c->first.ticks) * NS_PER_S / ns);
}

void clock_init(struct clock_source *c) {
    struct timespec pause = {0, 3000000};
    struct clock_point p;
    c->kind = tsc_invariant() ? VT_CLOCK_TSC : VT_CLOCK_MONOTONIC_NS;
    c->hz = NS_PER_S;
    read_point(c, &c->first);
    if (c->kind != VT_CLOCK_TSC) return;
    nanosleep(&pause, NULL);
    clock_read(c, &p);
}

uint64_t clock_ns_to_ticks(const struct clock_source *c, uint64_t ns) {
    return (uint64_t)((unsigned __int128)ns * c->hz / NS_PER_S);
}
uint64_t clock_ticks_to_ns(const struct clock_source *c, uint64_t ticks) {
    return (uint64_t)((unsigned __int128)ticks * NS_PER_S / c->hz);
}
