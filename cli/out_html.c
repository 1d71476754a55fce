/* Owns .html: one file that shows the timeline by itself. It is cli/html/page.{html,css,js} as they are, with the trace in
 * the middle as base64 of gzip in <script type="text/plain"> elements, which no browser runs; nothing of a trace stands in
 * the page as text. Calls are held in memory until the end, 32 bytes each, because depth is known only then.
 *
 * The data, unpacked (page.js reads it; varints are LEB128; times are ns since "start" of the head):
 *   "VTH1"
 *   one line of JSON, ended by '\n': generator, start, end, base, cut_off, damage, totals, processes, tracks, names
 *   for each track: varint n; then n each of: start (less the start before), duration (0 when open), levels left before this
 *       call (depth = depth before + 1 - levels), name; then lists, each led by its varint length, calls as their number less
 *       the number before: flags (call, bits), details (call, three texts led by their lengths: args payload, return value,
 *       args as JSON), folds (call, calls, ns, functions: name, calls, ns), gaps (ns, count), marks (ns, text of JSON),
 *       counters (ns, collecting, collected, uncollectable)
 *   to the end: file_info as JSON */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file_info.h"
#include "cli/html/page.h"
#include "cli/json.h"
#include "cli/writer.h"
#include "proto/block_code.h"

#define CALLS_MAX (16u << 20)   /* a browser takes no more */
#define DETAILS_MAX (1u << 30)  /* bytes of arguments */
#define TEXT_MAX 8192u          /* of a name; longer ones end in "..." */
#define BASE64_CHUNK (3u << 18) /* bytes in one element of the page */

enum { FLAG_OPEN = 1, FLAG_FROM_ATTACH = 2, FLAG_RAISED = 4 };

struct bytes {
    uint8_t *data;
    size_t len, room;
};

struct slice {
    uint64_t start, end;
    uint32_t name;   /* as written: 0 .. nnames-1 */
    uint32_t detail; /* 1 + number of its detail, 0 = none */
    uint32_t fold;   /* 1 + number of its fold, 0 = none */
    uint32_t seq : 29, flags : 3;
};
_Static_assert(CALLS_MAX < 1u << 29, "slice.seq");

struct track {
    const struct trace_thread *thread;
    struct trace_task *task; /* or NULL */
    struct slice *slices;
    size_t n, room;
    struct bytes gaps, marks, counters; /* as written, but for times: whole ns in 8 bytes */
    size_t ngaps, nmarks, ncounters;
};

struct span {
    size_t offset, len;
};

struct trace_writer {
    struct output *out, *data; /* data: packed and base64 on its way into out */
    struct trace_info *info;
    struct file_source source;
    bool file_info;
    struct track **tracks;
    size_t ntracks, tracks_room;
    struct track **by_thread, **last_task; /* by index of the thread: its own track; that of the task last seen */
    uint32_t *name_of;                     /* by index of the name: 1 + number as written, 0 = not used */
    struct trace_name **names;             /* as written */
    uint32_t nnames;
    uint64_t ncalls, first_ns, last_ns;
    struct bytes details; /* as written */
    struct span *detail_spans;
    size_t ndetails, details_room;
    struct bytes folds;
    struct span *fold_spans;
    size_t nfolds, folds_room;
    uint8_t rest[3], nrest; /* not yet base64 */
    size_t in_chunk;
};

/* ---- memory ---- */

/* Room for one more element. */
static int grow(void *array, size_t n, size_t *room, size_t element) {
    if (n < *room) return 0;
    size_t more = *room ? *room * 2 : 64;
    void *grown = realloc(*(void **)array, more * element);
    if (!grown) return -ENOMEM;
    *(void **)array = grown;
    *room = more;
    return 0;
}

