/* Owns the joining of two profiles (compare.h) and how the result looks. As JSON, times in ns:
 * - version: 1
 * - before, after: {duration_ns, total_ns, calls, file}
 * - functions: [{name, file, line (after, or before when it is gone), kind, state ("both", "new", "gone"), before and after:
 * {calls, self_ns, total_ns, mean_ns, calls_per_s, self_ns_per_s, total_ns_per_s, wait_ns (of self_ns: waiting), wait_ns_per_s}
 * or null, change (of the key it is sorted by, per second of trace; of mean per call; of self without waiting)}]
 *
 * Fields are added, never renamed or taken away; version changes if that cannot be kept. */
#include "cli/report/compare.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/base/memory.h"
#include "cli/report/put_name.h"
#include "cli/report/report.h"
#include "cli/report/report_json.h"

#define ROWS 20u
#define PAIR 22 /* columns of "before > after" */
#define NAME_MIN 30u

/* ---- joining ---- */

/* Without the line, which moves when the file is edited above it. Lambdas of one file become one row. */
static int same_function(const void *x, const void *y) {
    const struct profile_function *a = *(const struct profile_function *const *)x,
                                  *b = *(const struct profile_function *const *)y;
    return profile_compare_names(a->name, b->name, false);
}

static const struct profile_function **by_name(const struct profile *p, const char *match, size_t *n) {
    const struct profile_function **list;
    if (profile_sorted(p, PROFILE_NAME, match, &list, n)) return NULL;
    qsort(list, *n, sizeof *list, same_function);
    return list;
}

static void add(struct compare_side *to, const struct profile_function *f) {
    to->name = f->name;
    to->calls += f->calls;
    to->pieces += f->pieces.n;
    to->self_ns += f->self_ns;
    to->wait_ns += f->wait_ns;
    to->total_ns += f->total_ns;
    to->sum_ns += f->pieces.sum_ns;
}

static void rate(struct compare_side *s, const struct profile *p) {
    double seconds = (double)(p->end_ns - p->start_ns) / 1e9;
    if (!(seconds > 0)) seconds = 1e-9;
    s->mean_ns = s->pieces ? s->sum_ns / s->pieces : 0;
    s->calls_per_s = (double)s->calls / seconds;
    s->self_per_s = (double)s->self_ns / seconds;
    s->work_per_s = (double)(s->self_ns - s->wait_ns) / seconds;
    s->wait_per_s = (double)s->wait_ns / seconds;
    s->total_per_s = (double)s->total_ns / seconds;
}

static double key_of(const struct compare_side *s, enum profile_sort sort) {
    return sort == PROFILE_TOTAL   ? s->total_per_s
           : sort == PROFILE_CALLS ? s->calls_per_s
           : sort == PROFILE_MEAN  ? (double)s->mean_ns
                                   : s->work_per_s;
}

static const struct trace_name *name_of(const struct compare_row *r) {
    return r->side[1].name ? r->side[1].name : r->side[0].name;
}

static int largest_first(const void *x, const void *y) {
    const struct compare_row *a = x, *b = y;
    double da = fabs(a->change), db = fabs(b->change);
    if (da != db) return da < db ? 1 : -1;
    return profile_compare_names(name_of(a), name_of(b), true);
}
static int name_first(const void *x, const void *y) { return profile_compare_names(name_of(x), name_of(y), true); }

int compare_make(const struct profile *before, const struct profile *after, const struct compare_opts *opts,
                 struct compare_row **out, size_t *n) {
    size_t nlist[2] = {0, 0}, at[2] = {0, 0};
    const struct profile_function **list[2] = {by_name(before, opts->match, &nlist[0]), by_name(after, opts->match, &nlist[1])};
    struct compare_row *rows = memory_calloc(nlist[0] + nlist[1] + 1, sizeof *rows);
    int rc = list[0] && list[1] && rows ? 0 : -ENOMEM;
    for (*n = 0; !rc && (at[0] < nlist[0] || at[1] < nlist[1]); ++*n) {
        int order = at[0] == nlist[0] ? 1 : at[1] == nlist[1] ? -1 : same_function(&list[0][at[0]], &list[1][at[1]]);
        const struct profile_function *first = order <= 0 ? list[0][at[0]] : list[1][at[1]];
        struct compare_row *row = &rows[*n];
        for (int s = 0; s < 2; s++)
            while (at[s] < nlist[s] && !same_function(&list[s][at[s]], &first)) add(&row->side[s], list[s][at[s]++]);
        rate(&row->side[0], before);
        rate(&row->side[1], after);
        row->change = key_of(&row->side[1], opts->sort) - key_of(&row->side[0], opts->sort);
    }
    memory_free(list[0]);
    memory_free(list[1]);
    if (rc) {
        memory_free(rows);
        return rc;
    }
    if (*n) qsort(rows, *n, sizeof *rows, opts->sort == PROFILE_NAME ? name_first : largest_first);
    *out = rows;
    return 0;
}

