/* The rules of model.h, one test each, seen through a writer that notes what it is given. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/format/vzt/call_notes.h"
#include "cli/format/vzt/model.h"
#include "tests/lib/trace_build.h"

/* ---- a writer that notes: "name start+dur", "name start+dur-" for open, "name start+dur!" when raised,
 * "^" for a resumed piece, "~" for a suspended one ---- */
struct trace_writer {
    char text[4096];
    size_t len;
    uint64_t calls;
    struct trace_call last;
    bool check_nesting;
    struct {
        uint64_t start, end;
    } done[20000]; /* calls so far, per test one thread */
    size_t ndone;
    char steps[512]; /* args_json of the last call that has any */
    size_t nsteps, steps_len;
};
static struct trace_writer notes;

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    size_t room = sizeof notes.text - notes.len;
    int n = vsnprintf(notes.text + notes.len, room, fmt, ap);
    va_end(ap);
    notes.len += (size_t)n < room ? (size_t)n : room - 1;
}
static int note_begin(struct trace_writer *w) {
    (void)w;
    return 0;
}
static int note_call(struct trace_writer *w, const struct trace_call *call) {
    w->calls++;
    w->last = *call;
    if (call->args_json && !call->at_line) {
        snprintf(w->steps, sizeof w->steps, "%.*s", (int)call->args_json_len, call->args_json);
        w->steps_len = call->args_json_len;
        w->nsteps++;
    }
    if (w->check_nesting) {
        ck_assert_uint_le(call->start_ns, call->end_ns);
        for (size_t i = 0; i < w->ndone; i++) {
            uint64_t start = w->done[i].start, end = w->done[i].end;
            bool before = start < call->start_ns && call->start_ns < end && end < call->end_ns;
            bool after = call->start_ns < start && start < call->end_ns && call->end_ns < end;
            ck_assert_msg(!before && !after, "slices cross: %llu..%llu and %llu..%llu", (unsigned long long)start,
                          (unsigned long long)end, (unsigned long long)call->start_ns, (unsigned long long)call->end_ns);
        }
        if (w->ndone < VT_ARRAY_LEN(w->done)) {
            w->done[w->ndone].start = call->start_ns;
            w->done[w->ndone++].end = call->end_ns;
        }
    }
    note("%s%.*s %llu", w->len ? ", " : "", (int)call->name->name_len, call->name->name, (unsigned long long)call->start_ns);
    note("+%llu%s%s%s%s", (unsigned long long)(call->end_ns - call->start_ns), call->raised ? "!" : "", call->open ? "-" : "",
         call->resumed ? "^" : "", call->suspended ? "~" : "");
    return 0;
}
static int note_gap(struct trace_writer *w, const struct trace_gap *gap) {
    note("%sgap %llu x%llu", w->len ? ", " : "", (unsigned long long)gap->ns, (unsigned long long)gap->count);
    return 0;
}
static int note_counter(struct trace_writer *w, const struct trace_counter *counter) {
    note("%sgc %llu", w->len ? ", " : "", (unsigned long long)counter->value.collected);
    return 0;
}
static int note_mark(struct trace_writer *w, const struct trace_mark *mark) {
    note("%s%.*s %llu", w->len ? ", " : "", (int)mark->name_len, mark->name, (unsigned long long)mark->ns);
    if (mark->args_json) note(" %.*s", (int)mark->args_json_len, mark->args_json);
    return 0;
}
static int note_end(struct trace_writer *w, const struct trace_totals *totals) {
    (void)w, (void)totals;
    return 0;
}
static const struct trace_writer_ops note_ops = {
    .begin = note_begin, .call = note_call, .gap = note_gap, .counter = note_counter, .mark = note_mark, .end = note_end};

static struct trace_build trace;
static struct trace_totals totals;
static struct run_opts opts;
static struct vt_err damage;

static void set_up(void) {
    memset(&notes, 0, sizeof notes);
    memset(&opts, 0, sizeof opts);
    trace_build_open(&trace);
    trace_build_letters(&trace);
}
static void tear_down(void) { trace_build_remove(&trace); }

