/* Owns the header, clock, statistics and end frames of a session. */
#include "daemon/session/session_frames.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/session/cpu_times.h"
#include "daemon/session/family.h"

void session_clock_frame(struct session *s, Vt__Clock *m) {
    struct clock_point p;
    clock_read(&s->host->clock, &p);
    vt__clock__init(m);
    m->ticks = p.ticks;
    m->mono_ns = p.mono_ns;
    m->real_ns = p.real_ns;
    m->hz = s->host->clock.hz;
}

void session_describe(struct session *s) {
    char path[64];
    size_t len;
    snprintf(path, sizeof(path), "/proc/%d/comm", s->pid);
    if (!vt_read_file(path, s->comm, sizeof(s->comm), &len)) s->comm[strcspn(s->comm, "\n")] = 0;
    if (birth_read(s->pid, &s->birth)) vt_log(VT_LOG_INFO, "session %d: its parent is not known", s->pid);
}

int session_put_header(struct session *s) {
    Vt__TraceHeader m = VT__TRACE_HEADER__INIT;
    Vt__Clock clock;
    char host[256] = "";

    if (s->header_done) return 0;
    s->header_done = true;
    gethostname(host, sizeof(host) - 1);
    if (!s->comm[0]) session_describe(s);
    m.format = VT_TRACE_FORMAT;
    m.tool_version = (char *)VT_VERSION;
    m.pid = (uint32_t)s->pid;
    m.ns_pid = (uint32_t)s->info.ns_pid;
    m.uid = s->info.uid;
    m.python_hex = vt_load_relaxed(&s->arena.ctl->python_hex);
    if (!m.python_hex) m.python_hex = (uint32_t)(s->info.py_major << 8 | s->info.py_minor);
    m.exe = s->info.exe;
    m.cmdline = s->info.cmdline;
    m.hostname = host;
    m.start_real_ns = s->start_real_ns;
    m.clock = s->host->clock.kind;
    m.options = s->options_text;
    m.flags = vt_load_relaxed(&s->arena.ctl->flags);
    m.process_name = s->comm;
    m.hook_kind = vt_load_relaxed(&s->arena.ctl->hook_kind);
    m.min_duration_ns = s->min_duration_ns;
    m.max_overhead = s->max_overhead;
    m.parent_pid = s->birth.parent_pid;
    m.born_ns = s->birth.born_ns;
    m.origin_pid = s->origin.pid;
    m.origin_ident = s->origin.ident;
    m.origin_ns = s->origin.mono_ns ? s->origin.mono_ns : s->birth.born_ns;
    int rc = spool_put(s->spool, s->section, VT_FRAME_HEADER, &m.base);
    session_clock_frame(s, &clock);
    s->clock_ns = vt_mono_ns();
    if (!rc) rc = spool_put(s->spool, s->section, VT_FRAME_CLOCK, &clock.base);
    if (!rc) session_put_cpu_times(s, false);
    return rc;
}

void session_put_cpu_times(struct session *s, bool last) {
    Vt__CpuTimes m;
    bool often = s->cpu_times_put && !last;
    if (!s->header_done || s->target_gone || s->spool->full) return;
    if (cpu_times_read(s->pid, often ? CPU_TIMES_OFTEN : CPU_TIMES_THREADS, &m) || (often && !m.whole)) return;
    m.ticks = clock_ticks(&s->host->clock);
    m.last = last;
    s->cpu_times_put = true;
    int rc = spool_put(s->spool, s->section, VT_FRAME_CPU_TIMES, &m.base);
    if (rc) vt_log(VT_LOG_INFO, "session %d: no CPU times: %s", s->pid, strerror(-rc));
}

static uint64_t ctl_ticks_ns(struct session *s, const uint64_t *ticks) {
    uint64_t v = vt_load_relaxed(ticks);
    uint64_t ns = v < s->host->clock.hz * 3600 ? clock_ticks_to_ns(&s->host->clock, v) : 0; /* more than an hour is nonsense */
    return ns;
}

uint64_t session_attach_pause(struct session *s) {
    uint64_t gil_ns = s->arena.ctl ? ctl_ticks_ns(s, &s->arena.ctl->hold_on) : 0;
    vt_log(VT_LOG_INFO, "process %d: stopped %lu us, GIL held %lu us", (int)s->pid, s->result.max_stop_ns / 1000, gil_ns / 1000);
    return s->result.max_stop_ns + gil_ns;
}

void session_put_last_clock(struct session *s) {
    Vt__Clock clock = s->replaced;
    if (!clock.ticks) session_clock_frame(s, &clock);
    int rc = spool_put_last(s->spool, s->section, VT_FRAME_CLOCK, &clock.base);
    if (rc) vt_log(VT_LOG_ERROR, "session %d: no last clock frame: %s", s->pid, strerror(-rc));
}

/* Nobody sees the hooks go out when another program takes the place of the target's: it was still there at its last event, and
 * when we last looked. */
static uint64_t hooks_off_ticks(const struct session *s) {
    uint64_t ticks = vt_load_relaxed(&s->arena.ctl->t_hooks_off);
    if (ticks || s->reason != VT__END_REASON__EXEC) return ticks;
    return s->totals.last_ticks > s->mapped_ticks ? s->totals.last_ticks : s->mapped_ticks;
}

void session_put_end(struct session *s) {
    Vt__End m = VT__END__INIT;
    struct vt_ctl *ctl = s->arena.ctl;

    m.reason = s->reason;
    m.text = s->end_text;
    m.events = s->totals.events;
    m.calls = s->totals.calls;
    m.threads = s->totals.threads;
    m.dropped = s->totals.dropped;
    m.attach_pause_ns = session_attach_pause(s);
    m.detach_pause_ns = s->stop_pause_ns + ctl_ticks_ns(s, &ctl->hold_off);
    m.attach_total_ns = s->result.total_ns;
    if (s->totals.first_ticks > s->begun_ticks)
        m.first_event_ns = clock_ticks_to_ns(&s->host->clock, s->totals.first_ticks - s->begun_ticks);
    m.hooks_on_ticks = vt_load_relaxed(&ctl->t_hooks_on);
    m.hooks_off_ticks = hooks_off_ticks(s);
    m.bytes = s->spool->size;
    m.short_calls = s->totals.short_calls;
    m.throttled = s->totals.throttled;
    m.lost = family_lost(s);
    int rc = spool_put_last(s->spool, s->section, VT_FRAME_END, &m.base);
    if (rc) vt_log(VT_LOG_ERROR, "session %d: no end frame: %s", s->pid, strerror(-rc));
}

void session_send_stats(struct session *s, uint64_t now) {
    Vt__Stats m = VT__STATS__INIT;
    s->stats_ns = now;
    if (!s->peer || !s->answered || peer_backlog(s->peer) > 65536) return;
    m.events = s->totals.events;
    m.calls = s->totals.calls;
    m.dropped = s->totals.dropped;
    m.bytes = s->spool->size;
    m.threads = s->totals.threads;
    m.state = vt_load_acquire(&s->arena.ctl->state);
    m.elapsed_ns = s->hooks_ns ? now - s->hooks_ns : 0;
    peer_send(s->peer, VT_FRAME_STATS, &m.base);
}
