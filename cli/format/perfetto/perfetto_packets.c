/* Owns the packets of a Perfetto trace around its events (perfetto_packets.h). */
#include "cli/format/perfetto/perfetto_packets.h"

#include <errno.h>

#include "cli/base/memory.h"
#include "cli/format/perfetto/perfetto_args.h"
#include "cli/trace/names.h"
#include "proto/abi/hash.h"

enum { FLAG_CLEARED = 1, FLAG_NEEDS_STATE = 2 };
enum { CLOCK_REALTIME_ID = 1, CLOCK_MONOTONIC_ID = 3, CLOCK_OWN_ID = 64 };
#define TRACK_SLOTS (1u << 14)

static void make_sequence(struct packets *w, struct sequence *seq, uint64_t id) {
    seq->id = id;
    seq->uuid = ++w->last_uuid;
    uint8_t *p = pb_put_varint(seq->tail.bytes, PB_TAG(PACKET_SEQUENCE, PB_VARINT));
    p = pb_put_varint(p, id);
    p = pb_put_varint(p, PB_TAG(PACKET_FLAGS, PB_VARINT));
    p = pb_put_varint(p, FLAG_NEEDS_STATE);
    seq->tail.len = (uint8_t)(p - seq->tail.bytes);
}

int packets_init(struct packets *w, struct output *out, struct trace_info *info, bool absolute) {
    w->absolute = absolute;
    w->out = out;
    w->info = info;
    w->control = memory_calloc(info->nthreads + 1u, sizeof *w->control);
    w->process_uuids = memory_calloc(info->nprocesses + 1u, sizeof *w->process_uuids);
    w->tracks = memory_calloc(TRACK_SLOTS, sizeof(struct track *));
    if (!w->control || !w->process_uuids || !w->tracks) return -ENOMEM;
    w->sequences = w->control + 1;
    for (uint32_t i = 0; i < info->nprocesses; i++) w->process_uuids[i] = ++w->last_uuid;
    for (uint32_t i = 0; i <= info->nthreads; i++) make_sequence(w, &w->control[i], 1u + i);
    if (info->nprocesses) w->control->uuid = w->process_uuids[0];
    return 0;
}

static void free_said(struct sequence *seq) {
    memory_free(seq->interned.bits);
    memory_free(seq->strings.bits);
}

void packets_free(struct packets *w) {
    for (uint32_t i = 0; w->sequences && i < w->info->nthreads; i++) free_said(&w->sequences[i]);
    for (size_t i = 0; w->tracks && i < TRACK_SLOTS; i++)
        for (struct track *t = w->tracks[i], *next; t; t = next) {
            next = t->next;
            memory_free(t);
        }
    memory_free(w->tracks);
    memory_free(w->control);
    memory_free(w->process_uuids);
    buf_free(&w->packet);
}

/* ---- packets ---- */

static struct buf *new_packet(struct packets *w) {
    w->packet.len = 0;
    return &w->packet;
}

static int put_packet(struct packets *w) {
    uint8_t head[2 * PB_VARINT_MAX];
    if (w->packet.failed) return -ENOMEM;
    uint8_t *p = pb_put_varint(head, PB_TAG(TRACE_PACKET, PB_BYTES));
    p = pb_put_varint(p, w->packet.len);
    output_write(w->out, head, (size_t)(p - head));
    output_write(w->out, w->packet.data, w->packet.len);
    return output_error(w->out);
}

/* Ends a packet of this sequence. */
static int end_packet(struct packets *w, const struct sequence *seq) {
    uint8_t *p = pb_room(&w->packet, seq->tail.len);
    if (!p) return -ENOMEM;
    memcpy(p, seq->tail.bytes, seq->tail.len);
    w->packet.len += seq->tail.len;
    return put_packet(w);
}

