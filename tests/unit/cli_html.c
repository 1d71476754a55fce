/* .html end to end: a small trace in, a page out whose data block is taken apart again. With VT_SAMPLES=FOLDER the traces that
 * the browser's tests look at are written there. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>
#include <zlib.h>

#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/trace/source.h"
#include "proto/block_code.h"
#include "tests/lib/trace_build.h"

static struct trace_build trace;
static char out_path[96];
static struct convert_result result;
static struct vt_err err;

/* A page taken apart. */
struct block {
    char *page;
    uint8_t *data; /* unpacked */
    size_t len;
    yajl_val head;
    const uint8_t *at, *end; /* behind the head */
};
static struct block block;

static void set_up(void) {
    trace_build_open(&trace);
    snprintf(out_path, sizeof out_path, "%s.html", trace.path);
    memset(&err, 0, sizeof err);
    memset(&block, 0, sizeof block);
}
static void tear_down(void) {
    trace_build_remove(&trace);
    unlink(out_path);
    free(block.page);
    free(block.data);
    yajl_tree_free(block.head);
}

static size_t base64(const char *text, size_t len, uint8_t *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int8_t value[256];
    size_t n = 0;
    uint32_t v = 0;
    memset(value, -1, sizeof value);
    for (int i = 0; i < 64; i++) value[(uint8_t)digits[i]] = (int8_t)i;
    ck_assert_uint_eq(len % 4, 0);
    for (size_t i = 0; i < len && text[i] != '='; i++) {
        int digit = value[(uint8_t)text[i]];
        if (digit < 0) ck_abort_msg("no base64 at %zu", i);
        v = v << 6 | (uint32_t)digit;
        if (i % 4) out[n++] = (uint8_t)(v >> (6 - 2 * (i % 4)));
    }
    return n;
}

static void take_apart(void) {
    static const char begin[] = "<script type=\"text/plain\" class=\"trace\">", end[] = "</script>";
    char why[512] = "";
    size_t packed_len = 0, room = 64u << 20;
    block.page = trace_build_slurp(out_path, NULL);
    uint8_t *packed = malloc(strlen(block.page));
    for (const char *p = block.page; (p = strstr(p, begin));) {
        p += sizeof begin - 1;
        const char *to = strstr(p, end);
        ck_assert_ptr_nonnull(to);
        packed_len += base64(p, (size_t)(to - p), packed + packed_len);
    }
    z_stream z = {.next_in = packed, .avail_in = (uInt)packed_len};
    block.data = malloc(room);
    z.next_out = block.data;
    z.avail_out = (uInt)room - 1;
    ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
    ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    ck_assert_uint_eq(z.avail_in, 0);
    block.len = room - 1 - z.avail_out;
    inflateEnd(&z);
    free(packed);
    ck_assert_int_eq(memcmp(block.data, "VTH1", 4), 0);
    uint8_t *line = memchr(block.data, '\n', block.len);
    ck_assert_ptr_nonnull(line);
    *line = 0;
    block.head = yajl_tree_parse((char *)block.data + 4, why, sizeof why);
    ck_assert_msg(block.head != NULL, "head: %s", why);
    block.at = line + 1;
    block.end = block.data + block.len;
}

static void convert(bool tasks) {
    struct convert_opts opts = {.input = trace.path, .output = out_path, .log_async = tasks};
    int rc = convert_trace(&opts, &result, &err);
    ck_assert_msg(rc == 0, "%d %s", rc, err.msg);
    take_apart();
}

static uint64_t number(void) {
    uint64_t v;
    block.at = block_get_varint(block.at, block.end, &v);
    ck_assert_ptr_nonnull(block.at);
    return v;
}
static void must(uint64_t v) { ck_assert_uint_eq(number(), v); }
#define NUMBERS(...)                                                                                                             \
    do {                                                                                                                         \
        static const uint64_t want[] = {__VA_ARGS__};                                                                            \
        for (size_t i = 0; i < VT_ARRAY_LEN(want); i++) must(want[i]);                                                           \
    } while (0)
static void must_text(const char *text, size_t len) {
    must(len);
    ck_assert_uint_le(len, (size_t)(block.end - block.at));
    ck_assert_int_eq(memcmp(block.at, text, len), 0);
    block.at += len;
}

static yajl_val get(yajl_val v, const char *key) { return yajl_tree_get(v, (const char *[]){key, NULL}, yajl_t_any); }
static yajl_val item(const char *list, size_t i) {
    yajl_val found = get(block.head, list);
    ck_assert(found && YAJL_IS_ARRAY(found) && i < found->u.array.len);
    return found->u.array.values[i];
}
static const char *name_of(size_t i) { return YAJL_GET_STRING(item("names", i)->u.array.values[2]); }