static void run(void) {
    struct vt_trace *t;
    struct trace_info *info;
    struct vt_err err = {0};
    memset(&notes, 0, offsetof(struct trace_writer, check_nesting));
    notes.ndone = notes.nsteps = notes.steps_len = 0;
    ck_assert_msg(vt_trace_open(trace.path, &t, &err) == 0, "%s", err.msg);
    ck_assert_msg(trace_info_load(t, &info, &err) == 0, "%s", err.msg);
    ck_assert_msg(model_run(info, &opts, &note_ops, &notes, &totals, &err) == 0, "%s", err.msg);
    damage = info->damage;
    trace_info_free(info);
    vt_trace_close(t);
}

static void block_of(uint32_t serial, uint64_t ident, uint64_t ticks, uint64_t step, const char *text) {
    trace_build_calls(&trace, serial, ident, ticks, step, text);
}

static void expect(const char *want) {
    run();
    ck_assert_str_eq(notes.text, want);
}

START_TEST(test_nested_calls) {
    block_of(0, 1, 1000, 10, "(a (b b) [c c] a)");
    expect("b 1010+10, c 1030+10, a 1000+50");
    ck_assert_uint_eq(totals.calls, 3);
}
END_TEST

START_TEST(test_stack_continues_in_the_next_block) {
    block_of(0, 1, 1000, 10, "(a (b");
    block_of(1, 2, 1000, 10, "(a a)");
    block_of(0, 1, 1100, 10, "b) a)");
    expect("a 1000+10, b 1010+90, a 1000+110");
    ck_assert_uint_eq(totals.threads, 2);
}
END_TEST

/* An assignment belongs to the innermost open call, whatever its bytes are. */
START_TEST(test_steps_belong_to_the_innermost_call) {
    static const uint8_t first[] = "(3) x = 1", second[] = "(4) y = \"\\\n", hostile[] = "\xff\x00";
    static char args[512];
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_PAYLOAD, .id = VT_PL_STEP, .payload = first, .payload_len = sizeof first - 1},
        {.ticks = 1010, .type = VT_REC_CALL, .id = 'a'},
        {.ticks = 1020, .type = VT_REC_PAYLOAD, .id = VT_PL_STEP, .payload = first, .payload_len = sizeof first - 1},
        {.ticks = 1030, .type = VT_REC_CALL, .id = 'b'},
        {.ticks = 1040, .type = VT_REC_RETURN, .id = 'b'},
        {.ticks = 1050, .type = VT_REC_PAYLOAD, .id = VT_PL_STEP, .payload = second, .payload_len = sizeof second - 1},
        {.ticks = 1060, .type = VT_REC_PAYLOAD, .id = VT_PL_STEP, .payload = hostile, .payload_len = 2},
        {.ticks = 1070, .type = VT_REC_PAYLOAD, .id = VT_PL_STEP, .payload_len = 0},
        {.ticks = 1080, .type = VT_REC_RETURN, .id = 'a'},
    };
    trace_build_block(&trace, 0, 1, 1, ev, VT_ARRAY_LEN(ev));
    run();
    snprintf(args, sizeof args, "%s", notes.steps);
    static const char begin[] = "{\"exec_steps\":[\"(3) x = 1\",\"(4) y = \\\"\\\\\\n\",\"";
    ck_assert_msg(!strncmp(args, begin, sizeof begin - 1), "%s", args);
    ck_assert_msg(vt_ends_with(args, "\",\"\"]}"), "%s", args);
    ck_assert_uint_eq(notes.nsteps, 1);
}
END_TEST

/* A note is a member of the args of the innermost open call. A note that is not JSON is left out. */
START_TEST(test_notes_are_members_beside_the_steps) {
    static const uint8_t step[] = "(3) x = 1", number[] = "\1\0n7", text[] = "\2\0\"k\"v\"", wrong[] = "\1\0w{", cut[] = "\7\0c",
                         none[] = "\1";
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_PAYLOAD, .id = VT_PL_NOTE, .payload = number, .payload_len = sizeof number - 1},
        {.ticks = 1010, .type = VT_REC_CALL, .id = 'a'},
        {.ticks = 1020, .type = VT_REC_PAYLOAD, .id = VT_PL_NOTE, .payload = number, .payload_len = sizeof number - 1},
        {.ticks = 1030, .type = VT_REC_PAYLOAD, .id = VT_PL_NOTE, .payload = wrong, .payload_len = sizeof wrong - 1},
        {.ticks = 1030, .type = VT_REC_PAYLOAD, .id = VT_PL_NOTE, .payload = cut, .payload_len = sizeof cut - 1},
        {.ticks = 1030, .type = VT_REC_PAYLOAD, .id = VT_PL_NOTE, .payload = none, .payload_len = sizeof none - 1},
        {.ticks = 1040, .type = VT_REC_PAYLOAD, .id = VT_PL_STEP, .payload = step, .payload_len = sizeof step - 1},
        {.ticks = 1050, .type = VT_REC_PAYLOAD, .id = VT_PL_NOTE, .payload = text, .payload_len = sizeof text - 1},
        {.ticks = 1060, .type = VT_REC_RETURN, .id = 'a'},
    };
    trace_build_block(&trace, 0, 1, 1, ev, VT_ARRAY_LEN(ev));
    run();
    ck_assert_str_eq(notes.steps, "{\"n\":7,\"\\\"k\":\"v\",\"exec_steps\":[\"(3) x = 1\"]}");
    ck_assert_uint_eq(notes.nsteps, 1);
}
END_TEST

