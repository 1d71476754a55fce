/* Owns .html: one file that shows the timeline by itself. It is the page.html, page.css and scripts of this folder, with the
 * trace in the middle as base64 of gzip in <script type="text/plain"> elements, which no browser runs; nothing of a trace stands
 * in the page as text. Calls are held in memory until the end, 32 bytes each, because depth is known only then.
 *
 * The data, unpacked (trace.js reads it; varints are LEB128; times are ns since "start" of the head):
 *   "VTH1"
 *   one line of JSON, ended by '\n': generator, start, end, base, cut_off, damage, totals, processes, tracks, names;
 *   a track is a thread, a row of asyncio tasks or a row of threads of a pool that follow one another: "tasks" or "pool" has
 *   where each begins, its name and the id of its thread; a name: kind, line, name, file, calls and ns in folds, 1 = it waits
 *   for each track: varint n; then n each of: start (less the start before), duration, levels left before this
 *       call (depth = depth before + 1 - levels), name; then lists, each led by its varint length, calls as their number less
 *       the number before: flags (call, bits), details (call, three texts led by their lengths: args payload, return value,
 *       args as JSON), folds (call, calls, ns, functions: name, calls, ns), gaps (ns, count), marks (ns, text of JSON),
 *       counters (ns, collecting, collected, uncollectable)
 *   to the end: file_info as JSON */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/format/html/html_track.h"
#include "cli/format/html/page.h"
#include "cli/trace/file_info.h"
#include "cli/trace/trace_format.h"
#include "cli/trace/waits.h"
#include "proto/block_code.h"

#define CALLS_MAX (16u << 20)   /* browsers cannot hold more */
#define BUDGET 1000000u         /* calls that browsers draw smoothly */
#define DETAILS_MAX (1u << 30)  /* bytes of arguments */
#define TEXT_MAX 8192u          /* bytes of a name; longer ones end in "..." */
#define BASE64_CHUNK (3u << 18) /* bytes in one element of the page */

struct span {
    size_t offset, len;
};

struct trace_writer {
    struct output *out, *data; /* data: packed and base64 on its way into out */
    struct trace_info *info;
    struct file_source source;
    bool file_info;
    struct html_tracks tracks;
    uint32_t *name_of;         /* by index of the name: 1 + number as written, 0 = not used */
    struct trace_name **names; /* as written */
    struct {
        uint64_t calls, ns;
    } * folded; /* by number as written: the sums of each function over all folds */
    uint32_t nnames;
    uint64_t ncalls, first_ns, last_ns;
    struct html_bytes details; /* as written */
    struct span *detail_spans;
    size_t ndetails, details_room;
    struct html_bytes folds;
    struct span *fold_spans;
    size_t nfolds, folds_room;
    uint8_t rest[3], nrest; /* not yet base64 */
    size_t in_chunk;
};

static void html_free(struct trace_writer *w) {
    if (!w) return;
    html_tracks_free(&w->tracks);
    output_abort(w->data);
    file_source_close(&w->source);
    memory_free(w->name_of);
    memory_free(w->names);
    memory_free(w->folded);
    memory_free(w->details.data);
    memory_free(w->detail_spans);
    memory_free(w->folds.data);
    memory_free(w->fold_spans);
    memory_free(w);
}

static struct trace_writer *html_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    struct trace_writer *w = memory_calloc(1, sizeof *w);
    if (!w) return NULL;
    w->out = out;
    w->info = info;
    w->file_info = opts->file_info;
    w->first_ns = UINT64_MAX;
    file_source_open(&w->source, opts->source_root, opts->source_cwd, info->uid);
    w->name_of = memory_calloc(info->nnames + 1u, sizeof *w->name_of);
    w->names = memory_calloc(info->nnames + 1u, sizeof(struct trace_name *));
    w->folded = memory_calloc(info->nnames + 1u, sizeof *w->folded);
    if (w->name_of && w->names && w->folded && !html_tracks_init(&w->tracks, info->nthreads)) return w;
    html_free(w);
    return NULL;
}

