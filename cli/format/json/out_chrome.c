/* Owns Chrome JSON in VizTracer's dialect, in the form that VizTracer's own attach writes:
 * {"traceEvents":[...],"viztracer_metadata":{...},"file_info":{...}}. We add "generator" and counts to the metadata, one
 * instant "events dropped" per gap, and args.folded to calls that have folded calls below them (--budget). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/format/json/chrome_json.h"
#include "cli/trace/call_args.h"
#include "cli/trace/file_info.h"
#include "cli/trace/fold_text.h"
#include "cli/trace/limit.h"
#include "cli/trace/names.h"
#include "cli/trace/writer.h"

#define PREFIX_MAX 96u            /* ,\n{"pid":..,"tid":..,"ts": */
#define NUMBERS_MAX 128u          /* the parts between prefix and name */
#define ROOM_MAX (OUTPUT_BUF / 2) /* longer names take the slow path */
#define TASK_TID_MASK 0xffffffu   /* VizTracer: a task's tid is the low bits of its address */

/* The end of every slice of a function: ,"name":"...","cat":"FEE"} */
struct name_text {
    uint32_t len, name_len; /* name_len: len without the part that starts at ,"cat" */
    char text[];
};
static const char cat_end[] = ",\"cat\":\"FEE\"}";

struct thread_text {
    uint8_t len;
    char text[PREFIX_MAX];
};

struct trace_writer {
    struct output *out;
    struct trace_info *info;
    struct file_source source;
    bool file_info;
    struct name_text **names;    /* by index */
    struct thread_text *threads; /* by index */
    struct used_task {
        const struct trace_task *task;
        uint32_t pid;
    } * used_tasks;
    size_t nused_tasks, tasks_room;
};

static char *put(char *p, const char *text, size_t len) {
    memcpy(p, text, len);
    return p + len;
}
#define PUT(p, literal) put(p, literal, sizeof(literal) - 1)

static char *put_prefix(char *p, uint32_t pid, uint64_t tid) {
    p = PUT(p, ",\n{\"pid\":");
    p = json_put_u64(p, pid);
    p = PUT(p, ",\"tid\":");
    p = json_put_u64(p, tid);
    return PUT(p, ",\"ts\":");
}

static void chrome_free(struct trace_writer *w) {
    if (!w) return;
    for (uint32_t i = 0; w->names && i < w->info->nnames; i++) memory_free(w->names[i]);
    memory_free(w->names);
    memory_free(w->threads);
    memory_free(w->used_tasks);
    file_source_close(&w->source);
    memory_free(w);
}

static struct trace_writer *chrome_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    struct trace_writer *w = memory_calloc(1, sizeof *w);
    if (!w) return NULL;
    w->out = out;
    w->info = info;
    w->file_info = opts->file_info;
    file_source_open(&w->source, opts->source_root, opts->source_cwd, info->uid);
    w->names = memory_calloc(info->nnames, sizeof(struct name_text *));
    w->threads = memory_calloc(info->nthreads + 1u, sizeof *w->threads);
    if (!w->names || !w->threads) {
        chrome_free(w);
        return NULL;
    }
    for (uint32_t i = 0; i < info->nthreads; i++) {
        struct thread_text *t = &w->threads[i];
        t->len = (uint8_t)(put_prefix(t->text, info->threads[i]->process->pid, info->threads[i]->tid) - t->text);
    }
    return w;
}

static void put_literal(struct trace_writer *w, const char *text) { output_write(w->out, text, strlen(text)); }

/* A record of metadata with one argument; name may be long. */
static int put_meta(struct trace_writer *w, const char *before, uint32_t pid, uint64_t tid, const char *what, const char *key,
                    const void *name, size_t len) {
    const size_t most = 32u << 10; /* bytes of a name; no viewer shows more */
    if (len > most) len = most;
    char *p = output_room(w->out, JSON_TEXT_MAX(len) + 256);
    p = put(p, before, strlen(before));
    p = PUT(p, "{\"ph\":\"M\",\"pid\":");
    p = json_put_u64(p, pid);
    p = PUT(p, ",\"tid\":");
    p = json_put_u64(p, tid);
    p = PUT(p, ",\"name\":\"");
    p = put(p, what, strlen(what));
    p = PUT(p, "\",\"args\":{\"");
    p = put(p, key, strlen(key));
    p = PUT(p, "\":");
    p = json_put_string(p, name, len);
    p = PUT(p, "}}");
    output_put(w->out, p);
    return output_error(w->out);
}