/* The end of the text has room in every case: the shortest names, and values of all lengths. */
START_TEST(test_notes_have_room_for_their_end) {
    for (uint32_t first = 1; first < 80; first++)
        for (uint32_t second = 1; second < 80; second++) {
            uint8_t note[2][82] = {{0}};
            const uint32_t len[2] = {first, second};
            memset(note[0] + 2, '1', first);
            memset(note[1] + 2, '1', second);
            struct call_notes *n = NULL;
            size_t told;
            for (int i = 0; i < 2; i++) ck_assert_int_eq(call_notes_member(&n, note[i], 2 + len[i], 4096), 0);
            const char *json = call_notes_json(n, &told);
            ck_assert_uint_eq(told, first + second + 9);
            ck_assert(json[told - 1] == '}');
            call_notes_free(n);
        }
}
END_TEST

/* Notes alone are whole, too, and only so many are kept. */
START_TEST(test_notes_of_one_call_are_bounded) {
    static uint8_t note[1000];
    static struct vt_event ev[202];
    memset(note, '1', sizeof note);
    note[0] = 1, note[1] = 0, note[2] = 'n';
    ev[0] = (struct vt_event){.ticks = 1000, .type = VT_REC_CALL, .id = 'a'};
    for (size_t i = 1; i < 201; i++)
        ev[i] = (struct vt_event){.type = VT_REC_PAYLOAD, .id = VT_PL_NOTE, .payload = note, .payload_len = sizeof note};
    ev[201] = (struct vt_event){.ticks = 2000, .type = VT_REC_RETURN, .id = 'a'};
    trace_build_block(&trace, 0, 1, 1, ev, VT_ARRAY_LEN(ev));
    run();
    ck_assert_uint_eq(notes.nsteps, 1);
    ck_assert_uint_gt(notes.steps_len, 32000);
    ck_assert_uint_le(notes.steps_len, 65536);
}
END_TEST

/* A call that never ends and tells without end keeps only so much. */
START_TEST(test_steps_of_one_call_are_bounded) {
    static uint8_t text[1000];
    static struct vt_event ev[202];
    memset(text, '"', sizeof text);
    ev[0] = (struct vt_event){.ticks = 1000, .type = VT_REC_CALL, .id = 'a'};
    for (size_t i = 1; i < 201; i++)
        ev[i] = (struct vt_event){.type = VT_REC_PAYLOAD, .id = VT_PL_STEP, .payload = text, .payload_len = sizeof text};
    ev[201] = (struct vt_event){.ticks = 2000, .type = VT_REC_RETURN, .id = 'a'};
    trace_build_block(&trace, 0, 1, 1, ev, VT_ARRAY_LEN(ev));
    run();
    ck_assert_uint_eq(notes.nsteps, 1);
    ck_assert_uint_gt(notes.steps_len, 32000);
    ck_assert_uint_le(notes.steps_len, 65536);
}
END_TEST

START_TEST(test_exceptions_and_generators) {
    block_of(0, 1, 1000, 10, "(a {b b} {b b! [c c# <b b) a!");
    expect("b 1010+10^~, b 1030+10!^, c 1050+10!, b 1070+10^, a 1000+90!");
    ck_assert_uint_eq(totals.calls, 2);
}
END_TEST

