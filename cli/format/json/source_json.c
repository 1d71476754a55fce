/* Owns Chrome JSON as a source of calls (source.h): our own files, VizTracer's, and what else keeps to the format.
 * The file is read twice: to learn its names and threads and whether its calls are in order, then to hand them over.
 * Memory: names, threads, source texts, 24 bytes for each call that no call of the file is around; where a thread's
 * calls are out of order, what lane.h says.
 *
 * X is a call; B and E make one. B without E, and X with "unfinished" in its arguments, were open when tracing ended; X with
 * "resumed" or "suspended" is a piece of a generator's or coroutine's call. M names
 * processes and threads. i, C, N, O, D, s, t, f, b, n, e are marks. The rest is counted as left out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/input.h"
#include "cli/base/interrupt.h"
#include "cli/base/json_walk.h"
#include "cli/base/memory.h"
#include "cli/format/json/chrome_json.h"
#include "cli/format/json/json_events.h"
#include "cli/trace/filters.h"
#include "cli/trace/info_build.h"
#include "cli/trace/lane.h"
#include "cli/trace/limit.h"

#define MARKS TRACE_MARKS
#define OPEN_SEARCH 4096u /* open calls that an E is compared with, at most */

struct open_call { /* a B that waits for its E */
    struct trace_name *name;
    const struct trace_category *category;
    uint64_t start_ns;
    char *args; /* malloc'd or NULL */
    size_t args_len;
};

struct json_thread {
    struct open_call *open;
    size_t nopen, open_room;
};

struct json_source {
    char *path;
    struct info_build build;
    struct json_thread *threads; /* by index */
    size_t threads_room;
    struct lanes lanes;
    uint64_t dropped;           /* from the file's metadata */
    struct text_map categories; /* struct trace_category by text */
    struct buf args;
};

/* One reading of the file. */
struct pass {
    struct json_source *s;
    struct trace_info *info;
    struct lanes *lanes;
};

/* ---- names and threads ---- */

static struct trace_process *process_of(struct json_source *s, const struct json_event *e) {
    return e->pid.text ? info_build_process(&s->build, e->pid.text, e->pid.len) : info_build_process(&s->build, "0", 1);
}

/* NULL = no memory; in the second reading also: the file has changed. */
static struct trace_thread *thread_of(struct pass *p, const struct json_event *e) {
    struct json_source *s = p->s;
    uint32_t before = p->info->nprocesses;
    struct trace_process *process = process_of(s, e);
    struct json_text tid = e->tid.text ? e->tid : e->pid.text ? e->pid : (struct json_text){"0", 1};
    if (!process) return NULL;
    if (!p->lanes->learns)
        return before == p->info->nprocesses ? info_build_find_thread(&s->build, process, tid.text, tid.len) : NULL;
    struct trace_thread *thread = info_build_thread(&s->build, process, tid.text, tid.len);
    if (!thread || lanes_thread(p->lanes, thread)) return NULL;
    if (thread->index < s->threads_room) return thread;
    size_t room = thread->index * 2u + 16;
    struct json_thread *grown = memory_realloc(s->threads, room * sizeof *grown);
    if (!grown) return NULL;
    memset(grown + s->threads_room, 0, (room - s->threads_room) * sizeof *grown);
    s->threads = grown;
    s->threads_room = room;
    return thread;
}

static struct trace_name *name_of(struct pass *p, const struct json_event *e) {
    const char *text = e->name.text ? e->name.text : "";
    return p->lanes->learns ? info_build_name(&p->s->build, text, e->name.len)
                            : info_build_find_name(&p->s->build, text, e->name.len);
}

/* Sets *to; stays NULL when the event has none. */
static int category_of(struct pass *p, const struct json_event *e, const struct trace_category **to) {
    *to = NULL;
    if (!e->cat.text || !e->cat.len) return 0;
    void **slot = text_map_slot(&p->s->categories, e->cat.text, e->cat.len);
    if (!slot) return -ENOMEM;
    if (!*slot) {
        struct trace_category *made = memory_alloc(sizeof *made + e->cat.len);
        if (!made) return -ENOMEM;
        made->len = e->cat.len;
        memcpy(made->text, e->cat.text, e->cat.len);
        *slot = made;
    }
    *to = *slot;
    return 0;
}