static int put_thread_name(struct trace_writer *w, const struct trace_thread *thread) {
    char made_up[NAME_MADE_UP];
    size_t len;
    const char *name = name_of_thread(thread, made_up, &len);
    return put_meta(w, ",\n", thread->process->pid, thread->tid, "thread_name", "name", name, len);
}

/* When tracing of the process began and ended. Other programs leave out what they do not know of this kind. */
static void put_tracing(struct trace_writer *w, const struct trace_process *process) {
    uint64_t start = trace_process_start(w->info, process);
    char *p = put_prefix(output_room(w->out, 512), process->pid, process->pid);
    p = json_put_us(p, start);
    p = PUT(p, ",\"ph\":\"M\",\"dur\":");
    p = json_put_us(p, trace_process_end(w->info, process) - start);
    output_put(w->out, PUT(p, ",\"name\":\"tracing\",\"args\":{}}"));
}

static int chrome_begin(struct trace_writer *w) {
    int rc = 0;
    const char *before = "";
    put_literal(w, "{\"traceEvents\":[\n");
    for (uint32_t i = 0; i < w->info->nprocesses && !rc; i++) {
        const struct trace_process *process = w->info->processes[i];
        size_t len;
        const char *name = name_of_process(process, &len);
        if (process->hidden) continue;
        rc = put_meta(w, before, process->pid, process->pid, "process_name", "name", name, len);
        before = ",\n";
        if (!rc && process->cmdline_len)
            rc = put_meta(w, before, process->pid, process->pid, "process_labels", "labels", process->cmdline,
                          process->cmdline_len);
        if (!rc && w->info->limit[0])
            rc = put_meta(w, before, process->pid, process->pid, "process_labels", "labels", w->info->limit,
                          strlen(w->info->limit));
    }
    for (uint32_t i = 0; i < w->info->nthreads && !rc; i++)
        if (w->info->threads[i]->shown) rc = put_thread_name(w, w->info->threads[i]);
    return rc;
}

static struct name_text *make_name_text(const struct trace_name *name) {
    static const char start[] = ",\"name\":\"";
    struct name_text *t = memory_alloc(sizeof *t + JSON_TEXT_MAX(name_text_max(name)) + sizeof start + sizeof cat_end + 1);
    if (!t) return NULL;
    char *p = PUT(t->text, start);
    p = name_put_json(p, name);
    *p++ = '"';
    t->name_len = (uint32_t)(p - t->text);
    t->len = (uint32_t)(PUT(p, cat_end) - t->text);
    struct name_text *fitted = memory_realloc(t, sizeof *t + t->len);
    return fitted ? fitted : t;
}