START_TEST(test_model_resumed_pieces_are_not_calls) {
    block_of(0, 1, 1000, 10, "(a (b b} {b b} {b b) (b b} <b b! {c (a");
    expect("b 1010+10~, b 1030+10^~, b 1050+10^, b 1070+10~, b 1090+10!^, a 1120+0-, c 1110+10-^, a 1000+120-");
    ck_assert_uint_eq(totals.calls, 2);
    ck_assert_uint_eq(totals.open, 2);
    opts.min_duration_ns = 11; /* leaves out five pieces, two of which are calls */
    expect("a 1120+0-, c 1110+10-^, a 1000+120-");
    ck_assert_uint_eq(totals.calls, 2);
    ck_assert_uint_eq(totals.short_calls, 2);
}
END_TEST

/* Tracing ended with the last event where nothing later is known of it. */
START_TEST(test_open_at_end_innermost_first) {
    block_of(0, 1, 1000, 10, "(a (b (c c)");
    expect("c 1020+10, b 1010+20-, a 1000+30-");
    ck_assert_uint_eq(totals.open, 2);
    trace_build_end_at(&trace, 500, 1100, 0);
    expect("c 1020+10, b 1010+90-, a 1000+100-");
}
END_TEST

/* A thread can have been given up before its process: FORMAT.md, Thread.end_ticks. */
START_TEST(test_open_of_a_thread_with_its_own_end) {
    Vt__Thread thread = VT__THREAD__INIT;
    block_of(0, 1, 1000, 10, "(a");
    block_of(1, 2, 1000, 10, "(b");
    thread.ident = 2;
    thread.serial = 2;
    thread.end_ticks = 1050;
    trace_build_frame(&trace, VT_FRAME_THREAD, &thread.base);
    trace_build_end_at(&trace, 500, 1100, 0);
    expect("a 1000+100-, b 1000+50-");
}
END_TEST

START_TEST(test_stack_open_at_attach) {
    uint32_t ids[] = {1, 2, 3};
    trace_build_stack(&trace, 42, 900, 3, ids);
    trace_build_stack(&trace, 43, 900, 2, ids); /* a thread that never runs */
    block_of(0, 42, 1000, 10, "c) (d d) b)");
    expect("c 900+100, d 1010+10, b 899+131, a 898+132-, b 900+130-, a 899+131-");
    ck_assert_uint_eq(totals.open, 3);
    ck_assert_uint_eq(totals.threads, 2);
}
END_TEST

/* A thread that was in a system call at the attach is back at its first event, whatever that is. */
START_TEST(test_system_call_at_the_attach_ends_with_the_next_event) {
    uint32_t ids[] = {1, 2, 500};
    trace_build_name(&trace, 500, VT_NAME_INSIDE, "[in C: futex]", "", 0);
    for (uint64_t ident = 42; ident < 46; ident++) trace_build_stack(&trace, ident, 900, 3, ids);
    block_of(0, 42, 1000, 10, "(c c) b)");
    block_of(1, 43, 2000, 10, "b) a)");
    block_of(2, 44, 3000, 10, "[c c]");
    expect("[in C: futex] 900+100, c 1000+10, b 899+121, [in C: futex] 900+1100, b 899+1101, a 898+1112, "
           "[in C: futex] 900+2100, c 3000+10, a 898+2112-, b 899+2111-, a 898+2112-, [in C: futex] 900+2110-, b 899+2111-, "
           "a 898+2112-");
    ck_assert_uint_eq(totals.unmatched, 0);
}
END_TEST

START_TEST(test_stack_goes_to_the_first_stream_of_an_ident) { /* idents are used again by later threads */
    uint32_t ids[] = {1};
    trace_build_stack(&trace, 42, 900, 1, ids);
    block_of(3, 42, 1000, 10, "(b b)");
    block_of(5, 42, 2000, 10, "a) (c c)");
    expect("b 1000+10, c 2010+10, a 900+1120-");
    ck_assert_uint_eq(totals.unmatched, 1);
    ck_assert_uint_eq(totals.threads, 2);
}
END_TEST

