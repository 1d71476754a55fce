/* Owns the rows of each view: which, in which order, and how they read (top.h). */
#include "cli/top/top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"

/* ---- what there is to show ---- */

struct entry {
    uint32_t index;    /* of the function or thread */
    double share[2];   /* own and total, or GIL and CPU */
    uint64_t count[2]; /* samples own and total; id and nothing */
    const char *name;
};

struct column {
    const char *name;
    int (*compare)(const struct entry *a, const struct entry *b);
};

static int by_number(double a, double b) { return a < b ? 1 : a > b ? -1 : 0; } /* the largest first */
static int by_share0(const struct entry *a, const struct entry *b) { return by_number(a->share[0], b->share[0]); }
static int by_share1(const struct entry *a, const struct entry *b) { return by_number(a->share[1], b->share[1]); }
static int by_count0(const struct entry *a, const struct entry *b) { return by_number((double)a->count[0], (double)b->count[0]); }
static int by_count1(const struct entry *a, const struct entry *b) { return by_number((double)a->count[1], (double)b->count[1]); }
static int by_id(const struct entry *a, const struct entry *b) { return -by_count0(a, b); }
static int by_name(const struct entry *a, const struct entry *b) { return strcmp(a->name, b->name); }

/* The first one is what a view is sorted by at first. */
static const struct column columns[TOP_VIEWS][TOP_COLUMNS_MAX] = {
    [TOP_OWN] =
        {{"own %", by_share0}, {"own time", by_count0}, {"total %", by_share1}, {"total time", by_count1}, {"name", by_name}},
    [TOP_TOTAL] =
        {{"total %", by_share1}, {"total time", by_count1}, {"own %", by_share0}, {"own time", by_count0}, {"name", by_name}},
    [TOP_THREADS] = {{"GIL %", by_share0}, {"CPU %", by_share1}, {"thread id", by_id}, {"name", by_name}},
};

static const struct column *column_of(const struct top *t) { return &columns[t->view][t->sort[t->view]]; }

void top_sort_next(struct top *t) {
    unsigned next = t->sort[t->view] + 1;
    t->sort[t->view] = next < TOP_COLUMNS_MAX && columns[t->view][next].name ? next : 0;
}

static bool is_expanded(const struct top *t, uint64_t key) {
    for (unsigned i = 0; i < t->nexpanded; i++)
        if (t->expanded[i] == key) return true;
    return false;
}

void top_expand(struct top *t, uint64_t key) {
    for (unsigned i = 0; i < t->nexpanded; i++) {
        if (t->expanded[i] != key) continue;
        t->expanded[i] = t->expanded[--t->nexpanded];
        return;
    }
    if (t->nexpanded == TOP_EXPANDED_MAX) memmove(t->expanded, t->expanded + 1, sizeof(t->expanded[0]) * --t->nexpanded);
    t->expanded[t->nexpanded++] = key;
}

/* ---- lines ---- */

/* Where the line begins. */
static size_t put_line(struct top_page *page, unsigned width, const char *fmt, ...) VT_PRINTF(3, 4);
static size_t put_line(struct top_page *page, unsigned width, const char *fmt, ...) {
    char raw[2 * CLEAN_TEXT_MAX], text[CLEAN_TEXT_MAX];
    size_t at = page->text.len;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof(raw), fmt, ap);
    va_end(ap);
    clean_text(text, raw, strlen(raw));
    if (width) clean_shorten(text, width);
    buf_put(&page->text, text, strlen(text) + 1);
    return at;
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static char *time_of(const struct top *t, uint64_t samples, char text[16]) {
    return format_duration(text, samples * tally_sample_ns(t->tally));
}