START_TEST(test_html_columns_hold_the_calls) {
    static const uint8_t args[] = "\1\0\1\0x7";
    static const struct vt_pl_counter gc = {1, 13, 2};
    static const uint32_t stack[] = {3};
    struct vt_event ev[] = {
        {.ticks = 1100, .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = args, .payload_len = sizeof args - 1},
        {.ticks = 1100, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1200, .type = VT_REC_C_CALL, .id = 2},
        {.ticks = 1250, .type = VT_REC_C_RETURN, .id = 2},
        {.ticks = 1260, .type = VT_REC_C_CALL, .id = 2},
        {.ticks = 1290, .type = VT_REC_C_RETURN, .id = 2},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc, .payload_len = sizeof gc},
        {.ticks = 1300, .type = VT_REC_PAYLOAD, .id = VT_PL_RETVAL, .payload = (const uint8_t *)"None", .payload_len = 4},
        {.ticks = 1400, .type = VT_REC_RETURN, .id = 1},
        {.type = VT_REC_GAP, .count = 77},
        {.ticks = 1500, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1600, .type = VT_REC_UNWIND, .id = 1},
        {.ticks = 1700, .type = VT_REC_CALL, .id = 1},
    };
    trace_build_name(&trace, 1, 0, "A.f", "/x/a.py", 12);
    trace_build_name(&trace, 2, 1, "append", "list", 0);
    trace_build_name(&trace, 3, 0, "main", "/x/a.py", 1);
    trace_build_name(&trace, 4, 0, "never called", "/x/a.py", 1);
    trace_build_thread(&trace, 9, 100, 1, "worker");
    trace_build_stack(&trace, 9, 1000, 1, stack);
    trace_build_block(&trace, 0, 9, 100, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 1000, 0);
    convert(false);
    ck_assert_uint_eq(get(block.head, "tracks")->u.array.len, 1);
    ck_assert_str_eq(YAJL_GET_STRING(get(item("tracks", 0), "name")), "worker");
    ck_assert_uint_eq(get(block.head, "names")->u.array.len, 3);
    ck_assert_str_eq(YAJL_GET_STRING(get(item("processes", 0), "name")), "");
    ck_assert_int_eq(YAJL_GET_INTEGER(get(block.head, "start")), 1000);
    ck_assert_int_eq(YAJL_GET_INTEGER(get(block.head, "end")), 700);
    ck_assert_int_eq(YAJL_GET_INTEGER(get(get(block.head, "totals"), "dropped")), 77);
    ck_assert_str_eq(name_of(0), "append"); /* in the order in which calls ended */
    ck_assert_str_eq(name_of(1), "A.f");
    ck_assert_str_eq(name_of(2), "main");
    must(6);                            /* main, A.f, append, append, A.f, A.f */
    NUMBERS(0, 100, 100, 60, 240, 200); /* starts */
    NUMBERS(700, 300, 50, 30, 100, 0);  /* durations: main until tracing ended, A.f began then */
    NUMBERS(0, 0, 0, 1, 2, 1);          /* levels left: main 0, A.f 1, append 2, append 2, A.f 1, A.f 1 */
    NUMBERS(2, 1, 0, 0, 1, 1);          /* names */
    NUMBERS(3, 0, 3, 4, 4, 1, 1);       /* main: open, from attach; the fourth call after it raised; the next is open */
    NUMBERS(1, 1);                      /* details: of the call after the first */
    must_text("\1\0\1\0x7", 6);
    must_text("None", 4);
    must_text("", 0);
    must(0); /* folds */
    NUMBERS(1, 400, 77);
    must(0); /* marks */
    NUMBERS(1, 290, 1, 13, 2);
    ck_assert_int_eq(*block.at, '{');
    yajl_val info = yajl_tree_parse((block.data[block.len] = 0, (const char *)block.at), NULL, 0);
    ck_assert_ptr_nonnull(get(info, "files"));
    yajl_tree_free(info);
}
END_TEST

START_TEST(test_html_pieces_of_generators_are_marked) {
    trace_build_letters(&trace);
    trace_build_calls(&trace, 0, 9, 1000, 10, "(a a} {a a} {a a)");
    trace_build_end(&trace, 1000, 0);
    convert(false);
    must(3);
    NUMBERS(0, 20, 20); /* starts */
    NUMBERS(10, 10, 10);
    NUMBERS(0, 1, 1);
    NUMBERS(0, 0, 0);
    NUMBERS(3, 0, 16, 1, 24, 1, 8); /* suspended; resumed and suspended; resumed */
    ck_assert_int_eq(YAJL_GET_INTEGER(get(get(block.head, "totals"), "calls")), 1);
}
END_TEST

