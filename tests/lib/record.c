/* Owns the recording writer of tests (record.h). */
#include "tests/lib/record.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/format/format.h"
#include "cli/trace/names.h"

struct span {
    uint64_t start, end;
};

struct trace_writer {
    struct record *r;
    struct trace_info *info;
    FILE *out;
    struct {
        struct span *spans;
        size_t n, room;
        uint64_t last_end;
        bool gaps;
    } * threads;
};

/* The promises of writer.h about order: ends never go back, and calls nest. Where events were dropped a
 * lost end may come late. */
static void check_order(struct trace_writer *w, const struct trace_call *call) {
    __typeof__(&w->threads[0]) t = &w->threads[call->thread->index];
    const char *what = NULL;
    if (t->gaps) return;
    while (t->n && t->spans[t->n - 1].start >= call->start_ns) t->n--;
    if (call->end_ns < call->start_ns) what = "ends before it begins";
    if (call->end_ns < t->last_end) what = "ends before the one that came before it";
    if (t->n && t->spans[t->n - 1].end > call->start_ns) what = "overlaps with one before it";
    if (what && !w->r->broken[0])
        snprintf(w->r->broken, sizeof w->r->broken, "%.*s %llu..%llu: %s", (int)call->name->name_len, call->name->name,
                 (unsigned long long)call->start_ns, (unsigned long long)call->end_ns, what);
    t->last_end = call->end_ns;
    if (t->n == t->room) t->spans = realloc(t->spans, (t->room = t->room * 2 + 16) * sizeof *t->spans);
    t->spans[t->n++] = (struct span){call->start_ns, call->end_ns};
}

static void put_thread(struct trace_writer *w, const char *what, const struct trace_thread *thread) {
    fprintf(w->out, "%s %u/%u ", what, thread->process->pid, thread->tid);
}

static int record_begin(struct trace_writer *w) {
    for (uint32_t i = 0; i < w->info->nthreads; i++)
        if (w->info->threads[i]->process != w->info->processes[w->info->threads[i]->process->index]) return -EINVAL;
    return 0;
}

static int record_call(struct trace_writer *w, const struct trace_call *call) {
    char *text = malloc(name_text_max(call->name));
    check_order(w, call);
    put_thread(w, "call", call->thread);
    fwrite(text, 1, (size_t)(name_put_text(text, call->name) - text), w->out);
    free(text);
    fprintf(w->out, " %llu..%llu%s%s%s", (unsigned long long)call->start_ns, (unsigned long long)call->end_ns,
            call->open ? " open" : "", call->resumed ? " resumed" : "", call->suspended ? " suspended" : "");
    if (call->args_json) fprintf(w->out, " args=%.*s", (int)call->args_json_len, call->args_json);
    fputc('\n', w->out);
    return 0;
}

static int record_gap(struct trace_writer *w, const struct trace_gap *gap) {
    w->threads[gap->thread->index].gaps = true;
    put_thread(w, "gap", gap->thread);
    fprintf(w->out, "%llu %llu\n", (unsigned long long)gap->ns, (unsigned long long)gap->count);
    return 0;
}

static int record_counter(struct trace_writer *w, const struct trace_counter *c) {
    put_thread(w, "counter", c->thread);
    fprintf(w->out, "%llu %llu/%llu/%llu\n", (unsigned long long)c->ns, (unsigned long long)c->value.collecting,
            (unsigned long long)c->value.collected, (unsigned long long)c->value.uncollectable);
    return 0;
}

static int record_mark(struct trace_writer *w, const struct trace_mark *m) {
    put_thread(w, "mark", m->thread);
    fprintf(w->out, "%c %.*s %llu", m->ph, (int)m->name_len, m->name, (unsigned long long)m->ns);
    if (m->id) fprintf(w->out, " id=%.*s", (int)m->id_len, m->id);
    if (m->cat) fprintf(w->out, " cat=%.*s", (int)m->cat_len, m->cat);
    if (m->scope) fprintf(w->out, " s=%c", m->scope);
    if (m->args_json) fprintf(w->out, " args=%.*s", (int)m->args_json_len, m->args_json);
    fputc('\n', w->out);
    return 0;
}

static int record_end(struct trace_writer *w, const struct trace_totals *totals) {
    w->r->totals = *totals;
    return 0;
}

static const struct trace_writer_ops record_ops = {.begin = record_begin,
                                                   .call = record_call,
                                                   .gap = record_gap,
                                                   .counter = record_counter,
                                                   .mark = record_mark,
                                                   .end = record_end};

int record_run(struct record *r, struct trace_source *source, const struct run_opts *opts) {
    static const struct run_opts none;
    struct trace_totals totals;
    struct trace_writer w = {.r = r, .info = trace_source_info(source)};
    size_t len;
    free(r->text);
    r->info = w.info;
    w.out = open_memstream(&r->text, &len);
    w.threads = calloc(w.info->nthreads + 1u, sizeof *w.threads);
    int rc = trace_source_run(source, opts ? opts : &none, &record_ops, &w, &totals, &r->err);
    fclose(w.out);
    for (uint32_t i = 0; i < w.info->nthreads; i++) free(w.threads[i].spans);
    free(w.threads);
    ck_assert_msg(!r->broken[0], "%s\n%.500s", r->broken, r->text);
    ck_assert(rc || !memcmp(&totals, &r->totals, sizeof totals));
    return rc;
}

int record_file(struct record *r, const char *path, const struct run_opts *opts, const struct trace_select *select) {
    memset(r, 0, sizeof *r);
    int rc = trace_source_open(path, &r->source, &r->err);
    if (!rc && select) rc = trace_source_select(r->source, select, &r->err);
    return rc ? rc : record_run(r, r->source, opts);
}

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static void sort_lines(char *text) {
    size_t len = strlen(text), n = 0, room = 0;
    char **lines = NULL, *copy = strdup(text), *at = text;
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
        if (n == room) lines = realloc(lines, (room = room * 2 + 64) * sizeof *lines);
        lines[n++] = line;
    }
    if (n) qsort(lines, n, sizeof *lines, compare_lines);
    for (size_t i = 0; i < n; i++) at += snprintf(at, len + 1 - (size_t)(at - text), "%s\n", lines[i]);
    free(lines);
    free(copy);
}

void record_sort(struct record *r) { sort_lines(r->text); }

void record_same(const struct record *a, const struct record *b) {
    if (strstr(a->text, "gap ") || strstr(b->text, "gap ")) {
        sort_lines(a->text);
        sort_lines(b->text);
    }
    size_t i = 0;
    while (a->text[i] && a->text[i] == b->text[i]) i++;
    size_t from = i > 80 ? i - 80 : 0;
    ck_assert_msg(a->text[i] == b->text[i], "%.160s\n--\n%.160s", a->text + from, b->text + from);
    ck_assert_uint_eq(a->totals.calls, b->totals.calls);
    ck_assert_uint_eq(a->totals.open, b->totals.open);
    ck_assert_uint_eq(a->totals.dropped, b->totals.dropped);
}

void record_free(struct record *r) {
    free(r->text);
    trace_source_close(r->source);
    memset(r, 0, sizeof *r);
}
