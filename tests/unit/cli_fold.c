/* --budget: whatever is folded, no call and no nanosecond gets lost. Random call trees against the same trace unfolded. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "cli/convert/convert.h"
#include "cli/convert/fold.h"
#include "cli/format/format.h"
#include "cli/trace/fold_text.h"
#include "tests/lib/pftrace.h"
#include "tests/lib/trace_build.h"

enum { NAMES = 6, THREADS = 3, CALLS_MAX = 20000 };

static struct trace_build trace;
static struct trace_totals totals;
static struct vt_err err;

/* ---- a writer that sums up; checks that what comes nests and that announcements keep the order ---- */
struct seen_call {
    uint64_t start, end;
};
struct trace_writer {
    uint64_t self_ns[NAMES + 1], calls[NAMES + 1]; /* by index of the name, shown and folded */
    uint64_t shown, folded, marks, shortest_shown;
    struct seen_call stack[THREADS][CALLS_MAX]; /* shown calls that wait for the call around them */
    size_t npending[THREADS];
    uint64_t announced[THREADS][CALLS_MAX]; /* starts */
    size_t nannounced[THREADS];
    uint64_t first_fold_calls, last_fold_calls;
    uint32_t last_fold_functions;
    bool ended, gaps; /* gaps: calls can reach out of the one around them before that one's end is told */
};
static struct trace_writer *sums;

static int sum_begin(struct trace_writer *w) { return w->ended ? -EINVAL : 0; }

static int sum_enter(struct trace_writer *w, const struct trace_call *call) {
    uint32_t t = call->thread->index;
    ck_assert(!w->nannounced[t] || w->announced[t][w->nannounced[t] - 1] < call->start_ns);
    w->announced[t][w->nannounced[t]++] = call->start_ns;
    return 0;
}

static void add_fold(struct trace_writer *w, const struct trace_fold *fold) {
    uint64_t calls = 0, self = 0, listed = 0;
    for (uint32_t i = 0; i < fold->nfunctions; i++) {
        const struct trace_fold_function *f = &fold->functions[i];
        if (i) ck_assert_uint_ge(f[i < fold->listed ? -1 : (int64_t)fold->listed - 1 - i].self_ns, f->self_ns);
        if (i < fold->listed) listed += f->self_ns;
        calls += f->calls;
        self += f->self_ns;
        w->calls[f->name->index] += f->calls;
        w->self_ns[f->name->index] += f->self_ns;
    }
    ck_assert_uint_eq(calls, fold->calls);
    ck_assert_uint_eq(self, fold->total_ns);
    ck_assert(fold->listed && fold->listed <= fold->nfunctions && listed * 10 >= self * 9);
    w->folded += calls;
    if (!w->first_fold_calls) w->first_fold_calls = fold->calls;
    w->last_fold_calls = fold->calls;
    w->last_fold_functions = fold->nfunctions;
}

