/* Owns the tree of asyncio's tasks in a dump (dump.h): under each task come those that it waits for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/dump/dump.h"

enum { DEEPEST = 40, INDENT = 2 };

struct tree {
    struct buf *out;
    const struct outside_task *tasks;
    bool *told;
};

static void put(struct tree *t, const char *fmt, ...) VT_PRINTF(2, 3);
static void put(struct tree *t, const char *fmt, ...) {
    char text[2 * CLEAN_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    buf_literal(t->out, text);
}

static void put_state(struct tree *t, const struct outside_task *task) {
    if (task->runs)
        put(t, " runs");
    else if (task->changed)
        put(t, " ran while it was read");
    else if (task->nwaits == 1)
        put(t, " waits for the task %s", t->tasks[task->waits[0]].name);
    else if (task->nwaits)
        put(t, " waits for %u tasks", task->nwaits);
    else if (task->waits_for[0])
        put(t, " waits for a %s", task->waits_for);
    else
        put(t, " is ready to run");
    if (task->tid && task->runs) put(t, " in thread %d", (int)task->tid);
}

static void put_task(struct tree *t, uint32_t i, unsigned depth) {
    const struct outside_task *task = &t->tasks[i];
    char name[CLEAN_TEXT_MAX], file[CLEAN_TEXT_MAX];
    int indent = (int)depth * INDENT;
    put(t, "%*s%s", indent, "", task->name);
    if (t->told[i]) {
        put(t, " (told above)\n");
        return;
    }
    t->told[i] = true;
    put_state(t, task);
    put(t, "\n");
    for (uint32_t k = 0; k < task->nframes; k++) {
        const struct outside_frame *f = &task->frames[k];
        if (!f->code) continue;
        clean_text(name, f->code->name, strlen(f->code->name));
        clean_text(file, f->code->file, strlen(f->code->file));
        put(t, "%*s%s (%s:%u)\n", indent + 4, "", name, file, f->line);
    }
    for (uint32_t k = 0; k < task->nwaits && depth < DEEPEST; k++) put_task(t, task->waits[k], depth + 1);
}

void dump_tasks_text(struct buf *out, const struct outside *o) {
    size_t n;
    bool cut;
    char count[64];
    const struct outside_task *tasks = outside_tasks(o, &n, &cut);
    struct tree t = {out, tasks, calloc(n + 1, sizeof(bool))};
    if (!t.told) {
        out->failed = true;
        return;
    }
    put(&t, "\n%s of asyncio%s\n", format_things(count, sizeof(count), n, "task"), n ? ":" : "");
    for (uint32_t i = 0; i < n; i++)
        if (!tasks[i].is_awaited) put_task(&t, i, 1);
    for (uint32_t i = 0; i < n; i++) /* those that wait for each other, and those too deep in */
        if (!t.told[i]) put_task(&t, i, 1);
    if (cut) put(&t, "  There are more tasks; they were not read.\n");
    free(t.told);
}