static void put_clock(struct buf *b, uint64_t id, uint64_t ns) {
    size_t start = pb_open(b, CLOCKS_CLOCK);
    pb_u64(b, CLOCK_ID, id);
    pb_u64(b, CLOCK_TIME, ns);
    if (id == CLOCK_OWN_ID) pb_u64(b, CLOCK_INCREMENTAL, 1);
    pb_close(b, start);
}

static void put_clocks(struct packets *w, const struct sequence *seq) {
    struct buf *b = &w->packet;
    size_t start = pb_open(b, PACKET_CLOCKS);
    if (seq == w->control && w->info->real_minus_mono) put_clock(b, CLOCK_REALTIME_ID, seq->last_ns + w->info->real_minus_mono);
    put_clock(b, CLOCK_MONOTONIC_ID, seq->last_ns);
    put_clock(b, CLOCK_OWN_ID, seq->last_ns);
    pb_u64(b, CLOCKS_PRIMARY, CLOCK_MONOTONIC_ID);
    pb_close(b, start);
}

/* The first packet of a sequence and the first after a gap: it clears everything interned before. */
static int put_cleared(struct packets *w, struct sequence *seq, uint64_t ns, bool dropped) {
    struct buf *b = new_packet(w);
    if (ns > seq->last_ns) seq->last_ns = ns;
    if (!w->absolute) put_clocks(w, seq);
    pb_u64(b, PACKET_SEQUENCE, seq->id);
    pb_u64(b, PACKET_FLAGS, FLAG_CLEARED);
    if (dropped) pb_u64(b, PACKET_PREVIOUS_DROPPED, 1);
    if (!seq->started) pb_u64(b, PACKET_FIRST, 1);
    size_t start = pb_open(b, PACKET_DEFAULTS), event = pb_open(b, DEFAULTS_EVENT);
    pb_u64(b, DEFAULTS_EVENT_TRACK, seq->uuid);
    pb_close(b, event);
    if (!w->absolute) pb_u64(b, DEFAULTS_CLOCK, CLOCK_OWN_ID);
    pb_close(b, start);
    seq->started = true;
    if (seq->interned.n) memset(seq->interned.bits, 0, seq->interned.n / 8);
    if (seq->strings.n) memset(seq->strings.bits, 0, seq->strings.n / 8);
    seq->fold_names = false;
    return put_packet(w);
}

/* ---- tracks ---- */

static int put_process(struct packets *w, const struct trace_process *process) {
    struct buf *b = new_packet(w);
    size_t len, track = pb_open(b, PACKET_TRACK);
    const char *name = name_of_process(process, &len);
    pb_u64(b, TRACK_UUID, w->process_uuids[process->index]);
    size_t start = pb_open(b, TRACK_PROCESS);
    pb_u64(b, PROCESS_PID, process->pid);
    if (process->cmdline_len) pb_text(b, PROCESS_CMDLINE, process->cmdline, process->cmdline_len);
    pb_text(b, PROCESS_NAME, name, len);
    if (process->cmdline_len) pb_text(b, PROCESS_LABEL, process->cmdline, process->cmdline_len); /* the UI shows only this one */
    pb_close(b, start);
    pb_close(b, track);
    return end_packet(w, w->control);
}

static int put_thread(struct packets *w, struct sequence *seq, const struct trace_thread *thread) {
    char made_up[NAME_MADE_UP];
    struct buf *b = new_packet(w);
    size_t len, track = pb_open(b, PACKET_TRACK);
    const char *name = name_of_thread(thread, made_up, &len);
    pb_u64(b, TRACK_UUID, seq->uuid);
    size_t start = pb_open(b, TRACK_THREAD);
    pb_u64(b, THREAD_PID, thread->process->pid);
    pb_u64(b, THREAD_TID, thread->tid);
    pb_text(b, THREAD_NAME, name, len);
    pb_close(b, start);
    pb_u64(b, TRACK_PARENT, packets_process(w, thread));
    pb_close(b, track);
    seq->described = true;
    return end_packet(w, w->control);
}