START_TEST(test_html_tasks_are_tracks) {
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1}, {.ticks = 1001, .type = VT_REC_TASK, .id = 5},
        {.ticks = 1002, .type = VT_REC_CALL, .id = 1}, {.ticks = 1003, .type = VT_REC_RETURN, .id = 1},
        {.ticks = 1003, .type = VT_REC_TASK, .id = 0}, {.ticks = 1009, .type = VT_REC_RETURN, .id = 1},
    };
    Vt__Task task = VT__TASK__INIT;
    task.id = 5;
    task.address = 0x7fff12345678;
    task.name = (ProtobufCBinaryData){3, (uint8_t *)"myT"};
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_block(&trace, 0, 9, 200, ev, VT_ARRAY_LEN(ev));
    trace_build_frame(&trace, VT_FRAME_TASK, &task.base);
    trace_build_end(&trace, 0, 0);
    convert(true);
    ck_assert_uint_eq(get(block.head, "tracks")->u.array.len, 2);
    ck_assert_ptr_null(get(item("tracks", 0), "tasks"));
    yajl_val run = get(item("tracks", 1), "tasks")->u.array.values[0];
    ck_assert_int_eq(YAJL_GET_INTEGER(run->u.array.values[0]), 2);
    ck_assert_str_eq(YAJL_GET_STRING(run->u.array.values[1]), "myT");
    NUMBERS(1, 0, 9, 0, 0);
}
END_TEST

/* Three tasks in turn: the third begins when the first is over, and shares its row; calls of each stay together. */
START_TEST(test_html_tasks_share_rows) {
    static struct vt_event ev[64];
    static const int order[] = {1, 2, 1, 2, 3, 2, 3}; /* task 1 ends before 3 begins; 2 lives on */
    size_t n = 0;
    for (size_t i = 0; i < VT_ARRAY_LEN(order); i++) {
        uint64_t at = 1000 + i * 100;
        ev[n++] = (struct vt_event){.ticks = at, .type = VT_REC_TASK, .id = (uint32_t)order[i]};
        ev[n++] = (struct vt_event){.ticks = at, .type = VT_REC_CALL, .id = 1};
        ev[n++] = (struct vt_event){.ticks = at + 50, .type = VT_REC_RETURN, .id = 1};
    }
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_block(&trace, 0, 9, 200, ev, n);
    for (uint32_t i = 1; i <= 3; i++) {
        Vt__Task task = VT__TASK__INIT;
        task.id = i;
        task.address = 0x7fff00000000 + i;
        task.name = (ProtobufCBinaryData){1, (uint8_t *)(i == 1 ? "A" : i == 2 ? "B" : "C")};
        trace_build_frame(&trace, VT_FRAME_TASK, &task.base);
    }
    trace_build_end(&trace, 0, 0);
    convert(true);
    ck_assert_uint_eq(get(block.head, "tracks")->u.array.len, 2);
    yajl_val runs = get(item("tracks", 0), "tasks");
    ck_assert_uint_eq(runs->u.array.len, 2);
    ck_assert_str_eq(YAJL_GET_STRING(runs->u.array.values[0]->u.array.values[1]), "A");
    ck_assert_str_eq(YAJL_GET_STRING(runs->u.array.values[1]->u.array.values[1]), "C");
    ck_assert_int_eq(YAJL_GET_INTEGER(runs->u.array.values[1]->u.array.values[0]), 400);
    must(4);
    NUMBERS(0, 200, 200, 200, 50, 50, 50, 50, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    must(3);
    NUMBERS(100, 200, 200);
}
END_TEST

/* One call of function 1 on a thread of its own. */
static void call_on_thread(uint32_t serial, const char *name, uint64_t from, uint64_t to) {
    struct vt_event ev[] = {{.ticks = from, .type = VT_REC_CALL, .id = 1}, {.ticks = to, .type = VT_REC_RETURN, .id = 1}};
    trace_build_thread(&trace, serial + 1, 200 + serial, serial + 1, name);
    trace_build_block(&trace, serial, serial + 1, 200 + serial, ev, VT_ARRAY_LEN(ev));
}

static void must_pool(size_t track, size_t at, uint64_t start, const char *name, uint64_t tid) {
    yajl_val pool = get(item("tracks", track), "pool");
    ck_assert(pool && at < pool->u.array.len);
    yajl_val *run = pool->u.array.values[at]->u.array.values;
    ck_assert_int_eq(YAJL_GET_INTEGER(run[0]), (long long)start);
    ck_assert_str_eq(YAJL_GET_STRING(run[1]), name);
    ck_assert_int_eq(YAJL_GET_INTEGER(run[2]), (long long)tid);
}

START_TEST(test_html_threads_of_a_pool_share_rows) {
    struct vt_event gap[] = {{.ticks = 1700, .type = VT_REC_CALL, .id = 1}, {.type = VT_REC_GAP, .count = 7}};
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    call_on_thread(0, "Thread-1 (serve)", 1000, 1200);
    call_on_thread(1, "Thread-22 (serve)", 1100, 1300); /* at the same time as the first */
    call_on_thread(2, "Thread-3 (serve)", 1250, 1400);
    call_on_thread(3, "Thread-4 (other)", 1500, 1600);
    call_on_thread(4, "serve", 1500, 1600);
    call_on_thread(5, "serve", 1700, 1800); /* no number: no pool */
    trace_build_thread(&trace, 7, 206, 7, "Thread-5 (serve)");
    trace_build_block(&trace, 6, 7, 206, gap, VT_ARRAY_LEN(gap));
    trace_build_end(&trace, 0, 0);
    convert(false);
    ck_assert_uint_eq(get(block.head, "tracks")->u.array.len, 5);
    must_pool(0, 0, 0, "Thread-1 (serve)", 200);
    must_pool(0, 1, 250, "Thread-3 (serve)", 202);
    must_pool(0, 2, 700, "Thread-5 (serve)", 206);
    for (size_t i = 1; i < 5; i++) ck_assert_ptr_null(get(item("tracks", i), "pool"));
    must(3);
    NUMBERS(0, 250, 450);
    number(), number(), number();                           /* durations */
    NUMBERS(0, 1, 1, 0, 0, 0);                              /* levels left, names */
    for (uint64_t n = number(); n; n--) number(), number(); /* flags: the last call may be open */
    NUMBERS(0, 0);                                          /* details, folds */
    NUMBERS(1, 700, 7);                                     /* the gap of the last thread */
}
END_TEST

START_TEST(test_html_names_say_whether_they_wait) {
    static const struct {
        uint32_t kind;
        const char *name, *file;
        int waits;
    } rows[] = {{1, "sleep", "time", 1}, {1, "append", "list", 0}, {0, "sleep", "time", 0}};
    for (uint32_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        uint32_t call = rows[i].kind ? VT_REC_C_CALL : VT_REC_CALL, end = rows[i].kind ? VT_REC_C_RETURN : VT_REC_RETURN;
        struct vt_event ev[] = {{.ticks = 100 * i, .type = call, .id = i + 1}, {.ticks = 100 * i + 50, .type = end, .id = i + 1}};
        trace_build_name(&trace, i + 1, rows[i].kind, rows[i].name, rows[i].file, 1);
        trace_build_block(&trace, 0, 9, 100, ev, VT_ARRAY_LEN(ev));
    }
    trace_build_end(&trace, 0, 0);
    convert(false);
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++)
        ck_assert_int_eq(YAJL_GET_INTEGER(item("names", i)->u.array.values[6]), rows[i].waits);
}
END_TEST