static void put_heading(const struct top *t, unsigned width, struct top_page *page) {
    const struct attach_info *info = outside_info(t->sampler->o);
    const struct outside_counts *c = outside_counts(t->sampler->o);
    const struct tally *tally = t->tally;
    char samples[32];
    double gil = 0, cpu = 0;
    uint64_t one_ns = tally_sample_ns(tally);
    for (uint32_t i = 0; i < tally->nthreads; i++) {
        gil += tally_share(tally, tally->threads[i].recent_gil);
        cpu += tally->threads[i].cpu;
    }
    page->title = put_line(page, width, "%d (Python %d.%d): %s", (int)info->pid, info->py_major, info->py_minor,
                           clean_command(info->cmdline));
    page->state = put_line(page, width, "%s%s%s%s%s samples, %.3g/s, %.2f%% lost; GIL %.0f%%, CPU %.0f%%; %u thread%s, %s",
                           t->ended    ? "ENDED: "
                           : t->paused ? "PAUSED: "
                                       : "",
                           t->filter[0] ? "only " : "", t->filter, t->filter[0] ? ": " : "",
                           format_count(samples, sizeof(samples), tally->samples), one_ns ? 1e9 / (double)one_ns : 0.0,
                           c->stacks ? 100.0 * (double)c->lost / (double)c->stacks : 0.0, gil, cpu, tally->nthreads,
                           tally->nthreads == 1 ? "" : "s",
                           t->sampler->gil    ? "who holds the GIL"
                           : t->sampler->idle ? "waiting too"
                                              : "running");
    if (t->view == TOP_THREADS)
        page->columns =
            put_line(page, width, "  GIL%%   CPU%%      thread  state  name             in  [sort: %s]", column_of(t)->name);
    else
        page->columns = put_line(page, width, "  own%% total%%       own     total  function  [by %s time; sort: %s]",
                                 t->view == TOP_OWN ? "own" : "total", column_of(t)->name);
}

static const char *word_of_state(char state) {
    switch (state) {
    case 'R': return "runs";
    case 'S': return "waits";
    case 'D': return "disk";
    case 'T':
    case 't': return "stops";
    default: return "?";
    }
}

static int put_row(struct top_page *page, struct top_row row) {
    int rc = vt_grow(&page->rows, &page->room, page->nrows + 1u, sizeof(*page->rows), UINT32_MAX);
    if (!rc) page->rows[page->nrows++] = row;
    return rc;
}

static int compare_callers(const void *a, const void *b) {
    const struct tally_caller *x = a, *y = b;
    return x->samples < y->samples ? 1 : x->samples > y->samples ? -1 : 0;
}

/* Who has called the function of the row above, and in how many of its samples. */
static int put_callers(const struct top *t, unsigned width, struct top_page *page, const struct tally_function *f) {
    struct tally_caller callers[TALLY_CALLERS];
    int rc = 0;
    if (f->ncallers) memcpy(callers, f->callers, f->ncallers * sizeof(*callers));
    qsort(callers, f->ncallers, sizeof(*callers), compare_callers);
    for (uint32_t i = 0; !rc && i < f->ncallers; i++) {
        const struct outside_code *code = t->tally->functions[callers[i].function].code;
        size_t text = put_line(page, width, "%*s%5.1f%% from %s (%s:%u)", 30, "",
                               f->total ? (double)callers[i].samples * 100 / (double)f->total : 0.0, code->name,
                               file_name(code->file), code->first_line);
        rc = put_row(page, (struct top_row){.key = (uint64_t)(uintptr_t)f->code, .caller = true, .text = text});
    }
    return rc;
}

static int put_function(const struct top *t, unsigned width, struct top_page *page, const struct entry *e) {
    const struct tally_function *f = &t->tally->functions[e->index];
    char own[16], total[16];
    uint64_t key = (uint64_t)(uintptr_t)f->code;
    size_t text = put_line(page, width, "%6.1f %6.1f %9s %9s  %s (%s:%u)", e->share[0], e->share[1], time_of(t, f->own, own),
                           time_of(t, f->total, total), f->code->name, file_name(f->code->file), f->code->first_line);
    int rc = put_row(page, (struct top_row){.key = key, .heat = e->share[t->view == TOP_TOTAL], .text = text});
    return !rc && is_expanded(t, key) ? put_callers(t, width, page, f) : rc;
}