static int sum_call(struct trace_writer *w, const struct trace_call *call) {
    uint32_t t = call->thread->index;
    uint64_t below = call->folded ? call->folded->total_ns : 0;
    if (call->announced && !call->open) {
        ck_assert_uint_gt(w->nannounced[t], 0);
        ck_assert_uint_eq(w->announced[t][--w->nannounced[t]], call->start_ns);
    }
    w->shown++;
    if (call->folded) add_fold(w, call->folded);
    if (call->open) return 0;
    w->calls[call->name->index]++;
    if (w->gaps) return 0;
    while (w->npending[t] && w->stack[t][w->npending[t] - 1].start > call->start_ns) {
        const struct seen_call *inner = &w->stack[t][--w->npending[t]];
        ck_assert_uint_le(inner->end, call->end_ns);
        below += inner->end - inner->start;
    }
    uint64_t ns = call->end_ns - call->start_ns;
    ck_assert_uint_le(below, ns);
    w->self_ns[call->name->index] += ns - below;
    if (ns < w->shortest_shown) w->shortest_shown = ns;
    w->stack[t][w->npending[t]++] = (struct seen_call){.start = call->start_ns, .end = call->end_ns};
    return 0;
}
static int sum_gap(struct trace_writer *w, const struct trace_gap *gap) {
    (void)gap;
    w->gaps = true;
    return 0;
}
static int sum_counter(struct trace_writer *w, const struct trace_counter *counter) {
    (void)w, (void)counter;
    return 0;
}
static uint64_t number(yajl_val v, const char *key, double unit) {
    yajl_val n = yajl_tree_get(v, (const char *[]){key, NULL}, yajl_t_number);
    ck_assert_ptr_nonnull(n);
    return (uint64_t)(atof(YAJL_GET_NUMBER(n)) * unit + 0.5);
}
/* Names are single letters from a on, with index 1 on. */
static int sum_mark(struct trace_writer *w, const struct trace_mark *mark) {
    char *text = strndup(mark->args_json, mark->args_json_len);
    yajl_val args = yajl_tree_parse(text, NULL, 0);
    ck_assert_msg(args != NULL, "%s", text);
    ck_assert_int_eq(strncmp(mark->name, "folded", mark->name_len), 0);
    yajl_val list = yajl_tree_get(args, (const char *[]){"functions", NULL}, yajl_t_array);
    uint64_t calls = 0, self = 0;
    for (size_t i = 0; i < list->u.array.len; i++) {
        yajl_val f = list->u.array.values[i];
        uint32_t name =
            1u + (uint32_t)(YAJL_GET_STRING(yajl_tree_get(f, (const char *[]){"name", NULL}, yajl_t_string))[0] - 'a');
        w->calls[name] += number(f, "calls", 1);
        w->self_ns[name] += number(f, "self_us", 1000);
        calls += number(f, "calls", 1);
        self += number(f, "self_us", 1000);
    }
    ck_assert_uint_eq(number(args, "calls", 1), calls);
    ck_assert_uint_eq(number(args, "total_us", 1000), self);
    w->folded += calls;
    w->marks++;
    yajl_tree_free(args);
    free(text);
    return 0;
}
static int sum_end(struct trace_writer *w, const struct trace_totals *t) {
    w->ended = true;
    ck_assert_uint_eq(t->folded, w->folded);
    return 0;
}
static const struct trace_writer_ops plain_ops = {
    .begin = sum_begin, .call = sum_call, .gap = sum_gap, .counter = sum_counter, .mark = sum_mark, .end = sum_end};
static const struct trace_writer_ops ordered_ops = {.begin = sum_begin,
                                                    .enter = sum_enter,
                                                    .call = sum_call,
                                                    .gap = sum_gap,
                                                    .counter = sum_counter,
                                                    .mark = sum_mark,
                                                    .end = sum_end};

static void set_up(void) {
    trace_build_open(&trace);
    for (uint32_t id = 1; id <= NAMES; id++) trace_build_name(&trace, id, 0, (char[]){(char)('a' + id - 1), 0}, "x.py", id);
    sums = calloc(1, sizeof *sums);
}
static void tear_down(void) {
    trace_build_remove(&trace);
    free(sums);
}

static uint64_t sample_events, whole_calls;

/* budget UINT64_MAX: not folded at all. */
static void run(uint64_t budget, const struct trace_writer_ops *ops) {
    struct trace_source *s;
    struct run_opts opts = {0};
    memset(sums, 0, sizeof *sums);
    sums->shortest_shown = UINT64_MAX;
    ck_assert_msg(trace_source_open(trace.path, &s, &err) == 0, "%s", err.msg);
    struct fold_budget shown = {.calls = budget, .whole = whole_calls, .sample = sample_events};
    int rc = budget == UINT64_MAX ? trace_source_run(s, &opts, ops, sums, &totals, &err)
                                  : fold_run(s, &opts, ops, sums, &shown, &totals, &err);
    ck_assert_msg(rc == 0, "%d %s", rc, err.msg);
    ck_assert(sums->ended);
    ck_assert_uint_eq(totals.folded, sums->folded);
    ck_assert_uint_eq(totals.calls + totals.open, sums->shown + sums->folded);
    trace_source_close(s);
}

