/* Owns the strict reading of Perfetto traces in tests (pftrace.h). */
#include "tests/lib/pftrace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void fail(size_t packet, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
static void fail(size_t packet, const char *fmt, ...) {
    va_list ap;
    fprintf(stderr, "pftrace: packet %zu: ", packet);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

/* ---- any message: no unknown field, all text UTF-8 ---- */

static bool is_utf8(const unsigned char *s, size_t len_left) {
    const unsigned char *end = s + len_left;
    while (s < end) {
        unsigned len = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
        static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (!len) return false;
        unsigned code = len == 1 ? *s : *s & (0x7fu >> len);
        for (unsigned i = 1; i < len; i++) {
            if (s[i] >> 6 != 2) return false;
            code = code << 6 | (s[i] & 63);
        }
        if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
        s += len;
    }
    return true;
}

/* With a 0 byte behind it. */
static void check_text(size_t packet, const ProtobufCMessageDescriptor *message, const char *field, ProtobufCBinaryData *text) {
    if (!is_utf8(text->data, text->len)) fail(packet, "%s.%s is no UTF-8", message->name, field);
    text->data = realloc(text->data, text->len + 1);
    if (!text->data) abort();
    text->data[text->len] = 0;
}

static void check_message(size_t packet, const ProtobufCMessage *m) {
    if (m->n_unknown_fields) fail(packet, "%s has an unknown field %u", m->descriptor->name, m->unknown_fields[0].tag);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        void *at = (char *)(uintptr_t)m + f->offset;
        const void *quantifier = (const char *)m + f->quantifier_offset;
        bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
        size_t n = repeated ? *(const size_t *)quantifier : 1;
        if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
            ProtobufCMessage **list = repeated ? *(ProtobufCMessage ***)at : at;
            for (size_t k = 0; k < n; k++)
                if (list[k]) check_message(packet, list[k]);
        } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
            ProtobufCBinaryData *list = repeated ? *(ProtobufCBinaryData **)at : at;
            if (!repeated && !*(const protobuf_c_boolean *)quantifier) continue;
            for (size_t k = 0; k < n; k++) check_text(packet, m->descriptor, f->name, &list[k]);
        }
    }
}

/* ---- sequences ---- */

struct sequence {
    uint32_t id;
    bool cleared, own_clock;
    uint64_t last_ns, mono_ns, default_track;
    uint32_t default_clock;
    struct names {
        const Pf__Interned__Name **list;
        size_t n;
    } names, args, strings;
    const Pf__Interned__Source **sources;
    size_t nsources;
};

struct reader {
    struct pftrace *t;
    struct sequence *sequences;
    size_t nsequences, events_room, tracks_room, packets_room;
    size_t at; /* number of the packet */
};

#define GROW(array, n, room)                                                                                                     \
    do {                                                                                                                         \
        if ((n) < (room)) break;                                                                                                 \
        (room) = (room) ? (room)*2 : 64;                                                                                         \
        if (!((array) = reallocarray((array), (room), sizeof *(array)))) abort();                                                \
    } while (0)

static struct sequence *sequence_of(struct reader *r, const Pf__Packet *p) {
    if (!p->has_sequence_id || !p->sequence_id) fail(r->at, "no sequence id");
    for (size_t i = 0; i < r->nsequences; i++)
        if (r->sequences[i].id == p->sequence_id) {
            if (p->has_first_packet) fail(r->at, "says first packet on a sequence that has some");
            return &r->sequences[i];
        }
    if (!p->first_packet) fail(r->at, "does not say that it is the first of sequence %u", p->sequence_id);
    r->sequences = reallocarray(r->sequences, r->nsequences + 1, sizeof *r->sequences);
    if (!r->sequences) abort();
    struct sequence *s = &r->sequences[r->nsequences++];
    memset(s, 0, sizeof *s);
    s->id = p->sequence_id;
    return s;
}

static void take_state(struct reader *r, struct sequence *s, const Pf__Packet *p) {
    if (p->flags == 1) {
        s->cleared = true;
        s->own_clock = false;
        s->default_clock = 0;
        s->default_track = 0;
        s->names.n = s->args.n = s->strings.n = s->nsources = 0;
    } else if (p->flags != 2) {
        fail(r->at, "flags %u", p->flags);
    }
    if (!s->cleared) fail(r->at, "sequence %u has no state yet", s->id);
    if (p->previous_packet_dropped && p->flags != 1) fail(r->at, "packets dropped, but the state is not cleared");
    r->t->dropped += p->previous_packet_dropped != 0;
    if (p->defaults) {
        s->default_clock = p->defaults->timestamp_clock_id;
        s->default_track = p->defaults->event ? p->defaults->event->track_uuid : 0;
    }
}

