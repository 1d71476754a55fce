/* Perfetto traces end to end: a small trace in, packets out that the strict reader of tests/lib/pftrace.h takes. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "cli/convert/convert.h"
#include "cli/format/perfetto/perfetto.h"
#include "cli/format/perfetto/perfetto_fields.h"
#include "tests/lib/pftrace.h"
#include "tests/lib/trace_build.h"

static struct trace_build trace;
static char out_path[96];
static struct convert_opts opts;
static struct convert_result result;
static struct vt_err err;
static struct pftrace *pf;

static void set_up(void) {
    trace_build_open(&trace);
    snprintf(out_path, sizeof out_path, "%s.pftrace", trace.path);
    opts = (struct convert_opts){.input = trace.path, .output = out_path};
    memset(&err, 0, sizeof err);
    for (uint32_t id = 1; id <= 4; id++) trace_build_name(&trace, id, 0, (char[]){(char)('a' + id - 1), 0}, "x.py", id);
    trace_build_name(&trace, 9, 1, "append", "list", 0);
}
static void tear_down(void) {
    if (pf) pftrace_free(pf);
    trace_build_remove(&trace);
    unlink(out_path);
}

static void convert(void) {
    int rc = convert_trace(&opts, &result, &err);
    ck_assert_msg(rc == 0, "%d %s", rc, err.msg);
    if (pf) pftrace_free(pf);
    pf = pftrace_read(out_path);
}

/* "(a" call at the next tick, "a)" return, "a!" raise, "[i" "i]" a C call, "~" a gap. */
static void block_of(uint32_t serial, uint64_t ident, uint64_t ticks, uint64_t step, const char *text) {
    struct vt_event ev[64];
    size_t n = 0;
    for (; *text; text++) {
        if (*text == ' ') continue;
        if (*text == '~') {
            ev[n++] = (struct vt_event){.type = VT_REC_GAP, .count = 3};
            continue;
        }
        bool enter = *text == '(' || *text == '[';
        char open = *text, name = enter ? *++text : *text, close = enter ? 0 : *++text;
        uint32_t type = open == '(' ? VT_REC_CALL : open == '[' ? VT_REC_C_CALL : 0;
        if (!enter) type = close == ')' ? VT_REC_RETURN : close == ']' ? VT_REC_C_RETURN : VT_REC_UNWIND;
        ev[n++] = (struct vt_event){.ticks = ticks, .type = type, .id = (uint32_t)(name - 'a') + 1};
        ticks += step;
    }
    trace_build_block(&trace, serial, ident, 100 + serial, ev, n);
}

static void check_slice(const char *name, size_t nth, uint64_t from, uint64_t to, size_t depth) {
    const struct pf_slice *s = pftrace_slice(pf, name, nth);
    ck_assert_uint_eq(s->begin->ns, from);
    ck_assert_ptr_nonnull(s->end);
    ck_assert_uint_eq(s->end->ns, to);
    ck_assert_ptr_null(pftrace_arg(s->end->event, "unfinished"));
    ck_assert_uint_eq(s->depth, depth);
}

static void check_unfinished(const char *name, size_t nth, uint64_t from, uint64_t to, size_t depth) {
    const struct pf_slice *s = pftrace_slice(pf, name, nth);
    ck_assert_uint_eq(s->begin->ns, from);
    ck_assert_uint_eq(s->end->ns, to);
    ck_assert_int_eq(pftrace_arg(s->end->event, "unfinished")->bool_value, 1);
    ck_assert_uint_eq(s->depth, depth);
}

START_TEST(test_perfetto_nested_calls_are_slices) {
    block_of(0, 1, 1000, 10, "(a (b b) [i i] (b b! a)");
    block_of(1, 2, 1005, 10, "(b b)");
    trace_build_thread(&trace, 2, 101, 2, "worker");
    trace_build_end(&trace, 990, 0);
    convert();
    ck_assert_uint_eq(pf->nslices, 5);
    ck_assert_uint_eq(pf->absolute, 0);
    ck_assert_int_eq(pf->real_minus_mono, 5000000000);
    check_slice("a (x.py:1)", 0, 1000, 1070, 0);
    check_slice("b (x.py:2)", 0, 1010, 1020, 1);
    check_slice("list.append", 0, 1030, 1040, 1);
    check_slice("b (x.py:2)", 2, 1005, 1015, 0);
    const struct pf_slice *b = pftrace_slice(pf, "b (x.py:2)", 1);
    ck_assert_int_eq(pftrace_arg(b->end->event, "raised")->bool_value, 1);
    ck_assert_str_eq(PF_TEXT(b->begin->source->file), "x.py");
    ck_assert_str_eq(PF_TEXT(b->begin->source->function), "b");
    ck_assert_uint_eq(b->begin->source->line, 2);
    ck_assert_ptr_null(pftrace_slice(pf, "list.append", 0)->begin->source);
    ck_assert_uint_eq(pf->ntracks, 3);
    ck_assert_int_eq(pf->tracks[0].track->process->pid, 100);
    ck_assert_str_eq(PF_TEXT(pf->tracks[0].track->process->name), "MainProcess");
    const Pf__Track *worker = pftrace_slice(pf, "b (x.py:2)", 2)->begin->track->track;
    ck_assert_str_eq(PF_TEXT(worker->thread->name), "worker");
    ck_assert_int_eq(worker->thread->tid, 101);
    ck_assert_int_eq(worker->thread->pid, 100);
    ck_assert_uint_eq(worker->parent_uuid, pf->tracks[0].uuid);
}
END_TEST