/* The names that are told at the end are those of the threads that live then, by whatever thread tells them. */
START_TEST(test_names_told_late_go_to_the_thread_that_lives) {
    struct vt_trace *t;
    struct trace_info *info;
    struct vt_err err = {0};
    char got[128] = "";
    trace_build_thread(&trace, 42, 7, 1, "first");
    block_of(0, 42, 1000, 10, "(a a)");
    trace_build_thread(&trace, 42, 8, 2, "");
    block_of(1, 42, 2000, 10, "(b b)");
    trace_build_thread(&trace, 42, 8, 0, "second");
    trace_build_thread(&trace, 42, 9, 0, "third"); /* has no events */
    trace_build_end(&trace, 900, 0);
    ck_assert_int_eq(vt_trace_open(trace.path, &t, &err), 0);
    ck_assert_int_eq(trace_info_load(t, &info, &err), 0);
    for (uint32_t i = 0; i < info->nthreads; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%u %.*s, ", info->threads[i]->tid, (int)info->threads[i]->name_len,
                 info->threads[i]->name ? info->threads[i]->name : "");
    ck_assert_str_eq(got, "7 first, 8 second, ");
    trace_info_free(info);
    vt_trace_close(t);
}
END_TEST

START_TEST(test_stack_never_begins_after_the_first_event) {
    uint32_t ids[] = {1};
    trace_build_stack(&trace, 42, 5000, 1, ids);
    block_of(0, 42, 1000, 10, "(b b) a)");
    expect("b 1001+9, a 1000+20");
}
END_TEST

START_TEST(test_stack_when_a_payload_comes_first) { /* its stamp is what the block began with: maybe nothing */
    uint32_t ids[] = {1};
    struct vt_event ev[] = {{.type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = (const uint8_t *)"", .payload_len = 0},
                            {.ticks = 1000, .type = VT_REC_CALL, .id = 2},
                            {.ticks = 1010, .type = VT_REC_RETURN, .id = 2}};
    trace_build_stack(&trace, 1, 900, 1, ids);
    trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
    expect("b 1000+10, a 900+110-");
}
END_TEST

START_TEST(test_unmatched_leave_is_ignored) {
    block_of(0, 1, 1000, 10, "d) (a d) e] a)");
    expect("a 1010+30");
    ck_assert_uint_eq(totals.unmatched, 3);
}
END_TEST

START_TEST(test_lost_leave_without_gap_ends_with_its_caller) {
    block_of(0, 1, 1000, 10, "(a (b (c a)");
    expect("c 1020+10, b 1010+20, a 1000+30");
}
END_TEST

START_TEST(test_lost_leave_with_gap_ends_at_the_gap) {
    block_of(0, 1, 1000, 10, "(a (b (c ~ (d d) (e a)");
    /* b and c were open at the gap (1020), e began after it */
    expect("gap 1020 x3, d 1030+10, e 1050+10, c 1020+0, b 1010+10, a 1000+60");
    ck_assert_uint_eq(totals.dropped, 3);
}
END_TEST

START_TEST(test_frame_around_a_survivor_survived_too) {
    block_of(0, 1, 1000, 10, "(a (b (c ~ c) a)");
    expect("gap 1020 x3, c 1020+10, b 1010+30, a 1000+40");
}
END_TEST

START_TEST(test_c_leave_does_not_close_a_python_frame) {
    block_of(0, 1, 1000, 10, "(a [a a) a]");
    expect("a 1010+10, a 1000+20");
    ck_assert_uint_eq(totals.unmatched, 1);
}
END_TEST

START_TEST(test_same_instant_still_nests) {
    block_of(0, 1, 1000, 0, "(a (b (c c) b) a)");
    expect("c 1002+0, b 1001+1, a 1000+2");
}
END_TEST

START_TEST(test_min_duration_keeps_callees) {
    block_of(0, 1, 1000, 10, "(a (b (c c) b) (d d) a)");
    opts.min_duration_ns = 30;
    expect("b 1010+30, a 1000+70");
    ck_assert_uint_eq(totals.calls, 4);
    ck_assert_uint_eq(totals.short_calls, 2);
}
END_TEST

/* The hooks were out: no call reaches over that, and what is open afterwards goes on in pieces. */
START_TEST(test_window_begins_with_its_own_stack) {
    struct {
        struct vt_pl_window head;
        uint32_t ids[2];
    } window = {.head = {.nframes = 2}, .ids = {1, 3}};
    struct vt_event ev[] = {
        {.ticks = 1000, .id = 1, .type = VT_REC_CALL},
        {.ticks = 1010, .id = 2, .type = VT_REC_CALL},
        {.id = VT_PL_WINDOW, .type = VT_REC_PAYLOAD, .payload = (const uint8_t *)&window, .payload_len = sizeof window},
        {.ticks = 1500, .id = 3, .type = VT_REC_RETURN},
        {.ticks = 1510, .id = 2, .type = VT_REC_RETURN}, /* of before: nothing is known of it */
        {.ticks = 1600, .id = 1, .type = VT_REC_RETURN}};
    trace_build_block(&trace, 0, 1, 1, ev, VT_ARRAY_LEN(ev));
    expect("b 1010+0, a 1000+10, c 1501+1^, a 1500+100^");
    ck_assert_uint_eq(totals.unmatched, 1);
    ck_assert_uint_eq(totals.calls, 2); /* as many as began while the hooks were in: so the daemon counts, too */
}
END_TEST