static void take_clocks(struct reader *r, struct sequence *s, const Pf__Packet *p) {
    uint64_t real = 0, mono = 0, own = 0;
    const Pf__ClockSnapshot *c = p->clock_snapshot;
    if (p->event || p->track || p->interned || p->has_timestamp) fail(r->at, "readers take nothing else from a clock snapshot");
    if (c->primary != 3) fail(r->at, "the primary clock is %u", c->primary);
    for (size_t i = 0; i < c->n_clocks; i++) {
        const Pf__ClockSnapshot__Clock *one = c->clocks[i];
        if (one->is_incremental != (one->id == 64)) fail(r->at, "clock %u: incremental %d", one->id, one->is_incremental);
        if (one->id == 1)
            real = one->timestamp;
        else if (one->id == 3)
            mono = one->timestamp;
        else if (one->id == 64)
            own = one->timestamp;
        else
            fail(r->at, "clock %u", one->id);
    }
    if (own != mono) fail(r->at, "own clock starts apart from the monotonic one");
    if (mono < s->mono_ns) fail(r->at, "clock snapshots of a sequence go back");
    if (real) r->t->real_minus_mono = (int64_t)(real - mono);
    s->mono_ns = s->last_ns = mono;
    s->own_clock = true;
}

static void take_names(struct reader *r, struct names *names, Pf__Interned__Name **list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < names->n && names->n < 1000; k++)
            if (names->list[k]->iid == list[i]->iid) fail(r->at, "name %u is interned twice", (unsigned)list[i]->iid);
        names->list = reallocarray(names->list, names->n + 1, sizeof *names->list);
        names->list[names->n++] = list[i];
    }
}
static const char *name_of(struct reader *r, const struct names *names, uint64_t iid) {
    for (size_t i = names->n; i--;)
        if (names->list[i]->iid == iid) return PF_TEXT(names->list[i]->name);
    fail(r->at, "name %u is not interned", (unsigned)iid);
}

static void take_interned(struct reader *r, struct sequence *s, const Pf__Interned *in) {
    take_names(r, &s->names, in->names, in->n_names);
    take_names(r, &s->args, in->args, in->n_args);
    take_names(r, &s->strings, in->strings, in->n_strings);
    for (size_t i = 0; i < in->n_sources; i++) {
        s->sources = reallocarray(s->sources, s->nsources + 1, sizeof *s->sources);
        s->sources[s->nsources++] = in->sources[i];
    }
}

static const struct pf_track *track_of(const struct pftrace *t, uint64_t uuid) {
    for (size_t i = 0; i < t->ntracks; i++)
        if (t->tracks[i].uuid == uuid) return &t->tracks[i];
    return NULL;
}

static void take_track(struct reader *r, const Pf__Track *track) {
    struct pftrace *t = r->t;
    if (!track->has_uuid || !track->uuid) fail(r->at, "a track without uuid");
    if (track_of(t, track->uuid)) fail(r->at, "track %llu is described twice", (unsigned long long)track->uuid);
    if (track->process && !track->process->has_pid) fail(r->at, "a process without pid");
    if (track->thread && (!track->thread->has_pid || !track->thread->has_tid)) fail(r->at, "a thread without pid or tid");
    if (!track->process && !track_of(t, track->parent_uuid)) fail(r->at, "the track's parent is not known");
    if (!track->process && !track->thread && !track->has_name) fail(r->at, "a track without a name");
    GROW(t->tracks, t->ntracks, r->tracks_room);
    t->tracks[t->ntracks++] = (struct pf_track){track->uuid, track};
}

