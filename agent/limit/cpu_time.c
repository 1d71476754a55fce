/* Owns the estimate of the CPU time that the process has had. Only a system call tells it exactly, and the target may have put
 * itself under a seccomp filter that kills for that. So the daemon tells it every few milliseconds (vt_ctl.cpu_*). Between two of
 * its figures, which are a scheduler tick old, the time since the last event is taken
 *
 *   in full   if it is short: the process was running Python
 *   in part   if it is long: the process may have waited for a processor or for anything else
 *
 * The parts are chosen so that the sum follows the daemon's figures. */
#include "agent/limit/cpu_time.h"

enum { CLOCK_PROCESS_CPU = 2, WHOLE = 1024, NEAR_US = 1000, SURE_US = 100, SPAN_MS = 40, CATCH_UP = 4, BOOKED_LATE_MS = 4 };

struct figure {
    uint64_t ns, at; /* at: clock */
};
static struct {
    uint32_t session;
    uint64_t ns, at;                /* the estimate, and the clock then */
    struct figure newest, last;     /* last: when the shares were chosen */
    uint64_t near, far;             /* ticks since `last` was taken, of short and of long times */
    uint64_t near_share, far_share; /* of WHOLE */
    uint64_t unknown;               /* ticks of all times longer than SURE_US */
} cpu;

static uint64_t ask_kernel(void) {
    int64_t time[2] = {0, 0};
    if (!py.clock_gettime || py.clock_gettime(CLOCK_PROCESS_CPU, time)) return 0;
    return (uint64_t)time[0] * 1000000000u + (uint64_t)time[1];
}

static uint64_t to_ns(uint64_t ticks) { return (uint64_t)((double)ticks * 1e6 / (double)agent.ticks_per_ms); }

/* False: there is none, or the daemon is writing it. */
static bool told(struct figure *figure) {
    const struct vt_ctl *ctl = agent.ctl;
    uint32_t seq = vt_load_acquire(&ctl->cpu_seq);
    figure->ns = vt_load_acquire(&ctl->cpu_ns);
    figure->at = vt_load_acquire(&ctl->cpu_at);
    return seq && !(seq & 1) && vt_load_relaxed(&ctl->cpu_seq) == seq && figure->at;
}

static uint64_t share_of(uint64_t part, uint64_t all) { return part >= all ? WHOLE : part * WHOLE / all; }

/* A share moves by a part of the way, because a figure is late by up to a scheduler tick. */
static void move(uint64_t *share, uint64_t part, uint64_t all) {
    if (all) *share = (*share * (CATCH_UP - 1) + share_of(part, all)) / CATCH_UP;
}

static void choose_shares(uint64_t ran) {
    uint64_t near = to_ns(cpu.near), far = to_ns(cpu.far);
    move(&cpu.near_share, ran, near);
    move(&cpu.far_share, ran > near ? ran - near : 0, far);
    cpu.near = cpu.far = 0;
}

/* What the daemon has seen is a lower limit. Since then the process cannot have run for longer than the time that has passed. */
static uint64_t between(uint64_t ns, const struct figure *figure, uint64_t now) {
    uint64_t most = figure->ns + BOOKED_LATE_MS * 1000000u + (now > figure->at ? to_ns(now - figure->at) : 0);
    return ns < figure->ns ? figure->ns : ns > most ? most : ns;
}

static void follow(uint64_t now, uint64_t before) {
    struct figure figure;
    if (!told(&figure)) figure = cpu.newest;
    if (!figure.at) return;
    cpu.newest = figure;
    cpu.ns = between(cpu.ns, &figure, now);
    if (cpu.ns < before) cpu.ns = before;
    if (!cpu.last.at) cpu.last = figure;
    if (figure.at <= cpu.last.at || to_ns(figure.at - cpu.last.at) < SPAN_MS * 1000000u) return;
    uint64_t ran = figure.ns > cpu.last.ns ? figure.ns - cpu.last.ns : 0, span = to_ns(figure.at - cpu.last.at);
    uint64_t since = now > figure.at ? to_ns(now - figure.at) : 0, truth = figure.ns + since * share_of(ran, span) / WHOLE;
    int64_t wanted = (int64_t)ran + (int64_t)(truth - cpu.ns) / CATCH_UP;
    choose_shares(wanted > 0 ? (uint64_t)wanted : 0);
    cpu.last = figure;
}

void cpu_time_passes(uint64_t now) {
    if (!(agent.flags & VT_F_CPU_TOLD)) return;
    if (cpu.session != agent.session) {
        memset(&cpu, 0, sizeof cpu);
        cpu.session = agent.session;
        cpu.near_share = cpu.far_share = WHOLE;
        cpu.at = now;
    }
    uint64_t passed = now > cpu.at ? now - cpu.at : 0;
    bool near = passed <= NEAR_US * agent.ticks_per_ms / 1000;
    *(near ? &cpu.near : &cpu.far) += passed;
    if (passed > SURE_US * agent.ticks_per_ms / 1000) cpu.unknown += passed;
    uint64_t before = cpu.ns;
    cpu.ns += to_ns(passed) * (near ? cpu.near_share : cpu.far_share) / WHOLE;
    cpu.at = now;
    follow(now, before);
}

uint64_t process_cpu_ns(void) {
    if (!(agent.flags & VT_F_CPU_TOLD)) return ask_kernel();
    cpu_time_passes(clock_full());
    return cpu.ns;
}

bool cpu_time_is_exact(void) { return !(agent.flags & VT_F_CPU_TOLD); }
uint64_t cpu_time_unknown(void) { return cpu.unknown; }