START_TEST(test_perfetto_open_frames_end_with_tracing) {
    uint32_t ids[] = {1, 2};
    trace_build_stack(&trace, 1, 900, 2, ids);
    block_of(0, 1, 1000, 10, "(c c) b) (d (c");
    trace_build_end_at(&trace, 850, 1500, 0);
    convert();
    check_unfinished("a (x.py:1)", 0, 899, 1500, 0);
    check_slice("b (x.py:2)", 0, 900, 1020, 1);
    check_slice("c (x.py:3)", 0, 1000, 1010, 2);
    check_unfinished("d (x.py:4)", 0, 1030, 1500, 1);
    check_unfinished("c (x.py:3)", 1, 1040, 1500, 2);
    const struct pf_event *ended = pftrace_event(pf, PF_INSTANT, "tracing ended", 0);
    ck_assert_uint_eq(ended->ns, 1500);
    ck_assert_uint_eq(pftrace_arg(ended->event, "began_ns")->uint_value, 850);
    ck_assert_int_eq(pftrace_arg(pftrace_slice(pf, "a (x.py:1)", 0)->begin->event, "from_attach")->bool_value, 1);
    ck_assert_ptr_null(pftrace_arg(pftrace_slice(pf, "d (x.py:4)", 0)->begin->event, "from_attach"));
    ck_assert_uint_eq(result.totals.open, 3);
}
END_TEST

START_TEST(test_perfetto_gaps_are_instants) {
    block_of(0, 1, 1000, 10, "(a (b (c ~ (d d) (b a) (a a)");
    trace_build_end(&trace, 0, 0);
    convert();
    ck_assert_uint_eq(pf->dropped, 1);
    const struct pf_event *gap = pftrace_event(pf, PF_INSTANT, "events dropped", 0);
    ck_assert_uint_eq(gap->ns, 1020);
    ck_assert_uint_eq(pftrace_arg(gap->event, "count")->uint_value, 3);
    check_slice("a (x.py:1)", 0, 1000, 1060, 0);
    check_slice("b (x.py:2)", 0, 1010, 1020, 1); /* its end was lost in the gap, and is told late */
    check_slice("c (x.py:3)", 0, 1020, 1020, 2);
    check_slice("d (x.py:4)", 0, 1030, 1040, 1);
    check_slice("b (x.py:2)", 1, 1050, 1060, 1);
    const struct pf_event *note = pftrace_event(pf, PF_INSTANT, "not everything is shown", 0);
    ck_assert_uint_eq(pftrace_arg(note->event, "dropped_events")->uint_value, 3);
}
END_TEST

/* Else its begin would stand before the late end of the call around it, at the same time. */
START_TEST(test_perfetto_what_begins_with_a_gap_begins_behind_it) {
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1010, .type = VT_REC_CALL, .id = 2},
        {.ticks = 1020, .type = VT_REC_CALL, .id = 4},
        {.ticks = 1030, .type = VT_REC_RETURN, .id = 4},
        {.type = VT_REC_GAP, .count = 1},
        {.ticks = 1030, .type = VT_REC_CALL, .id = 3},
        {.ticks = 1040, .type = VT_REC_RETURN, .id = 3},
        {.ticks = 1050, .type = VT_REC_RETURN, .id = 1},
    };
    trace_build_block(&trace, 0, 1, 100, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    convert();
    check_slice("b (x.py:2)", 0, 1010, 1030, 1);
    check_slice("c (x.py:3)", 0, 1031, 1040, 1);
}
END_TEST

START_TEST(test_perfetto_counters_have_tracks) {
    static const struct vt_pl_counter gc[] = {{1, 13, 2}, {0, 0, 7}};
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc[0], .payload_len = sizeof *gc},
        {.ticks = 1010, .type = VT_REC_RETURN, .id = 1},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc[1], .payload_len = sizeof *gc},
    };
    trace_build_block(&trace, 0, 9, 100, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    convert();
    ck_assert_int_eq(pftrace_event(pf, PF_COUNTER, "garbage collection collected", 0)->event->counter_value, 13);
    ck_assert_int_eq(pftrace_event(pf, PF_COUNTER, "garbage collection uncollectable", 1)->event->counter_value, 7);
    ck_assert_uint_eq(pftrace_event(pf, PF_COUNTER, "garbage collection collecting", 1)->ns, 1010);
    ck_assert_uint_eq(pf->ntracks, 5);
}
END_TEST