START_TEST(test_html_threads_with_tasks_keep_their_row) {
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_TASK, .id = 5},   {.ticks = 1001, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1002, .type = VT_REC_RETURN, .id = 1}, {.ticks = 1003, .type = VT_REC_TASK, .id = 0},
        {.ticks = 1004, .type = VT_REC_CALL, .id = 1},   {.ticks = 1005, .type = VT_REC_RETURN, .id = 1},
    };
    Vt__Task task = VT__TASK__INIT;
    task.id = 5;
    task.address = 0x7fff12345678;
    task.name = (ProtobufCBinaryData){3, (uint8_t *)"myT"};
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_thread(&trace, 1, 200, 1, "pool_1");
    trace_build_block(&trace, 0, 1, 200, ev, VT_ARRAY_LEN(ev));
    trace_build_frame(&trace, VT_FRAME_TASK, &task.base);
    call_on_thread(1, "pool_2", 1100, 1200);
    trace_build_end(&trace, 0, 0);
    convert(true);
    ck_assert_uint_eq(get(block.head, "tracks")->u.array.len, 3);
    for (size_t i = 0; i < 3; i++) ck_assert_ptr_null(get(item("tracks", i), "pool"));
}
END_TEST

/* A stage that stands in front of the page and folds calls of g into the calls of f. */
struct trace_writer {
    const struct trace_writer_ops *ops;
    struct trace_writer *inner;
    struct trace_fold_function functions[20];
    struct trace_fold fold;
    const struct trace_thread *thread;
    struct trace_name *g;
};
static int stage_begin(struct trace_writer *w) { return w->ops->begin(w->inner); }
static int stage_call(struct trace_writer *w, const struct trace_call *call) {
    struct trace_call with = *call;
    if (call->name->line == 2) { /* g */
        for (uint32_t i = 0; i < 20; i++) w->functions[i] = (struct trace_fold_function){call->name, 20 - i, 10};
        w->fold = (struct trace_fold){.listed = 16, .calls = 210, .total_ns = 200, .nfunctions = 20, .functions = w->functions};
        return 0;
    }
    with.folded = &w->fold;
    return w->ops->call(w->inner, &with);
}
/* With calls of g that no call in the picture is around. */
static int stage_mark(struct trace_writer *w) {
    struct trace_fold_function function = {w->g, 5, 50};
    const struct trace_fold fold = {.listed = 0, .calls = 5, .total_ns = 50, .nfunctions = 1, .functions = &function};
    static const char json[] = "{\"calls\":3}";
    const struct trace_mark mark = {.thread = w->thread,
                                    .ns = 150,
                                    .ph = 'i',
                                    .scope = 't',
                                    .name = "note \"1\"",
                                    .name_len = 8,
                                    .args_json = json,
                                    .args_json_len = sizeof json - 1,
                                    .folded = &fold};
    return w->ops->mark(w->inner, &mark);
}
static int stage_end(struct trace_writer *w, const struct trace_totals *totals) {
    int rc = stage_mark(w);
    return rc ? rc : w->ops->end(w->inner, totals);
}