static uint64_t time_of(struct reader *r, struct sequence *s, const Pf__Packet *p) {
    if (!p->has_timestamp) fail(r->at, "an event without time");
    if (p->flags != 2) fail(r->at, "an event that does not say that it needs state");
    uint32_t clock = p->has_timestamp_clock_id ? p->timestamp_clock_id : s->default_clock;
    if (clock == 3 && p->has_timestamp_clock_id) {
        r->t->absolute++;
        if (p->timestamp >= s->last_ns) fail(r->at, "an absolute time that does not go back");
        return p->timestamp;
    }
    if (!clock && !s->own_clock) { /* the one clock of a trace without clock snapshots */
        s->last_ns = p->timestamp;
        return p->timestamp;
    }
    if (clock != 64 || !s->own_clock) fail(r->at, "clock %u is not known here", clock);
    if (p->timestamp > UINT64_MAX - s->last_ns) fail(r->at, "time goes back");
    return s->last_ns += p->timestamp;
}

static void set_text(ProtobufCBinaryData *text, protobuf_c_boolean *has, const char *from) {
    text->data = (uint8_t *)strdup(from);
    text->len = strlen(from);
    *has = true;
}

/* Iids of names and strings become what they stand for. */
static void check_args(struct reader *r, struct sequence *s, Pf__Annotation **list, size_t n, bool named) {
    for (size_t i = 0; i < n; i++) {
        Pf__Annotation *a = list[i];
        if (a->has_name_iid && !a->has_name) set_text(&a->name, &a->has_name, name_of(r, &s->args, a->name_iid));
        if (a->has_string_iid && !a->has_string_value)
            set_text(&a->string_value, &a->has_string_value, name_of(r, &s->strings, a->string_iid));
        int values = a->has_bool_value + a->has_uint_value + a->has_int_value + a->has_double_value + a->has_string_value +
                     (a->n_dict != 0) + (a->n_array != 0);
        if (values > 1) fail(r->at, "an annotation with %d values", values);
        if (named != a->has_name) fail(r->at, "an annotation %s a name", a->has_name ? "with" : "without");
        check_args(r, s, a->dict, a->n_dict, true);
        check_args(r, s, a->array, a->n_array, false);
    }
}

static void take_event(struct reader *r, struct sequence *s, const Pf__Packet *p) {
    struct pftrace *t = r->t;
    const Pf__Event *e = p->event;
    struct pf_event event = {.ns = time_of(r, s, p), .order = t->nevents, .event = e, .name = PF_TEXT(e->name)};
    uint64_t uuid = e->has_track_uuid ? e->track_uuid : s->default_track;
    bool counter = e->type == PF_COUNTER;
    if (!track_of(t, uuid)) fail(r->at, "track %llu is not known", (unsigned long long)uuid);
    event.track = (const void *)(uintptr_t)uuid; /* the list of tracks still grows */
    if ((track_of(t, uuid)->track->counter != NULL) != counter) fail(r->at, "type %u on that track", e->type);
    if (e->type < PF_BEGIN || e->type > PF_COUNTER) fail(r->at, "type %u", e->type);
    if (e->has_counter_value + e->has_double_counter_value != counter) fail(r->at, "counter values");
    if (e->has_name_iid && !event.name) event.name = name_of(r, &s->names, e->name_iid);
    for (size_t i = s->nsources; e->has_source_iid && i-- && !event.source;)
        if (s->sources[i]->iid == e->source_iid) event.source = s->sources[i];
    if (e->has_source_iid && !event.source) fail(r->at, "source %u is not interned", (unsigned)e->source_iid);
    if ((e->type == PF_BEGIN || e->type == PF_INSTANT) != (event.name != NULL)) fail(r->at, "type %u and its name", e->type);
    check_args(r, s, e->args, e->n_args, true);
    GROW(t->events, t->nevents, r->events_room);
    t->events[t->nevents++] = event;
}

static void take_packet(struct reader *r, const uint8_t *data, size_t len) {
    Pf__Packet *p = pf__packet__unpack(NULL, len, data);
    if (!p) fail(r->at, "cannot be unpacked");
    GROW(r->t->packets, r->t->npackets, r->packets_room);
    r->t->packets[r->t->npackets++] = p;
    check_message(r->at, &p->base);
    struct sequence *s = sequence_of(r, p);
    take_state(r, s, p);
    if (p->clock_snapshot) take_clocks(r, s, p);
    if (p->interned) take_interned(r, s, p->interned);
    if (p->track) take_track(r, p->track);
    if (p->event)
        take_event(r, s, p);
    else if (p->has_timestamp)
        fail(r->at, "a time for nothing");
}

/* ---- slices ---- */