START_TEST(test_perfetto_args_have_types) {
    static const struct {
        const char *text, *as; /* as: the type's letter and the value */
    } reprs[] = {
        {"5", "i 5"},
        {"-7", "i -7"},
        {"0", "i 0"},
        {"9223372036854775808", "u 9223372036854775808"},
        {"18446744073709551616", "s 18446744073709551616"},
        {"1.5", "d 1.5"},
        {"-1e+300", "d -1e+300"},
        {"1e-05", "d 1e-05"},
        {"True", "b 1"},
        {"False", "b 0"},
        {"None", "s None"},
        {"'x'", "s 'x'"},
        {"007", "s 007"},
        {"1.", "s 1."},
        {"1e", "s 1e"},
        {"-", "s -"},
        {"", "s "},
        {"nan", "s nan"},
        {"0x10", "s 0x10"},
        {"12 ", "s 12 "},
    };
    uint8_t payload[2048];
    size_t len = 0;
    for (size_t i = 0; i < VT_ARRAY_LEN(reprs); i++) {
        size_t n = strlen(reprs[i].text);
        memcpy(payload + len, (uint8_t[]){3, 0, (uint8_t)n, 0}, 4);
        snprintf((char *)payload + len + 4, 8, "v%02zu", i);
        memcpy(payload + len + 7, reprs[i].text, n);
        len += 7 + n;
    }
    struct vt_event ev[] = {
        {.type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = payload, .payload_len = (uint32_t)len},
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_RETVAL, .payload = (const uint8_t *)"42", .payload_len = 2},
        {.ticks = 1010, .type = VT_REC_RETURN, .id = 1},
    };
    trace_build_block(&trace, 0, 9, 100, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    convert();
    const struct pf_slice *a = pftrace_slice(pf, "a (x.py:1)", 0);
    ck_assert_int_eq(pftrace_arg(a->end->event, "return_value")->int_value, 42);
    const Pf__Annotation *all = pftrace_arg(a->begin->event, "func_args");
    ck_assert_uint_eq(all->n_dict, VT_ARRAY_LEN(reprs));
    for (size_t i = 0; i < VT_ARRAY_LEN(reprs); i++) {
        const Pf__Annotation *v = all->dict[i];
        char got[64] = "?";
        if (v->has_int_value) snprintf(got, sizeof got, "i %lld", (long long)v->int_value);
        if (v->has_uint_value) snprintf(got, sizeof got, "u %llu", (unsigned long long)v->uint_value);
        if (v->has_double_value) snprintf(got, sizeof got, "d %g", v->double_value);
        if (v->has_bool_value) snprintf(got, sizeof got, "b %d", v->bool_value);
        if (v->has_string_value) snprintf(got, sizeof got, "s %s", PF_TEXT(v->string_value));
        ck_assert_str_eq(got, reprs[i].as);
    }
}
END_TEST

START_TEST(test_perfetto_tasks_have_tracks) {
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},   {.ticks = 1001, .type = VT_REC_TASK, .id = 5},
        {.ticks = 1002, .type = VT_REC_CALL, .id = 2},   {.ticks = 1003, .type = VT_REC_CALL, .id = 3},
        {.ticks = 1004, .type = VT_REC_RETURN, .id = 3}, {.ticks = 1005, .type = VT_REC_YIELD, .id = 2},
        {.ticks = 1006, .type = VT_REC_TASK, .id = 6},   {.ticks = 1007, .type = VT_REC_CALL, .id = 2},
        {.ticks = 1008, .type = VT_REC_YIELD, .id = 2},  {.ticks = 1009, .type = VT_REC_TASK, .id = 5},
        {.ticks = 1010, .type = VT_REC_RESUME, .id = 2}, {.ticks = 1011, .type = VT_REC_RETURN, .id = 2},
        {.ticks = 1012, .type = VT_REC_TASK, .id = 0},   {.ticks = 1013, .type = VT_REC_RETURN, .id = 1},
    };
    for (uint32_t id = 5; id <= 6; id++) {
        Vt__Task task = VT__TASK__INIT;
        task.id = id;
        task.address = 0x7f0000000000 + id;
        task.name = (ProtobufCBinaryData){id == 5 ? 5 : 0, (uint8_t *)"myT\xed\xa0"};
        trace_build_frame(&trace, VT_FRAME_TASK, &task.base);
    }
    trace_build_block(&trace, 0, 9, 100, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    opts.log_async = true;
    convert();
    ck_assert_uint_eq(pf->ntracks, 4);
    const struct pf_slice *b[3] = {NULL}, *c = pftrace_slice(pf, "c (x.py:3)", 0);
    for (size_t i = 0; i < 3; i++) { /* in the order of time */
        const struct pf_slice *s = pftrace_slice(pf, "b (x.py:2)", i);
        b[s->begin->ns == 1002 ? 0 : s->begin->ns == 1007 ? 1 : 2] = s;
    }
    ck_assert(b[0] && b[1] && b[2]);
    ck_assert_str_eq(PF_TEXT(b[0]->begin->track->track->name), "myT\xef\xbf\xbd\xef\xbf\xbd");
    ck_assert_str_eq(PF_TEXT(b[1]->begin->track->track->name), "Task");
    ck_assert_ptr_eq(b[0]->begin->track, b[2]->begin->track);
    ck_assert_ptr_eq(b[0]->begin->track, c->begin->track);
    ck_assert_uint_eq(b[0]->begin->track->track->parent_uuid, pf->tracks[0].uuid);
    ck_assert_uint_eq(c->depth, 1);
    ck_assert_uint_eq(c->begin->event->n_flow_ids, 0);
    ck_assert_uint_eq(b[0]->begin->event->n_flow_ids, 1);
    ck_assert_uint_eq(b[2]->begin->event->n_flow_ids, 1);
    ck_assert_uint_eq(b[0]->begin->event->flow_ids[0], b[2]->begin->event->flow_ids[0]);
    ck_assert_uint_ne(b[0]->begin->event->flow_ids[0], b[1]->begin->event->flow_ids[0]);
    check_slice("a (x.py:1)", 0, 1000, 1013, 0);
}
END_TEST

