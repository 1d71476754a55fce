/* Owns the events of one thread that are held back: a stack of enter events, the bytes of their arguments, a return value that
 * waits for its leave event, and a run of decided events that goes to the sink next. */
#include "daemon/drain/min_duration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX 16384u
#define BYTES_MAX (1u << 20)
#define STEP_MAX (1ull << (VT_REC_TS_BITS - 2)) /* longest time between two events of a run */

struct held {
    uint64_t full, rec;
    uint32_t args_at, args_len; /* in bytes[]; 0 = none */
};

struct min_duration {
    uint64_t ticks;
    struct min_duration_sink sink;
    struct min_duration_shared *shared;
    struct held *held;
    uint32_t first, n, room; /* held[first..n) */
    uint8_t *bytes;
    uint32_t bytes_len, bytes_room;
    uint32_t args_at, args_len; /* for the next enter */
    bool has_args, has_retval;
    uint8_t *retval;
    uint32_t retval_len, retval_room;
};

int min_duration_new(uint64_t ticks, struct min_duration_sink sink, struct min_duration_shared *shared,
                     struct min_duration **out) {
    struct min_duration *m = calloc(1, sizeof(*m));
    if (!m) return -ENOMEM;
    m->ticks = ticks;
    m->sink = sink;
    m->shared = shared;
    *out = m;
    return 0;
}

void min_duration_free(struct min_duration *m) {
    if (!m) return;
    memory_give(m->shared->memory, m->room * sizeof(struct held) + m->bytes_room + m->retval_room);
    free(m->held);
    free(m->bytes);
    free(m->retval);
    free(m);
}

/* ---- out ---- */

int min_duration_hand_on(struct min_duration *m) {
    struct min_duration_shared *all = m->shared;
    size_t n = all->nrun;
    all->nrun = 0;
    return n ? m->sink.events(m->sink.ctx, m->sink.stream, all->run, n, all->run_first >> VT_REC_TS_BITS << VT_REC_TS_BITS) : 0;
}

static int give(struct min_duration *m, uint64_t rec, uint64_t full) {
    struct min_duration_shared *all = m->shared;
    int rc = 0;
    if (all->nrun == MIN_DURATION_RUN || (all->nrun && full - all->run_last > STEP_MAX)) rc = min_duration_hand_on(m);
    if (!all->nrun) all->run_first = full;
    all->run[all->nrun++] = rec;
    all->run_last = full;
    return rc;
}

static int give_payload(struct min_duration *m, uint32_t kind, const uint8_t *p, uint32_t len) {
    int rc = min_duration_hand_on(m);
    return rc ? rc : m->sink.payload(m->sink.ctx, m->sink.stream, kind, p, len);
}

static int give_retval(struct min_duration *m) {
    if (!m->has_retval) return 0;
    m->has_retval = false;
    return give_payload(m, VT_PL_RETVAL, m->retval, m->retval_len);
}

static int give_oldest(struct min_duration *m) {
    struct held *h = &m->held[m->first++];
    int rc = h->args_len ? give_payload(m, VT_PL_ARGS, m->bytes + h->args_at, h->args_len) : 0;
    if (m->first == m->n) m->first = m->n = 0;
    return rc ? rc : give(m, h->rec, h->full);
}

static void nothing_held(struct min_duration *m) {
    if (!m->n && !m->has_args) m->bytes_len = 0;
}

int min_duration_age(struct min_duration *m, uint64_t now) {
    int rc = 0;
    while (!rc && m->first < m->n && now - m->held[m->first].full >= m->ticks && now > m->held[m->first].full)
        rc = give_oldest(m);
    nothing_held(m);
    return rc;
}

int min_duration_flush(struct min_duration *m) {
    int rc = 0;
    while (!rc && m->first < m->n) rc = give_oldest(m);
    if (!rc && m->has_args) rc = give_payload(m, VT_PL_ARGS, m->bytes + m->args_at, m->args_len);
    m->has_args = false;
    nothing_held(m);
    if (!rc) rc = give_retval(m);
    return rc ? rc : min_duration_hand_on(m);
}

/* ---- in ---- */

