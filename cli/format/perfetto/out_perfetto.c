/* Owns Perfetto's protobuf format (.pftrace). One sequence per thread, with a clock that counts from event to event; names are
 * interned per sequence; processes, threads, asyncio tasks and counters have tracks.
 *
 * Where calls are announced (writer.h), the packets of a sequence are in the order of their times. A packet that goes back in
 * time (a call that was not announced, an end that was lost in a gap) carries an absolute time. Readers sort by time and keep
 * the order of the file for equal times; nested calls are 1 ns apart, which makes that order correct. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/json_walk.h"
#include "cli/base/memory.h"
#include "cli/format/perfetto/perfetto.h"
#include "cli/format/perfetto/perfetto_args.h"
#include "cli/format/perfetto/perfetto_packets.h"
#include "cli/trace/call_args.h"
#include "cli/trace/limit.h"
#include "cli/trace/names.h"

#define LIMIT_SHOWN 200u /* functions; .vzt and .json have them all */

#define FAST_MAX 64u /* bytes of a packet without arguments, its name interned */

/* The part of a packet that begins a call of a function: PACKET_EVENT, its length, type, name, source. Blocks of this size are
 * copied whole. */
#define PART_MAX 20u
struct begin_bytes {
    uint8_t len, bytes[PART_MAX + 3];
};

struct trace_writer {
    struct packets packets;
    struct begin_bytes *begins; /* by index of the name; len 0 = not built yet */
};

static void perfetto_free(struct trace_writer *w) {
    if (!w) return;
    packets_free(&w->packets);
    memory_free(w->begins);
    memory_free(w);
}

static struct trace_writer *perfetto_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    struct trace_writer *w = memory_calloc(1, sizeof *w);
    if (!w) return NULL;
    w->begins = memory_calloc(info->nnames + 1u, sizeof *w->begins);
    if (w->begins && !packets_init(&w->packets, out, info, opts->for_viewer)) return w;
    perfetto_free(w);
    return NULL;
}

static int perfetto_begin(struct trace_writer *w) { return packets_begin(&w->packets); }

static void make_begin(struct begin_bytes *begin, const struct trace_name *name) {
    uint8_t *p = begin->bytes + 2;
    p = pb_put_varint(p, PB_TAG(EVENT_TYPE, PB_VARINT));
    p = pb_put_varint(p, TYPE_BEGIN);
    p = pb_put_varint(p, PB_TAG(EVENT_NAME_ID, PB_VARINT));
    p = pb_put_varint(p, name->index + 1u);
    if (name->kind == 0) {
        p = pb_put_varint(p, PB_TAG(EVENT_SOURCE_ID, PB_VARINT));
        p = pb_put_varint(p, name->index + 1u);
    }
    begin->bytes[0] = PB_TAG(PACKET_EVENT, PB_BYTES);
    begin->len = (uint8_t)(p - begin->bytes);
    begin->bytes[1] = (uint8_t)(begin->len - 2);
}

/* Writes a packet whose time does not go back, with the given event and no arguments. */
static int put_fast(struct trace_writer *w, struct sequence *seq, uint64_t ns, const uint8_t *event, size_t len) {
    uint8_t *start = (uint8_t *)output_room(w->packets.out, FAST_MAX), *p = start + 2;
    *p++ = PB_TAG(PACKET_TIME, PB_VARINT);
    p = pb_put_varint(p, packets_time(&w->packets, seq, ns));
    seq->last_ns = ns;
    memcpy(p, event, PART_MAX);
    p += len;
    memcpy(p, seq->tail.bytes, sizeof seq->tail.bytes);
    p += seq->tail.len;
    start[0] = PB_TAG(TRACE_PACKET, PB_BYTES);
    start[1] = (uint8_t)(p - start - 2);
    output_put(w->packets.out, (char *)p);
    return output_error(w->packets.out);
}