START_TEST(test_perfetto_hostile_names_are_utf8) {
    struct vt_event ev[] = {{.ticks = 10, .type = VT_REC_CALL, .id = 11}, {.ticks = 20, .type = VT_REC_RETURN, .id = 11},
                            {.ticks = 30, .type = VT_REC_CALL, .id = 12}, {.ticks = 40, .type = VT_REC_RETURN, .id = 12},
                            {.ticks = 50, .type = VT_REC_CALL, .id = 13}, {.ticks = 60, .type = VT_REC_RETURN, .id = 13}};
    trace_build_name(&trace, 11, 0, "a\x01\"\\\xff\xed\xa0\x80\xc3\xa9\n", "\xfe\xff.py", 1);
    trace_build_name(&trace, 12, 0, "", "", 0);
    trace_build_thread(&trace, 9, 7, 1, "T\"\n\xff");
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev)); /* id 13 has no name */
    convert();
    pftrace_slice(pf, "a\x01\"\\\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\n (\xef\xbf\xbd\xef\xbf\xbd.py:1)", 0);
    pftrace_slice(pf, "<unknown function>", 0);
    pftrace_slice(pf, " (:0)", 0);
    ck_assert_str_eq(PF_TEXT(pf->slices[0].begin->track->track->thread->name), "T\"\n\xef\xbf\xbd");
    ck_assert(pftrace_arg(pftrace_event(pf, PF_INSTANT, "not everything is shown", 0)->event, "cut_off")->bool_value);
}
END_TEST

START_TEST(test_perfetto_deep_recursion_is_kept) {
    enum { STEP = 10000, DEPTH = 100000 };
    struct vt_event *ev = calloc(STEP, sizeof *ev);
    for (uint32_t k = 0; k < 2 * DEPTH / STEP; k++) {
        for (uint32_t i = 0; i < STEP; i++)
            ev[i] =
                (struct vt_event){.ticks = 1000 + k * STEP + i, .type = k < DEPTH / STEP ? VT_REC_CALL : VT_REC_RETURN, .id = 1};
        trace_build_block(&trace, 0, 1, 7, ev, STEP);
    }
    trace_build_end(&trace, 0, 0);
    convert();
    ck_assert_uint_eq(pf->nslices, DEPTH);
    ck_assert_uint_eq(pf->slices[DEPTH - 1].depth, DEPTH - 1);
    ck_assert_uint_eq(pf->absolute, 0);
    free(ev);
}
END_TEST

START_TEST(test_perfetto_min_duration_keeps_the_order) {
    block_of(0, 1, 1000, 10, "(a (b (c c) b) (d d) (b (c c) (d");
    trace_build_end(&trace, 0, 0);
    opts.min_duration_ns = 20;
    convert();
    ck_assert_uint_eq(pf->nslices, 4); /* a, b, and b, d, which are open */
    ck_assert_uint_eq(pf->absolute, 0);
    check_slice("b (x.py:2)", 0, 1010, 1040, 1);
    check_unfinished("b (x.py:2)", 1, 1070, 1100, 1);
    check_unfinished("d (x.py:4)", 0, 1100, 1100, 2);
}
END_TEST