/* Too many events are held, or memory is short: the older half is kept, however short its calls are. */
static int make_room(struct min_duration *m) {
    int rc = 0;
    while (!rc && m->n > m->first && m->n - m->first > m->room / 2) rc = give_oldest(m);
    memmove(m->held, m->held + m->first, (m->n - m->first) * sizeof(*m->held));
    m->n -= m->first;
    m->first = 0;
    return rc;
}

/* Keeps an event at once: there is no memory to hold it. */
static int keep_now(struct min_duration *m, uint64_t rec, uint64_t full) {
    int rc = m->has_args ? give_payload(m, VT_PL_ARGS, m->bytes + m->args_at, m->args_len) : 0;
    m->has_args = false;
    return rc ? rc : give(m, rec, full);
}

static int hold(struct min_duration *m, uint64_t rec, uint64_t full) {
    int rc = 0;
    if (m->n == m->room) {
        rc = m->room < HELD_MAX ? memory_grow(m->shared->memory, &m->held, &m->room, m->n + 1, sizeof(*m->held), HELD_MAX)
                                : -ENOBUFS;
        if (rc == -ENOBUFS && !m->room) return keep_now(m, rec, full);
        if (rc == -ENOBUFS) rc = make_room(m);
        if (rc) return rc;
    }
    m->held[m->n++] = (struct held){full, rec, m->has_args ? m->args_at : m->bytes_len, m->has_args ? m->args_len : 0};
    m->has_args = false;
    return 0;
}

static bool is_c(uint32_t type) { return type == VT_REC_C_CALL || type == VT_REC_C_RETURN || type == VT_REC_C_RAISE; }

static bool belongs(const struct held *h, uint64_t leave) {
    return vt_rec_id(h->rec) == vt_rec_id(leave) && is_c(vt_rec_type(h->rec)) == is_c(vt_rec_type(leave));
}

int min_duration_event(struct min_duration *m, uint64_t rec, uint64_t full) {
    uint32_t type = vt_rec_type(rec);
    int rc = min_duration_age(m, full);
    if (rc) return rc;
    if (VT_REC_IS_ENTER(type)) return hold(m, rec, full);
    if (VT_REC_IS_LEAVE(type) && m->n && belongs(&m->held[m->n - 1], rec)) {
        m->n--;
        m->bytes_len = m->held[m->n].args_at;
        m->shared->short_calls += VT_REC_IS_CALL(vt_rec_type(m->held[m->n].rec));
        if (m->first == m->n) m->first = m->n = 0;
        m->has_retval = m->has_args = false;
        return 0;
    }
    while (!rc && m->first < m->n) rc = give_oldest(m);
    nothing_held(m);
    if (!rc) rc = give_retval(m);
    return rc ? rc : give(m, rec, full);
}

int min_duration_payload(struct min_duration *m, uint32_t kind, const uint8_t *p, uint32_t len) {
    int rc = 0;
    if (len > VT_PAYLOAD_MAX) return -EPROTO;
    if (kind == VT_PL_RETVAL) {
        rc = memory_grow(m->shared->memory, &m->retval, &m->retval_room, len, 1, VT_PAYLOAD_MAX);
        if (rc) return rc;
        if (len) memcpy(m->retval, p, len);
        m->retval_len = len;
        m->has_retval = true;
        return 0;
    }
    if (kind != VT_PL_ARGS || len > BYTES_MAX - m->bytes_len) rc = min_duration_flush(m);
    if (rc || kind != VT_PL_ARGS) return rc ? rc : m->sink.payload(m->sink.ctx, m->sink.stream, kind, p, len);
    if (m->has_args) m->bytes_len = m->args_at; /* arguments of a call that never came */
    rc = memory_grow(m->shared->memory, &m->bytes, &m->bytes_room, m->bytes_len + len, 1, BYTES_MAX);
    if (rc == -ENOBUFS && m->bytes_len) { /* there will be room after the held bytes are gone */
        rc = min_duration_flush(m);
        if (!rc) rc = memory_grow(m->shared->memory, &m->bytes, &m->bytes_room, m->bytes_len + len, 1, BYTES_MAX);
    }
    if (rc) return rc;
    if (len) memcpy(m->bytes + m->bytes_len, p, len);
    m->args_at = m->bytes_len;
    m->args_len = len;
    m->has_args = true;
    m->bytes_len += len;
    return 0;
}