/* The profile function was gone up to the end of the session: the mark is there, and what was open ends where it was last seen.
 */
START_TEST(test_window_at_the_end_is_marked) {
    struct vt_pl_window window = {.cause = VT_WINDOW_DISPLACED};
    struct vt_event ev[] = {
        {.ticks = 1000, .id = 1, .type = VT_REC_CALL},
        {.ticks = 1010, .id = 2, .type = VT_REC_CALL},
        {.id = VT_PL_WINDOW, .type = VT_REC_PAYLOAD, .payload = (const uint8_t *)&window, .payload_len = sizeof window}};
    trace_build_block(&trace, 0, 1, 1, ev, VT_ARRAY_LEN(ev));
    block_of(1, 2, 2000, 10, "(a a)");
    expect("b 1010+0, a 1000+10, a 2000+10, " TRACE_UNSEEN " 2010 {\"cause\":\"" TRACE_UNSEEN_CAUSE "\",\"ns\":1000}");
}
END_TEST

START_TEST(test_drops_frame_marks_the_thread) {
    Vt__Drops drops = VT__DROPS__INIT;
    block_of(0, 1, 1000, 10, "(a a)");
    drops.count = 5;
    drops.ticks = 2000;
    trace_build_frame(&trace, VT_FRAME_DROPS, &drops.base);
    drops.serial = UINT32_MAX; /* of no thread in particular */
    drops.count = 7;
    trace_build_frame(&trace, VT_FRAME_DROPS, &drops.base);
    expect("a 1000+10, gap 2000 x5");
    ck_assert_uint_eq(totals.dropped, 12);
}
END_TEST

START_TEST(test_deep_stack) {
    enum { DEPTH = 15000 };
    struct vt_event *ev = calloc(DEPTH, sizeof *ev);
    for (uint32_t i = 0; i < DEPTH; i++) ev[i] = (struct vt_event){.ticks = 1000 + i, .type = VT_REC_CALL, .id = 1};
    trace_build_block(&trace, 0, 1, 7, ev, DEPTH);
    for (uint32_t i = 0; i < DEPTH; i++) ev[i] = (struct vt_event){.ticks = 100000 + i, .type = VT_REC_RETURN, .id = 1};
    trace_build_block(&trace, 0, 1, 7, ev, DEPTH);
    run();
    ck_assert_uint_eq(totals.calls, DEPTH);
    ck_assert_uint_eq(totals.open + totals.unmatched, 0);
    ck_assert_uint_eq(notes.last.start_ns, 1000);
    free(ev);
}
END_TEST

START_TEST(test_deeper_than_kept) {
    struct vt_event *ev = calloc(VT_BLOCK_EVENTS, sizeof *ev);
    uint64_t ticks = 1000;
    uint32_t blocks = MODEL_DEPTH_MAX / VT_BLOCK_EVENTS + 2;
    for (int leaving = 0; leaving < 2; leaving++)
        for (uint32_t b = 0; b < blocks; b++) {
            for (uint32_t i = 0; i < VT_BLOCK_EVENTS; i++)
                ev[i] = (struct vt_event){.ticks = ticks++, .type = leaving ? VT_REC_RETURN : VT_REC_CALL, .id = 1};
            trace_build_block(&trace, 0, 1, 7, ev, VT_BLOCK_EVENTS);
        }
    run();
    ck_assert_uint_eq(totals.calls, MODEL_DEPTH_MAX);
    ck_assert_uint_eq(totals.open + totals.unmatched, 0);
    free(ev);
}
END_TEST

START_TEST(test_damaged_block_keeps_what_is_before) {
    block_of(0, 1, 1000, 10, "(a a)");
    off_t good = lseek(trace.fd, 0, SEEK_CUR);
    block_of(0, 1, 2000, 10, "(b b)");
    ck_assert_int_eq(pwrite(trace.fd, "\xff\xff", 2, good + 40), 2);
    expect("a 1000+10");
    ck_assert_int_eq(damage.code, -EBADMSG);
    ck_assert_msg(strstr(damage.msg, "damaged at byte"), "%s", damage.msg);
}
END_TEST