static int put_begin(struct trace_writer *w, struct sequence *seq, const struct trace_call *call, bool in_order, bool entered) {
    struct track *task = NULL;
    int rc = packets_interned(seq, call->name) ? 0 : packets_intern(&w->packets, seq, call->name);
    if (rc) return rc;
    struct begin_bytes *begin = &w->begins[call->name->index];
    if (!begin->len) make_begin(begin, call->name);
    if (call->start_ns >= seq->last_ns && !call->task && !call->args && !call->args_json && !call->from_attach && !call->resumed)
        return put_fast(w, seq, call->start_ns, begin->bytes, begin->len);
    if (call->task && (rc = packets_task_track(&w->packets, seq, call, &task))) return rc;
    size_t start = packets_open_event(&w->packets, seq, call->start_ns, TYPE_BEGIN, task ? task->uuid : 0);
    struct buf *b = &w->packets.packet;
    pb_u64(b, EVENT_NAME_ID, call->name->index + 1u);
    if (call->name->kind == 0) pb_u64(b, EVENT_SOURCE_ID, call->name->index + 1u);
    if (task && in_order && task->depth == 0) pb_fixed64(b, EVENT_FLOW, task->uuid);
    if (task && entered) task->depth++;
    if (call->from_attach) perfetto_arg_true(b, "from_attach");
    if (call->resumed) perfetto_arg_true(b, "resumed");
    if (call->args) perfetto_arg_func_args(b, call);
    if (call->args_json) perfetto_args_json(b, call->args_json, call->args_json_len);
    return packets_close_event(&w->packets, seq, start);
}

static int put_end(struct trace_writer *w, struct sequence *seq, const struct trace_call *call) {
    static const uint8_t plain[PART_MAX] = {PB_TAG(PACKET_EVENT, PB_BYTES), 2, PB_TAG(EVENT_TYPE, PB_VARINT), TYPE_END};
    struct track *task = NULL;
    if (call->end_ns >= seq->last_ns && !call->task && !call->retval && !call->raised && !call->folded && !call->open &&
        !call->suspended)
        return put_fast(w, seq, call->end_ns, plain, 4);
    int rc = call->task ? packets_task_track(&w->packets, seq, call, &task) : 0;
    if (rc) return rc;
    if (task && call->announced) task->depth--;
    if (call->folded && (rc = packets_intern_fold(&w->packets, seq, call->folded))) return rc;
    size_t start = packets_open_event(&w->packets, seq, call->end_ns, TYPE_END, task ? task->uuid : 0);
    struct buf *b = &w->packets.packet;
    struct call_text retval;
    if (call_retval(call, &retval)) perfetto_arg_repr(b, "return_value", retval.data, retval.len);
    if (call->raised) perfetto_arg_true(b, "raised");
    if (call->suspended) perfetto_arg_true(b, "suspended");
    if (call->open) perfetto_arg_true(b, "unfinished");
    if (call->folded) perfetto_arg_fold(b, call->folded);
    return packets_close_event(&w->packets, seq, start);
}

static int perfetto_enter(struct trace_writer *w, const struct trace_call *call) {
    struct sequence *seq;
    int rc = packets_ready(&w->packets, call->thread, call->start_ns, &seq);
    return rc ? rc : put_begin(w, seq, call, true, true);
}

static int perfetto_call(struct trace_writer *w, const struct trace_call *call) {
    struct sequence *seq;
    int rc = packets_ready(&w->packets, call->thread, call->start_ns, &seq);
    if (!rc && !call->announced) rc = put_begin(w, seq, call, call->in_order, false);
    return rc ? rc : put_end(w, seq, call);
}

static int perfetto_await(struct trace_writer *w, const struct trace_await *await) { return perfetto_call(w, &await->call); }

static int perfetto_gap(struct trace_writer *w, const struct trace_gap *gap) {
    struct sequence *seq;
    int rc = packets_ready(&w->packets, gap->thread, gap->ns, &seq);
    if (!rc) rc = packets_dropped(&w->packets, seq, gap->ns);
    if (rc) return rc;
    size_t start = packets_open_event(&w->packets, seq, gap->ns, TYPE_INSTANT, 0);
    pb_text(&w->packets.packet, EVENT_NAME, "events dropped", 14);
    perfetto_arg_u64(&w->packets.packet, "count", gap->count);
    return packets_close_event(&w->packets, seq, start);
}

/* ---- counters and marks ---- */

struct counting {
    struct trace_writer *w;
    const struct trace_thread *thread;
    uint64_t ns;
    const char *name;
    size_t name_len;
    int rc;
};