START_TEST(test_html_has_folds_and_marks) {
    static const struct trace_writer_ops stage = {.begin = stage_begin, .call = stage_call, .end = stage_end};
    struct vt_event ev[] = {
        {.ticks = 100, .type = VT_REC_CALL, .id = 1},
        {.ticks = 200, .type = VT_REC_CALL, .id = 2},
        {.ticks = 300, .type = VT_REC_RETURN, .id = 2},
        {.ticks = 900, .type = VT_REC_RETURN, .id = 1},
    };
    const struct trace_writer_ops *html = format_by_name("x.html", NULL)->writer;
    struct trace_writer front = {.ops = html};
    struct trace_source *source = NULL;
    struct trace_totals totals;
    struct writer_opts opts = {0};
    struct run_opts model = {0};
    struct output *out = NULL;
    uint64_t bytes;
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_name(&trace, 2, 0, "g", "a.py", 2);
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    ck_assert_int_eq(trace_source_open(trace.path, &source, &err), 0);
    struct trace_info *info = trace_source_info(source);
    ck_assert_int_eq(output_open(out_path, false, &out, &err), 0);
    front.inner = html->open(out, info, &opts);
    ck_assert_ptr_nonnull(front.inner);
    front.thread = info->threads[0];
    front.g = id_table_get(&info->names, 2);
    ck_assert_int_eq(trace_source_run(source, &model, &stage, &front, &totals, &err), 0);
    html->free(front.inner);
    ck_assert_int_eq(output_commit(out, &bytes, &err), 0);
    trace_source_close(source);
    take_apart();
    ck_assert_str_eq(name_of(0), "f");
    ck_assert_str_eq(name_of(1), "g");
    yajl_val g = item("names", 1);
    ck_assert_int_eq(YAJL_GET_INTEGER(g->u.array.values[4]), 215); /* all of them, ... */
    ck_assert_int_eq(YAJL_GET_INTEGER(g->u.array.values[5]), 250);
    NUMBERS(1, 0, 800, 0, 0, 0, 0);
    NUMBERS(1, 0, 210, 200, 16); /* ... and the first in the call */
    for (uint32_t i = 0; i < 16; i++) {
        must(1);
        must(20 - i);
        must(10);
    }
    NUMBERS(0, 1, 50);
    static const char text[] =
        "{\"ph\":\"i\",\"name\":\"note \\\"1\\\"\",\"cat\":\"\",\"id\":\"\",\"scope\":\"t\",\"args\":{\"calls\":3}}";
    must_text(text, sizeof text - 1);
}
END_TEST

/* Names cannot end the element they stand in: they stand in none. */
START_TEST(test_html_hostile_names_are_no_markup) {
    static const char evil[] = "</script><script>alert(1)</script><img src=x onerror=alert(2)>";
    struct vt_event ev[] = {{.ticks = 10, .type = VT_REC_CALL, .id = 1}, {.ticks = 20, .type = VT_REC_RETURN, .id = 1}};
    char *text;
    size_t scripts = 0, data = 0;
    trace_build_name(&trace, 1, 0, evil, "\"</script>\xff.py", 1);
    trace_build_thread(&trace, 9, 7, 1, evil);
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    convert(false);
    ck_assert_str_eq(name_of(0), evil);
    ck_assert_str_eq(YAJL_GET_STRING(get(item("tracks", 0), "name")), evil);
    ck_assert_ptr_null(strstr(block.page, "alert("));
    ck_assert_ptr_null(strstr(block.page, "onerror"));
    for (text = block.page; (text = strstr(text, "<script")); text++) scripts++;
    for (text = block.page; (text = strstr(text, "<script type=\"text/plain\" class=\"trace\">")); text++) data++;
    ck_assert_uint_eq(data, 1);
    ck_assert_uint_eq(scripts, data + 1); /* and the page's own */
}
END_TEST