/* ---- collecting ---- */

static uint32_t name_number(struct trace_writer *w, struct trace_name *name) {
    uint32_t *number = &w->name_of[name->index];
    if (!*number) {
        name->used = true;
        w->names[w->nnames++] = name;
        *number = w->nnames;
    }
    return *number - 1;
}

static void see_time(struct trace_writer *w, uint64_t ns) {
    if (ns < w->first_ns) w->first_ns = ns;
    if (ns > w->last_ns) w->last_ns = ns;
}

static int add_detail(struct trace_writer *w, const struct trace_call *call, uint32_t *number) {
    size_t before = w->details.len;
    if (before > DETAILS_MAX) return 0;
    int rc = html_grow(&w->detail_spans, w->ndetails, &w->details_room, sizeof *w->detail_spans);
    if (!rc) rc = html_bytes_text(&w->details, call->args, call->args ? call->args_len : 0);
    if (!rc) rc = html_bytes_text(&w->details, call->retval, call->retval ? call->retval_len : 0);
    if (!rc) rc = html_bytes_text(&w->details, call->args_json, call->args_json ? call->args_json_len : 0);
    if (rc) return rc;
    w->detail_spans[w->ndetails] = (struct span){before, w->details.len - before};
    *number = (uint32_t)++w->ndetails;
    return 0;
}

/* A fold and its mark name only the functions with the most time. These sums cover all functions. */
static void add_sums(struct trace_writer *w, const struct trace_fold *fold) {
    for (uint32_t i = 0; i < fold->nfunctions; i++) {
        uint32_t name = name_number(w, fold->functions[i].name);
        w->folded[name].calls += fold->functions[i].calls;
        w->folded[name].ns += fold->functions[i].self_ns;
    }
}

static int add_fold(struct trace_writer *w, const struct trace_fold *fold, uint32_t *number) {
    size_t before = w->folds.len;
    uint32_t n = fold->listed;
    int rc = html_grow(&w->fold_spans, w->nfolds, &w->folds_room, sizeof *w->fold_spans);
    if (!rc) rc = html_bytes_varint(&w->folds, fold->calls);
    if (!rc) rc = html_bytes_varint(&w->folds, fold->total_ns);
    if (!rc) rc = html_bytes_varint(&w->folds, n);
    add_sums(w, fold);
    for (uint32_t i = 0; i < n && !rc; i++) {
        const struct trace_fold_function *f = &fold->functions[i];
        rc = html_bytes_varint(&w->folds, name_number(w, f->name));
        if (!rc) rc = html_bytes_varint(&w->folds, f->calls);
        if (!rc) rc = html_bytes_varint(&w->folds, f->self_ns);
    }
    if (rc) return rc;
    w->fold_spans[w->nfolds] = (struct span){before, w->folds.len - before};
    *number = (uint32_t)++w->nfolds;
    return 0;
}

static int html_call(struct trace_writer *w, const struct trace_call *call) {
    struct html_track *t;
    if (w->ncalls >= CALLS_MAX) return -EFBIG;
    int rc = html_track_get(&w->tracks, call->thread, call->task, &t);
    if (rc) return rc;
    struct html_slice s = {.start = call->start_ns,
                           .end = call->end_ns > call->start_ns ? call->end_ns : call->start_ns,
                           .name = name_number(w, call->name),
                           .flags = (call->open ? HTML_OPEN : 0) | (call->from_attach ? HTML_FROM_ATTACH : 0) |
                                    (call->raised ? HTML_RAISED : 0) | (call->resumed ? HTML_RESUMED : 0) |
                                    (call->suspended ? HTML_SUSPENDED : 0)};
    if (call->args || call->retval || call->args_json) rc = add_detail(w, call, &s.detail);
    if (!rc && call->folded && call->folded->nfunctions) rc = add_fold(w, call->folded, &s.fold);
    if (!rc) rc = html_track_add(t, &s);
    if (rc) return rc;
    see_time(w, s.start);
    see_time(w, s.end);
    w->ncalls++;
    return 0;
}