static int bytes_add(struct bytes *b, const void *data, size_t len) {
    if (b->room - b->len < len) {
        size_t room = b->room ? b->room : 4096;
        while (room - b->len < len) room *= 2;
        uint8_t *grown = realloc(b->data, room);
        if (!grown) return -ENOMEM;
        b->data = grown;
        b->room = room;
    }
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

static int bytes_varint(struct bytes *b, uint64_t v) {
    uint8_t buf[BLOCK_VARINT_MAX];
    return bytes_add(b, buf, (size_t)(block_put_varint(buf, v) - buf));
}

static int bytes_text(struct bytes *b, const void *text, size_t len) {
    int rc = bytes_varint(b, len);
    return rc ? rc : bytes_add(b, text, len);
}

static void html_free(struct trace_writer *w) {
    if (!w) return;
    for (size_t i = 0; i < w->ntracks; i++) {
        struct track *t = w->tracks[i];
        free(t->slices);
        free(t->gaps.data);
        free(t->marks.data);
        free(t->counters.data);
        free(t);
    }
    output_abort(w->data);
    file_source_close(&w->source);
    free(w->tracks);
    free(w->by_thread);
    free(w->last_task);
    free(w->name_of);
    free(w->names);
    free(w->details.data);
    free(w->detail_spans);
    free(w->folds.data);
    free(w->fold_spans);
    free(w);
}

static struct trace_writer *html_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    struct trace_writer *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->out = out;
    w->info = info;
    w->file_info = opts->file_info;
    w->first_ns = UINT64_MAX;
    file_source_open(&w->source, opts->source_root, opts->source_cwd, info->uid);
    w->by_thread = calloc(info->nthreads + 1u, sizeof(struct track *));
    w->last_task = calloc(info->nthreads + 1u, sizeof(struct track *));
    w->name_of = calloc(info->nnames + 1u, sizeof *w->name_of);
    w->names = calloc(info->nnames + 1u, sizeof(struct trace_name *));
    if (w->by_thread && w->last_task && w->name_of && w->names) return w;
    html_free(w);
    return NULL;
}

/* ---- collecting ---- */

static int add_track(struct trace_writer *w, const struct trace_thread *thread, struct trace_task *task, struct track **out) {
    int rc = grow(&w->tracks, w->ntracks, &w->tracks_room, sizeof(struct track *));
    struct track *t = rc ? NULL : calloc(1, sizeof *t);
    if (!t) return -ENOMEM;
    t->thread = thread;
    t->task = task;
    w->tracks[w->ntracks++] = t;
    *out = t;
    return 0;
}

static int thread_track(struct trace_writer *w, const struct trace_thread *thread, struct track **out) {
    struct track **slot = &w->by_thread[thread->index];
    int rc = *slot ? 0 : add_track(w, thread, NULL, slot);
    *out = *slot;
    return rc;
}

/* Tasks run in turns: the last one is mostly the one. */
static int task_track(struct trace_writer *w, const struct trace_thread *thread, struct trace_task *task, struct track **out) {
    struct track **slot = &w->last_task[thread->index];
    int rc = 0;
    if (!*slot || (*slot)->task != task) {
        struct track *found = NULL;
        for (size_t i = 0; i < w->ntracks && !found; i++)
            if (w->tracks[i]->task == task && w->tracks[i]->thread == thread) found = w->tracks[i];
        if (!found) rc = add_track(w, thread, task, &found);
        if (!rc) *slot = found;
    }
    *out = *slot;
    return rc;
}

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
    int rc = grow(&w->detail_spans, w->ndetails, &w->details_room, sizeof *w->detail_spans);
    if (!rc) rc = bytes_text(&w->details, call->args, call->args ? call->args_len : 0);
    if (!rc) rc = bytes_text(&w->details, call->retval, call->retval ? call->retval_len : 0);
    if (!rc) rc = bytes_text(&w->details, call->args_json, call->args_json ? call->args_json_len : 0);
    if (rc) return rc;
    w->detail_spans[w->ndetails] = (struct span){before, w->details.len - before};
    *number = (uint32_t)++w->ndetails;
    return 0;
}

static int add_fold(struct trace_writer *w, const struct trace_fold *fold, uint32_t *number) {
    size_t before = w->folds.len;
    int rc = grow(&w->fold_spans, w->nfolds, &w->folds_room, sizeof *w->fold_spans);
    if (!rc) rc = bytes_varint(&w->folds, fold->calls);
    if (!rc) rc = bytes_varint(&w->folds, fold->total_ns);
    if (!rc) rc = bytes_varint(&w->folds, fold->nfunctions);
    for (uint32_t i = 0; i < fold->nfunctions && !rc; i++) {
        rc = bytes_varint(&w->folds, name_number(w, fold->functions[i].name));
        if (!rc) rc = bytes_varint(&w->folds, fold->functions[i].calls);
        if (!rc) rc = bytes_varint(&w->folds, fold->functions[i].self_ns);
    }
    if (rc) return rc;
    w->fold_spans[w->nfolds] = (struct span){before, w->folds.len - before};
    *number = (uint32_t)++w->nfolds;
    return 0;
}