/* Calls whose end was lost come late: depth does not depend on the order. */
START_TEST(test_html_depth_over_a_gap_is_right) {
    struct vt_event ev[] = {
        {.ticks = 100, .type = VT_REC_CALL, .id = 1},   {.ticks = 200, .type = VT_REC_CALL, .id = 2},
        {.ticks = 250, .type = VT_REC_GAP, .count = 5}, {.ticks = 300, .type = VT_REC_CALL, .id = 3},
        {.ticks = 400, .type = VT_REC_RETURN, .id = 3}, {.ticks = 500, .type = VT_REC_RETURN, .id = 1},
    };
    for (uint32_t i = 1; i <= 3; i++) trace_build_name(&trace, i, 0, (const char *[]){"", "a", "b", "c"}[i], "a.py", i);
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    convert(false);
    must(3);
    NUMBERS(0, 100, 100);
    uint64_t durations[3];
    for (int i = 0; i < 3; i++) durations[i] = number();
    ck_assert_uint_eq(durations[0], 400);
    ck_assert_uint_eq(durations[2], 100);
    /* b is closed at the gap, or was open over it: then c stands in it */
    NUMBERS(0, 0);
    must(100 + durations[1] <= 200 ? 1 : 0);
}
END_TEST

START_TEST(test_html_of_no_calls_is_valid) {
    trace_build_end(&trace, 0, 0);
    convert(false);
    ck_assert_uint_eq(get(block.head, "tracks")->u.array.len, 0);
    ck_assert_int_eq(YAJL_GET_INTEGER(get(block.head, "end")), 0);
}
END_TEST

/* More than one element of data, and a size that is no multiple of three. */
START_TEST(test_html_holds_many_calls) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    uint32_t blocks = 60, seed = 1, calls = blocks * (uint32_t)(VT_BLOCK_EVENTS / 2);
    uint64_t ticks = 0, sum = 0;
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    for (uint32_t b = 0; b < blocks; b++) {
        for (uint32_t i = 0; i < VT_BLOCK_EVENTS; i++) {
            seed = seed * 1664525u + 1013904223u;
            uint64_t step = 1 + (seed >> 12) % 100000;
            ticks += step;
            if (i % 2) sum += step;
            ev[i] = (struct vt_event){.ticks = ticks, .type = i % 2 ? VT_REC_RETURN : VT_REC_CALL, .id = 1};
        }
        trace_build_block(&trace, 0, 9, 7, ev, VT_BLOCK_EVENTS);
    }
    trace_build_end(&trace, 0, 0);
    convert(false);
    must(calls);
    for (uint32_t i = 0; i < calls; i++) number();
    for (uint32_t i = 0; i < calls; i++) sum -= number();
    ck_assert_uint_eq(sum, 0);
    size_t elements = 0;
    for (const char *p = block.page; (p = strstr(p, "class=\"trace\">")); p++) elements++;
    ck_assert_uint_gt(elements, 1);
}
END_TEST

/* ---- what the browser's tests look at ---- */

static void keep(const char *name) {
    char path[512];
    trace_build_close(&trace);
    snprintf(path, sizeof path, "cp %s %s/%s", trace.path, getenv("VT_SAMPLES"), name);
    ck_assert_int_eq(system(path), 0);
}