static int note_task(struct trace_writer *w, struct trace_task *task, uint32_t pid) {
    if (w->nused_tasks == w->tasks_room) {
        size_t room = w->tasks_room ? w->tasks_room * 2 : 64;
        struct used_task *grown = memory_realloc(w->used_tasks, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        w->used_tasks = grown;
        w->tasks_room = room;
    }
    w->used_tasks[w->nused_tasks++] = (struct used_task){task, pid};
    task->used = true;
    return 0;
}

static void put_string(struct trace_writer *w, const uint8_t *text, size_t len) {
    const size_t step = OUTPUT_BUF / 8; /* longer texts are written in pieces, cut between characters */
    put_literal(w, "\"");
    while (len) {
        size_t n = len;
        if (n > step)
            for (n = step; n > step - 4 && (text[n] & 0xc0) == 0x80; n--) {
            }
        output_put(w->out, json_put_text(output_room(w->out, JSON_TEXT_MAX(n)), text, n));
        text += n;
        len -= n;
    }
    put_literal(w, "\"");
}

/* "func_args":{...} */
static void put_func_args(struct trace_writer *w, const struct trace_call *call) {
    struct call_args args = call_args_of(call);
    struct call_text name, value;
    put_literal(w, "\"func_args\":{");
    for (const char *comma = ""; call_args_next(&args, &name, &value); comma = ",") {
        put_literal(w, comma);
        put_string(w, name.data, name.len);
        put_literal(w, ":");
        put_string(w, value.data, value.len);
    }
    put_literal(w, "}");
}

/* Writes `comma` and the members of a JSON object as they came; nothing when it has none. Returns what goes before the next. */
static const char *put_members(struct trace_writer *w, const char *comma, const char *json, size_t len) {
    const char *end = json + len;
    if (len < 2 || *json != '{' || end[-1] != '}') return comma;
    for (json++, end--; json < end && strchr(" \t\r\n", *json); json++) {
    }
    if (json == end) return comma;
    put_literal(w, comma);
    output_write(w->out, json, (size_t)(end - json));
    return ",";
}

static bool has_marks(const struct trace_call *call) { return call->open || call->resumed || call->suspended; }

static void put_mark(struct trace_writer *w, bool set, const char *text, const char **comma) {
    if (!set) return;
    put_literal(w, *comma);
    put_literal(w, text);
    *comma = ",";
}

/* ,"args":{"func_args":{...},"return_value":"...","folded":{...}} */
static int put_args(struct trace_writer *w, const struct trace_call *call) {
    const char *comma = "";
    struct call_text retval;
    put_literal(w, ",\"args\":");
    if (call->args_json && !call->folded && !has_marks(call) && !call->retval && !call->args) {
        output_write(w->out, call->args_json, call->args_json_len);
        return 0;
    }
    put_literal(w, "{");
    put_mark(w, call->open, "\"unfinished\":true", &comma);
    put_mark(w, call->resumed, "\"resumed\":true", &comma);
    put_mark(w, call->suspended, "\"suspended\":true", &comma);
    if (call->folded) {
        size_t len;
        char *text = fold_json(call->folded, &len);
        if (!text) return -ENOMEM;
        put_literal(w, comma);
        put_literal(w, "\"folded\":");
        output_write(w->out, text, len);
        memory_free(text);
        comma = ",";
    }
    if (call->args_json) comma = put_members(w, comma, call->args_json, call->args_json_len);
    if (call->args) {
        put_literal(w, comma);
        put_func_args(w, call);
        comma = ",";
    }
    if (call_retval(call, &retval)) {
        put_literal(w, comma);
        put_literal(w, "\"return_value\":");
        put_string(w, retval.data, retval.len);
    }
    put_literal(w, "}");
    return 0;
}

static void put_text_field(struct trace_writer *w, const char *before, const char *text, size_t len) {
    put_literal(w, before);
    put_string(w, (const uint8_t *)text, len);
}

static int chrome_call(struct trace_writer *w, const struct trace_call *call) {
    struct name_text **name = &w->names[call->name->index];
    const struct thread_text *thread = &w->threads[call->thread->index];
    if (!*name) {
        if (!(*name = make_name_text(call->name))) return -ENOMEM;
        call->name->used = true;
    }
    struct name_text *tail = *name;
    bool args = call->args || call->retval || call->args_json || call->folded || has_marks(call);
    bool plain = !args && !call->category && tail->len <= ROOM_MAX;
    char *p = output_room(w->out, PREFIX_MAX + NUMBERS_MAX + (plain ? tail->len : 0));
    if (call->task) {
        int rc = call->task->used ? 0 : note_task(w, call->task, call->thread->process->pid);
        if (rc) return rc;
        p = put_prefix(p, call->thread->process->pid, call->task->address & TASK_TID_MASK);
    } else {
        p = put(p, thread->text, thread->len);
    }
    p = json_put_us(p, call->start_ns);
    p = PUT(p, ",\"ph\":\"X\",\"dur\":");
    p = json_put_us(p, call->end_ns - call->start_ns);
    if (plain) {
        output_put(w->out, put(p, tail->text, tail->len));
        return output_error(w->out);
    }
    output_put(w->out, p);
    output_write(w->out, tail->text, tail->name_len);
    int rc = args ? put_args(w, call) : 0;
    if (call->category) {
        put_text_field(w, ",\"cat\":", call->category->text, call->category->len);
        put_literal(w, "}");
    } else {
        output_write(w->out, tail->text + tail->name_len, tail->len - tail->name_len);
    }
    return rc ? rc : output_error(w->out);
}

static char *put_thread_time(struct trace_writer *w, char *p, const struct trace_thread *thread, uint64_t ns) {
    const struct thread_text *t = &w->threads[thread->index];
    return json_put_us(put(p, t->text, t->len), ns);
}

static int chrome_await(struct trace_writer *w, const struct trace_await *await) { return chrome_call(w, &await->call); }

static int chrome_gap(struct trace_writer *w, const struct trace_gap *gap) {
    char *p = put_thread_time(w, output_room(w->out, 512), gap->thread, gap->ns);
    p = PUT(p, ",\"ph\":\"i\",\"cat\":\"INSTANT\",\"name\":\"events dropped\",\"args\":{\"count\":");
    p = json_put_u64(p, gap->count);
    output_put(w->out, PUT(p, "},\"s\":\"t\"}"));
    return output_error(w->out);
}

static int chrome_counter(struct trace_writer *w, const struct trace_counter *counter) {
    char *p = put_thread_time(w, output_room(w->out, 512), counter->thread, counter->ns);
    p = PUT(p, ",\"ph\":\"C\",\"name\":\"garbage collection\",\"args\":{\"collecting\":");
    p = json_put_u64(p, counter->value.collecting);
    p = PUT(p, ",\"collected\":");
    p = json_put_u64(p, counter->value.collected);
    p = PUT(p, ",\"uncollectable\":");
    p = json_put_u64(p, counter->value.uncollectable);
    output_put(w->out, PUT(p, "}}"));
    return output_error(w->out);
}

static int chrome_mark(struct trace_writer *w, const struct trace_mark *mark) {
    char letter[2] = {mark->ph, 0};
    output_put(w->out, put_thread_time(w, output_room(w->out, 512), mark->thread, mark->ns));
    put_text_field(w, ",\"ph\":", letter, 1);
    if (mark->cat)
        put_text_field(w, ",\"cat\":", mark->cat, mark->cat_len);
    else if (mark->ph == 'i')
        put_literal(w, ",\"cat\":\"INSTANT\"");
    else if (memchr("bne", mark->ph, 3)) /* viewers find the end of an asynchronous slice by its category and id */
        put_literal(w, ",\"cat\":\"SPAN\"");
    if (mark->id) put_text_field(w, ",\"id\":", mark->id, mark->id_len);
    put_text_field(w, ",\"name\":", mark->name, mark->name_len);
    if (mark->args_json) {
        put_literal(w, ",\"args\":");
        output_write(w->out, mark->args_json, mark->args_json_len);
    }
    letter[0] = mark->scope;
    if (mark->scope) put_text_field(w, ",\"s\":", letter, 1);
    letter[0] = mark->bind;
    if (mark->bind) put_text_field(w, ",\"bp\":", letter, 1);
    put_literal(w, "}");
    return output_error(w->out);
}

/* Writes what --max_overhead left out. */
static void put_limit(struct trace_writer *w) {
    char percent[16];
    if (!w->info->limit[0]) return;
    char *p = output_room(w->out, 1024);
    p = PUT(p, ",\"limit\":");
    p = json_put_string(p, w->info->limit, strlen(w->info->limit));
    output_put(w->out, p);
    if (!w->info->trace) return;
    p = output_room(w->out, 512);
    p = PUT(p, ",\"max_overhead\":");
    p = put(p, percent, strlen(limit_percent(percent, w->info)));
    p = PUT(p, ",\"hooks_out_times\":");
    p = json_put_u64(p, w->info->throttled ? w->info->throttled->windows : 0);
    p = PUT(p, ",\"hooks_out_us\":");
    p = json_put_u64(p, limit_hooks_out_ns(w->info) / 1000);
    p = PUT(p, ",\"throttled\":[");
    output_put(w->out, p);
    for (size_t i = 0; i < limit_functions(w->info); i++) {
        const Vt__ThrottledFunction *f = w->info->throttled->functions[i];
        const struct trace_name *name = trace_info_name(w->info, f->id);
        put_literal(w, i ? ",\n{\"name\":\"" : "\n{\"name\":\"");
        p = output_room(w->out, JSON_TEXT_MAX(name_text_max(name)) + 512);
        p = name_put_json(p, name);
        p = PUT(p, "\",\"from_us\":");
        p = json_put_u64(p, vt_clock_to_ns(&w->info->clock, f->since_ticks) / 1000);
        p = PUT(p, ",\"calls_counted\":");
        p = json_put_u64(p, f->counted);
        p = PUT(p, ",\"calls_estimated\":");
        p = json_put_u64(p, f->estimated);
        p = PUT(p, ",\"kind\":\"");
        p = put(p, limit_kind(f), strlen(limit_kind(f)));
        p = PUT(p, "\"}");
        output_put(w->out, p);
    }
    put_literal(w, "]");
}

static void put_filters(struct trace_writer *w) {
    if (!w->info->filters[0]) return;
    char *p = output_room(w->out, JSON_TEXT_MAX(sizeof w->info->filters) + 32);
    p = PUT(p, ",\"filters\":");
    output_put(w->out, json_put_string(p, w->info->filters, strlen(w->info->filters)));
}

static int chrome_end(struct trace_writer *w, const struct trace_totals *totals) {
    int rc = 0;
    for (uint32_t i = 0; i < w->info->nprocesses; i++)
        if (!w->info->processes[i]->hidden && w->info->processes[i]->end_ns) put_tracing(w, w->info->processes[i]);
    for (size_t i = 0; i < w->nused_tasks && !rc; i++) {
        const struct trace_task *task = w->used_tasks[i].task;
        size_t len;
        const char *name = name_of_task(task, &len);
        rc = put_meta(w, ",\n", w->used_tasks[i].pid, task->address & TASK_TID_MASK, "thread_name", "name", name, len);
    }
    char *p = output_room(w->out, 1024);
    p = PUT(p, "\n],\n\"viztracer_metadata\":{\"version\":\"" VT_VERSION "\",\"overflow\":");
    p = totals->dropped || totals->left_out || w->info->overflow ? PUT(p, "true") : PUT(p, "false");
    p = PUT(p, ",\"baseTimeNanoseconds\":");
    p = json_put_u64(p, w->info->real_minus_mono);
    p = PUT(p, ",\"generator\":\"viztracerd\",\"dropped_events\":");
    p = json_put_u64(p, totals->dropped);
    if (totals->folded) p = json_put_u64(PUT(p, ",\"folded_calls\":"), totals->folded);
    p = PUT(p, ",\"cut_off\":");
    p = w->info->cut_off || w->info->damage.code ? PUT(p, "true") : PUT(p, "false");
    output_put(w->out, p);
    put_limit(w);
    put_filters(w);
    put_literal(w, "}");
    if (!rc && w->file_info) {
        put_literal(w, ",\n\"file_info\":");
        rc = file_info_write(w->out, w->info, &w->source);
    }
    put_literal(w, "}\n");
    return rc ? rc : output_error(w->out);
}

const struct trace_writer_ops out_chrome = {
    .open = chrome_open,
    .begin = chrome_begin,
    .call = chrome_call,
    .gap = chrome_gap,
    .counter = chrome_counter,
    .mark = chrome_mark,
    .await = chrome_await,
    .end = chrome_end,
    .free = chrome_free,
};