static uint64_t state = 0x9e3779b97f4a7c15ull;
static uint32_t dice(uint32_t n) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

/* A thread's random calls: coarse makes many of the same length, deep makes recursion. */
static void random_block(uint32_t serial, uint32_t events, bool coarse, bool deep, bool gaps, bool close) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    uint32_t stack[VT_BLOCK_EVENTS], depth = 0, n = 0;
    uint64_t ticks = 1000 + serial;
    while (n < events || (close && depth && n < VT_BLOCK_EVENTS)) {
        ticks += coarse ? 10 : dice(16) ? dice(30) : dice(5000);
        bool enter = n < events && (!depth || dice(deep ? 9 : 2) > (deep && depth > 200 ? 4u : 0u));
        if (gaps && depth && !dice(40)) {
            ev[n++] = (struct vt_event){.type = VT_REC_GAP, .count = 1};
            for (uint32_t lost = dice(depth); lost; lost--) depth--;
        } else if (enter) {
            stack[depth++] = 1 + dice(NAMES);
            ev[n++] = (struct vt_event){.ticks = ticks, .type = VT_REC_CALL, .id = stack[depth - 1]};
        } else {
            ev[n++] = (struct vt_event){.ticks = ticks, .type = VT_REC_RETURN, .id = stack[--depth]};
        }
    }
    trace_build_block(&trace, serial, serial + 1, 100 + serial, ev, n);
}

static void compare(uint64_t budget, bool exact) {
    static struct trace_writer whole;
    run(UINT64_MAX, &plain_ops);
    whole = *sums;
    for (int ordered = 0; ordered < 2; ordered++) {
        run(budget, ordered ? &ordered_ops : &plain_ops);
        for (uint32_t i = 1; i <= NAMES; i++) {
            ck_assert_uint_eq(sums->calls[i], whole.calls[i]);
            ck_assert_uint_eq(sums->self_ns[i], whole.self_ns[i]);
        }
        uint64_t want = totals.calls < budget ? totals.calls : budget;
        if (exact)
            ck_assert_uint_eq(sums->shown, want + totals.open);
        else
            ck_assert_uint_ge(sums->shown, want + totals.open);
    }
}

static const uint64_t budgets[] = {0, 1, 2, 7, 50, 333, 1000, 2500, 1u << 30};

START_TEST(test_fold_of_random_trees_is_exact) {
    bool coarse = _i & 1, deep = _i & 2, close = !(_i & 4);
    for (uint32_t t = 0; t < THREADS; t++) random_block(t, 2000, coarse, deep, false, close);
    trace_build_end(&trace, 0, 0);
    for (size_t i = 0; i < VT_ARRAY_LEN(budgets); i++) compare(budgets[i], true);
}
END_TEST

/* Ends lost in gaps: such a call can be shown on top of the budget, but nothing gets lost. */
START_TEST(test_fold_of_random_trees_with_gaps_is_exact) {
    static struct trace_writer whole;
    random_block(0, 2000, false, _i & 1, true, _i & 2);
    trace_build_end(&trace, 0, 0);
    run(UINT64_MAX, &plain_ops);
    whole = *sums;
    for (size_t i = 0; i < VT_ARRAY_LEN(budgets); i++)
        for (int ordered = 0; ordered < 2; ordered++) {
            run(budgets[i], ordered ? &ordered_ops : &plain_ops);
            for (uint32_t k = 1; k <= NAMES; k++) ck_assert_uint_eq(sums->calls[k], whole.calls[k]);
        }
}
END_TEST