/* One value of a counter: a track "name key", or "name" where both are the same. */
static void put_count(void *arg, const char *key, size_t key_len, double value) {
    struct counting *c = arg;
    struct sequence *seq;
    struct track *track;
    if (c->rc) return;
    bool same = key_len == c->name_len && !memcmp(key, c->name, key_len);
    size_t title_len = c->name_len + (same ? 0 : key_len + 1);
    char *title = memory_alloc(c->name_len + key_len + 1);
    if (title) {
        memcpy(title, c->name, c->name_len);
        if (!same) {
            title[c->name_len] = ' ';
            memcpy(title + c->name_len + 1, key, key_len);
        }
        c->rc = packets_named_track(&c->w->packets, c->thread, true, (const char *const[]){c->name, key},
                                    (const size_t[]){c->name_len, key_len}, title, title_len, &track);
    } else {
        c->rc = -ENOMEM;
    }
    memory_free(title);
    if (!c->rc) c->rc = packets_ready(&c->w->packets, c->thread, c->ns, &seq);
    if (c->rc) return;
    size_t start = packets_open_event(&c->w->packets, seq, c->ns, TYPE_COUNTER, track->uuid);
    if (value >= -9e15 && value <= 9e15 && (double)(int64_t)value == value)
        pb_u64(&c->w->packets.packet, EVENT_COUNTER, (uint64_t)(int64_t)value);
    else
        pb_double(&c->w->packets.packet, EVENT_DOUBLE_COUNTER, value);
    c->rc = packets_close_event(&c->w->packets, seq, start);
}

static int perfetto_counter(struct trace_writer *w, const struct trace_counter *counter) {
    struct counting c = {.w = w, .thread = counter->thread, .ns = counter->ns, .name = "garbage collection", .name_len = 18};
    put_count(&c, "collecting", 10, (double)counter->value.collecting);
    put_count(&c, "collected", 9, (double)counter->value.collected);
    put_count(&c, "uncollectable", 13, (double)counter->value.uncollectable);
    return c.rc;
}

/* The begin, a moment or the end of an event with an id of its own: each id has a track. */
static int put_async(struct trace_writer *w, struct sequence *seq, const struct trace_mark *mark) {
    struct track *track;
    int rc = packets_named_track(&w->packets, mark->thread, false, (const char *const[]){mark->cat, mark->id},
                                 (const size_t[]){mark->cat_len, mark->id_len}, mark->name, mark->name_len, &track);
    if (rc) return rc;
    if (mark->ph == 'e' && !track->depth) return 0; /* the trace does not have its begin */
    if (mark->ph == 'b') track->depth++;
    if (mark->ph == 'e') track->depth--;
    size_t start = packets_open_event(&w->packets, seq, mark->ns,
                                      mark->ph == 'b'   ? TYPE_BEGIN
                                      : mark->ph == 'e' ? TYPE_END
                                                        : TYPE_INSTANT,
                                      track->uuid);
    if (mark->cat_len) pb_text(&w->packets.packet, EVENT_CATEGORY, mark->cat, mark->cat_len);
    if (mark->ph != 'e') pb_text(&w->packets.packet, EVENT_NAME, mark->name, mark->name_len);
    if (mark->args_json) perfetto_args_json(&w->packets.packet, mark->args_json, mark->args_json_len);
    return packets_close_event(&w->packets, seq, start);
}

static int perfetto_mark(struct trace_writer *w, const struct trace_mark *mark) {
    struct sequence *seq;
    int rc = packets_ready(&w->packets, mark->thread, mark->ns, &seq);
    if (rc) return rc;
    if (mark->ph == 'C' && mark->args_json) {
        struct counting c = {.w = w, .thread = mark->thread, .ns = mark->ns, .name = mark->name, .name_len = mark->name_len};
        json_numbers(mark->args_json, mark->args_json_len, put_count, &c);
        return c.rc;
    }
    if (mark->ph == 'b' || mark->ph == 'n' || mark->ph == 'e') return put_async(w, seq, mark);
    bool wide = mark->scope == 'g' || mark->scope == 'p';
    size_t start =
        packets_open_event(&w->packets, seq, mark->ns, TYPE_INSTANT, wide ? packets_process(&w->packets, mark->thread) : 0);
    struct buf *b = &w->packets.packet;
    if (mark->cat_len) pb_text(b, EVENT_CATEGORY, mark->cat, mark->cat_len);
    pb_text(b, EVENT_NAME, mark->name, mark->name_len);
    if (mark->id) {
        uint64_t flow = packets_hash(mark->id, mark->id_len) ^ packets_hash(mark->cat, mark->cat_len);
        if (mark->ph == 's' || mark->ph == 't') pb_fixed64(b, EVENT_FLOW, flow);
        if (mark->ph == 'f') pb_fixed64(b, EVENT_FLOW_END, flow);
        perfetto_arg_text(b, "id", mark->id, mark->id_len);
    }
    if (mark->ph == 'N') perfetto_arg_text(b, "object", "created", 7);
    if (mark->ph == 'O') perfetto_arg_text(b, "object", "snapshot", 8);
    if (mark->ph == 'D') perfetto_arg_text(b, "object", "deleted", 7);
    if (mark->args_json) perfetto_args_json(b, mark->args_json, mark->args_json_len);
    return packets_close_event(&w->packets, seq, start);
}