/* --tracer_entries lets the newest calls through when they end, without having announced them. */
START_TEST(test_perfetto_calls_not_announced_are_in_order) {
    block_of(0, 1, 1000, 10, "(a (b b) (c (d d) c) (b b) a) (b b)");
    trace_build_end(&trace, 0, 0);
    opts.newest_calls = 5;
    convert();
    ck_assert_uint_eq(pf->nslices, 5);
    ck_assert_uint_gt(pf->absolute, 0);
    check_slice("a (x.py:1)", 0, 1000, 1090, 0);
    check_slice("c (x.py:3)", 0, 1030, 1060, 1);
    check_slice("d (x.py:4)", 0, 1040, 1050, 2);
    check_slice("b (x.py:2)", 0, 1070, 1080, 1);
    check_slice("b (x.py:2)", 1, 1100, 1110, 0);
}
END_TEST

START_TEST(test_perfetto_gzip_is_written) {
    char gz_path[112], command[512];
    block_of(0, 1, 1000, 10, "(a (b b) a)");
    trace_build_end(&trace, 0, 0);
    convert();
    snprintf(gz_path, sizeof gz_path, "%s.gz", out_path);
    opts.output = gz_path;
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    snprintf(command, sizeof command, "gzip -dc %s | cmp - %s", gz_path, out_path);
    ck_assert_int_eq(system(command), 0);
    unlink(gz_path);
}
END_TEST

/* Without clock snapshots the times are the same, and our reader takes them. */
START_TEST(test_perfetto_for_a_viewer_no_clock_is_told) {
    char again_path[112], *texts[2];
    block_of(0, 1, 1000, 10, "(a (b b) ~ (c [i i] c) a)");
    trace_build_end(&trace, 0, 0);
    for (int viewer = 0; viewer < 2; viewer++) {
        size_t clocks = 0;
        opts.input = trace.path;
        opts.output = out_path;
        opts.for_viewer = viewer;
        convert();
        for (size_t i = 0; i < pf->npackets; i++) clocks += pf->packets[i]->clock_snapshot != NULL;
        ck_assert_int_eq(clocks == 0, viewer);
        check_slice("b (x.py:2)", 0, 1010, 1020, 1);
        check_slice("c (x.py:3)", 0, 1030, 1060, 1);
        snprintf(again_path, sizeof again_path, "%s.folded", out_path);
        opts.input = out_path;
        opts.output = again_path;
        ck_assert_msg(!convert_trace(&opts, &result, &err), "%s", err.msg);
        texts[viewer] = trace_build_slurp(again_path, NULL);
        unlink(again_path);
    }
    ck_assert_str_eq(texts[0], texts[1]);
    free(texts[0]);
    free(texts[1]);
}
END_TEST

START_TEST(test_perfetto_processes_have_their_command_line) {
    static const char line[] = "python3 /srv/shop.py \"serve\" \xc3\xa9";
    char again_path[112];
    trace_build_remove(&trace);
    trace_build_open_of(&trace, line);
    opts.input = trace.path;
    trace_build_name(&trace, 1, 0, "a", "x.py", 1);
    block_of(0, 1, 1000, 10, "(a a)");
    trace_build_end(&trace, 0, 0);
    for (int again = 0; again < 2; again++) { /* then from .pftrace to .pftrace */
        convert();
        const Pf__Track__Process *process = pf->tracks[0].track->process;
        ck_assert_uint_eq(process->n_cmdline, 1);
        ck_assert_uint_eq(process->cmdline[0].len, sizeof line - 1);
        ck_assert_mem_eq(process->cmdline[0].data, line, sizeof line - 1);
        snprintf(again_path, sizeof again_path, "%s.again.pftrace", trace.path);
        ck_assert_int_eq(rename(out_path, again_path), 0);
        opts.input = again_path;
    }
    unlink(again_path);
}
END_TEST

