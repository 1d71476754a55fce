/* One trace, one set of figures: what report adds up is the same in every format that can be read back, whatever the trace went
 * through before. Threads of one pid and tid count as one: a JSON trace cannot tell them apart. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/convert/convert.h"
#include "cli/convert/source_many.h"
#include "cli/format/format.h"
#include "cli/profile/profile.h"
#include "cli/trace/names.h"
#include "tests/lib/case.h"
#include "tests/lib/trace_build.h"
#include "tests/lib/trace_random.h"

enum { PARTS = 3, STEPS = 4 };

static struct trace_build parts[PARTS];
static char files[STEPS][64];

static void tear_down(void) {
    for (int i = 0; i < PARTS; i++)
        if (parts[i].path[0]) trace_build_remove(&parts[i]);
    for (int i = 0; i < STEPS; i++)
        if (files[i][0]) unlink(files[i]);
    memset(parts, 0, sizeof parts);
    memset(files, 0, sizeof files);
}

/* ---- figures as text ---- */

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

struct lines {
    char *list[400];
    size_t n;
};
static void add_line(struct lines *l, const char *fmt, ...) VT_PRINTF(2, 3);
static void add_line(struct lines *l, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    ck_assert_uint_lt(l->n, VT_ARRAY_LEN(l->list));
    ck_assert_int_gt(vasprintf(&l->list[l->n++], fmt, ap), 0);
    va_end(ap);
}

static char *to_text(struct lines *l) {
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    qsort(l->list, l->n, sizeof(char *), compare_lines);
    for (size_t i = 0; i < l->n; i++) {
        fputs(l->list[i], f);
        free(l->list[i]);
    }
    fclose(f);
    return text;
}

static void add_threads(struct lines *l, const struct profile *p) {
    for (uint32_t i = 0; i < p->nthreads; i++) {
        const struct trace_thread *t = p->threads[i].thread;
        uint64_t calls = 0, total = 0, dropped = 0;
        bool first = true;
        for (uint32_t k = 0; k < p->nthreads; k++) {
            const struct profile_thread *other = &p->threads[k];
            if (other->thread->tid != t->tid || other->thread->process->pid != t->process->pid) continue;
            first = first && k >= i;
            calls += other->calls;
            total += other->total_ns;
            dropped += other->dropped;
        }
        if (first)
            add_line(l, "thread %u/%u: %llu calls, %llu ns, %llu dropped\n", t->process->pid, t->tid, (unsigned long long)calls,
                     (unsigned long long)total, (unsigned long long)dropped);
    }
}

static char *figures_of(struct trace_source *source) {
    struct profile_opts opts = {.slowest = 1};
    struct profile *p;
    struct vt_err err = {0};
    struct lines l = {.n = 0};
    int rc = profile_make(source, &opts, &p, &err);
    ck_assert_msg(rc == 0, "%s", err.msg);
    for (uint32_t i = 0; i < p->nfunctions; i++) {
        const struct profile_function *f = &p->functions[i];
        char name[256];
        ck_assert_uint_lt(name_text_max(f->name), sizeof name);
        *name_put_text(name, f->name) = 0;
        add_line(&l, "%s: %llu calls, %llu open, self %llu, total %llu, max %llu\n", name, (unsigned long long)f->calls,
                 (unsigned long long)f->open, (unsigned long long)f->self_ns, (unsigned long long)f->total_ns,
                 (unsigned long long)f->pieces.max_ns);
    }
    add_threads(&l, p);
    add_line(&l, "all: %llu calls, %llu open, %llu ns from %llu to %llu, %llu folded\n", (unsigned long long)p->calls,
             (unsigned long long)p->open, (unsigned long long)p->total_ns, (unsigned long long)p->start_ns,
             (unsigned long long)p->end_ns, (unsigned long long)p->folded);
    profile_free(p);
    return to_text(&l);
}

