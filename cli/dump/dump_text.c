/* Owns how a dump looks to people (dump.h). */
#include <stdio.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/dump/dump.h"

enum { NAMED_MAX = 8 /* threads of one group that are named */ };
#define TOLD_SINCE_NS 100000000ull /* a shorter wait is not worth a word */

static void put(struct buf *out, const char *fmt, ...) VT_PRINTF(2, 3);
static void put(struct buf *out, const char *fmt, ...) {
    char text[2 * CLEAN_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    buf_literal(out, text);
}

static const char *of_state(const struct outside_thread *t) {
    switch (t->state) {
    case 'T': return "stopped";
    case 't': return "stopped by a tracer";
    case 'R': return "on a CPU";
    case 'D': return "in an uninterruptible sleep";
    case 'Z':
    case 'X': return "ended";
    case 'S': return "asleep";
    default: return ""; /* of a core file, or it has just ended */
    }
}

static void put_thread(struct buf *out, const struct outside_thread *t) {
    if (t->tid)
        put(out, "%d", (int)t->tid);
    else
        put(out, "?");
    if (t->name[0]) put(out, " \"%s\"", t->name);
}

static void put_state(struct buf *out, const struct outside_thread *t) {
    char since[32];
    if (t->gil != OUTSIDE_GIL_NOT) put(out, "%s the GIL", t->gil == OUTSIDE_GIL_HOLDS ? "holds" : "waits for");
    if (t->state && (t->gil != OUTSIDE_GIL_WAITS || t->state == 'T' || t->state == 't')) {
        const char *comma = t->gil != OUTSIDE_GIL_NOT ? ", " : "";
        if (t->lock) {
            put(out, "%swaits for %s", comma, t->lock_type[0] == 'R' ? "an RLock" : "a Lock");
            if (t->lock_owner) {
                put(out, " that is held by thread ");
                put_thread(out, t->lock_owner);
            }
        } else if (t->call[0])
            put(out, "%sin %s%s%s", comma, t->call, t->state == 'S' ? "" : ", ", t->state == 'S' ? "" : of_state(t));
        else
            put(out, "%s%s", comma, of_state(t));
    }
    if (t->since_ns >= TOLD_SINCE_NS) put(out, " for %s", format_ns(since, sizeof(since), t->since_ns));
    if (t->interpreter) put(out, ", interpreter %llu", (unsigned long long)t->interpreter);
}

static bool same_frame(const struct outside_frame *a, const struct outside_frame *b) {
    return a->code && a->code == b->code && a->line == b->line && !a->nvalues && !b->nvalues;
}

static void put_frame(struct buf *out, const struct outside_frame *f) {
    char name[CLEAN_TEXT_MAX], file[CLEAN_TEXT_MAX];
    if (!f->code) {
        put(out, "    ? (its code object cannot be read)\n");
        return;
    }
    clean_text(name, f->code->name, strlen(f->code->name));
    clean_text(file, f->code->file, strlen(f->code->file));
    if (f->line)
        put(out, "    %s (%s:%u)\n", name, file, f->line);
    else
        put(out, "    %s (%s)\n", name, file);
    for (uint32_t i = 0; i < f->nvalues; i++) {
        clean_text(name, f->values[i].name, strlen(f->values[i].name));
        clean_text(file, f->values[i].text, strlen(f->values[i].text));
        put(out, "        %s = %s\n", name, file);
    }
}

static void put_frames(struct buf *out, const struct outside_thread *t) {
    char count[32];
    if (t->unread) put(out, "    (its stack changed all the time and could not be read)\n");
    if (!t->unread && t->torn) put(out, "    ... (the inner frames changed all the time and are not known)\n");
    if (t->changed) put(out, "    (it ran while its variables were read; they are not known)\n");
    if (!t->unread && !t->torn && !t->nframes) put(out, "    (no Python code)\n");
    for (uint32_t i = 0, repeats; i < t->nframes; i += repeats + 1) {
        for (repeats = 0; i + repeats + 1 < t->nframes && same_frame(&t->frames[i], &t->frames[i + repeats + 1]);) repeats++;
        put_frame(out, &t->frames[i]);
        if (repeats == 1) repeats = 0; /* printed like any other */
        if (repeats) put(out, "    ... the same %s more times\n", format_count(count, sizeof(count), repeats));
    }
    if (t->cut) put(out, "    ... (there are more frames)\n");
}

static void put_group(struct buf *out, const struct dump_order *order, const struct dump_group *g) {
    const struct outside_thread *first = order->threads[g->first];
    char count[32];
    if (g->n == 1) {
        put(out, "\nThread ");
        put_thread(out, first);
        if (first->state || first->gil != OUTSIDE_GIL_NOT) put(out, " ");
        put_state(out, first);
    } else {
        put(out, "\n%s threads%s", format_count(count, sizeof(count), g->n), first->state ? ", each " : "");
        put_state(out, first);
        put(out, ": ");
        for (uint32_t i = 0; i < g->n && i < NAMED_MAX; i++) {
            if (i) put(out, ", ");
            put_thread(out, order->threads[g->first + i]);
        }
        if (g->n > NAMED_MAX) put(out, " and %u more", g->n - NAMED_MAX);
    }
    put(out, "\n");
    put_frames(out, first);
}

static void put_gil(struct buf *out, const struct dump_order *order) {
    const struct outside_thread *holder = NULL;
    unsigned waiters = 0;
    for (uint32_t i = 0; i < order->nthreads; i++) {
        const struct outside_thread *t = order->threads[i];
        if (t->gil == OUTSIDE_GIL_HOLDS && !holder) holder = t;
        waiters += t->gil == OUTSIDE_GIL_WAITS;
    }
    if (holder) {
        put(out, "The GIL is held by thread ");
        put_thread(out, holder);
    } else {
        put(out, "Nobody holds the GIL");
    }
    if (waiters) put(out, "; %u thread%s wait%s for it", waiters, waiters > 1 ? "s" : "", waiters > 1 ? "" : "s");
    put(out, ".\n");
}

/* One circle of threads that wait for each other, from the thread with the least id on. */
static void put_deadlock(struct buf *out, const struct outside_thread *first) {
    const struct outside_thread *t = first;
    do {
        if (t->tid < first->tid) return; /* told from there */
        t = t->lock_owner;
    } while (t != first);
    put(out, "DEADLOCK: thread ");
    do {
        put_thread(out, t);
        put(out, " waits for an RLock that is held by thread ");
        t = t->lock_owner;
    } while (t != first);
    put_thread(out, t);
    put(out, ".\n");
}

void dump_text(struct buf *out, const struct outside *o) {
    struct dump_order order;
    const struct attach_info *info = outside_info(o);
    char command[CLEAN_TEXT_MAX];
    size_t others = outside_other_threads(o);
    if (dump_order_make(&order, o)) {
        out->failed = true;
        return;
    }
    clean_text(command, info->cmdline, strlen(info->cmdline));
    put(out, "%s %d (Python %d.%d): %s\n", outside_is_core(o) ? "Core file of process" : "Process", (int)info->pid,
        info->py_major, info->py_minor, command);
    put_gil(out, &order);
    for (uint32_t i = 0; i < order.nthreads; i++)
        if (order.threads[i]->deadlocked) put_deadlock(out, order.threads[i]);
    for (uint32_t i = 0; i < order.ngroups; i++) put_group(out, &order, &order.groups[i]);
    if (outside_is_cut(o)) put(out, "\nThere are more threads; they were not read.\n");
    if (others) put(out, "\n%zu more thread%s never ran Python.\n", others, others > 1 ? "s" : "");
    dump_order_free(&order);
}