/* ---- the same trace as Chrome JSON holds the same calls ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static uint64_t ns_of(yajl_val v, const char *key) {
    yajl_val number = yajl_tree_get(v, (const char *[]){key, NULL}, yajl_t_number);
    ck_assert_ptr_nonnull(number);
    return (uint64_t)(atof(YAJL_GET_NUMBER(number)) * 1000 + 0.5);
}

static size_t chrome_calls(char **list) {
    char path[112];
    size_t n = 0;
    snprintf(path, sizeof path, "%s.json", trace.path);
    opts.output = path;
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    char *json = trace_build_slurp(path, NULL);
    yajl_val root = yajl_tree_parse(json, NULL, 0),
             events = yajl_tree_get(root, (const char *[]){"traceEvents", NULL}, yajl_t_array);
    for (size_t i = 0; i < events->u.array.len; i++) {
        yajl_val e = events->u.array.values[i];
        const char *ph = YAJL_GET_STRING(yajl_tree_get(e, (const char *[]){"ph", NULL}, yajl_t_string));
        if (*ph != 'X') continue;
        uint64_t from = ns_of(e, "ts"), to = from + ns_of(e, "dur");
        ck_assert_int_gt(asprintf(&list[n++], "%s %llu %llu",
                                  YAJL_GET_STRING(yajl_tree_get(e, (const char *[]){"name", NULL}, yajl_t_string)),
                                  (unsigned long long)from, (unsigned long long)to),
                         0);
    }
    yajl_tree_free(root);
    free(json);
    unlink(path);
    opts.output = out_path;
    return n;
}

START_TEST(test_perfetto_has_the_calls_of_chrome) {
    enum { EVENTS = 3000 };
    static struct vt_event ev[EVENTS];
    uint64_t state = 88172645463325252ull;
    for (int round = 0; round < 12; round++) {
        char *chrome[EVENTS + 16], *perfetto[EVENTS + 16];
        uint64_t ticks = 1000;
        tear_down();
        pf = NULL;
        set_up();
        if (round % 2) trace_build_stack(&trace, 1, 900, 4, (uint32_t[]){1, 2, 3, 1});
        for (size_t i = 0; i < EVENTS; i++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            ticks += state >> 32 & 3;
            ev[i] = (struct vt_event){.ticks = ticks, .type = 1 + (uint32_t)(state % 9), .id = 1 + (uint32_t)(state >> 20 & 3)};
            if (i && (state >> 40 & 63) == 0) ev[i] = (struct vt_event){.type = VT_REC_GAP, .count = 1};
        }
        ev[0] = (struct vt_event){.ticks = 1000, .type = VT_REC_CALL, .id = 1};
        trace_build_block(&trace, 0, 1, 100, ev, EVENTS);
        trace_build_end(&trace, 0, 0);
        opts.newest_calls = round >= 8 ? 300 : 0;
        size_t n = chrome_calls(chrome);
        convert();
        ck_assert_uint_eq(pf->nslices, n);
        for (size_t i = 0; i < n; i++) {
            const struct pf_slice *s = &pf->slices[i];
            ck_assert_int_gt(asprintf(&perfetto[i], "%s %llu %llu", s->begin->name, (unsigned long long)s->begin->ns,
                                      s->end ? (unsigned long long)s->end->ns : 0ull),
                             0);
        }
        qsort(chrome, n, sizeof *chrome, by_text);
        qsort(perfetto, n, sizeof *perfetto, by_text);
        for (size_t i = 0; i < n; i++) {
            ck_assert_str_eq(perfetto[i], chrome[i]);
            free(perfetto[i]);
            free(chrome[i]);
        }
        opts.newest_calls = 0;
        opts.budget = 100;
        convert(); /* gaps between folded calls: everything is said again behind them */
        ck_assert_uint_ge(pf->nslices, result.totals.calls < 100 ? result.totals.calls : 100);
    }
}
END_TEST

/* ---- what no .vzt has: several processes, marks, arguments as JSON ---- */

static struct trace_process processes[2] = {{.pid = 10, .index = 0, .name = "first", .name_len = 5}, {.pid = 20, .index = 1}};
static struct trace_thread threads[2] = {{.process = &processes[0], .index = 0, .shown = true, .tid = 11},
                                         {.process = &processes[1], .index = 1, .tid = 20}};
static struct trace_name function = {.index = 1, .line = 3, .name_len = 1, .file_len = 4, .name = "f", .file = "f.py"};
static struct trace_info info;
static struct output *out;
static struct trace_writer *writer;

static void open_writer(void) {
    static struct trace_process *process_list[] = {&processes[0], &processes[1]};
    static struct trace_thread *thread_list[] = {&threads[0], &threads[1]};
    info.processes = process_list;
    info.nprocesses = 2;
    info.threads = thread_list;
    info.nthreads = 2;
    info.nnames = 2;
    ck_assert_int_eq(output_open(out_path, false, &out, &err), 0);
    writer = out_perfetto.open(out, &info, &(struct writer_opts){0});
    ck_assert_ptr_nonnull(writer);
    ck_assert_int_eq(out_perfetto.begin(writer), 0);
}
static void close_writer(void) {
    uint64_t bytes;
    ck_assert_int_eq(out_perfetto.end(writer, &(struct trace_totals){.folded = 7}), 0);
    out_perfetto.free(writer);
    ck_assert_int_eq(output_commit(out, &bytes, &err), 0);
    pf = pftrace_read(out_path);
}
static void put_mark(int thread, uint64_t ns, char ph, char scope, const char *name, const char *id, const char *args) {
    struct trace_mark mark = {.thread = &threads[thread],
                              .ns = ns,
                              .ph = ph,
                              .scope = scope,
                              .name = name,
                              .name_len = strlen(name),
                              .cat = id ? "cat" : NULL,
                              .cat_len = id ? 3 : 0,
                              .id = id,
                              .id_len = id ? strlen(id) : 0,
                              .args_json = args,
                              .args_json_len = args ? strlen(args) : 0};
    ck_assert_int_eq(out_perfetto.mark(writer, &mark), 0);
}
static void put_call(int thread, uint64_t from, uint64_t to, const char *args) {
    struct trace_call call = {.thread = &threads[thread],
                              .name = &function,
                              .start_ns = from,
                              .end_ns = to,
                              .args_json = args,
                              .args_json_len = args ? strlen(args) : 0};
    ck_assert_int_eq(out_perfetto.call(writer, &call), 0);
}