static int by_track_and_time(const void *a, const void *b) {
    const struct pf_event *x = a, *y = b;
    if (x->track != y->track) return x->track < y->track ? -1 : 1;
    if (x->ns != y->ns) return x->ns < y->ns ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void make_slices(struct pftrace *t) {
    size_t *stack = calloc(t->nevents + 1, sizeof *stack), depth = 0;
    t->slices = calloc(t->nevents + 1, sizeof *t->slices);
    if (!stack || !t->slices) abort();
    for (size_t i = 0; i < t->nevents; i++) {
        const struct pf_event *e = &t->events[i];
        if (i && e->track != e[-1].track) depth = 0; /* what is on the stack stays open */
        if (e->event->type == PF_BEGIN) {
            t->slices[t->nslices] = (struct pf_slice){.begin = e, .depth = depth};
            stack[depth++] = t->nslices++;
        } else if (e->event->type == PF_END) {
            if (!depth) fail(e->order, "(event) an end without a begin");
            t->slices[stack[--depth]].end = e;
        }
    }
    free(stack);
}

static uint8_t *slurp(const char *path, size_t *len) {
    gzFile f = gzopen(path, "rb");
    if (!f) fail(0, "%s cannot be opened", path);
    size_t room = 1 << 20;
    uint8_t *data = malloc(room);
    int n;
    *len = 0;
    while (data && (n = gzread(f, data + *len, (unsigned)(room - *len))) > 0) {
        *len += (size_t)n;
        if (*len == room) data = realloc(data, room *= 2);
    }
    if (!data || gzclose(f) != Z_OK) fail(0, "%s cannot be read", path);
    return data;
}

struct pftrace *pftrace_read(const char *path) {
    struct reader r = {.t = calloc(1, sizeof *r.t)};
    size_t len;
    uint8_t *data = slurp(path, &len), *p = data, *end = data + len;
    while (p < end) {
        uint64_t size = 0;
        if (*p++ != 0x0a) fail(r.at, "the file holds something else than packets");
        for (unsigned shift = 0;; shift += 7) {
            if (p == end || shift > 28) fail(r.at, "length");
            size |= (uint64_t)(*p & 127) << shift;
            if (!(*p++ & 128)) break;
        }
        if (size > (size_t)(end - p)) fail(r.at, "reaches out of the file");
        take_packet(&r, p, size);
        p += size;
        r.at++;
    }
    struct pftrace *t = r.t;
    for (size_t i = 0; i < t->nevents; i++) t->events[i].track = track_of(t, (uintptr_t)t->events[i].track);
    qsort(t->events, t->nevents, sizeof *t->events, by_track_and_time);
    make_slices(t);
    for (size_t i = 0; i < r.nsequences; i++) {
        free(r.sequences[i].names.list);
        free(r.sequences[i].args.list);
        free(r.sequences[i].strings.list);
        free(r.sequences[i].sources);
    }
    free(r.sequences);
    free(data);
    return t;
}

void pftrace_free(struct pftrace *t) {
    for (size_t i = 0; i < t->npackets; i++) pf__packet__free_unpacked(t->packets[i], NULL);
    free(t->packets);
    free(t->events);
    free(t->slices);
    free(t->tracks);
    free(t);
}

const struct pf_slice *pftrace_slice(const struct pftrace *t, const char *name, size_t nth) {
    for (size_t i = 0; i < t->nslices; i++)
        if (!strcmp(t->slices[i].begin->name, name) && nth-- == 0) return &t->slices[i];
    fail(t->npackets, "no slice %s", name);
}

const struct pf_event *pftrace_event(const struct pftrace *t, unsigned type, const char *name, size_t nth) {
    for (size_t i = 0; i < t->nevents; i++) {
        const struct pf_event *e = &t->events[i];
        const char *its = e->name ? e->name : PF_TEXT(e->track->track->name);
        if (e->event->type == type && its && !strcmp(its, name) && nth-- == 0) return e;
    }
    fail(t->npackets, "no event %s", name);
}

static const Pf__Annotation *find(Pf__Annotation **list, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(PF_TEXT(list[i]->name), name)) return list[i];
    return NULL;
}
const Pf__Annotation *pftrace_arg(const Pf__Event *event, const char *name) { return find(event->args, event->n_args, name); }
const Pf__Annotation *pftrace_member(const Pf__Annotation *dict, const char *name) {
    return dict ? find(dict->dict, dict->n_dict, name) : NULL;
}