/* A track below a process. */
static int put_track(struct packets *w, uint64_t uuid, uint64_t parent, const char *name, size_t len, bool counter) {
    struct buf *b = new_packet(w);
    size_t start = pb_open(b, PACKET_TRACK);
    pb_u64(b, TRACK_UUID, uuid);
    pb_text(b, TRACK_NAME, name, len);
    pb_u64(b, TRACK_PARENT, parent);
    if (counter) pb_close(b, pb_open(b, TRACK_COUNTER));
    pb_close(b, start);
    return end_packet(w, w->control);
}

uint64_t packets_hash(const void *data, size_t len) { return vt_hash(VT_HASH_START, data, len); }

/* The track of a key; *made = it is new and must be described. NULL = out of memory. */
static struct track *get_track(struct packets *w, const void *key, size_t len, bool *made) {
    uint64_t hash = packets_hash(key, len);
    struct track **slot = &w->tracks[hash % TRACK_SLOTS];
    for (struct track *t = *slot; t; t = t->next)
        if (t->hash == hash && t->key_len == len && !memcmp(t->key, key, len)) return t;
    struct track *t = memory_calloc(1, sizeof *t + len);
    if (!t) return NULL;
    *t = (struct track){.next = *slot, .hash = hash, .uuid = ++w->last_uuid, .key_len = len};
    memcpy(t->key, key, len);
    *made = true;
    return *slot = t;
}

int packets_task_track(struct packets *w, struct sequence *seq, const struct trace_call *call, struct track **out) {
    if (seq->task != call->task) {
        struct {
            const void *task;
            uintptr_t thread;
        } key = {call->task, call->thread->index};
        bool made = false;
        struct track *t = get_track(w, &key, sizeof key, &made);
        if (!t) return -ENOMEM;
        seq->task = call->task;
        seq->task_track = t;
        size_t len;
        const char *name = name_of_task(call->task, &len);
        int rc = made ? put_track(w, t->uuid, packets_process(w, call->thread), name, len, false) : 0;
        if (rc) return rc;
    }
    *out = seq->task_track;
    return 0;
}

int packets_begin(struct packets *w) {
    const struct trace_info *info = w->info;
    int rc = put_cleared(w, w->control, info->hooks_on_ticks ? vt_clock_to_ns(&info->clock, info->hooks_on_ticks) : 0, false);
    for (uint32_t i = 0; i < info->nprocesses && !rc; i++)
        if (!info->processes[i]->hidden) rc = put_process(w, info->processes[i]);
    for (uint32_t i = 0; i < info->nthreads && !rc; i++)
        if (info->threads[i]->shown) rc = put_thread(w, &w->sequences[i], info->threads[i]);
    return rc;
}

int packets_ready(struct packets *w, const struct trace_thread *thread, uint64_t ns, struct sequence **out) {
    struct sequence *seq = *out = &w->sequences[thread->index];
    if (seq->started) return 0;
    int rc = seq->described ? 0 : put_thread(w, seq, thread);
    return rc ? rc : put_cleared(w, seq, ns, false);
}

/* ---- events ---- */

size_t packets_open_event(struct packets *w, struct sequence *seq, uint64_t ns, unsigned type, uint64_t track) {
    struct buf *b = new_packet(w);
    bool back = ns < seq->last_ns;
    pb_u64(b, PACKET_TIME, back ? ns : packets_time(w, seq, ns));
    if (back && !w->absolute) pb_u64(b, PACKET_TIME_CLOCK, CLOCK_MONOTONIC_ID);
    if (!back) seq->last_ns = ns;
    size_t start = pb_open(b, PACKET_EVENT);
    pb_u64(b, EVENT_TYPE, type);
    if (track) pb_u64(b, EVENT_TRACK, track);
    return start;
}

int packets_close_event(struct packets *w, struct sequence *seq, size_t start) {
    pb_close(&w->packet, start);
    return end_packet(w, seq);
}