static void add_block(const char *text, uint64_t step) {
    struct vt_event ev[64];
    size_t n = 0;
    uint64_t ticks = 1000;
    for (; *text; text += 2, ticks += step) {
        bool enter = *text == '(';
        ev[n++] = (struct vt_event){
            .ticks = ticks, .type = enter ? VT_REC_CALL : VT_REC_RETURN, .id = (uint32_t)(text[enter ? 1 : 0] - 'a') + 1};
    }
    trace_build_block(&trace, 0, 1, 100, ev, n);
    trace_build_end(&trace, 0, 0);
}

START_TEST(test_fold_shows_the_longest) {
    add_block("(a(b(cc)b)(dd)(b(c(dd)c)b)a)", 10);
    run(3, &plain_ops); /* a 130, second b 50; first b and c have 30 */
    ck_assert_uint_eq(sums->shown, 3);
    ck_assert_uint_eq(sums->folded, 4);
    ck_assert_uint_eq(sums->shortest_shown, 30);
    ck_assert_uint_eq(sums->marks, 0);
    run(1, &ordered_ops);
    ck_assert_uint_eq(sums->last_fold_calls, 6);
    ck_assert_uint_eq(sums->last_fold_functions, 3);
}
END_TEST

/* Resumed pieces are folded like calls, and their time is kept, but they are no calls. */
START_TEST(test_fold_resumed_pieces_are_folded_and_not_counted) {
    trace_build_calls(&trace, 0, 1, 1000, 10, "(a (b b} {b b} {b b) a) {c {b b) c}");
    trace_build_end(&trace, 0, 0);
    run(1, &plain_ops); /* a; b in it, and c with b in it, are folded */
    ck_assert_uint_eq(sums->folded, 1);
    ck_assert_uint_eq(totals.folded, 1);
    ck_assert_uint_eq(sums->self_ns[2], 40);
    ck_assert_uint_eq(sums->self_ns[3], 20);
    ck_assert_uint_eq(sums->marks, 1);
}
END_TEST

START_TEST(test_fold_ties_keep_to_the_budget) {
    add_block("(aa)(aa)(aa)(aa)(aa)", 10); /* all of the same length */
    for (uint64_t budget = 0; budget <= 6; budget++) {
        run(budget, &plain_ops);
        ck_assert_uint_eq(sums->shown, budget < 5 ? budget : 5);
        ck_assert_uint_eq(sums->marks, budget < 5); /* the others are in no call */
    }
}
END_TEST

START_TEST(test_fold_shows_open_calls) {
    add_block("(a(bb)(c(dd)(dd)", 10);
    run(0, &ordered_ops);
    ck_assert_uint_eq(sums->shown, 2); /* a and c */
    ck_assert_uint_eq(sums->folded, 3);
    ck_assert_uint_eq(sums->marks, 0);
    ck_assert_uint_eq(sums->first_fold_calls, 2); /* both d in c, the inner one */
    ck_assert_uint_eq(sums->last_fold_calls, 1);  /* b in a */
}
END_TEST

/* Many functions and many calls in one call: they are summed on the way. */
START_TEST(test_fold_memory_is_bounded) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    enum { BLOCKS = 30 };
    for (uint32_t b = 0; b < BLOCKS; b++) {
        for (uint32_t i = 0; i < VT_BLOCK_EVENTS; i++)
            ev[i] = (struct vt_event){.ticks = 1000 + ((uint64_t)b * VT_BLOCK_EVENTS + i) * 10,
                                      .type = i % 2 ? VT_REC_RETURN : VT_REC_CALL,
                                      .id = 2 + i / 2 % 4};
        if (b == 0) ev[0].id = 1, ev[1] = (struct vt_event){.ticks = 1010, .type = VT_REC_TASK};
        trace_build_block(&trace, 0, 1, 100, ev, VT_BLOCK_EVENTS);
    }
    ev[0] = (struct vt_event){.ticks = 100000000, .type = VT_REC_RETURN, .id = 1};
    trace_build_block(&trace, 0, 1, 100, ev, 1);
    trace_build_end(&trace, 0, 0);
    run(1, &plain_ops);
    ck_assert_uint_eq(sums->shown, 1);
    ck_assert_uint_eq(sums->last_fold_calls, BLOCKS * VT_BLOCK_EVENTS / 2 - 1);
    ck_assert_uint_eq(sums->last_fold_functions, 4);
}
END_TEST

