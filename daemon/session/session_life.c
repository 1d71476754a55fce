/* Owns what every state of a session needs: the state itself, those who wait for its end, the answer to the attach, and the
 * end of the session's memory. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/session/family.h"
#include "daemon/session/session_frames.h"
#include "daemon/session/session_parts.h"
#include "proto/texts.h"

bool session_is_launch(const struct session *s) { return s->launch.key[0] || family_is_other(s); }

void session_set_state(struct session *s, Vt__SessionState state) {
    if (state <= s->state) return; /* states only advance */
    vt_debug(VT_AREA_SESSION, "session %d: %s -> %s", s->pid, vt_session_state_text(s->state), vt_session_state_text(state));
    s->state = state;
}

void session_kick(struct session *s) {
    struct peer *peer = family_first(s)->peer;
    if (peer) peer_kick(peer);
}

void session_look_now(struct session *s) { loop_timer_set(&s->host->loop, &s->timer, vt_mono_ns()); }

bool session_has_client(const struct session *s) { return family_is_other(s) ? s->family->first->peer : s->peer; }

struct session *session_find(struct host *host, pid_t pid) {
    struct session *s;
    LIST_FOREACH(s, &host->sessions, link)
    if (s->pid == pid && s->state != VT__SESSION_STATE__ENDED) return s;
    return NULL;
}

void session_wait(struct session *s, struct session_waiter *w, void (*fn)(void *ctx, const struct session *s), void *ctx) {
    w->fn = fn;
    w->ctx = ctx;
    LIST_INSERT_HEAD(&s->waiters, w, link);
}

bool session_waiting(const struct session_waiter *w) { return w->fn != NULL; }

void session_unwait(struct session_waiter *w) {
    if (w->fn) LIST_REMOVE(w, link);
    w->fn = NULL;
}

void session_tell_waiters(struct session *s) {
    struct session_waiter *w;
    while ((w = LIST_FIRST(&s->waiters))) {
        void (*fn)(void *, const struct session *) = w->fn;
        session_unwait(w);
        fn(w->ctx, s);
    }
}

/* The session no longer has a client. */
void session_let_go_of_client(struct session *s) {
    if (s->held) *s->held = NULL;
    s->held = NULL;
    s->peer = NULL;
}

void session_free(struct session *s) {
    while (s->family && s->family->first == s && !LIST_EMPTY(&s->family->others)) session_free(LIST_FIRST(&s->family->others));
    s->state = VT__SESSION_STATE__ENDED;
    session_tell_waiters(s);
    if (family_leave(s)) session_look_now(s->family->first);
    if (s->peer) peer_stream(s->peer, NULL);
    session_let_go_of_client(s);
    LIST_REMOVE(s, link);
    helper_close(&s->helper);
    launch_close(&s->launch);
    loop_timer_del(&s->host->loop, &s->timer);
    loop_timer_del(&s->host->loop, &s->watch);
    loop_del(&s->host->loop, &s->pidfd_io);
    vt_close(&s->pidfd);
    drain_free(s->drain);
    arena_close(&s->arena);
    spool_close(&s->own_spool, !s->keep_spool);
    family_free(s);
    free(s->options_text);
    free(s->output);
    free(s->inside);
    free(s);
}

/* ---- answers ---- */

/* The request failed; nothing of the session remains. */
void session_refuse(struct session *s, int code, const char *text) {
    if (s->peer && !s->answered) peer_error(s->peer, code, text);
    vt_log(VT_LOG_INFO, "attach to %d for %s: %s", s->pid, s->owner_name, text);
    s->answered = true;
    s->keep_spool = false;
    session_free(s);
}

void session_answer(struct session *s, bool pending) {
    Vt__Attached m = VT__ATTACHED__INIT;
    char python[24], note[256];
    if (s->answered) return;
    s->answered = true;
    if (!s->peer) return;
    uint32_t hex = vt_load_relaxed(&s->arena.ctl->python_hex);
    if (!s->info.py_major && hex) s->info.py_major = (int)(hex >> 8 & 0xff), s->info.py_minor = (int)(hex & 0xff);
    snprintf(python, sizeof(python), "%d.%d", s->info.py_major, s->info.py_minor);
    vt_clean_line(note, sizeof(note), s->arena.ctl->err, sizeof(s->arena.ctl->err));
    m.pid = (uint32_t)s->pid;
    m.pause_ns = session_attach_pause(s);
    m.total_ns = s->result.total_ns;
    m.method = s->result.method;
    m.pending = pending;
    m.python = python;
    m.note = note;
    m.gil_holder = s->gil_holder;
    peer_send(s->peer, VT_CTL_ATTACHED, &m.base);
    peer_stream(s->peer, s->spool);
}