static int put_thread(const struct top *t, unsigned width, struct top_page *page, const struct entry *e) {
    const struct tally_thread *thread = &t->tally->threads[e->index];
    size_t text = thread->code ? put_line(page, width, "%6.1f %6.1f %11d  %-5s  %-15.32s  %s (%s:%u)", e->share[0], e->share[1],
                                          (int)thread->tid, word_of_state(thread->state), thread->name, thread->code->name,
                                          file_name(thread->code->file), thread->line)
                               : put_line(page, width, "%6.1f %6.1f %11d  %-5s  %-15.32s", e->share[0], e->share[1],
                                          (int)thread->tid, word_of_state(thread->state), thread->name);
    return put_row(page, (struct top_row){.key = thread->address, .heat = e->share[0], .text = text});
}

/* ---- choice and order ---- */

static bool is_wanted(const struct top *t, const struct outside_code *code, const char *name) {
    if (!t->filter[0]) return true;
    if (name && strcasestr(name, t->filter)) return true;
    return code && (strcasestr(code->name, t->filter) || strcasestr(code->file, t->filter));
}

static uint32_t find_entries(const struct top *t, struct entry *entries) {
    const struct tally *tally = t->tally;
    uint32_t n = 0;
    for (uint32_t i = 0; t->view != TOP_THREADS && i < tally->nfunctions; i++) {
        const struct tally_function *f = &tally->functions[i];
        if (!is_wanted(t, f->code, NULL)) continue;
        entries[n++] = (struct entry){.index = i,
                                      .share = {tally_share(tally, f->recent_own), tally_share(tally, f->recent_total)},
                                      .count = {f->own, f->total},
                                      .name = f->code->name};
    }
    for (uint32_t i = 0; t->view == TOP_THREADS && i < tally->nthreads; i++) {
        const struct tally_thread *thread = &tally->threads[i];
        if (!is_wanted(t, thread->code, thread->name)) continue;
        entries[n++] = (struct entry){.index = i,
                                      .share = {tally_share(tally, thread->recent_gil), thread->cpu},
                                      .count = {(uint64_t)thread->tid, 0},
                                      .name = thread->name};
    }
    return n;
}

static int compare_entries(const void *a, const void *b, void *ctx) {
    const struct top *t = ctx;
    int order = column_of(t)->compare(a, b);
    if (!order) /* equal now: what was so until now, then what was seen first */
        order = t->view == TOP_OWN ? by_count0(a, b) : t->view == TOP_TOTAL ? by_count1(a, b) : by_id(a, b);
    if (!order) order = ((const struct entry *)a)->index < ((const struct entry *)b)->index ? -1 : 1;
    return t->reverse ? -order : order;
}

int top_make(const struct top *t, unsigned width, struct top_page *page) {
    uint32_t most = t->tally->nfunctions > t->tally->nthreads ? t->tally->nfunctions : t->tally->nthreads;
    struct entry *entries = calloc(most + 1u, sizeof(*entries));
    int rc = entries ? 0 : -ENOMEM;
    page->nrows = 0;
    page->text.len = 0;
    if (rc) return rc;
    put_heading(t, width, page);
    uint32_t n = find_entries(t, entries);
    qsort_r(entries, n, sizeof(*entries), compare_entries, (void *)(uintptr_t)t);
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = t->view == TOP_THREADS ? put_thread(t, width, page, &entries[i]) : put_function(t, width, page, &entries[i]);
    free(entries);
    return rc ? rc : page->text.failed ? -ENOMEM : 0;
}

void top_page_free(struct top_page *page) {
    buf_free(&page->text);
    free(page->rows);
    *page = (struct top_page){0};
}