static int html_call(struct trace_writer *w, const struct trace_call *call) {
    struct track *t;
    if (w->ncalls >= CALLS_MAX) return -EFBIG;
    int rc = call->task ? task_track(w, call->thread, call->task, &t) : thread_track(w, call->thread, &t);
    if (!rc) rc = grow(&t->slices, t->n, &t->room, sizeof *t->slices);
    if (rc) return rc;
    struct slice s = {.start = call->start_ns,
                      .end = call->open                      ? UINT64_MAX
                             : call->end_ns > call->start_ns ? call->end_ns
                                                             : call->start_ns,
                      .name = name_number(w, call->name),
                      .seq = (uint32_t)t->n & ((1u << 29) - 1),
                      .flags = (call->open ? FLAG_OPEN : 0) | (call->from_attach ? FLAG_FROM_ATTACH : 0) |
                               (call->raised ? FLAG_RAISED : 0)};
    if (call->args || call->retval || call->args_json) rc = add_detail(w, call, &s.detail);
    if (!rc && call->folded && call->folded->calls) rc = add_fold(w, call->folded, &s.fold);
    if (rc) return rc;
    see_time(w, s.start);
    if (!call->open) see_time(w, s.end);
    t->slices[t->n++] = s;
    w->ncalls++;
    return 0;
}

static int html_gap(struct trace_writer *w, const struct trace_gap *gap) {
    struct track *t;
    int rc = thread_track(w, gap->thread, &t);
    if (!rc) rc = bytes_add(&t->gaps, &gap->ns, sizeof gap->ns);
    if (!rc) rc = bytes_varint(&t->gaps, gap->count);
    if (rc) return rc;
    see_time(w, gap->ns);
    t->ngaps++;
    return 0;
}

static int html_counter(struct trace_writer *w, const struct trace_counter *counter) {
    struct track *t;
    int rc = thread_track(w, counter->thread, &t);
    if (!rc) rc = bytes_add(&t->counters, &counter->ns, sizeof counter->ns);
    if (!rc) rc = bytes_varint(&t->counters, counter->value.collecting);
    if (!rc) rc = bytes_varint(&t->counters, counter->value.collected);
    if (!rc) rc = bytes_varint(&t->counters, counter->value.uncollectable);
    if (rc) return rc;
    see_time(w, counter->ns);
    t->ncounters++;
    return 0;
}

static char *put(char *p, const char *text) {
    size_t len = strlen(text);
    memcpy(p, text, len);
    return p + len;
}

/* ,"key":"text" of what may be missing or long. */
static char *put_member(char *p, const char *key, const char *text, size_t len) {
    p = put(put(put(p, ",\""), key), "\":");
    return json_put_string(p, text, len < TEXT_MAX ? len : TEXT_MAX);
}

static int html_mark(struct trace_writer *w, const struct trace_mark *mark) {
    struct track *t;
    char ph[2] = {mark->ph, 0}, scope[2] = {mark->scope, 0},
         *text = malloc(4 * JSON_TEXT_MAX(TEXT_MAX) + mark->args_json_len + 256);
    if (!text) return -ENOMEM;
    char *p = put_member(text, "ph", ph, 1);
    *text = '{'; /* instead of the first comma */
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
    int rc = thread_track(w, mark->thread, &t);
    if (!rc) rc = bytes_add(&t->marks, &mark->ns, sizeof mark->ns);
    if (!rc) rc = bytes_text(&t->marks, text, (size_t)(p - text));
    free(text);
    if (rc) return rc;
    see_time(w, mark->ns);
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

/* Whole threes of bytes, in elements of bounded size. */
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
    output_put(w->data, json_put_string(output_room(w->data, JSON_TEXT_MAX(n) + 2), text, n));
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
    put_text(w, ",\"damage\":", info->damage.msg, info->damage.code ? strlen(info->damage.msg) : 0);
    put_totals(w, totals);
    put_literal(w->data, ",\"processes\":[");
    for (uint32_t i = 0; i < info->nprocesses; i++) {
        put_number(w, i ? ",{\"pid\":" : "{\"pid\":", info->processes[i]->pid);
        put_text(w, ",\"name\":", info->processes[i]->name, info->processes[i]->name_len);
        put_literal(w->data, "}");
    }
    put_literal(w->data, "],\"tracks\":[");
    for (size_t i = 0; i < w->ntracks; i++) {
        const struct track *t = w->tracks[i];
        put_number(w, i ? ",{\"process\":" : "{\"process\":", t->thread->process->index);
        put_number(w, ",\"tid\":", t->thread->tid);
        put_text(w, ",\"name\":", t->thread->name, t->thread->name_len);
        if (t->task) put_text(w, ",\"task\":", t->task->name, t->task->name_len);
        put_literal(w->data, "}");
    }
    put_literal(w->data, "],\"names\":[");
    for (uint32_t i = 0; i < w->nnames; i++) {
        put_number(w, i ? ",[" : "[", w->names[i]->kind);
        put_number(w, ",", w->names[i]->line);
        put_text(w, ",", w->names[i]->name, w->names[i]->name_len);
        put_text(w, ",", w->names[i]->file, w->names[i]->file_len);
        put_literal(w->data, "]");
    }
    put_literal(w->data, "]}\n");
}