static void leave_out(struct pass *p, enum left_out_cause cause, const void *name, size_t len) {
    if (p->lanes->learns) left_out_add(&p->info->left_out, cause, name, len);
}

/* What a NULL of thread_of and name_of means. */
static int not_found(const struct pass *p) { return p->lanes->learns ? -ENOMEM : -ESTALE; }

/* When tracing of a process began and ended: "ts" and "dur" of our own record. */
static int take_tracing(struct pass *p, const struct json_event *e) {
    uint64_t end = e->ts_ns + e->dur_ns;
    struct trace_process *process = process_of(p->s, e);
    if (!process) return -ENOMEM;
    if (!process->end_ns || e->ts_ns < process->start_ns) process->start_ns = e->ts_ns;
    if (end > process->end_ns) process->end_ns = end;
    return 0;
}

/* The command line. The writer makes the other label anew, of "limit". */
static int take_label(struct pass *p, const struct json_event *e) {
    static const char limit[] = "the limit of ";
    struct trace_process *process = process_of(p->s, e);
    if (!process) return -ENOMEM;
    if (process->cmdline_len || (e->args_name.len > sizeof limit && !memcmp(e->args_name.text, limit, sizeof limit - 1)))
        return 0;
    return info_build_text(&process->cmdline, &process->cmdline_len, e->args_name.text, e->args_name.len);
}

static int take_metadata(struct pass *p, const struct json_event *e) {
    if (!p->lanes->learns) return 0;
    if (e->has_ts && e->has_dur && e->name.len == 7 && !memcmp(e->name.text, "tracing", 7)) return take_tracing(p, e);
    if (!e->args_name.text || !e->name.text) return leave_out(p, LEFT_OUT_METADATA, e->name.text, e->name.len), 0;
    if (e->name.len == 12 && !memcmp(e->name.text, "process_name", 12)) {
        struct trace_process *process = process_of(p->s, e);
        return process ? info_build_text(&process->name, &process->name_len, e->args_name.text, e->args_name.len) : -ENOMEM;
    }
    if (e->name.len == 11 && !memcmp(e->name.text, "thread_name", 11)) {
        struct trace_thread *thread = thread_of(p, e);
        return thread ? info_build_text(&thread->name, &thread->name_len, e->args_name.text, e->args_name.len) : -ENOMEM;
    }
    if (e->name.len == 14 && !memcmp(e->name.text, "process_labels", 14)) return take_label(p, e);
    leave_out(p, LEFT_OUT_METADATA, e->name.text, e->name.len);
    return 0;
}

static int on_meta(void *ctx, struct json_text key, struct json_text value) {
    struct pass *p = ctx;
    char number[32] = "";
    uint64_t ns;
    if (!p->lanes->learns) return 0;
    memcpy(number, value.text, value.len < sizeof number ? value.len : sizeof number - 1);
#define IS(literal) (key.len == sizeof literal - 1 && !memcmp(key.text, literal, key.len))
    if (IS("overflow")) p->info->overflow = value.text[0] == 't';
    if (IS("cut_off")) p->info->cut_off = value.text[0] == 't';
    if (IS("baseTimeNanoseconds")) p->info->real_minus_mono = strtoull(number, NULL, 10);
    if (IS("dropped_events")) p->s->dropped = strtoull(number, NULL, 10);
    if (IS("sync_marker") && json_us_to_ns(value, &ns)) p->info->sync_ns = ns;
    if (IS("limit")) limit_take(p->info, value.text, value.len);
    if (IS("filters")) filters_take(p->info, value.text, value.len);
#undef IS
    return 0;
}

static int on_file(void *ctx, struct json_text path, struct json_text text, uint64_t lines) {
    struct pass *p = ctx;
    if (!p->lanes->learns) return 0;
    void **slot = text_map_slot(&p->info->texts, path.text, path.len);
    struct trace_text *t = slot ? memory_alloc(sizeof *t + text.len) : NULL;
    if (!t) return -ENOMEM;
    t->lines = lines;
    t->len = text.len;
    memcpy(t->json, text.text, text.len);
    memory_free(*slot);
    *slot = t;
    return 0;
}

/* ---- calls ---- */