START_TEST(test_perfetto_several_processes_have_tracks) {
    open_writer();
    put_call(0, 100, 200, NULL);
    put_call(1, 50, 60, NULL);
    put_call(1, 40, 70, NULL);
    close_writer();
    ck_assert_uint_eq(pf->nslices, 3);
    const Pf__Track *second = pftrace_slice(pf, "f (f.py:3)", 1)->begin->track->track;
    ck_assert_int_eq(second->thread->pid, 20);
    ck_assert_str_eq(PF_TEXT(second->thread->name), "MainThread");
    ck_assert_uint_eq(second->parent_uuid, pf->tracks[1].uuid);
    ck_assert_str_eq(PF_TEXT(pf->tracks[0].track->process->name), "first");
    ck_assert_uint_eq(pftrace_arg(pftrace_event(pf, PF_INSTANT, "not everything is shown", 0)->event, "folded_calls")->uint_value,
                      7);
}
END_TEST

START_TEST(test_perfetto_long_name_is_kept) {
    size_t big = 10u << 20;
    char *name = malloc(big);
    memset(name, 'x', big);
    struct trace_name normal = function;
    function.name = name;
    function.name_len = (uint32_t)big;
    open_writer();
    put_call(0, 100, 200, NULL);
    put_call(0, 99, 300, NULL);
    close_writer();
    function = normal;
    ck_assert_uint_eq(strlen(pf->slices[0].begin->name), big + strlen(" (f.py:3)"));
    ck_assert_uint_eq(pf->slices[0].begin->source->function.len, big);
    free(name);
}
END_TEST

START_TEST(test_perfetto_marks_are_events) {
    open_writer();
    put_mark(0, 100, 'i', 't', "inst", NULL, "{\"a\":1,\"b\":[1.5,\"x\",{\"c\":null}]}");
    put_mark(0, 90, 'i', 'p', "wide", NULL, NULL);
    put_mark(0, 110, 'C', 0, "cnt", NULL, "{\"cnt\":3,\"half\":0.5,\"no\":\"text\",\"in\":{\"deep\":9}}");
    put_mark(1, 120, 'O', 0, "obj", "42", "{\"snapshot\":{\"v\":[1]}}");
    put_mark(0, 130, 's', 0, "flow", "1", NULL);
    put_mark(1, 140, 'f', 0, "flow", "1", NULL);
    put_mark(0, 150, 'b', 0, "async", "7", NULL);
    put_mark(0, 160, 'n', 0, "between", "7", NULL);
    put_mark(1, 155, 'e', 0, "async", "7", NULL); /* another process: not the same */
    put_mark(0, 170, 'e', 0, "async", "7", NULL);
    close_writer();
    const struct pf_event *e = pftrace_event(pf, PF_INSTANT, "inst", 0);
    ck_assert_int_eq(pftrace_arg(e->event, "a")->int_value, 1);
    const Pf__Annotation *b = pftrace_arg(e->event, "b");
    ck_assert_uint_eq(b->n_array, 3);
    ck_assert_double_eq(b->array[0]->double_value, 1.5);
    ck_assert_str_eq(PF_TEXT(pftrace_member(b->array[2], "c")->string_value), "null");
    ck_assert_ptr_nonnull(pftrace_event(pf, PF_INSTANT, "wide", 0)->track->track->process);
    ck_assert_int_eq(pftrace_event(pf, PF_COUNTER, "cnt", 0)->event->counter_value, 3);
    ck_assert_double_eq(pftrace_event(pf, PF_COUNTER, "cnt half", 0)->event->double_counter_value, 0.5);
    e = pftrace_event(pf, PF_INSTANT, "obj", 0);
    ck_assert_str_eq(PF_TEXT(pftrace_arg(e->event, "object")->string_value), "snapshot");
    ck_assert_str_eq(PF_TEXT(pftrace_arg(e->event, "id")->string_value), "42");
    ck_assert_int_eq(pftrace_member(pftrace_arg(e->event, "snapshot"), "v")->array[0]->int_value, 1);
    const Pf__Event *from = pftrace_event(pf, PF_INSTANT, "flow", 0)->event,
                    *to = pftrace_event(pf, PF_INSTANT, "flow", 1)->event;
    if (!from->n_flow_ids)
        to = pftrace_event(pf, PF_INSTANT, "flow", 0)->event, from = pftrace_event(pf, PF_INSTANT, "flow", 1)->event;
    ck_assert_uint_eq(from->flow_ids[0], to->terminating_flow_ids[0]);
    ck_assert_str_eq(PF_TEXT(from->categories[0]), "cat");
    check_slice("async", 0, 150, 170, 0);
    ck_assert_ptr_eq(pftrace_event(pf, PF_INSTANT, "between", 0)->track, pftrace_slice(pf, "async", 0)->begin->track);
    ck_assert_uint_eq(pf->nslices, 1);
}
END_TEST