/* A look at a part of the trace: about as many are shown as were asked for, and every call is counted as ever. The second half
 * of the trace differs from the first; a deep stack stands below it all. */
START_TEST(test_fold_sample_shows_about_the_budget) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    static struct trace_writer whole;
    enum { BLOCKS = 480, BELOW = 40 };
    uint64_t ticks = 1000, depth = 0, made = 0;
    for (uint32_t b = 0; b < BLOCKS; b++) {
        uint32_t n = 0;
        for (; b == 0 && n < BELOW; n++) ev[n] = (struct vt_event){.ticks = ticks++, .type = VT_REC_CALL, .id = 3};
        for (; n < 60; n++, depth ^= 1) {
            ticks += depth ? 1 + dice(b < BLOCKS / 2 ? 1000 : 100) : 10;
            made += !depth;
            ev[n] = (struct vt_event){.ticks = ticks, .type = depth ? VT_REC_RETURN : VT_REC_CALL, .id = 2};
        }
        trace_build_block(&trace, 0, 1, 100, ev, n);
    }
    trace_build_end(&trace, 0, 0);
    run(UINT64_MAX, &plain_ops);
    whole = *sums;
    sample_events = 60 * BLOCKS / 10;
    for (int ordered = 0; ordered < 2; ordered++) {
        run(2000, ordered ? &ordered_ops : &plain_ops);
        ck_assert_uint_eq(sums->calls[2], whole.calls[2]);
        ck_assert_uint_eq(sums->self_ns[2], whole.self_ns[2]);
        ck_assert_uint_eq(sums->calls[2], made);
        ck_assert_msg(sums->shown > 1500 && sums->shown < 2500, "%llu are shown", (unsigned long long)sums->shown);
    }
    whole_calls = made;
    run(2000, &plain_ops);
    ck_assert_msg(sums->shown > made / 10 * 9, "%llu of %llu are shown", (unsigned long long)sums->shown,
                  (unsigned long long)made);
    whole_calls = made / 2;
    run(2000, &plain_ops);
    ck_assert_uint_lt(sums->shown, 2500);
    sample_events = whole_calls = 0;
}
END_TEST

/* In a sample: calls that are all of the same length, of which some are shown and most are not; and long calls that begin in a
 * part that is not looked at, which nobody has counted: too few may be shown then, never too many. */
START_TEST(test_fold_sample_of_equal_or_long_calls) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    enum { BLOCKS = 480, LONG = 25 };
    uint64_t ticks = 1000;
    for (uint32_t b = 0; b < BLOCKS; b++) {
        uint32_t n = 0, leaves = _i && b > 4 && b % 16 == 4 ? LONG : 0, enters = _i && b < BLOCKS - 16 && b % 16 == 12 ? LONG : 0;
        for (; n < leaves; n++) ev[n] = (struct vt_event){.ticks = ticks++, .type = VT_REC_RETURN, .id = 3};
        for (uint32_t i = 0; i < 60; i++, ticks += _i ? 1 + dice(1000) : 100)
            ev[n++] = (struct vt_event){.ticks = ticks, .type = i % 2 ? VT_REC_RETURN : VT_REC_CALL, .id = 2};
        for (; enters; enters--) ev[n++] = (struct vt_event){.ticks = ticks++, .type = VT_REC_CALL, .id = 3};
        trace_build_block(&trace, 0, 1, 100, ev, n);
    }
    trace_build_end(&trace, 0, 0);
    sample_events = 60 * BLOCKS / 10;
    run(2000, &plain_ops);
    sample_events = 0;
    ck_assert_uint_eq(sums->calls[2], 30 * BLOCKS);
    ck_assert_msg(sums->shown > (_i ? 1000 : 1500) && sums->shown < 2200, "%llu are shown", (unsigned long long)sums->shown);
}
END_TEST