/* Writes one instant at the end of the process's track: --max_overhead was on, and what is known of each throttled function. */
static int put_limit(struct trace_writer *w, uint64_t ns) {
    const struct trace_info *info = w->packets.info;
    if (!info->limit[0]) return 0;
    size_t start = packets_open_event(&w->packets, w->packets.control, ns, TYPE_INSTANT, 0);
    struct buf *b = &w->packets.packet;
    pb_text(b, EVENT_NAME, "limit on the overhead", 21);
    perfetto_arg_text(b, "limit", info->limit, strlen(info->limit));
    for (size_t i = 0; i < limit_functions(info) && i < LIMIT_SHOWN; i++) {
        const Vt__ThrottledFunction *f = info->throttled->functions[i];
        char name[CLEAN_TEXT_MAX], text[128];
        limit_figures(text, sizeof text, f);
        name_short(name, trace_info_name(w->packets.info, f->id));
        perfetto_arg_text(b, name, text, strlen(text));
    }
    return packets_close_event(&w->packets, w->packets.control, start);
}

/* One instant on the track of each process: unfinished calls were cut there. */
static int put_tracing_ends(struct trace_writer *w) {
    const struct trace_info *info = w->packets.info;
    int rc = 0;
    for (uint32_t i = 0; i < info->nprocesses && !rc; i++) {
        const struct trace_process *process = info->processes[i];
        if (process->hidden || !process->end_ns) continue;
        size_t start = packets_open_event(&w->packets, w->packets.control, trace_process_end(info, process), TYPE_INSTANT,
                                          w->packets.process_uuids[i]);
        pb_text(&w->packets.packet, EVENT_NAME, "tracing ended", 13);
        perfetto_arg_u64(&w->packets.packet, "began_ns", trace_process_start(info, process));
        rc = packets_close_event(&w->packets, w->packets.control, start);
    }
    return rc;
}

/* At the end of the process's track too, when something is not in the picture. */
static int perfetto_end(struct trace_writer *w, const struct trace_totals *totals) {
    bool cut_off = w->packets.info->cut_off || w->packets.info->damage.code;
    uint64_t last_ns = 0;
    int rc = put_tracing_ends(w);
    for (uint32_t i = 0; i <= w->packets.info->nthreads; i++)
        if (w->packets.control[i].last_ns > last_ns) last_ns = w->packets.control[i].last_ns;
    if (!rc) rc = put_limit(w, last_ns);
    if (rc || (!totals->folded && !totals->left_out && !totals->short_calls && !totals->dropped && !cut_off &&
               !w->packets.info->filters[0]))
        return rc ? rc : output_error(w->packets.out);
    size_t start = packets_open_event(&w->packets, w->packets.control, last_ns, TYPE_INSTANT, 0);
    struct buf *b = &w->packets.packet;
    pb_text(b, EVENT_NAME, "not everything is shown", 23);
    if (totals->folded) perfetto_arg_u64(b, "folded_calls", totals->folded);
    if (totals->left_out) perfetto_arg_u64(b, "older_calls_left_out", totals->left_out);
    if (totals->short_calls) perfetto_arg_u64(b, "short_calls_left_out", totals->short_calls);
    if (totals->dropped) perfetto_arg_u64(b, "dropped_events", totals->dropped);
    if (cut_off) perfetto_arg_true(b, "cut_off");
    if (w->packets.info->filters[0]) perfetto_arg_text(b, "filters", w->packets.info->filters, strlen(w->packets.info->filters));
    return packets_close_event(&w->packets, w->packets.control, start);
}

const struct trace_writer_ops out_perfetto = {
    .open = perfetto_open,
    .begin = perfetto_begin,
    .enter = perfetto_enter,
    .call = perfetto_call,
    .gap = perfetto_gap,
    .counter = perfetto_counter,
    .mark = perfetto_mark,
    .await = perfetto_await,
    .end = perfetto_end,
    .free = perfetto_free,
};