static int html_await(struct trace_writer *w, const struct trace_await *await) { return html_call(w, &await->call); }

static int html_gap(struct trace_writer *w, const struct trace_gap *gap) {
    struct html_track *t;
    int rc = html_track_get(&w->tracks, gap->thread, NULL, &t);
    if (!rc) rc = html_bytes_add(&t->gaps, &gap->ns, sizeof gap->ns);
    if (!rc) rc = html_bytes_varint(&t->gaps, gap->count);
    if (rc) return rc;
    see_time(w, gap->ns);
    html_track_see(t, gap->ns);
    t->ngaps++;
    return 0;
}

static int html_counter(struct trace_writer *w, const struct trace_counter *counter) {
    struct html_track *t;
    int rc = html_track_get(&w->tracks, counter->thread, NULL, &t);
    if (!rc) rc = html_bytes_add(&t->counters, &counter->ns, sizeof counter->ns);
    if (!rc) rc = html_bytes_varint(&t->counters, counter->value.collecting);
    if (!rc) rc = html_bytes_varint(&t->counters, counter->value.collected);
    if (!rc) rc = html_bytes_varint(&t->counters, counter->value.uncollectable);
    if (rc) return rc;
    see_time(w, counter->ns);
    html_track_see(t, counter->ns);
    t->ncounters++;
    return 0;
}

static char *put(char *p, const char *text) {
    size_t len = strlen(text);
    memcpy(p, text, len);
    return p + len;
}

/* ,"key":"text" of a text that may be missing or long. */
static char *put_member(char *p, const char *key, const char *text, size_t len) {
    p = put(put(put(p, ",\""), key), "\":");
    return json_put_string(p, len ? text : "", len < TEXT_MAX ? len : TEXT_MAX);
}

static int html_mark(struct trace_writer *w, const struct trace_mark *mark) {
    struct html_track *t;
    char ph[2] = {mark->ph, 0}, scope[2] = {mark->scope, 0},
         *text = memory_alloc(4 * JSON_TEXT_MAX(TEXT_MAX) + mark->args_json_len + 256);
    if (!text) return -ENOMEM;
    if (mark->folded) add_sums(w, mark->folded);
    char *p = put_member(text, "ph", ph, 1);
    *text = '{'; /* replaces the first comma */
    p = put_member(p, "name", mark->name, mark->name ? mark->name_len : 0);
    p = put_member(p, "cat", mark->cat, mark->cat ? mark->cat_len : 0);
    p = put_member(p, "id", mark->id, mark->id ? mark->id_len : 0);
    p = put_member(p, "scope", scope, mark->scope ? 1 : 0);
    if (mark->args_json && mark->args_json_len) {
        p = put(p, ",\"args\":");
        memcpy(p, mark->args_json, mark->args_json_len);
        p += mark->args_json_len;
    }
    p = put(p, "}");
    int rc = html_track_get(&w->tracks, mark->thread, NULL, &t);
    if (!rc) rc = html_bytes_add(&t->marks, &mark->ns, sizeof mark->ns);
    if (!rc) rc = html_bytes_text(&t->marks, text, (size_t)(p - text));
    memory_free(text);
    if (rc) return rc;
    see_time(w, mark->ns);
    html_track_see(t, mark->ns);
    t->nmarks++;
    return 0;
}

/* ---- writing ---- */

static void base64_piece(struct trace_writer *w, const uint8_t *data, size_t len) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *p = output_room(w->out, len / 3 * 4);
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];
        *p++ = digits[v >> 18];
        *p++ = digits[v >> 12 & 63];
        *p++ = digits[v >> 6 & 63];
        *p++ = digits[v & 63];
    }
    output_put(w->out, p);
}

static void put_literal(struct output *o, const char *text) { output_write(o, text, strlen(text)); }