START_TEST(test_truncated_file_keeps_whole_frames) {
    block_of(0, 1, 1000, 10, "(a a)");
    off_t good = lseek(trace.fd, 0, SEEK_CUR);
    block_of(0, 1, 2000, 10, "(b b)");
    off_t end = lseek(trace.fd, 0, SEEK_CUR);
    for (off_t size = end - 1; size >= good; size--) {
        ck_assert_int_eq(ftruncate(trace.fd, size), 0);
        expect("a 1000+10");
        ck_assert_int_eq(damage.code, 0);
    }
}
END_TEST

/* Any sequence of events gives slices that nest. */
START_TEST(test_random_events_nest) {
    uint64_t state = 88172645463325252ull;
    notes.check_nesting = true;
    for (int round = 0; round < 60; round++) {
        struct vt_event ev[300];
        uint64_t ticks = 1000;
        trace_build_remove(&trace);
        trace_build_open(&trace);
        if (round % 2) trace_build_stack(&trace, 1, 900, 4, (uint32_t[]){1, 2, 3, 1});
        for (size_t i = 0; i < VT_ARRAY_LEN(ev); i++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            uint32_t type = 1 + (uint32_t)(state % 9);
            ticks += state >> 32 & 3;
            ev[i] = (struct vt_event){.ticks = ticks, .type = type, .id = 1 + (uint32_t)(state >> 20 & 3)};
            if ((state >> 40 & 31) == 0) ev[i] = (struct vt_event){.type = VT_REC_GAP, .count = 1};
        }
        ev[0] = (struct vt_event){.ticks = 1000, .type = VT_REC_CALL, .id = 1};
        trace_build_block(&trace, 0, 1, 7, ev, VT_ARRAY_LEN(ev));
        run();
    }
    ck_assert_uint_gt(totals.calls, 20);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/model");
    TCase *tests = tcase_create("model");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_nested_calls);
    tcase_add_test(tests, test_stack_continues_in_the_next_block);
    tcase_add_test(tests, test_steps_belong_to_the_innermost_call);
    tcase_add_test(tests, test_notes_are_members_beside_the_steps);
    tcase_add_test(tests, test_notes_have_room_for_their_end);
    tcase_add_test(tests, test_notes_of_one_call_are_bounded);
    tcase_add_test(tests, test_steps_of_one_call_are_bounded);
    tcase_add_test(tests, test_exceptions_and_generators);
    tcase_add_test(tests, test_model_resumed_pieces_are_not_calls);
    tcase_add_test(tests, test_open_at_end_innermost_first);
    tcase_add_test(tests, test_open_of_a_thread_with_its_own_end);
    tcase_add_test(tests, test_stack_open_at_attach);
    tcase_add_test(tests, test_system_call_at_the_attach_ends_with_the_next_event);
    tcase_add_test(tests, test_stack_goes_to_the_first_stream_of_an_ident);
    tcase_add_test(tests, test_names_told_late_go_to_the_thread_that_lives);
    tcase_add_test(tests, test_stack_never_begins_after_the_first_event);
    tcase_add_test(tests, test_stack_when_a_payload_comes_first);
    tcase_add_test(tests, test_unmatched_leave_is_ignored);
    tcase_add_test(tests, test_lost_leave_without_gap_ends_with_its_caller);
    tcase_add_test(tests, test_lost_leave_with_gap_ends_at_the_gap);
    tcase_add_test(tests, test_frame_around_a_survivor_survived_too);
    tcase_add_test(tests, test_c_leave_does_not_close_a_python_frame);
    tcase_add_test(tests, test_same_instant_still_nests);
    tcase_add_test(tests, test_min_duration_keeps_callees);
    tcase_add_test(tests, test_window_begins_with_its_own_stack);
    tcase_add_test(tests, test_window_at_the_end_is_marked);
    tcase_add_test(tests, test_drops_frame_marks_the_thread);
    tcase_add_test(tests, test_deep_stack);
    tcase_add_test(tests, test_deeper_than_kept);
    tcase_add_test(tests, test_damaged_block_keeps_what_is_before);
    tcase_add_test(tests, test_truncated_file_keeps_whole_frames);
    tcase_add_test(tests, test_random_events_nest);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