static void put_varint(struct trace_writer *w, uint64_t v) {
    uint8_t *p = (uint8_t *)output_room(w->data, BLOCK_VARINT_MAX);
    output_put(w->data, (char *)block_put_varint(p, v));
}

/* By start; the outer one first. Of two with the same times the outer one came later, but for open ones. */
static int compare_slices(const void *a, const void *b) {
    const struct slice *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    if (x->end != y->end) return x->end > y->end ? -1 : 1;
    int later = x->seq > y->seq ? -1 : x->seq < y->seq;
    return x->flags & FLAG_OPEN ? -later : later;
}

/* How many levels each call leaves behind before it begins. */
static int put_depths(struct trace_writer *w, const struct track *t) {
    uint64_t *ends = NULL;
    size_t depth = 0, room = 0;
    int rc = 0;
    for (size_t i = 0; i < t->n && !rc; i++) {
        size_t before = depth;
        while (depth && ends[depth - 1] <= t->slices[i].start) depth--;
        put_varint(w, before - depth);
        rc = grow(&ends, depth, &room, sizeof *ends);
        if (!rc) ends[depth++] = t->slices[i].end;
    }
    free(ends);
    return rc;
}

static size_t count(const struct track *t, uint32_t (*of)(const struct slice *)) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += of(&t->slices[i]) != 0;
    return n;
}
static uint32_t flags_of(const struct slice *s) { return s->flags; }
static uint32_t detail_of(const struct slice *s) { return s->detail; }
static uint32_t fold_of(const struct slice *s) { return s->fold; }

/* A list of the calls that have something: with spans its bytes, without the value itself. */
static void put_list(struct trace_writer *w, const struct track *t, uint32_t (*of)(const struct slice *),
                     const struct bytes *bytes, const struct span *spans) {
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

/* Items of {8 bytes of ns, nnumbers varints or a text led by its length}: the time becomes a varint since the start. */
static void put_timed(struct trace_writer *w, const struct bytes *b, size_t n, int nnumbers) {
    const uint8_t *p = b->data, *end = p + b->len;
    put_varint(w, n);
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

static int put_track(struct trace_writer *w, struct track *t) {
    if (t->n) qsort(t->slices, t->n, sizeof *t->slices, compare_slices);
    put_varint(w, t->n);
    uint64_t last = w->first_ns;
    for (size_t i = 0; i < t->n; i++) {
        put_varint(w, t->slices[i].start - last);
        last = t->slices[i].start;
    }
    for (size_t i = 0; i < t->n; i++) put_varint(w, t->slices[i].flags & FLAG_OPEN ? 0 : t->slices[i].end - t->slices[i].start);
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

static int html_end(struct trace_writer *w, const struct trace_totals *totals) {
    struct vt_err err = {0};
    uint64_t bytes;
    int rc = 0;
    if (w->first_ns > w->last_ns) w->first_ns = w->last_ns = 0;
    put_head(w, totals);
    for (size_t i = 0; i < w->ntracks && !rc; i++) rc = put_track(w, w->tracks[i]);
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

const struct trace_writer_ops out_html = {
    .suffix = ".html",
    .open = html_open,
    .begin = html_begin,
    .call = html_call,
    .gap = html_gap,
    .counter = html_counter,
    .mark = html_mark,
    .end = html_end,
    .free = html_free,
};