static void end_chunk(struct trace_writer *w) {
    if (!w->in_chunk) return;
    put_literal(w->out, "</script>\n");
    w->in_chunk = 0;
}

/* Encodes whole groups of three bytes, in elements of limited size. */
static void base64_threes(struct trace_writer *w, const uint8_t *data, size_t len) {
    while (len) {
        size_t left = BASE64_CHUNK - w->in_chunk, n = len < left ? len : left;
        if (n > 3u << 14) n = 3u << 14;
        if (!w->in_chunk) put_literal(w->out, "<script type=\"text/plain\" class=\"trace\">");
        base64_piece(w, data, n);
        w->in_chunk += n;
        if (w->in_chunk == BASE64_CHUNK) end_chunk(w);
        data += n;
        len -= n;
    }
}

/* The sink behind `data`. */
static int to_base64(void *arg, const void *data, size_t len) {
    struct trace_writer *w = arg;
    const uint8_t *p = data, *end = p + len;
    while (w->nrest && w->nrest < 3 && p < end) w->rest[w->nrest++] = *p++;
    if (w->nrest == 3) {
        base64_threes(w, w->rest, 3);
        w->nrest = 0;
    }
    size_t threes = (size_t)(end - p) / 3 * 3;
    base64_threes(w, p, threes);
    for (p += threes; p < end; p++) w->rest[w->nrest++] = *p;
    return output_error(w->out);
}

static void end_base64(struct trace_writer *w) {
    uint8_t last = w->nrest;
    if (last) {
        if (!w->in_chunk) put_literal(w->out, "<script type=\"text/plain\" class=\"trace\">");
        memset(w->rest + last, 0, sizeof w->rest - last);
        base64_piece(w, w->rest, 3);
        output_put(w->out, output_room(w->out, 0) - (3 - last));
        output_write(w->out, "==", 3u - last);
        w->in_chunk += last;
    }
    end_chunk(w);
}

static int html_begin(struct trace_writer *w) {
    output_write(w->out, page_head, sizeof page_head);
    return output_open_sink(true, to_base64, w, &w->data);
}

static void put_number(struct trace_writer *w, const char *before, uint64_t v) {
    put_literal(w->data, before);
    output_put(w->data, json_put_u64(output_room(w->data, JSON_NUMBER_MAX), v));
}

static void put_text(struct trace_writer *w, const char *before, const char *text, size_t len) {
    put_literal(w->data, before);
    size_t n = len < TEXT_MAX ? len : TEXT_MAX;
    output_put(w->data, json_put_string(output_room(w->data, JSON_TEXT_MAX(n) + 2), n ? text : "", n));
}

static void put_totals(struct trace_writer *w, const struct trace_totals *t) {
    put_number(w, ",\"totals\":{\"calls\":", t->calls);
    put_number(w, ",\"open\":", t->open);
    put_number(w, ",\"short_calls\":", t->short_calls);
    put_number(w, ",\"dropped\":", t->dropped);
    put_number(w, ",\"unmatched\":", t->unmatched);
    put_number(w, ",\"left_out\":", t->left_out);
    put_number(w, ",\"folded\":", t->folded);
    put_literal(w->data, "}");
}