/* Three threads, one function after the other: known names at known times (ms). Source text stands beside the samples. */
static void known_sample(void) {
    char source[512];
    snprintf(source, sizeof source, "%s/shop.py", getenv("VT_SAMPLES"));
    static const uint8_t args[] = "\5\0\6\0order'A-17'";
    static const struct vt_pl_counter gc[] = {{1, 0, 0}, {0, 13, 2}};
    const uint64_t ms = 1000000;
    trace_build_remove(&trace);
    trace_build_open_of(&trace, "python3 shop.py <img src=x>");
    trace_build_name(&trace, 1, 0, "Shop.serve", source, 1);
    trace_build_name(&trace, 2, 0, "Shop.order", source, 10);
    trace_build_name(&trace, 3, 0, "Store.query", source, 20);
    trace_build_name(&trace, 4, 1, "execute", "sqlite3.Connection", 0);
    trace_build_name(&trace, 5, 0, "never_seen", source, 30);
    trace_build_thread(&trace, 1, 100, 1, "MainThread");
    trace_build_thread(&trace, 2, 101, 2, "worker-1");
    trace_build_thread(&trace, 3, 102, 3, "worker-2");
    for (uint32_t t = 0; t < 3; t++) {
        struct vt_event ev[] = {
            {.ticks = (t + 1) * ms, .type = VT_REC_CALL, .id = 1},
            {.ticks = 10 * ms, .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = args, .payload_len = sizeof args - 1},
            {.ticks = 10 * ms, .type = VT_REC_CALL, .id = 2},
            {.ticks = 20 * ms, .type = VT_REC_CALL, .id = 3},
            {.ticks = 25 * ms, .type = VT_REC_C_CALL, .id = 4},
            {.ticks = 45 * ms, .type = VT_REC_C_RETURN, .id = 4},
            {.ticks = 50 * ms, .type = VT_REC_RETURN, .id = 3},
            {.type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc[0], .payload_len = sizeof gc[0]},
            {.ticks = 55 * ms, .type = VT_REC_CALL, .id = 3},
            {.ticks = 55 * ms + 900, .type = VT_REC_RETURN, .id = 3},
            {.type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc[1], .payload_len = sizeof gc[1]},
            {.ticks = 60 * ms, .type = VT_REC_PAYLOAD, .id = VT_PL_RETVAL, .payload = (const uint8_t *)"None", .payload_len = 4},
            {.ticks = 60 * ms, .type = VT_REC_RETURN, .id = 2},
            {.type = VT_REC_GAP, .count = 77},
            {.ticks = 100 * ms, .type = VT_REC_RETURN, .id = 1},
        };
        trace_build_block(&trace, t, t + 1, 100 + t, ev, VT_ARRAY_LEN(ev));
    }
    trace_build_end(&trace, ms, 0);
    keep("known.vzt");
}

static void hostile_sample(void) {
    static const char *const evil[] = {
        "</script><script>document.title='owned'</script>",
        "<img src=x onerror=\"document.title='owned'\">",
        "\"><svg onload=document.title='owned'>",
        "__proto__",
        "constructor",
        "a\nb\tc\x01 \xe2\x80\xae rtl",
    };
    static uint8_t args[256];
    size_t name_len = 9, len = strlen(evil[1]);
    args[0] = (uint8_t)name_len;
    args[2] = (uint8_t)len;
    memcpy(args + 4, "__proto__", name_len);
    memcpy(args + 4 + name_len, evil[1], len);
    for (uint32_t i = 0; i < VT_ARRAY_LEN(evil); i++)
        trace_build_name(&trace, i + 1, 0, evil[i], evil[VT_ARRAY_LEN(evil) - 1 - i], i);
    trace_build_thread(&trace, 1, 100, 1, evil[1]);
    for (uint32_t i = 0; i < VT_ARRAY_LEN(evil); i++) {
        struct vt_event ev[] = {
            {.ticks = i * 1000,
             .type = VT_REC_PAYLOAD,
             .id = VT_PL_ARGS,
             .payload = args,
             .payload_len = (uint32_t)(4 + name_len + len)},
            {.ticks = i * 1000, .type = VT_REC_CALL, .id = i + 1},
            {.ticks = i * 1000 + 900, .type = VT_REC_RETURN, .id = i + 1},
        };
        trace_build_block(&trace, 0, 1, 100, ev, VT_ARRAY_LEN(ev));
    }
    trace_build_end(&trace, 0, 0);
    keep("hostile.vzt");
}