/* ---- what the outputs say ---- */

START_TEST(test_fold_is_named_in_outputs) {
    char out[96];
    struct convert_result result;
    struct vt_event ev[80];
    size_t n = 0;
    ev[n++] = (struct vt_event){.ticks = 1000, .type = VT_REC_CALL, .id = 1};
    for (uint32_t i = 0; i < 20; i++) { /* 20 functions, the last one is the shortest */
        trace_build_name(&trace, 100 + i, 0, "g", "g.py", i);
        ev[n++] = (struct vt_event){.ticks = 2000 + 1000 * i, .type = VT_REC_CALL, .id = 100 + i};
        ev[n++] = (struct vt_event){.ticks = 2030 + 1000 * i - i, .type = VT_REC_RETURN, .id = 100 + i};
    }
    ev[n++] = (struct vt_event){.ticks = 90000, .type = VT_REC_RETURN, .id = 1};
    trace_build_block(&trace, 0, 1, 100, ev, n);
    trace_build_end(&trace, 0, 0);

    struct convert_opts opts = {.input = trace.path, .output = out, .budget = 1};
    snprintf(out, sizeof out, "%s.json", trace.path);
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    ck_assert_uint_eq(result.totals.folded, 20);
    char *json = trace_build_slurp(out, NULL);
    yajl_val root = yajl_tree_parse(json, NULL, 0);
    ck_assert_ptr_nonnull(root);
    yajl_val meta = yajl_tree_get(root, (const char *[]){"viztracer_metadata", NULL}, yajl_t_object);
    ck_assert_uint_eq(number(meta, "folded_calls", 1), 20);
    yajl_val events = yajl_tree_get(root, (const char *[]){"traceEvents", NULL}, yajl_t_array);
    yajl_val a = events->u.array.values[events->u.array.len - 2]; /* in front of when tracing ended */
    yajl_val folded = yajl_tree_get(a, (const char *[]){"args", "folded", NULL}, yajl_t_object);
    ck_assert_uint_eq(number(folded, "calls", 1), 20);
    ck_assert_uint_eq(number(folded, "total_us", 1000), 20 * 30 - 190);
    yajl_val functions = yajl_tree_get(folded, (const char *[]){"functions", NULL}, yajl_t_array);
    ck_assert_uint_eq(functions->u.array.len, FOLD_LISTED_MAX);
    ck_assert_str_eq(YAJL_GET_STRING(functions->u.array.values[0]->u.object.values[0]), "g (g.py:0)");
    ck_assert_uint_eq(number(functions->u.array.values[0], "self_us", 1000), 30);
    yajl_val others = yajl_tree_get(folded, (const char *[]){"others", NULL}, yajl_t_object);
    ck_assert_uint_eq(number(others, "calls", 1), 4);
    ck_assert_uint_eq(number(others, "self_us", 1000), 14 + 13 + 12 + 11);
    yajl_tree_free(root);
    free(json);
    unlink(out);

    snprintf(out, sizeof out, "%s.pftrace", trace.path);
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    struct pftrace *pf = pftrace_read(out);
    ck_assert_uint_eq(pf->nslices, 1);
    ck_assert_uint_eq(pf->absolute, 0);
    const Pf__Annotation *annotation = pftrace_arg(pf->slices[0].end->event, "folded");
    ck_assert_uint_eq(pftrace_member(annotation, "calls")->uint_value, 20);
    ck_assert_double_eq(pftrace_member(annotation, "total_us")->double_value, 0.41);
    const Pf__Annotation *first = pftrace_member(annotation, "functions")->array[0];
    ck_assert_str_eq(PF_TEXT(pftrace_member(first, "name")->string_value), "g (g.py:0)");
    ck_assert_uint_eq(pftrace_member(pftrace_member(annotation, "others"), "calls")->uint_value, 4);
    const struct pf_event *note = pftrace_event(pf, PF_INSTANT, "not everything is shown", 0);
    ck_assert_uint_eq(pftrace_arg(note->event, "folded_calls")->uint_value, 20);
    pftrace_free(pf);
    unlink(out);
}
END_TEST