static void put_head(struct trace_writer *w, const struct trace_totals *totals) {
    const struct trace_info *info = w->info;
    put_number(w, "VTH1{\"generator\":\"viztracerd " VT_VERSION "\",\"start\":", w->first_ns);
    put_number(w, ",\"end\":", w->last_ns - w->first_ns);
    put_number(w, ",\"base\":", info->real_minus_mono);
    put_literal(w->data, info->cut_off ? ",\"cut_off\":true" : ",\"cut_off\":false");
    put_text(w, ",\"limit\":", info->limit, strlen(info->limit));
    put_text(w, ",\"damage\":", info->damage.msg, info->damage.code ? strlen(info->damage.msg) : 0);
    put_totals(w, totals);
    put_literal(w->data, ",\"processes\":[");
    for (uint32_t i = 0; i < info->nprocesses; i++) {
        put_number(w, i ? ",{\"pid\":" : "{\"pid\":", info->processes[i]->pid);
        put_text(w, ",\"name\":", info->processes[i]->name, info->processes[i]->name_len);
        put_literal(w->data, "}");
    }
    put_literal(w->data, "],\"tracks\":[");
    for (size_t i = 0; i < w->tracks.n; i++) {
        const struct html_track *t = w->tracks.list[i];
        put_number(w, i ? ",{\"process\":" : "{\"process\":", t->thread->process->index);
        put_number(w, ",\"tid\":", t->thread->tid);
        put_text(w, ",\"name\":", t->thread->name, t->thread->name_len);
        for (size_t k = 0; k < t->nruns; k++) {
            const struct html_run *run = &t->runs[k];
            put_number(w, k ? "],[" : run->task ? ",\"tasks\":[[" : ",\"pool\":[[", run->start - w->first_ns);
            if (run->task)
                put_text(w, ",", run->task->name, run->task->name_len);
            else
                put_text(w, ",", run->thread->name, run->thread->name_len);
            put_number(w, ",", run->thread->tid);
        }
        put_literal(w->data, t->nruns ? "]]}" : "}");
    }
    put_literal(w->data, "],\"names\":[");
    for (uint32_t i = 0; i < w->nnames; i++) {
        put_number(w, i ? ",[" : "[", w->names[i]->kind);
        put_number(w, ",", w->names[i]->line);
        put_text(w, ",", w->names[i]->name, w->names[i]->name_len);
        put_text(w, ",", w->names[i]->file, w->names[i]->file_len);
        put_number(w, ",", w->folded[i].calls);
        put_number(w, ",", w->folded[i].ns);
        put_number(w, ",", (waits_of(w->names[i]) & WAITS) != 0);
        put_literal(w->data, "]");
    }
    put_literal(w->data, "]}\n");
}

static void put_varint(struct trace_writer *w, uint64_t v) {
    uint8_t *p = (uint8_t *)output_room(w->data, BLOCK_VARINT_MAX);
    output_put(w->data, (char *)block_put_varint(p, v));
}

/* Writes how many levels end before each call begins. */
static int put_depths(struct trace_writer *w, const struct html_track *t) {
    uint64_t *ends = NULL;
    size_t depth = 0, room = 0;
    int rc = 0;
    for (size_t i = 0; i < t->n && !rc; i++) {
        size_t before = depth;
        while (depth && ends[depth - 1] <= t->slices[i].start) depth--;
        put_varint(w, before - depth);
        rc = html_grow(&ends, depth, &room, sizeof *ends);
        bool open = t->slices[i].flags & HTML_OPEN; /* is around what begins at its end */
        if (!rc) ends[depth++] = t->slices[i].end + open;
    }
    memory_free(ends);
    return rc;
}

static size_t count(const struct html_track *t, uint32_t (*of)(const struct html_slice *)) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += of(&t->slices[i]) != 0;
    return n;
}
static uint32_t flags_of(const struct html_slice *s) { return s->flags; }
static uint32_t detail_of(const struct html_slice *s) { return s->detail; }
static uint32_t fold_of(const struct html_slice *s) { return s->fold; }

/* Writes a list of the calls that have a value: with spans the bytes of the span, else the value itself. */
static void put_list(struct trace_writer *w, const struct html_track *t, uint32_t (*of)(const struct html_slice *),
                     const struct html_bytes *bytes, const struct span *spans) {
    put_varint(w, count(t, of));
    for (size_t i = 0, last = 0; i < t->n; i++) {
        uint32_t v = of(&t->slices[i]);
        if (!v) continue;
        put_varint(w, i - last);
        last = i;
        if (spans)
            output_write(w->data, bytes->data + spans[v - 1].offset, spans[v - 1].len);
        else
            put_varint(w, v);
    }
}