START_TEST(test_perfetto_args_of_json_have_types) {
    static const char *const odd[] = {"[1,2]", "7", "{\"a\":", "nonsense", "", "{\"a\":NaN}", "{}", "{\"\":1}", "[[[]]]"};
    char deep[512];
    open_writer();
    put_call(0, 100, 200, "{\"func_args\":{\"x\":\"1\"},\"return_value\":\"\\ud800\",\"big\":123456789012345678901234}");
    for (size_t i = 0; i < VT_ARRAY_LEN(odd); i++) put_call(0, 300 + i * 10, 301 + i * 10, odd[i]);
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    deep[400] = 0;
    put_call(1, 100, 200, deep);
    close_writer();
    const Pf__Event *e = pftrace_slice(pf, "f (f.py:3)", 0)->begin->event;
    ck_assert_str_eq(PF_TEXT(pftrace_member(pftrace_arg(e, "func_args"), "x")->string_value), "1");
    ck_assert_str_eq(PF_TEXT(pftrace_arg(e, "big")->string_value), "123456789012345678901234");
    ck_assert_ptr_nonnull(pftrace_arg(e, "return_value"));
    e = pftrace_slice(pf, "f (f.py:3)", 1)->begin->event;
    ck_assert_uint_eq(pftrace_arg(e, "args")->n_array, 2);
    ck_assert_int_eq(pftrace_arg(e, "args")->array[1]->int_value, 2);
    ck_assert_int_eq(pftrace_arg(pftrace_slice(pf, "f (f.py:3)", 2)->begin->event, "args")->int_value, 7);
    ck_assert_str_eq(PF_TEXT(pftrace_arg(pftrace_slice(pf, "f (f.py:3)", 3)->begin->event, "args")->string_value), "{\"a\":");
    ck_assert_str_eq(PF_TEXT(pftrace_arg(pftrace_slice(pf, "f (f.py:3)", 6)->begin->event, "args")->string_value), "{\"a\":NaN}");
    ck_assert_uint_eq(pf->nslices, 2 + VT_ARRAY_LEN(odd));
}
END_TEST

/* The writer's numbers are those of the .proto. */
START_TEST(test_perfetto_fields_match_the_proto) {
#define ROW(name, message, field, number) {#name, &pf__##message##__descriptor, #field, number},
    static const struct {
        const char *name;
        const ProtobufCMessageDescriptor *message;
        const char *field;
        unsigned number;
    } rows[] = {PERFETTO_FIELDS(ROW)};
#undef ROW
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(rows[i].message, rows[i].field);
        ck_assert_msg(f != NULL, "%s: %s has no field %s", rows[i].name, rows[i].message->name, rows[i].field);
        ck_assert_msg(f->id == rows[i].number, "%s: %u here, %u in the .proto", rows[i].name, rows[i].number, f->id);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/perfetto");
    TCase *tests = tcase_create("perfetto");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_perfetto_nested_calls_are_slices);
    tcase_add_test(tests, test_perfetto_open_frames_end_with_tracing);
    tcase_add_test(tests, test_perfetto_gaps_are_instants);
    tcase_add_test(tests, test_perfetto_what_begins_with_a_gap_begins_behind_it);
    tcase_add_test(tests, test_perfetto_counters_have_tracks);
    tcase_add_test(tests, test_perfetto_args_have_types);
    tcase_add_test(tests, test_perfetto_tasks_have_tracks);
    tcase_add_test(tests, test_perfetto_hostile_names_are_utf8);
    tcase_add_test(tests, test_perfetto_deep_recursion_is_kept);
    tcase_add_test(tests, test_perfetto_min_duration_keeps_the_order);
    tcase_add_test(tests, test_perfetto_calls_not_announced_are_in_order);
    tcase_add_test(tests, test_perfetto_gzip_is_written);
    tcase_add_test(tests, test_perfetto_for_a_viewer_no_clock_is_told);
    tcase_add_test(tests, test_perfetto_processes_have_their_command_line);
    tcase_add_test(tests, test_perfetto_has_the_calls_of_chrome);
    tcase_add_test(tests, test_perfetto_several_processes_have_tracks);
    tcase_add_test(tests, test_perfetto_long_name_is_kept);
    tcase_add_test(tests, test_perfetto_marks_are_events);
    tcase_add_test(tests, test_perfetto_args_of_json_have_types);
    tcase_add_test(tests, test_perfetto_fields_match_the_proto);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
