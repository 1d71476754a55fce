/* Owns the stop of a session: when it begins, when it is over, and what is said when the hooks could not be seen to leave. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "daemon/session/family.h"
#include "daemon/session/session_frames.h"
#include "daemon/session/session_parts.h"

#define MS 1000000ull
#define STOP_HELPER_AFTER (100 * MS)
#define STOP_HELPERS 3 /* when each is killed */
#define STOP_GIVE_UP (5000 * MS)
#define WAIT_GIVE_UP (1000 * MS) /* for an agent that waits for the GIL */

/* Also when the event loop has not come to its end yet: a client that launches it knows of that as early as we do. */
static bool has_exited(const struct session *s) {
    struct pollfd p = {.fd = s->pidfd, .events = POLLIN};
    return s->target_gone || (s->pidfd >= 0 && poll(&p, 1, 0) == 1);
}

/* Why the whole trace ends, and not only that of one process. */
static bool ends_all(const struct session *s, Vt__EndReason reason) {
    bool outside = reason == VT__END_REASON__STOPPED || reason == VT__END_REASON__DURATION ||
                   reason == VT__END_REASON__CLIENT_GONE || reason == VT__END_REASON__DAEMON;
    return s->family && !s->family->over && ((outside && !family_is_other(s)) || reason == VT__END_REASON__SPOOL_FULL);
}

static void stop_family(struct family *family, Vt__EndReason reason, const char *text) {
    struct session *other;
    launch_take(&family->first->launch); /* those that came in this moment */
    family->over = true;
    launch_close(&family->first->launch);
    session_stop(family->first, reason, text);
    session_look_now(family->first); /* it may have waited for this only */
    LIST_FOREACH(other, &family->others, relative) session_stop(other, reason, text);
}

void session_stop(struct session *s, Vt__EndReason reason, const char *text) {
    if (ends_all(s, reason)) {
        stop_family(s->family, reason, text);
        return;
    }
    if (s->stop_ns) return;
    if (reason == VT__END_REASON__STOPPED && session_is_launch(s) && has_exited(s)) {
        reason = VT__END_REASON__TARGET_EXIT;
        s->target_gone = true;
    }
    s->stop_ns = vt_mono_ns();
    s->reason = reason;
    snprintf(s->end_text, sizeof(s->end_text), "%s", text);
    session_put_cpu_times(s, true);
    arena_keep(&s->arena, false);
    if (s->arena.ctl) arena_stop_writers(&s->arena);
    if (s->waking || s->asking) { /* the helper for the stop must not wait for it; a thread that it holds continues by itself */
        helper_close(&s->helper);
        s->waking = s->asking = s->helper_running = false;
    }
    if (s->state != VT__SESSION_STATE__STARTING)
        session_set_state(s, VT__SESSION_STATE__STOPPING); /* else after the helper's end */
    session_look_now(s);
}

/* Is the target stopped by SIGSTOP, a terminal or a debugger? */
static bool is_stopped(pid_t pid) {
    char path[64], stat[1024];
    size_t len;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (vt_read_file(path, stat, sizeof(stat), &len)) return false;
    const char *p = strrchr(stat, ')'); /* after the name, which may contain anything */
    return p && (!strncmp(p, ") T", 3) || !strncmp(p, ") t", 3));
}

/* The end's line, when the hooks were not seen to leave. The GIL is blamed only if a helper did its part or none was needed. */
static void say_what_stays(struct session *s, bool agent_waits) {
    static const char leave[] = "they leave at the target's next Python call";
    char *text = s->end_text;
    size_t size = sizeof(s->end_text);
    if (is_stopped(s->pid) || (s->helper_running && s->seen_stopped))
        snprintf(text, size, "the target is stopped; the hooks leave when it goes on (kill -CONT %d)", s->pid);
    else if (s->stop_helper_died)
        snprintf(text, size, "the process that removes the hooks was killed; %s", leave);
    else if (s->helper_running)
        snprintf(text, size, "the process that removes the hooks was not done after %u s; %s",
                 (unsigned)(STOP_GIVE_UP / 1000 / MS), leave);
    else if (s->stop_trouble[0])
        snprintf(text, size, "the hooks could not be removed: %.200s; %s", s->stop_trouble, leave);
    else
        snprintf(text, size, "the target has not given up the GIL; %s",
                 agent_waits ? "the agent leaves when it does" : "the hooks leave at its next Python call");
}

/* STOPPING: true when nothing more will be written, or when waiting any longer is useless. */
bool session_stop_is_over(struct session *s, uint64_t now) {
    uint32_t state = vt_load_acquire(&s->arena.ctl->state);
    if (s->target_gone || state == VT_AGENT_GONE || state == VT_AGENT_REFUSED) return true;
    bool waits = state == VT_AGENT_WAIT_GIL; /* no hook is in, and a helper's thread would only wait beside it */
    bool wanted = !s->stop_helpers || (s->stop_helper_died && s->stop_helpers < STOP_HELPERS);
    bool killed = s->stop_helper_died && s->stop_helpers == STOP_HELPERS;
    if (!s->helper_running) s->seen_stopped = is_stopped(s->pid); /* a helper's ptrace changes what the kernel shows */
    if (!waits && now - s->stop_ns > STOP_HELPER_AFTER && wanted && !s->helper_running) session_start_stop_helper(s);
    if (now - s->stop_ns < (waits ? WAIT_GIVE_UP : STOP_GIVE_UP) && !killed) return false;
    if (!s->end_text[0]) say_what_stays(s, waits);
    return true;
}
