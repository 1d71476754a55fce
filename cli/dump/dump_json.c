/* Owns the JSON of a dump (dump.h). docs/dump.md describes the fields. */
#include <stdio.h>
#include <string.h>

#include "cli/dump/dump.h"

static void put(struct buf *out, const char *fmt, ...) VT_PRINTF(2, 3);
static void put(struct buf *out, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    buf_literal(out, text);
}

static void put_text(struct buf *out, const char *key, const char *text) {
    put(out, "\"%s\": ", key);
    buf_json_string(out, text, strlen(text));
}

static void put_values(struct buf *out, const struct outside_frame *f) {
    put(out, ", \"locals\": {");
    for (uint32_t i = 0; i < f->nvalues; i++) {
        if (i) put(out, ", ");
        buf_json_string(out, f->values[i].name, strlen(f->values[i].name));
        put(out, ": ");
        buf_json_string(out, f->values[i].text, strlen(f->values[i].text));
    }
    put(out, "}");
}

static void put_frame(struct buf *out, const struct outside_frame *f) {
    if (!f->code) {
        put(out, "{\"function\": null, \"file\": null, \"line\": null}");
        return;
    }
    put(out, "{");
    put_text(out, "function", f->code->name);
    put(out, ", ");
    put_text(out, "file", f->code->file);
    if (f->line)
        put(out, ", \"line\": %u", f->line);
    else
        put(out, ", \"line\": null");
    put(out, ", \"first_line\": %u", f->code->first_line);
    if (f->nvalues) put_values(out, f);
    put(out, "}");
}

static void put_thread(struct buf *out, const struct outside_thread *t) {
    static const char *const gil[] = {"null", "\"holds\"", "\"waits\""};
    put(out, "{\"tid\": %d, \"ident\": %llu, \"interpreter\": %llu, ", (int)t->tid, (unsigned long long)t->ident,
        (unsigned long long)t->interpreter);
    put_text(out, "name", t->name);
    put(out, ", \"gil\": %s, \"state\": ", gil[t->gil]);
    if (t->state)
        put(out, "\"%c\", ", t->state);
    else
        put(out, "null, ");
    put_text(out, "call", t->call);
    if (t->lock)
        put(out, ", \"lock\": {\"type\": \"%s\", \"address\": %llu, \"owner\": ", t->lock_type, (unsigned long long)t->lock);
    else
        put(out, ", \"lock\": null");
    if (t->lock && t->lock_owner)
        put(out, "%d}", (int)t->lock_owner->tid);
    else if (t->lock)
        put(out, "null}");
    put(out, ", \"deadlock\": %s", t->deadlocked ? "true" : "false");
    put(out, ", \"since\": %.6f, \"complete\": %s, \"frames\": [", (double)t->since_ns / 1e9,
        t->torn || t->cut || t->unread || t->changed ? "false" : "true");
    for (uint32_t i = 0; i < t->nframes; i++) {
        if (i) put(out, ", ");
        put_frame(out, &t->frames[i]);
    }
    put(out, "]}");
}

static void put_task(struct buf *out, const struct outside_task *all, const struct outside_task *task) {
    put(out, "{\"address\": %llu, \"tid\": %d, ", (unsigned long long)task->address, (int)task->tid);
    put_text(out, "name", task->name);
    put(out, ", \"runs\": %s, ", task->runs ? "true" : "false");
    put_text(out, "waits_for", task->waits_for);
    put(out, ", \"tasks\": [");
    for (uint32_t i = 0; i < task->nwaits; i++)
        put(out, "%s%llu", i ? ", " : "", (unsigned long long)all[task->waits[i]].address);
    put(out, "], \"complete\": %s, \"frames\": [", task->changed ? "false" : "true");
    for (uint32_t i = 0; i < task->nframes; i++) {
        if (i) put(out, ", ");
        put_frame(out, &task->frames[i]);
    }
    put(out, "]}");
}

static void put_tasks(struct buf *out, const struct outside *o) {
    size_t n;
    bool cut;
    const struct outside_task *tasks = outside_tasks(o, &n, &cut);
    put(out, "\"tasks\": [");
    for (size_t i = 0; i < n; i++) {
        if (i) put(out, ", ");
        put_task(out, tasks, &tasks[i]);
    }
    put(out, "], \"tasks_complete\": %s, ", cut ? "false" : "true");
}

void dump_json(struct buf *out, const struct outside *o, bool tasks) {
    const struct attach_info *info = outside_info(o);
    size_t n;
    const struct outside_thread *threads = outside_threads(o, &n);
    put(out, "{\"pid\": %d, \"python\": \"%d.%d\", ", (int)info->pid, info->py_major, info->py_minor);
    put_text(out, "command", info->cmdline);
    put(out, ", \"threads\": [");
    for (size_t i = 0; i < n; i++) {
        if (i) put(out, ", ");
        put_thread(out, &threads[i]);
    }
    put(out, "], ");
    if (tasks) put_tasks(out, o);
    put(out, "\"other_threads\": %zu, \"complete\": %s}", outside_other_threads(o), outside_is_cut(o) ? "false" : "true");
}