/* A service with a thread per request: 40 requests one after the other, a busy thread and idle ones. The names are hostile. */
static void pool_sample(void) {
    enum { REQUESTS = 40, IDLE = 6, BUSY = REQUESTS + IDLE };
    static const uint32_t stack[] = {3, 4};
    const uint64_t ms = 1000000;
    char name[96];
    trace_build_name(&trace, 1, 0, "Handler.do_GET", "/srv/very/long/path/to/the/application/server.py", 10);
    trace_build_name(&trace, 2, 1, "sleep", "time", 0);
    trace_build_name(&trace, 3, 0, "Thread._bootstrap", "/usr/lib/python3.12/threading.py", 1000);
    trace_build_name(&trace, 4, 0, "worker", "/srv/server.py", 50);
    trace_build_name(&trace, 5, 0, "Catalogue.prices", "/srv/server.py", 70);
    trace_build_name(&trace, 6, 0, "Prices", "/srv/server.py", 90);
    trace_build_name(&trace, 7, 0, "beat", "/srv/server.py", 60);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint64_t at = (1 + i * 10) * ms;
        struct vt_event ev[] = {
            {.ticks = at, .type = VT_REC_CALL, .id = 1},
            {.ticks = at + ms, .type = VT_REC_C_CALL, .id = 2},
            {.ticks = at + 6 * ms, .type = VT_REC_C_RETURN, .id = 2},
            {.ticks = at + 9 * ms, .type = VT_REC_RETURN, .id = 1},
        };
        snprintf(name, sizeof name, "Thread-%u (<img src=x onerror=\"document.title='owned'\">)", i);
        trace_build_thread(&trace, i + 1, 1000 + i, i + 1, name);
        trace_build_block(&trace, i, i + 1, 1000 + i, ev, VT_ARRAY_LEN(ev));
    }
    for (uint32_t i = REQUESTS; i < BUSY; i++) {
        struct vt_event ev[] = {{.ticks = 2 * ms, .type = VT_REC_CALL, .id = 7},
                                {.ticks = 2 * ms + 900, .type = VT_REC_RETURN, .id = 7},
                                {.ticks = 3 * ms, .type = VT_REC_C_CALL, .id = 2},
                                {.ticks = 300 * ms, .type = VT_REC_C_RETURN, .id = 2}};
        snprintf(name, sizeof name, "idle-%u", i);
        trace_build_thread(&trace, i + 1, 1000 + i, i + 1, name);
        trace_build_stack(&trace, i + 1, ms, VT_ARRAY_LEN(stack), stack);
        trace_build_block(&trace, i, i + 1, 1000 + i, ev, VT_ARRAY_LEN(ev));
    }
    struct vt_event busy[] = {
        {.ticks = ms, .type = VT_REC_CALL, .id = 5},
        {.ticks = 2 * ms, .type = VT_REC_CALL, .id = 6},
        {.ticks = 200 * ms, .type = VT_REC_RETURN, .id = 6},
        {.ticks = 395 * ms, .type = VT_REC_RETURN, .id = 5},
    };
    trace_build_thread(&trace, BUSY + 1, 3000, BUSY + 1, "busy");
    trace_build_block(&trace, BUSY, BUSY + 1, 3000, busy, VT_ARRAY_LEN(busy));
    trace_build_end(&trace, ms, 0);
    keep("pool.vzt");
}

/* A million calls on four threads, 30 deep. */
static void large_sample(void) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    static char name[32];
    for (uint32_t i = 1; i <= 400; i++) {
        snprintf(name, sizeof name, "Class%u.method_%u", i % 40, i);
        trace_build_name(&trace, i, 0, name, "/srv/app.py", i);
    }
    for (uint32_t t = 0; t < 4; t++) {
        uint32_t seed = t + 1, depth = 0, stack[31];
        uint64_t ticks = 0;
        for (uint32_t b = 0; b < 500000 / VT_BLOCK_EVENTS; b++) {
            for (uint32_t i = 0; i < VT_BLOCK_EVENTS; i++) {
                seed = seed * 1664525u + 1013904223u;
                ticks += 100 + (seed >> 10) % 900;
                bool leave = depth == 30 || (depth && (seed >> 24) % 100 < 50);
                if (!leave) stack[depth] = 1 + (seed >> 8) % 400;
                ev[i] = (struct vt_event){
                    .ticks = ticks, .type = leave ? VT_REC_RETURN : VT_REC_CALL, .id = leave ? stack[depth - 1] : stack[depth]};
                depth += leave ? -1u : 1u;
            }
            trace_build_block(&trace, t, t + 1, 100 + t, ev, VT_BLOCK_EVENTS);
        }
    }
    trace_build_end(&trace, 0, 0);
    keep("large.vzt");
}

START_TEST(test_html_samples_are_made) {
    static void (*const samples[])(void) = {known_sample, hostile_sample, large_sample, pool_sample};
    if (!getenv("VT_SAMPLES")) return;
    samples[_i]();
    if (!trace.enc) trace.enc = vt_block_enc_new(); /* for tear_down */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/html");
    TCase *tests = tcase_create("html"), *samples = tcase_create("samples");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_html_columns_hold_the_calls);
    tcase_add_test(tests, test_html_pieces_of_generators_are_marked);
    tcase_add_test(tests, test_html_tasks_are_tracks);
    tcase_add_test(tests, test_html_tasks_share_rows);
    tcase_add_test(tests, test_html_threads_of_a_pool_share_rows);
    tcase_add_test(tests, test_html_threads_with_tasks_keep_their_row);
    tcase_add_test(tests, test_html_names_say_whether_they_wait);
    tcase_add_test(tests, test_html_has_folds_and_marks);
    tcase_add_test(tests, test_html_hostile_names_are_no_markup);
    tcase_add_test(tests, test_html_depth_over_a_gap_is_right);
    tcase_add_test(tests, test_html_of_no_calls_is_valid);
    tcase_add_test(tests, test_html_holds_many_calls);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(samples, set_up, tear_down);
    tcase_set_timeout(samples, 60);
    tcase_add_loop_test(samples, test_html_samples_are_made, 0, 4);
    suite_add_tcase(suite, samples);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