/* What is folded in no call is an instant at the end of its thread. */
START_TEST(test_fold_outside_of_calls_is_named_in_outputs) {
    char out[96];
    struct convert_result result;
    struct convert_opts opts = {.input = trace.path, .output = out, .budget = 1};
    add_block("(aa)(bb)(a(bb)a)(bb)", 10);
    snprintf(out, sizeof out, "%s.json", trace.path);
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    char *json = trace_build_slurp(out, NULL);
    yajl_val root = yajl_tree_parse(json, NULL, 0);
    ck_assert_ptr_nonnull(root);
    yajl_val events = yajl_tree_get(root, (const char *[]){"traceEvents", NULL}, yajl_t_array);
    ck_assert_uint_eq(events->u.array.len, 5);
    yajl_val mark = events->u.array.values[3];
    ck_assert_str_eq(YAJL_GET_STRING(yajl_tree_get(mark, (const char *[]){"name", NULL}, yajl_t_string)), "folded");
    ck_assert_str_eq(YAJL_GET_STRING(yajl_tree_get(mark, (const char *[]){"ph", NULL}, yajl_t_string)), "i");
    ck_assert_str_eq(YAJL_GET_STRING(yajl_tree_get(mark, (const char *[]){"s", NULL}, yajl_t_string)), "t");
    ck_assert_uint_eq(number(mark, "ts", 1000), 1090);
    yajl_val args = yajl_tree_get(mark, (const char *[]){"args", NULL}, yajl_t_object);
    ck_assert_uint_eq(number(args, "calls", 1), 3);
    ck_assert_uint_eq(number(args, "total_us", 1000), 30);
    yajl_tree_free(root);
    free(json);
    unlink(out);

    snprintf(out, sizeof out, "%s.pftrace", trace.path);
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    struct pftrace *pf = pftrace_read(out);
    ck_assert_uint_eq(pf->nslices, 1);
    ck_assert_int_eq(pftrace_arg(pftrace_event(pf, PF_INSTANT, "folded", 0)->event, "calls")->int_value, 3);
    pftrace_free(pf);
    unlink(out);

    snprintf(out, sizeof out, "%s.vzt", trace.path);
    ck_assert_int_eq(convert_trace(&opts, &result, &err), -EINVAL);
    ck_assert_msg(strstr(err.msg, "--budget is for"), "%s", err.msg);
    ck_assert_int_lt(access(out, F_OK), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/fold");
    TCase *tests = tcase_create("fold");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_fold_of_random_trees_is_exact, 0, 8);
    tcase_add_loop_test(tests, test_fold_of_random_trees_with_gaps_is_exact, 0, 4);
    tcase_add_test(tests, test_fold_shows_the_longest);
    tcase_add_test(tests, test_fold_resumed_pieces_are_folded_and_not_counted);
    tcase_add_test(tests, test_fold_ties_keep_to_the_budget);
    tcase_add_test(tests, test_fold_shows_open_calls);
    tcase_add_test(tests, test_fold_memory_is_bounded);
    tcase_add_test(tests, test_fold_sample_shows_about_the_budget);
    tcase_add_loop_test(tests, test_fold_sample_of_equal_or_long_calls, 0, 2);
    tcase_add_test(tests, test_fold_is_named_in_outputs);
    tcase_add_test(tests, test_fold_outside_of_calls_is_named_in_outputs);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