/* ---- text ---- */

/* "+1.25 ms" and so on. */
static char *signed_duration(char *buf, double ns) {
    buf[0] = ns < 0 ? '-' : '+';
    format_duration(buf + 1, (uint64_t)(fabs(ns) + 0.5));
    return buf;
}

static void put_change(const struct term *term, double before, double after, int width) {
    char text[24];
    signed_duration(text, after - before);
    printf("%s%*s%s", after > before ? term_red(term) : "", width, text, term_off(term));
}

static void put_pair(double before, double after, bool there, bool here) {
    char b[16] = "-", a[16] = "-";
    if (there) format_duration(b, (uint64_t)before);
    if (here) format_duration(a, (uint64_t)after);
    printf("%10s >%10s", b, a);
}

/* Of a narrow terminal's columns the mean gives way to the name, or, where rows are in its order, the calls do. */
struct columns {
    bool mean, calls;
    unsigned taken;
};
static struct columns choose_columns(const struct term *term, enum profile_sort sort) {
    struct columns c = {.mean = true, .calls = true, .taken = 2 + 11 + 3 * PAIR};
    if (!term->width || term->width >= c.taken + NAME_MIN) return c;
    c.taken -= PAIR;
    *(sort == PROFILE_MEAN ? &c.calls : &c.mean) = false;
    return c;
}

/* One table: by total time, by own time without waiting, or by waiting. */
struct table {
    struct term term;
    struct columns columns;
    enum profile_sort sort;
    bool waiting;
};

static double shown(const struct table *t, const struct compare_side *s) {
    return t->waiting ? s->wait_per_s : t->sort == PROFILE_TOTAL ? s->total_per_s : s->work_per_s;
}

static void put_row(const struct table *t, const struct compare_row *r) {
    const struct compare_side *b = &r->side[0], *a = &r->side[1];
    const struct term *term = &t->term;
    const struct columns *columns = &t->columns;
    char calls[2][32];
    put_change(term, shown(t, b), shown(t, a), 11);
    put_pair(shown(t, b), shown(t, a), b->name, a->name);
    if (columns->mean) put_pair((double)b->mean_ns, (double)a->mean_ns, b->name, a->name);
    if (columns->calls)
        printf("%10s >%10s", b->name ? format_count(calls[0], sizeof calls[0], (uint64_t)(b->calls_per_s + 0.5)) : "-",
               a->name ? format_count(calls[1], sizeof calls[1], (uint64_t)(a->calls_per_s + 0.5)) : "-");
    printf("  %s", a->name && b->name ? "" : a->name ? "[new] " : "[gone] ");
    unsigned taken = columns->taken + (!a->name || !b->name ? 7 : 0);
    put_name(term, name_of(r), !term->width ? 0 : term->width > taken + 12 ? term->width - taken : 12);
    putchar('\n');
}

static double wait_change(const struct compare_row *r) { return r->side[1].wait_per_s - r->side[0].wait_per_s; }

static int largest_wait_first(const void *x, const void *y) {
    double da = fabs(wait_change(x)), db = fabs(wait_change(y));
    if (da != db) return da < db ? 1 : -1;
    return profile_compare_names(name_of(x), name_of(y), true);
}

/* Rows by name are all there; of the other orders those that have changed, and those that are new or gone. */
static bool is_in(const struct table *t, const struct compare_row *r) {
    bool both = r->side[0].name && r->side[1].name, waits = r->side[0].wait_ns || r->side[1].wait_ns;
    if (t->waiting) return wait_change(r) != 0;
    return t->sort == PROFILE_NAME || r->change != 0 || (!both && !(t->sort == PROFILE_SELF && waits));
}

static void put_table(struct table *t, const struct compare_row *rows, size_t n, size_t limit) {
    size_t in = 0, i = 0;
    while (i < n && !is_in(t, &rows[i])) i++;
    if (i == n) return;
    const char *first = t->waiting ? "waiting per second" : t->sort == PROFILE_TOTAL ? "total per second" : "own per second";
    printf("\n%s%11s%*s", term_dim(&t->term), "change", PAIR, first);
    if (t->columns.mean) printf("%*s", PAIR, "mean per call");
    if (t->columns.calls) printf("%*s", PAIR, "calls per second");
    printf("  function%s\n", term_off(&t->term));
    for (; i < n; i++)
        if (is_in(t, &rows[i]) && in++ < limit) put_row(t, &rows[i]);
    if (in > limit) printf("... and %zu more (--limit N)\n", in - limit);
}