/* Items of {8 bytes of ns, nnumbers varints or a text led by its length}: the time becomes a varint, the ns since the start. */
static void put_timed(struct trace_writer *w, const struct html_bytes *b, size_t n, int nnumbers) {
    put_varint(w, n);
    if (!n) return;
    const uint8_t *p = b->data, *end = p + b->len;
    while (p < end) {
        uint64_t ns, v = 0;
        memcpy(&ns, p, sizeof ns);
        p += sizeof ns;
        put_varint(w, ns - w->first_ns);
        for (int i = 0; i < (nnumbers ? nnumbers : 1); i++) {
            p = block_get_varint(p, end, &v);
            put_varint(w, v);
        }
        if (nnumbers) continue;
        output_write(w->data, p, v);
        p += v;
    }
}

static int put_track(struct trace_writer *w, struct html_track *t) {
    html_track_sort(t);
    put_varint(w, t->n);
    uint64_t last = w->first_ns;
    for (size_t i = 0; i < t->n; i++) {
        put_varint(w, t->slices[i].start - last);
        last = t->slices[i].start;
    }
    for (size_t i = 0; i < t->n; i++) put_varint(w, t->slices[i].end - t->slices[i].start);
    int rc = put_depths(w, t);
    for (size_t i = 0; i < t->n; i++) put_varint(w, t->slices[i].name);
    put_list(w, t, flags_of, NULL, NULL);
    put_list(w, t, detail_of, &w->details, w->detail_spans);
    put_list(w, t, fold_of, &w->folds, w->fold_spans);
    put_timed(w, &t->gaps, t->ngaps, 1);
    put_timed(w, &t->marks, t->nmarks, 0);
    put_timed(w, &t->counters, t->ncounters, 3);
    return rc ? rc : output_error(w->data);
}

/* Tracing went on when nothing was called any more. */
static void see_processes(struct trace_writer *w) {
    bool any = w->first_ns <= w->last_ns;
    for (uint32_t i = 0; i < w->info->nprocesses; i++) {
        const struct trace_process *process = w->info->processes[i];
        if (process->hidden || !process->end_ns) continue;
        if (!any) see_time(w, trace_process_start(w->info, process));
        see_time(w, trace_process_end(w->info, process));
    }
}

static int html_end(struct trace_writer *w, const struct trace_totals *totals) {
    struct vt_err err = {0};
    uint64_t bytes;
    see_processes(w);
    if (w->first_ns > w->last_ns) w->first_ns = w->last_ns = 0;
    int rc = html_tracks_pack(&w->tracks, w->info->nthreads);
    if (rc) return rc;
    put_head(w, totals);
    for (size_t i = 0; i < w->tracks.n && !rc; i++) rc = put_track(w, w->tracks.list[i]);
    if (!rc && w->file_info) rc = file_info_write(w->data, w->info, &w->source);
    if (rc) return rc;
    struct output *data = w->data;
    w->data = NULL;
    rc = output_commit(data, &bytes, &err);
    if (rc) return rc;
    end_base64(w);
    output_write(w->out, page_tail, sizeof page_tail);
    return output_error(w->out);
}

static const struct trace_writer_ops out_html = {
    .most = CALLS_MAX,
    .budget = BUDGET,
    .open = html_open,
    .begin = html_begin,
    .call = html_call,
    .gap = html_gap,
    .counter = html_counter,
    .mark = html_mark,
    .await = html_await,
    .end = html_end,
    .free = html_free,
};

static bool html_is(const uint8_t *head, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!head[i] || !strchr(" \t\r\n\xef\xbb\xbf", head[i])) return head[i] == '<';
    return false;
}

const struct trace_format format_html = {
    .name = "html",
    .help = "one page that needs nothing else",
    .suffixes = {{.text = ".html"}},
    .is = html_is,
    .is_needs_suffix = true,
    .writer = &out_html,
    .view = FORMAT_VIEW_AS_PAGE,
    .part = FORMAT_PAGE_PART,
    .next_step = "Open it with: vizviewer ",
};