static int put_name(struct packets *w, const struct sequence *seq, const struct trace_name *name) {
    uint64_t id = name->index + 1u;
    char *text = memory_alloc(name_text_max(name));
    if (!text) return -ENOMEM;
    size_t len = (size_t)(name_put_text(text, name) - text);
    struct buf *b = new_packet(w);
    size_t interned = pb_open(b, PACKET_INTERNED), start = pb_open(b, INTERNED_NAME);
    pb_u64(b, NAME_ID, id);
    pb_text(b, NAME_TEXT, text, len);
    pb_close(b, start);
    if (name->kind == 0) {
        start = pb_open(b, INTERNED_SOURCE);
        pb_u64(b, SOURCE_ID, id);
        pb_text(b, SOURCE_FILE, name->file, name->file_len);
        pb_text(b, SOURCE_FUNCTION, name->name, name->name_len);
        pb_u64(b, SOURCE_LINE, name->line);
        pb_close(b, start);
    }
    pb_close(b, interned);
    memory_free(text);
    return end_packet(w, seq);
}

int packets_named_track(struct packets *w, const struct trace_thread *thread, bool counter, const char *const text[2],
                        const size_t len[2], const char *title, size_t title_len, struct track **out) {
    struct buf key = {0};
    bool made = false;
    pb_u64(&key, 1, thread->process->index);
    pb_u64(&key, 2, counter);
    for (int i = 0; i < 2; i++) pb_text(&key, 3, text[i], len[i]);
    *out = key.failed ? NULL : get_track(w, key.data, key.len, &made);
    buf_free(&key);
    if (!*out) return -ENOMEM;
    return made ? put_track(w, (*out)->uuid, packets_process(w, thread), title, title_len, counter) : 0;
}

int packets_dropped(struct packets *w, struct sequence *seq, uint64_t ns) { return put_cleared(w, seq, ns, true); }

static int note_said(struct name_bits *said, const struct trace_name *name) {
    if (name->index >= said->n) {
        uint32_t room = (name->index / 64 + 1) * 128;
        uint8_t *grown = memory_realloc(said->bits, room / 8);
        if (!grown) return -ENOMEM;
        memset(grown + said->n / 8, 0, (room - said->n) / 8);
        said->bits = grown;
        said->n = room;
    }
    said->bits[name->index / 8] |= (uint8_t)(1u << name->index % 8);
    return 0;
}

int packets_intern(struct packets *w, struct sequence *seq, const struct trace_name *name) {
    int rc = note_said(&seq->interned, name);
    return rc ? rc : put_name(w, seq, name);
}

static void put_string(struct buf *b, uint32_t field, uint64_t id, const char *text, size_t len) {
    size_t start = pb_open(b, field);
    pb_u64(b, NAME_ID, id);
    pb_text(b, NAME_TEXT, text, len);
    pb_close(b, start);
}

int packets_intern_fold(struct packets *w, struct sequence *seq, const struct trace_fold *fold) {
    bool news = !seq->fold_names;
    for (uint32_t i = 0; i < fold->listed && !news; i++) news = !packets_has(&seq->strings, fold->functions[i].name);
    if (!news) return 0;
    struct buf *b = new_packet(w);
    size_t interned = pb_open(b, PACKET_INTERNED);
    for (uint32_t i = 0; i < PERFETTO_FOLD_NAMES && !seq->fold_names; i++)
        put_string(b, INTERNED_ARG, i + 1u, perfetto_fold_names[i], strlen(perfetto_fold_names[i]));
    seq->fold_names = true;
    for (uint32_t i = 0; i < fold->listed; i++) {
        const struct trace_name *name = fold->functions[i].name;
        if (packets_has(&seq->strings, name)) continue;
        char *text = memory_alloc(name_text_max(name));
        if (!text || note_said(&seq->strings, name)) {
            memory_free(text);
            return -ENOMEM;
        }
        put_string(b, INTERNED_STRING, name->index + 1u, text, (size_t)(name_put_text(text, name) - text));
        memory_free(text);
    }
    pb_close(b, interned);
    return end_packet(w, seq);
}