static char *figures_in(const char *path) {
    struct trace_source *source;
    struct vt_err err = {0};
    int rc = trace_source_open(path, &source, &err);
    ck_assert_msg(rc == 0, "%s: %s", path, err.msg);
    char *text = figures_of(source);
    trace_source_close(source);
    return text;
}

/* The first line that differs, in the message. */
static void must_agree(const char *want, const char *got, const char *what) {
    const char *a = want, *b = got;
    while (*a && *b && strcspn(a, "\n") == strcspn(b, "\n") && !strncmp(a, b, strcspn(a, "\n") + 1)) {
        a += strcspn(a, "\n") + 1;
        b += strcspn(b, "\n") + 1;
    }
    ck_assert_msg(!*a && !*b, "%s:\n%.*s\nbecame\n%.*s", what, (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
}

/* ---- ways through the formats ---- */

static void convert(const struct convert_opts *how, const char *to) {
    struct convert_opts opts = *how;
    struct convert_result result;
    struct vt_err err = {0};
    opts.output = to;
    opts.no_file_info = true;
    int rc = convert_trace(&opts, &result, &err);
    ck_assert_msg(rc == 0, "%s to %s: %s", opts.inputs ? "several" : opts.input, to, err.msg);
}

/* Converts with `how` into the first format of `way`, from there into the next, and so on: the figures of each step are
 * those wanted, or, where want is NULL, those of the first step. */
static void go(const struct convert_opts *how, const char *const *way, const char *want, const char *what) {
    char *first = NULL;
    for (int i = 0; way[i]; i++) {
        char text[256];
        ck_assert_int_lt(i, STEPS);
        snprintf(files[i], sizeof files[i], "/tmp/figures-%d-%d%s", (int)getpid(), i, way[i]);
        struct convert_opts next = {.input = i ? files[i - 1] : NULL};
        convert(i ? &next : how, files[i]);
        char *got = figures_in(files[i]);
        snprintf(text, sizeof text, "%s, step %d, to %s", what, i + 1, way[i]);
        must_agree(want ? want : first ? first : got, got, text);
        if (first)
            free(got);
        else
            first = got;
    }
    free(first);
    for (int i = 0; i < STEPS; i++) {
        if (files[i][0]) unlink(files[i]);
        files[i][0] = 0;
    }
}

static const char *const ways[][STEPS + 1] = {
    {".json", ".vzt", ".pftrace", ".json"},
    {".pftrace", ".json.gz", ".vzt", ".pftrace.gz"},
    {".json", ".pftrace", ".vzt", ".json"},
};
/* Without .vzt, which holds all calls. */
static const char *const other_ways[][STEPS + 1] = {
    {".json", ".pftrace", ".json.gz"},
    {".pftrace", ".json", ".pftrace"},
};
#define GO_ALL(how, ways, want, what)                                                                                            \
    for (size_t way = 0; way < VT_ARRAY_LEN(ways); way++) go(how, ways[way], want, what)

static void build(int part, struct trace_random how) {
    trace_random_threads(&parts[part], &how);
    trace_build_close(&parts[part]);
}

enum { ROUNDS = 8 };

/* Rows: plain, with an idle end, with lost events, cut off. */
static struct trace_random kind_of(uint32_t seed) {
    return (struct trace_random){.seed = 100 + seed,
                                 .pid = 300,
                                 .threads = 2 + seed % 3,
                                 .from_ns = 1000000,
                                 .idle_ns = seed % 4 ? 700000u * (seed % 4) : 0,
                                 .gaps = seed % 4 == 2,
                                 .cut_off = seed % 4 == 3};
}

START_TEST(test_figures_are_the_same_in_every_format) {
    build(0, kind_of((uint32_t)_i));
    struct convert_opts how = {.input = parts[0].path};
    char *want = figures_in(parts[0].path);
    ck_assert_ptr_nonnull(strstr(want, " open, self "));
    GO_ALL(&how, ways, want, "whole");
    free(want);
}
END_TEST

START_TEST(test_figures_slices_have_the_same_figures) {
    static const char *const slices[] = {"..20us", "10us..30us", "25us..", "30us..3ms", "0.1ms..0.2ms"};
    struct trace_random kind = kind_of((uint32_t)_i);
    bool idle = kind.idle_ns && !kind.cut_off;
    build(0, kind);
    for (size_t i = 0; i < VT_ARRAY_LEN(slices) - !idle; i++) { /* the last one is behind the last event */
        struct convert_opts how = {.input = parts[0].path};
        char *want = NULL;
        ck_assert_int_eq(select_parse_slice(slices[i], &how.select), 0);
        for (size_t way = 0; way < VT_ARRAY_LEN(ways); way++) go(&how, ways[way], want, slices[i]);
    }
}
END_TEST

START_TEST(test_figures_chosen_functions_have_the_same_figures) {
    build(0, kind_of((uint32_t)_i));
    struct convert_opts how = {.input = parts[0].path};
    ck_assert_int_eq(select_add_match(&how.select, "f1*"), 0);
    GO_ALL(&how, ways, NULL, "--match");
}
END_TEST

START_TEST(test_figures_folded_traces_have_the_same_figures) {
    build(0, kind_of((uint32_t)_i));
    struct convert_opts how = {.input = parts[0].path, .budget = 60};
    GO_ALL(&how, other_ways, NULL, "--budget");
}
END_TEST

/* Nothing was called: tracing took its time all the same. */
START_TEST(test_figures_empty_traces_have_the_same_figures) {
    trace_build_open(&parts[0]);
    trace_build_end_at(&parts[0], 5000000, 6900000, 0);
    struct convert_opts how = {.input = parts[0].path};
    char *want = figures_in(parts[0].path);
    ck_assert_str_eq(want, "all: 0 calls, 0 open, 0 ns from 5000000 to 6900000, 0 folded\n");
    GO_ALL(&how, ways, want, "empty");
    free(want);
}
END_TEST

static char *figures_of_all(void) {
    const char *paths[PARTS];
    struct join_opts opts = {.align = false};
    struct trace_source *source;
    struct vt_err err = {0};
    for (int i = 0; i < PARTS; i++) paths[i] = parts[i].path;
    ck_assert_int_eq(source_many_open(paths, PARTS, &opts, &source, &err), 0);
    char *text = figures_of(source);
    trace_source_close(source);
    return text;
}

/* Into a .vzt first, whose sections are then read. */
static const char *const native_ways[][STEPS + 1] = {
    {".vzt", ".pftrace", ".vzt", ".json"},
    {".vzt", ".json", ".vzt", ".pftrace"},
};

/* Three processes, one after the other. */
static void build_three(int round, const char *paths[PARTS]) {
    for (int i = 0; i < PARTS; i++) {
        struct trace_random how = kind_of((uint32_t)(round + i));
        how.pid = 300 + 100 * (uint32_t)i;
        how.from_ns = 1000000 + 20000000 * (uint64_t)i;
        build(i, how);
        paths[i] = parts[i].path;
    }
}

/* Processes that ended at other times: each one's open calls ended with it. */
START_TEST(test_figures_combined_traces_have_the_same_figures) {
    const char *paths[PARTS];
    uint64_t total = 0;
    build_three(_i, paths);
    for (int i = 0; i < PARTS; i++) {
        char *text = figures_in(paths[i]), *all = strstr(text, "all: ");
        unsigned long long calls, open, ns;
        ck_assert_int_eq(sscanf(all, "all: %llu calls, %llu open, %llu ns", &calls, &open, &ns), 3);
        total += ns;
        free(text);
    }
    char *want = figures_of_all(), sum[64];
    snprintf(sum, sizeof sum, " open, %llu ns from ", (unsigned long long)total);
    ck_assert_msg(strstr(want, sum), "the times of the parts are not the sum:%s\n%s", sum, want);
    struct convert_opts how = {.inputs = paths, .ninputs = PARTS};
    GO_ALL(&how, other_ways, want, "combined");
    GO_ALL(&how, ways, want, "combined");
    GO_ALL(&how, native_ways, want, "combined");
    free(want);
}
END_TEST

/* Parts of a .vzt of three processes: what is chosen there is what is chosen from the three files. */
START_TEST(test_figures_chosen_processes_have_the_same_figures) {
    const char *paths[PARTS];
    char file[64];
    build_three(_i, paths);
    snprintf(file, sizeof file, "/tmp/figures-%d-sections.vzt", (int)getpid());
    struct convert_opts all = {.inputs = paths, .ninputs = PARTS};
    convert(&all, file);
    static const struct {
        const char *pid, *slice, *match;
    } rows[] = {
        {"400", NULL, NULL}, {NULL, "0.5ms..21ms", NULL}, {NULL, NULL, "f1*"}, {"500", NULL, "f2*"}, {"300", "..1ms", NULL}};
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        struct convert_opts from[2] = {{.inputs = paths, .ninputs = PARTS}, {.input = file}};
        char *texts[2], names[2][64];
        for (int k = 0; k < 2; k++) {
            if (rows[i].pid) ck_assert_int_eq(select_add_pid(&from[k].select, rows[i].pid), 0);
            if (rows[i].slice) ck_assert_int_eq(select_parse_slice(rows[i].slice, &from[k].select), 0);
            if (rows[i].match) ck_assert_int_eq(select_add_match(&from[k].select, rows[i].match), 0);
            snprintf(names[k], sizeof names[k], "/tmp/figures-%d-chosen-%d.json", (int)getpid(), k);
            convert(&from[k], names[k]);
            texts[k] = figures_in(names[k]);
            unlink(names[k]);
        }
        must_agree(texts[0], texts[1], "chosen");
        free(texts[0]);
        free(texts[1]);
        GO_ALL(&from[1], ways, NULL, "chosen");
    }
    unlink(file);
}
END_TEST

/* One process that was traced several times. A JSON trace has one thread for those of one number, so .vzt, which has unfinished
 * calls only at the end of a thread, is made from the parts. */
START_TEST(test_figures_a_process_traced_again_has_the_same_figures) {
    static const char *const native[] = {".vzt", ".json", ".pftrace", NULL};
    const char *paths[PARTS];
    for (int i = 0; i < PARTS; i++) {
        struct trace_random how = kind_of((uint32_t)(_i + i));
        how.from_ns = 1000000 + 20000000 * (uint64_t)i;
        how.cut_off = false;
        build(i, how);
        paths[i] = parts[i].path;
    }
    char *want = figures_of_all();
    struct convert_opts how = {.inputs = paths, .ninputs = PARTS};
    GO_ALL(&how, other_ways, want, "traced again");
    go(&how, native, want, "traced again");
    free(want);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/figures");
    TCase *tests = tcase_create("agree");
    tcase_add_checked_fixture(tests, NULL, tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_figures_are_the_same_in_every_format, 0, ROUNDS);
    tcase_add_loop_test(tests, test_figures_slices_have_the_same_figures, 0, ROUNDS);
    tcase_add_loop_test(tests, test_figures_chosen_functions_have_the_same_figures, 0, ROUNDS);
    tcase_add_loop_test(tests, test_figures_folded_traces_have_the_same_figures, 0, ROUNDS);
    tcase_add_loop_test(tests, test_figures_combined_traces_have_the_same_figures, 0, ROUNDS);
    tcase_add_loop_test(tests, test_figures_chosen_processes_have_the_same_figures, 0, ROUNDS);
    tcase_add_loop_test(tests, test_figures_a_process_traced_again_has_the_same_figures, 0, ROUNDS);
    tcase_add_test(tests, test_figures_empty_traces_have_the_same_figures);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