static void put_text(const struct profile *const *p, const struct compare_opts *o, struct compare_row *rows, size_t n) {
    struct table table = {.sort = o->sort};
    struct term term;
    size_t limit = o->limit ? o->limit : ROWS, changed = 0;
    term_init(&term);
    for (int i = 0; i < 2; i++) {
        char file[CLEAN_TEXT_MAX], took[16], busy[16], calls[48];
        printf("%s %s%s%s: %s, %s, %s of thread time\n", i ? "after " : "before", term_bold(&term),
               clean_text(file, o->files[i], strlen(o->files[i])), term_off(&term),
               format_duration(took, p[i]->end_ns - p[i]->start_ns), format_things(calls, sizeof calls, p[i]->calls, "call"),
               format_duration(busy, p[i]->total_ns));
        if (o->limits[i] && o->limits[i][0])
            printf("%s       --max_overhead was on here: %s%s\n", term_red(&term), o->limits[i], term_off(&term));
        char left_out[LEFT_OUT_TEXT];
        if (o->left_out[i]->wrong_checksum) printf("%s       %s%s\n", term_red(&term), LEFT_OUT_WRONG_CHECKSUM, term_off(&term));
        if (left_out_events(o->left_out[i], left_out)[0])
            printf("%s       left out here: %s%s\n", term_red(&term), left_out, term_off(&term));
        if (p[i]->totals.dropped)
            printf("%s       %s dropped here: its figures are too low%s\n", term_red(&term),
                   format_things(calls, sizeof calls, p[i]->totals.dropped, "event"), term_off(&term));
    }
    table.term = term;
    table.columns = choose_columns(&term, o->sort);
    for (size_t i = 0; i < n; i++) changed += rows[i].change != 0 || wait_change(&rows[i]) != 0;
    put_table(&table, rows, n, limit);
    if (o->sort == PROFILE_SELF && n) {
        table.waiting = true;
        qsort(rows, n, sizeof *rows, largest_wait_first);
        put_table(&table, rows, n, limit);
    }
    if (!n)
        printf("\nno calls\n");
    else if (!changed)
        printf("\nno function has changed\n");
}

/* ---- JSON ---- */

static void put_side(const char *key, const struct compare_side *s) {
    if (!s->name) {
        printf(",\"%s\":null", key);
        return;
    }
    printf(",\"%s\":{\"calls\":%llu", key, (unsigned long long)s->calls);
    report_json_number("self_ns", s->self_ns);
    report_json_number("total_ns", s->total_ns);
    report_json_number("mean_ns", s->mean_ns);
    printf(",\"calls_per_s\":%.3f,\"self_ns_per_s\":%.1f,\"total_ns_per_s\":%.1f,\"wait_ns\":%llu,\"wait_ns_per_s\":%.1f}",
           s->calls_per_s, s->self_per_s, s->total_per_s, (unsigned long long)s->wait_ns, s->wait_per_s);
}

static int put_json(const struct profile *const *p, const struct compare_opts *o, const struct compare_row *rows, size_t n) {
    int rc = 0;
    printf("{\"version\":1");
    for (int i = 0; i < 2 && !rc; i++) {
        printf(",\n\"%s\":{\"duration_ns\":%llu", i ? "after" : "before", (unsigned long long)(p[i]->end_ns - p[i]->start_ns));
        report_json_number("total_ns", p[i]->total_ns);
        report_json_number("calls", p[i]->calls);
        rc = report_json_text("file", o->files[i], strlen(o->files[i]));
        if (!rc && o->limits[i] && o->limits[i][0]) rc = report_json_text("limit", o->limits[i], strlen(o->limits[i]));
        report_json_left_out(o->left_out[i]);
        putchar('}');
    }
    printf(",\n\"functions\":[");
    for (size_t i = 0; i < n && !rc && (!o->limit || i < o->limit); i++) {
        const struct compare_row *r = &rows[i];
        rc = report_json_function(i ? ",\n" : "\n", name_of(r));
        printf(",\"state\":\"%s\"", !r->side[0].name ? "new" : !r->side[1].name ? "gone" : "both");
        put_side("before", &r->side[0]);
        put_side("after", &r->side[1]);
        printf(",\"change\":%.3f}", r->change);
    }
    printf("]}\n");
    return rc;
}

int compare_print(const struct profile *before, const struct profile *after, const struct compare_opts *opts) {
    const struct profile *p[2] = {before, after};
    struct compare_row *rows;
    size_t n;
    int rc = compare_make(before, after, opts, &rows, &n);
    if (rc) return rc;
    if (!n && opts->match)
        rc = -ESRCH;
    else if (opts->json)
        rc = put_json(p, opts, rows, n);
    else
        put_text(p, opts, rows, n);
    memory_free(rows);
    return rc;
}
