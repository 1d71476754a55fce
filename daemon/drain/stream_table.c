/* Owns finding streams, and the table of streams that have ended. */
#include "daemon/drain/stream_table.h"

#include <sys/random.h>

static uint32_t bucket(const struct stream_table *t, uint32_t number) {
    uint64_t h = (uint64_t)(number ^ t->seed) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)((h ^ (uint64_t)t->seed << 24) * 0xd6e8feb86659fd93ull >> 40) & (STREAM_BUCKETS - 1);
}
/* The slot for a stream that has ended. Serials only grow, so the table holds the latest ones. */
static uint32_t gone_at(uint32_t serial) { return serial & (STREAM_BUCKETS - 1); }

void stream_table_init(struct stream_table *t) {
    if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != (ssize_t)sizeof(t->seed)) t->seed = (uint32_t)vt_mono_ns();
    LIST_INIT(&t->all);
    for (uint32_t i = 0; i < STREAM_BUCKETS; i++) {
        LIST_INIT(&t->by_serial[i]);
        LIST_INIT(&t->by_tid[i]);
    }
}

struct stream *stream_table_find(const struct stream_table *t, uint32_t serial) {
    struct stream *s;
    LIST_FOREACH(s, &t->by_serial[bucket(t, serial)], same_serial)
    if (s->serial == serial) return s;
    return NULL;
}

void stream_table_add(struct stream_table *t, struct stream *s) {
    struct stream *other;
    if (s->thread) {
        LIST_INSERT_HEAD(&s->thread->greenlets, s, same_thread);
    } else {
        LIST_FOREACH(other, &t->by_tid[bucket(t, s->ns_tid)], same_tid)
        if (other->ns_tid == s->ns_tid && !other->ended) {
            other->ended = true;
            break; /* the entry before it was marked when this one came */
        }
        LIST_INSERT_HEAD(&t->by_tid[bucket(t, s->ns_tid)], s, same_tid);
    }
    LIST_INSERT_HEAD(&t->by_serial[bucket(t, s->serial)], s, same_serial);
    LIST_INSERT_HEAD(&t->all, s, all);
    t->n++;
}

void stream_table_remove(struct stream_table *t, struct stream *s, uint64_t told) {
    if (s->thread)
        LIST_REMOVE(s, same_thread);
    else
        LIST_REMOVE(s, same_tid);
    LIST_REMOVE(s, same_serial);
    LIST_REMOVE(s, all);
    t->n--;
    if (s->thread) return;
    t->gone[gone_at(s->serial)] = (struct stream_gone){s->serial + 1, s->next_seq, told};
}

const struct stream_gone *stream_table_back(struct stream_table *t, uint32_t serial, struct stream_gone *out) {
    struct stream_gone *gone = &t->gone[gone_at(serial)];
    if (gone->serial_plus_1 != serial + 1 || !gone->serial_plus_1) return NULL;
    *out = *gone;
    gone->serial_plus_1 = 0;
    return out;
}