/* What our own writer says of a call beside its arguments. */
static int take_marks(struct pass *p, const struct json_event *e, struct trace_call *call) {
    static const char *const marks[] = {"unfinished", "resumed", "suspended", NULL};
    struct buf *args = &p->s->args;
    args->len = 0;
    bool any = json_without_members(args, call->args_json, call->args_json_len, marks);
    call->open = e->unfinished;
    call->resumed = e->resumed;
    call->suspended = e->suspended;
    call->args_json = any ? args->data : NULL;
    call->args_json_len = any ? args->len : 0;
    return args->failed ? -ENOMEM : 0;
}

static int take_complete(struct pass *p, struct trace_thread *thread, const struct json_event *e) {
    struct trace_call call = {.thread = thread,
                              .name = name_of(p, e),
                              .start_ns = e->ts_ns,
                              .end_ns = e->ts_ns + (e->has_dur ? e->dur_ns : 0),
                              .args_json = e->args.text,
                              .args_json_len = e->args.len};
    if (!call.name) return not_found(p);
    int rc = category_of(p, e, &call.category);
    if (!rc && (e->unfinished || e->resumed || e->suspended)) rc = take_marks(p, e, &call);
    return rc ? rc : lanes_call(p->lanes, &call);
}

static int take_begin(struct pass *p, struct trace_thread *thread, const struct json_event *e) {
    struct trace_name *name = name_of(p, e);
    const struct trace_category *category;
    if (!name) return not_found(p);
    int rc = category_of(p, e, &category);
    if (rc) return rc;
    struct json_thread *t = &p->s->threads[thread->index];
    if (t->nopen == t->open_room) {
        size_t room = t->open_room ? t->open_room * 2 : 4;
        struct open_call *grown = memory_realloc(t->open, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        t->open = grown;
        t->open_room = room;
    }
    struct open_call *open = &t->open[t->nopen];
    *open = (struct open_call){.name = name, .category = category, .start_ns = e->ts_ns};
    if (!p->lanes->learns && e->args.text) {
        open->args = memory_alloc(e->args.len + 1);
        if (!open->args) return -ENOMEM;
        memcpy(open->args, e->args.text, open->args_len = e->args.len);
    }
    t->nopen++;
    lanes_seen(p->lanes, thread, e->ts_ns, e->ts_ns);
    return 0;
}

/* An E closes the last B, or the last B of its name. Calls that began after that B have lost their E and end here, too. */
static int take_end(struct pass *p, struct trace_thread *thread, const struct json_event *e) {
    struct json_thread *t = &p->s->threads[thread->index];
    size_t at = t->nopen;
    int rc = 0;
    if (e->name.len) {
        const struct trace_name *name = name_of(p, e);
        if (!name) return not_found(p);
        size_t least = at > OPEN_SEARCH ? at - OPEN_SEARCH : 0;
        while (at > least && t->open[at - 1].name != name) at--;
        if (at == least) at = 0;
    }
    if (!at) {
        leave_out(p, LEFT_OUT_NO_BEGIN, NULL, 0);
        if (!p->lanes->learns) p->lanes->totals->unmatched++;
        return 0;
    }
    while (t->nopen >= at && !rc) {
        struct open_call open = t->open[--t->nopen];
        uint64_t end = e->ts_ns > open.start_ns ? e->ts_ns : open.start_ns;
        bool own = !open.args && e->args.text;
        struct trace_call call = {.thread = thread,
                                  .name = open.name,
                                  .category = open.category,
                                  .start_ns = open.start_ns,
                                  .end_ns = end,
                                  .args_json = own ? e->args.text : open.args,
                                  .args_json_len = own ? e->args.len : open.args_len};
        rc = lanes_call(p->lanes, &call);
        memory_free(open.args);
    }
    return rc;
}

static bool starts_with(struct json_text text, const char *literal) {
    return text.text && text.len >= strlen(literal) && !memcmp(text.text, literal, strlen(literal));
}

/* Recognises the marks that our own writer makes for gaps and garbage collections. */
static bool is_gap(const struct json_event *e, uint64_t *count) {
    char digits[24] = "";
    if (e->ph != 'i' || e->name.len != 14 || !starts_with(e->name, "events dropped") || !e->args_count.text) return false;
    if (e->args_count.len >= sizeof digits || e->args_count.text[0] == '-') return false;
    memcpy(digits, e->args_count.text, e->args_count.len);
    *count = strtoull(digits, NULL, 10);
    return true;
}

static int take_mark(struct pass *p, struct trace_thread *thread, const struct json_event *e) {
    uint64_t count;
    lanes_seen(p->lanes, thread, e->ts_ns, e->ts_ns);
    if (p->lanes->learns) return 0;
    if (is_gap(e, &count)) {
        struct trace_gap gap = {.thread = thread, .ns = e->ts_ns, .count = count};
        p->lanes->totals->dropped =
            count > UINT64_MAX - p->lanes->totals->dropped ? UINT64_MAX : p->lanes->totals->dropped + count;
        return p->lanes->ops->gap(p->lanes->w, &gap);
    }
    struct trace_mark mark = {.thread = thread,
                              .ns = e->ts_ns,
                              .ph = e->ph,
                              .scope = e->scope,
                              .bind = e->bind,
                              .name = e->name.text ? e->name.text : "",
                              .name_len = e->name.len,
                              .cat = e->cat.text,
                              .cat_len = e->cat.len,
                              .id = e->id.text,
                              .id_len = e->id.len,
                              .args_json = e->args.text,
                              .args_json_len = e->args.len};
    return p->lanes->ops->mark ? p->lanes->ops->mark(p->lanes->w, &mark) : 0;
}

static int on_event(void *ctx, const struct json_event *e) {
    struct pass *p = ctx;
    struct json_event event = *e;
    if (event.ph == 'I') event.ph = 'i';
    if (event.ph == 'M') return take_metadata(p, &event);
    bool call = event.ph == 'X' || event.ph == 'B' || event.ph == 'E', mark = event.ph && strchr(MARKS, event.ph);
    if (!call && !mark) return leave_out(p, event.ph ? LEFT_OUT_KIND : LEFT_OUT_NO_KIND, &event.ph, 1), 0;
    if (!event.has_ts) return leave_out(p, LEFT_OUT_NO_TIME, NULL, 0), 0;
    struct trace_thread *thread = thread_of(p, &event);
    if (!thread) return not_found(p);
    if (mark) return take_mark(p, thread, &event);
    if (event.ph == 'E') return take_end(p, thread, &event);
    return event.ph == 'B' ? take_begin(p, thread, &event) : take_complete(p, thread, &event);
}

/* ---- ends of a pass ---- */

static int compare_open(const void *a, const void *b) {
    const struct open_call *x = a, *y = b;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

static void forget_open(struct json_thread *t) {
    while (t->nopen) memory_free(t->open[--t->nopen].args);
}

/* The open calls are nearly always in the order of their start. qsort may swap equal ones, so this moves only those that are
 * out of order. */
static void sort_open(struct json_thread *t) {
    for (size_t i = 1; i < t->nopen; i++)
        if (t->open[i].start_ns < t->open[i - 1].start_ns) {
            qsort(t->open, t->nopen, sizeof *t->open, compare_open);
            return;
        }
}

static int open_left(struct pass *p, struct trace_thread *thread, const struct open_call *open) {
    struct trace_call call = {.thread = thread,
                              .name = open->name,
                              .category = open->category,
                              .start_ns = open->start_ns,
                              .args_json = open->args,
                              .args_json_len = open->args_len};
    return lanes_open(p->lanes, &call);
}

/* Hands over the calls that never ended, and those that lanes held back. */
static int give_rest(struct pass *p) {
    int rc = 0;
    for (uint32_t i = 0; i < p->info->nthreads && !rc; i++) {
        struct json_thread *t = &p->s->threads[i];
        struct trace_thread *thread = p->info->threads[i];
        sort_open(t);
        for (size_t k = t->nopen; k-- > 0 && !rc;) rc = open_left(p, thread, &t->open[k]);
        if (!rc) rc = lanes_end(p->lanes, thread);
    }
    return rc;
}

static void end_pass(struct json_source *s) {
    for (size_t i = 0; i < s->threads_room; i++) forget_open(&s->threads[i]);
    lanes_clear(&s->lanes);
}

/* ---- source ---- */

static void json_close(struct trace_info *info, void *state) {
    struct json_source *s = state;
    end_pass(s);
    lanes_free(&s->lanes);
    for (size_t i = 0; i < s->threads_room; i++) memory_free(s->threads[i].open);
    memory_free(s->threads);
    for (size_t i = 0; i < s->categories.slots; i++) memory_free(s->categories.entries[i].value);
    text_map_free(&s->categories);
    buf_free(&s->args);
    info_build_free(&s->build);
    memory_free(s->path);
    memory_free(s);
    trace_info_free(info);
}

static int json_open(const char *path, struct trace_info **info, void **state, struct vt_err *err) {
    struct json_source *s = memory_calloc(1, sizeof *s);
    struct trace_info *made = trace_info_new();
    if (!s || !made || !(s->path = memory_strdup(path))) {
        memory_free(s);
        trace_info_free(made);
        return vt_err_set(err, -ENOMEM, "out of memory");
    }
    s->build.info = made;
    made->only_texts = made->raised_unknown = true;
    s->lanes = (struct lanes){.info = made, .learns = true};
    struct pass p = {.s = s, .info = made, .lanes = &s->lanes};
    struct json_handler handler = {
        .event = on_event, .meta = on_meta, .file = on_file, .left_out = &made->left_out, .stop = &interrupts_seen};
    int rc = json_events_read(path, &handler, &p, &made->damage, err);
    if (!rc && made->damage.code && !s->lanes.any)
        rc = vt_err_set(err, -EBADMSG, "%s: %s; there is nothing before that place", path, made->damage.msg);
    if (!rc && !made->nprocesses && !info_build_process(&s->build, "0", 1)) rc = -ENOMEM; /* writers need a process */
    if (!rc) rc = give_rest(&p);
    if (rc) {
        input_cannot(path, rc, err);
        json_close(made, s);
        return rc;
    }
    if (s->lanes.any) trace_info_put_ends(made);
    for (uint32_t i = 0; i < made->nthreads; i++) made->nshown += made->threads[i]->shown;
    end_pass(s);
    made->range_known = true;
    if (made->damage.code) made->cut_off = true;
    *info = made;
    *state = s;
    return 0;
}

struct reading {
    struct pass pass;
    struct json_handler handler;
};

static int read_file(void *ctx, struct vt_err *err) {
    struct reading *r = ctx;
    struct vt_err damage = {0};
    return json_events_read(r->pass.s->path, &r->handler, &r->pass, &damage, err);
}

static int read_rest(void *ctx) { return give_rest(&((struct reading *)ctx)->pass); }

static int json_run(struct trace_info *info, void *state, const struct run_opts *opts, const struct trace_writer_ops *ops,
                    struct trace_writer *w, struct trace_totals *totals, struct vt_err *err) {
    struct json_source *s = state;
    struct reading r = {
        .pass = {.s = s, .info = info, .lanes = &s->lanes},
        .handler = {.event = on_event, .progress = opts->progress, .progress_arg = opts->progress_arg, .stop = opts->stop}};
    int rc =
        lanes_run(&s->lanes, &(struct lanes_reading){s->path, read_file, read_rest, &r, &s->dropped}, opts, ops, w, totals, err);
    end_pass(s);
    return rc;
}

const struct trace_source_ops source_json = {.open = json_open, .run = json_run, .close = json_close};

static bool json_is(const uint8_t *head, size_t len) {
    size_t at = len >= 3 && !memcmp(head, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (at < len && (head[at] == ' ' || head[at] == '\n' || head[at] == '\r' || head[at] == '\t')) at++;
    return at < len && (head[at] == '{' || head[at] == '[');
}

const struct trace_format format_json = {
    .name = "json",
    .help = "Chrome JSON as VizTracer writes it, with the source text of the functions",
    .suffixes = {{.text = ".json", .bytes_per_call = 125},
                 {.text = ".json.gz", .bytes_per_call = 10, .gzip = true},
                 {.text = ".gz", .bytes_per_call = 10, .gzip = true, .unlisted = true}},
    .is = json_is,
    .source = &source_json,
    .writer = &out_chrome,
    .json_text = true,
    .view = FORMAT_VIEW_AS_TRACE,
    .next_step = "Open it with: vizviewer ",
};
