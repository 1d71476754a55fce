/* Chrome JSON end to end: a small trace in, strict JSON in VizTracer's dialect out. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "tests/lib/trace_build.h"

static struct trace_build trace;
static char out_path[96];
static struct convert_result result;
static struct vt_err err;

static void set_up(void) {
    trace_build_open(&trace);
    snprintf(out_path, sizeof out_path, "%s.json", trace.path);
    memset(&err, 0, sizeof err);
}
static void tear_down(void) {
    trace_build_remove(&trace);
    unlink(out_path);
}

static yajl_val convert(void) {
    char why[512] = "", *text;
    struct convert_opts opts = {.input = trace.path, .output = out_path};
    int rc = convert_trace(&opts, &result, &err);
    ck_assert_msg(rc == 0, "%d %s", rc, err.msg);
    text = trace_build_slurp(out_path, NULL);
    yajl_val root = yajl_tree_parse(text, why, sizeof why);
    ck_assert_msg(root != NULL, "not strict JSON: %s\n%s", why, text);
    free(text);
    return root;
}

static yajl_val at(yajl_val root, size_t i) {
    yajl_val events = yajl_tree_get(root, (const char *[]){"traceEvents", NULL}, yajl_t_array);
    ck_assert_ptr_nonnull(events);
    ck_assert_uint_lt(i, events->u.array.len);
    return events->u.array.values[i];
}
static size_t count(yajl_val root) {
    return yajl_tree_get(root, (const char *[]){"traceEvents", NULL}, yajl_t_array)->u.array.len;
}
static yajl_val get(yajl_val v, const char *key) { return yajl_tree_get(v, (const char *[]){key, NULL}, yajl_t_any); }
static const char *text(yajl_val v, const char *key) {
    yajl_val found = get(v, key);
    ck_assert_msg(found && YAJL_IS_STRING(found), "no text %s", key);
    return YAJL_GET_STRING(found);
}
static const char *number(yajl_val v, const char *key) {
    yajl_val found = get(v, key);
    ck_assert_msg(found && YAJL_IS_NUMBER(found), "no number %s", key);
    return YAJL_GET_NUMBER(found);
}
static const char *keys(yajl_val v) {
    static char all[256];
    all[0] = 0;
    for (size_t i = 0; i < v->u.object.len; i++) {
        strcat(all, i ? " " : "");
        strcat(all, v->u.object.keys[i]);
    }
    return all;
}

START_TEST(test_chrome_shape_is_viztracers) {
    static const struct vt_pl_counter gc = {1, 13, 2};
    struct vt_event ev[] = {
        {.ticks = 1001000, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1002500, .type = VT_REC_C_CALL, .id = 2},
        {.ticks = 1002501, .type = VT_REC_C_RETURN, .id = 2},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc, .payload_len = sizeof gc},
        {.ticks = 1004000, .type = VT_REC_RETURN, .id = 1},
        {.type = VT_REC_GAP, .count = 77},
        {.ticks = 1005000, .type = VT_REC_CALL, .id = 1},
    };
    trace_build_name(&trace, 1, 0, "A.f", "/x/a.py", 12);
    trace_build_name(&trace, 2, 1, "append", "list", 0);
    trace_build_thread(&trace, 9, 100, 1, "");
    trace_build_thread(&trace, 10, 101, 2, "says nothing");
    trace_build_stack(&trace, 10, 0, 0, NULL);
    trace_build_block(&trace, 0, 9, 100, ev, VT_ARRAY_LEN(ev));
    trace_build_end_at(&trace, 1000000, 1006000, 0);
    yajl_val root = convert();
    ck_assert_str_eq(keys(root), "traceEvents viztracer_metadata file_info");
    ck_assert_uint_eq(count(root), 8);

    yajl_val e = at(root, 0);
    ck_assert_str_eq(keys(e), "ph pid tid name args");
    ck_assert_str_eq(text(e, "name"), "process_name");
    ck_assert_str_eq(text(get(e, "args"), "name"), "MainProcess");
    ck_assert_str_eq(number(e, "tid"), "100");
    e = at(root, 1);
    ck_assert_str_eq(text(e, "name"), "thread_name");
    ck_assert_str_eq(text(get(e, "args"), "name"), "MainThread");
    e = at(root, 2);
    ck_assert_str_eq(keys(e), "pid tid ts ph dur name cat");
    ck_assert_str_eq(text(e, "name"), "list.append");
    ck_assert_str_eq(number(e, "ts"), "1002.500");
    ck_assert_str_eq(number(e, "dur"), "0.001");
    ck_assert_str_eq(text(e, "cat"), "FEE");
    e = at(root, 3);
    ck_assert_str_eq(text(e, "ph"), "C");
    ck_assert_str_eq(text(e, "name"), "garbage collection");
    ck_assert_str_eq(keys(get(e, "args")), "collecting collected uncollectable");
    ck_assert_str_eq(number(get(e, "args"), "collected"), "13");
    e = at(root, 4);
    ck_assert_str_eq(text(e, "name"), "A.f (/x/a.py:12)");
    ck_assert_str_eq(number(e, "ts"), "1001.000");
    ck_assert_str_eq(number(e, "dur"), "3.000");
    e = at(root, 5);
    ck_assert_str_eq(text(e, "name"), "events dropped");
    ck_assert_str_eq(text(e, "s"), "t");
    ck_assert_str_eq(number(get(e, "args"), "count"), "77");
    e = at(root, 6); /* open at the end */
    ck_assert_str_eq(keys(e), "pid tid ts ph dur name args cat");
    ck_assert_str_eq(text(e, "ph"), "X");
    ck_assert_str_eq(number(e, "ts"), "1005.000");
    ck_assert_str_eq(number(e, "dur"), "1.000");
    ck_assert_str_eq(keys(get(e, "args")), "unfinished");
    ck_assert(YAJL_IS_TRUE(get(get(e, "args"), "unfinished")));
    e = at(root, 7);
    ck_assert_str_eq(keys(e), "pid tid ts ph dur name args");
    ck_assert_str_eq(text(e, "ph"), "M");
    ck_assert_str_eq(text(e, "name"), "tracing");
    ck_assert_str_eq(number(e, "ts"), "1000.000");
    ck_assert_str_eq(number(e, "dur"), "6.000");

    yajl_val meta = get(root, "viztracer_metadata");
    ck_assert(YAJL_IS_TRUE(get(meta, "overflow")));
    ck_assert_str_eq(number(meta, "baseTimeNanoseconds"), "5000000000");
    ck_assert_str_eq(text(meta, "generator"), "viztracerd");
    ck_assert_uint_eq(result.totals.calls, 2);
    ck_assert_uint_eq(result.totals.open, 1);
    ck_assert_uint_eq(result.totals.dropped, 77);
    ck_assert_uint_eq(result.totals.threads, 1);
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_chrome_the_command_line_labels_the_process) {
    struct vt_event ev[] = {{.ticks = 1000, .type = VT_REC_CALL, .id = 1}, {.ticks = 2000, .type = VT_REC_RETURN, .id = 1}};
    trace_build_remove(&trace);
    trace_build_open_of(&trace, "python3 \"a\\n\" <b>");
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_block(&trace, 0, 9, 100, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    yajl_val root = convert();
    ck_assert_str_eq(text(at(root, 0), "name"), "process_name");
    ck_assert_str_eq(text(at(root, 1), "name"), "process_labels");
    ck_assert_str_eq(text(get(at(root, 1), "args"), "labels"), "python3 \"a\\n\" <b>");
    yajl_tree_free(root);
}
END_TEST

/* Slices of generators and coroutines say which pieces they are, beside their arguments. */
START_TEST(test_chrome_marks_pieces_of_generators) {
    static const uint8_t args[] = "\1\0\1\0x7";
    static const char *const want[] = {"suspended", "resumed suspended func_args", "resumed", NULL, "unfinished resumed"};
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1001, .type = VT_REC_YIELD, .id = 1},
        {.ticks = 1002, .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = args, .payload_len = sizeof args - 1},
        {.ticks = 1002, .type = VT_REC_RESUME, .id = 1},
        {.ticks = 1003, .type = VT_REC_YIELD, .id = 1},
        {.ticks = 1004, .type = VT_REC_THROW, .id = 1},
        {.ticks = 1005, .type = VT_REC_UNWIND, .id = 1},
        {.ticks = 1006, .type = VT_REC_CALL, .id = 2},
        {.ticks = 1007, .type = VT_REC_RETURN, .id = 2},
        {.ticks = 1008, .type = VT_REC_RESUME, .id = 1},
    };
    trace_build_letters(&trace);
    trace_build_block(&trace, 0, 9, 100, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 1000, 0);
    yajl_val root = convert();
    size_t first = count(root);
    while (first && !strcmp(text(at(root, first - 1), "ph"), "M")) first--;
    first -= VT_ARRAY_LEN(want);
    for (size_t i = 0; i < VT_ARRAY_LEN(want); i++) {
        yajl_val found = get(at(root, first + i), "args");
        ck_assert_msg(!found == !want[i], "slice %zu", i);
        if (want[i]) ck_assert_str_eq(keys(found), want[i]);
    }
    ck_assert(YAJL_IS_TRUE(get(get(at(root, first + 2), "args"), "resumed")));
    ck_assert_uint_eq(result.totals.calls, 2);
    ck_assert_uint_eq(result.totals.open, 0);
    yajl_tree_free(root);
}
END_TEST

START_TEST(test_chrome_pieces_that_are_left_out_are_not_counted) {
    struct convert_opts newest = {.input = trace.path, .output = out_path, .newest_calls = 1},
                        slice = {.input = trace.path, .output = out_path};
    trace_build_letters(&trace);
    trace_build_calls(&trace, 0, 9, 1000, 10, "(a (b b} {b b} {b b) a)");
    trace_build_end(&trace, 1000, 0);
    ck_assert_int_eq(convert_trace(&newest, &result, &err), 0); /* the first three slices are pieces of one call */
    ck_assert_uint_eq(result.totals.left_out, 1);
    ck_assert_uint_eq(convert_calls(&result), 1);
    ck_assert_int_eq(select_parse_slice("45ns..", &slice.select), 0); /* cuts off the first two */
    ck_assert_int_eq(convert_trace(&slice, &result, &err), 0);
    ck_assert_uint_eq(result.totals.unselected, 1);
    ck_assert_uint_eq(convert_calls(&result), 1);
}
END_TEST

START_TEST(test_chrome_writes_args_and_tasks) {
    static const uint8_t args[] = "\1\0\2\0x\"1\4\0\3\0self<A>"; /* x: "1 and self: <A> */
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = args, .payload_len = sizeof args - 1},
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1001, .type = VT_REC_TASK, .id = 5},
        {.ticks = 1002, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1003, .type = VT_REC_RETURN, .id = 1},
        {.ticks = 1003, .type = VT_REC_TASK, .id = 0},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_RETVAL, .payload = (const uint8_t *)"None", .payload_len = 4},
        {.ticks = 1009, .type = VT_REC_RETURN, .id = 1},
    };
    Vt__Task task = VT__TASK__INIT;
    task.id = 5;
    task.address = 0x7fff12345678;
    task.name = (ProtobufCBinaryData){3, (uint8_t *)"myT"};
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_block(&trace, 0, 9, 200, ev, VT_ARRAY_LEN(ev));
    trace_build_frame(&trace, VT_FRAME_TASK, &task.base);
    trace_build_end(&trace, 0, 0);
    struct convert_opts opts = {.input = trace.path, .output = out_path, .log_async = true};
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    char *json = trace_build_slurp(out_path, NULL);
    yajl_val root = yajl_tree_parse(json, NULL, 0);
    ck_assert_ptr_nonnull(root);
    ck_assert_str_eq(number(at(root, 2), "tid"), "3430008"); /* 0x345678 */
    yajl_val call = at(root, 3);
    ck_assert_str_eq(number(call, "tid"), "200");
    ck_assert_str_eq(keys(call), "pid tid ts ph dur name args cat");
    ck_assert_str_eq(text(get(get(call, "args"), "func_args"), "x"), "\"1");
    ck_assert_str_eq(text(get(get(call, "args"), "func_args"), "self"), "<A>");
    ck_assert_str_eq(text(get(call, "args"), "return_value"), "None");
    yajl_val last = at(root, count(root) - 1);
    ck_assert_str_eq(text(last, "name"), "thread_name");
    ck_assert_str_eq(number(last, "tid"), "3430008");
    ck_assert_str_eq(text(get(last, "args"), "name"), "myT");
    yajl_tree_free(root);
    free(json);
}
END_TEST

START_TEST(test_chrome_hostile_names_stay_strict_json) {
    struct vt_event ev[] = {{.ticks = 10, .type = VT_REC_CALL, .id = 1}, {.ticks = 20, .type = VT_REC_RETURN, .id = 1},
                            {.ticks = 30, .type = VT_REC_CALL, .id = 2}, {.ticks = 40, .type = VT_REC_RETURN, .id = 2},
                            {.ticks = 50, .type = VT_REC_CALL, .id = 3}, {.ticks = 60, .type = VT_REC_RETURN, .id = 3}};
    size_t big = 3u << 20;
    char *long_name = malloc(big + 1);
    memset(long_name, '\n', big);
    long_name[big] = 0;
    trace_build_name(&trace, 1, 0, "a\x01\x1f\"\\\xff\xed\xa0\x80\xc3\xa9</script>", "\xfe\xff.py", 1);
    trace_build_name(&trace, 2, 0, long_name, "b.py", 1);
    trace_build_thread(&trace, 9, 7, 1, "T\"\n\xff");
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev)); /* id 3 has no name */
    yajl_val root = convert();
    ck_assert_str_eq(text(at(root, 2), "name"),
                     "a\x01\x1f\"\\\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9</script> (\xef\xbf\xbd\xef\xbf\xbd.py:1)");
    ck_assert_uint_eq(strlen(text(at(root, 3), "name")), big + strlen(" (b.py:1)"));
    ck_assert_str_eq(text(at(root, 4), "name"), "<unknown function>");
    ck_assert(result.cut_off);
    yajl_tree_free(root);
    free(long_name);
}
END_TEST

START_TEST(test_chrome_file_info_has_source) {
    struct vt_event ev[] = {{.ticks = 10, .type = VT_REC_CALL, .id = 1},   {.ticks = 11, .type = VT_REC_CALL, .id = 2},
                            {.ticks = 20, .type = VT_REC_RETURN, .id = 2}, {.ticks = 40, .type = VT_REC_RETURN, .id = 1},
                            {.ticks = 50, .type = VT_REC_CALL, .id = 3},   {.ticks = 60, .type = VT_REC_RETURN, .id = 3}};
    char source[] = "/tmp/file-info-XXXXXX";
    int fd = mkstemp(source);
    ck_assert_int_ge(fd, 0);
    const char *python = "def f():\r\n  g(\"\t\")\n";
    ck_assert_int_eq(vt_write_full(fd, python, strlen(python)), 0);
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    vt_close(&fd);
    trace_build_name(&trace, 1, 0, "f", source, 1);
    trace_build_name(&trace, 2, 0, "g", source, 2);
    trace_build_name(&trace, 3, 0, "h", "/nowhere/h.py", 2);
    trace_build_name(&trace, 4, 0, "unused", source, 3);
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    yajl_val root = convert(), info = get(root, "file_info");
    ck_assert_uint_eq(get(info, "files")->u.object.len, 1);
    yajl_val file = get(get(info, "files"), source);
    ck_assert_str_eq(YAJL_GET_STRING(file->u.array.values[0]), "def f():\n  g(\"\t\")\n");
    ck_assert_str_eq(YAJL_GET_NUMBER(file->u.array.values[1]), "2");
    ck_assert_uint_eq(get(info, "functions")->u.object.len, 2);
    char key[64];
    snprintf(key, sizeof key, "g (%s:2)", source);
    yajl_val function = get(get(info, "functions"), key);
    ck_assert_ptr_nonnull(function);
    ck_assert_str_eq(YAJL_GET_STRING(function->u.array.values[0]), source);
    ck_assert_str_eq(YAJL_GET_NUMBER(function->u.array.values[1]), "2");
    yajl_tree_free(root);
    unlink(source);
}
END_TEST

START_TEST(test_chrome_file_info_refuses_what_the_target_may_not_read) {
    struct vt_event ev[] = {{.ticks = 10, .type = VT_REC_CALL, .id = 1}, {.ticks = 20, .type = VT_REC_RETURN, .id = 1}};
    if (geteuid()) return (void)puts("SKIP cli/chrome file_info_refuses: needs root, who reads what others may not");
    char source[] = "/tmp/file-info-XXXXXX";
    int fd = mkstemp(source); /* 0600, root's */
    ck_assert_int_eq(vt_write_full(fd, "secret\n", 7), 0);
    vt_close(&fd);
    trace_build_name(&trace, 1, 0, "f", source, 1);
    trace_build_name(&trace, 2, 0, "f", "/dev/zero", 1);
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    yajl_val root = convert();
    ck_assert_uint_eq(get(get(root, "file_info"), "files")->u.object.len, 0);
    yajl_tree_free(root);
    ck_assert_int_eq(chmod(source, 0644), 0);
    root = convert();
    ck_assert_uint_eq(get(get(root, "file_info"), "files")->u.object.len, 1);
    yajl_tree_free(root);
    unlink(source);
}
END_TEST

/* Files are looked for in the target's root, never outside it. */
START_TEST(test_chrome_file_info_in_another_root) {
    struct vt_event ev[] = {{.ticks = 10, .type = VT_REC_CALL, .id = 1},
                            {.ticks = 11, .type = VT_REC_CALL, .id = 2},
                            {.ticks = 12, .type = VT_REC_CALL, .id = 3},
                            {.ticks = 13, .type = VT_REC_CALL, .id = 4}};
    char root[] = "/tmp/file-info-XXXXXX", command[512], cwd[64];
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(command, sizeof command,
             "cd %s && mkdir app && echo 'x = 1' > app/x.py && echo 'y = 1' > app/y.py && ln -s /etc/passwd app/out.py && ln -s "
             "/app cwd"
             " && ln -s ../../../../../../etc/passwd app/up.py && chmod 755 . app && chmod 644 app/?.py",
             root);
    ck_assert_int_eq(system(command), 0);
    snprintf(cwd, sizeof cwd, "%s/cwd", root);
    trace_build_name(&trace, 1, 0, "x", "/app/x.py", 1);
    trace_build_name(&trace, 2, 0, "y", "y.py", 1); /* relative to the target's folder */
    trace_build_name(&trace, 3, 0, "out", "/app/out.py", 1);
    trace_build_name(&trace, 4, 0, "up", "/app/up.py", 1);
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    struct convert_opts opts = {.input = trace.path, .output = out_path, .source_root = root, .source_cwd = cwd};
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    char *json = trace_build_slurp(out_path, NULL);
    yajl_val tree = yajl_tree_parse(json, NULL, 0), files = get(get(tree, "file_info"), "files");
    ck_assert_uint_eq(files->u.object.len, 2);
    ck_assert_str_eq(YAJL_GET_STRING(get(files, "/app/x.py")->u.array.values[0]), "x = 1\n");
    ck_assert_str_eq(YAJL_GET_STRING(get(files, "y.py")->u.array.values[0]), "y = 1\n");
    yajl_tree_free(tree);
    free(json);
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

static void fill_trace(uint32_t blocks) {
    static struct vt_event ev[VT_BLOCK_EVENTS];
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    for (uint32_t b = 0; b < blocks; b++) {
        for (uint32_t i = 0; i < VT_BLOCK_EVENTS; i++)
            ev[i] = (struct vt_event){
                .ticks = (uint64_t)b * VT_BLOCK_EVENTS * 10 + i * 10, .type = i % 2 ? VT_REC_RETURN : VT_REC_CALL, .id = 1};
        trace_build_block(&trace, 0, 9, 7, ev, VT_BLOCK_EVENTS);
    }
    trace_build_end(&trace, 0, 0);
}

START_TEST(test_chrome_disk_full_leaves_nothing) {
    fill_trace(20);
    struct convert_opts opts = {.input = trace.path, .output = "/dev/full.json"};
    if (symlink("/dev/full", out_path) != 0) ck_abort_msg("symlink");
    opts.output = out_path;
    ck_assert_int_eq(convert_trace(&opts, &result, &err), -ENOSPC);
    ck_assert_msg(strstr(err.msg, "No space left on device") && strstr(err.msg, "-o"), "%s", err.msg);
    unlink(out_path);
}
END_TEST

START_TEST(test_chrome_unwritable_output_is_refused) {
    fill_trace(1);
    struct convert_opts opts = {.input = trace.path, .output = "/proc/nowhere/out.json"};
    ck_assert_int_lt(convert_trace(&opts, &result, &err), 0);
    ck_assert_msg(strstr(err.msg, "/proc/nowhere/out.json"), "%s", err.msg);
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(format_check_output("x.pdf", &err), -EINVAL);
    ck_assert(strstr(err.msg, ".json.gz"));
    ck_assert_int_eq(format_check_output("x.json", NULL), 0);
}
END_TEST

START_TEST(test_chrome_gz_and_vzt_are_written) {
    char gz_path[112], copy_path[112], command[512];
    fill_trace(3);
    yajl_tree_free(convert());
    snprintf(gz_path, sizeof gz_path, "%s.gz", out_path);
    snprintf(copy_path, sizeof copy_path, "%s.vzt", trace.path);
    struct convert_opts opts = {.input = trace.path, .output = gz_path};
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    snprintf(command, sizeof command, "gzip -dc %s | cmp - %s", gz_path, out_path);
    ck_assert_int_eq(system(command), 0);
    opts.output = copy_path;
    ck_assert_int_eq(convert_trace(&opts, &result, &err), 0);
    snprintf(command, sizeof command, "cmp %s %s", trace.path, copy_path);
    ck_assert_int_eq(system(command), 0);
    unlink(gz_path);
    unlink(copy_path);
}
END_TEST

START_TEST(test_chrome_stop_leaves_nothing) {
    static const volatile int stop = 1;
    fill_trace(3);
    struct convert_opts opts = {.input = trace.path, .output = out_path, .stop = &stop};
    ck_assert_int_eq(convert_trace(&opts, &result, &err), -EINTR);
    ck_assert_int_lt(access(out_path, F_OK), 0);
}
END_TEST

START_TEST(test_chrome_refuses_what_is_no_trace) {
    struct convert_opts opts = {.input = "/etc/passwd", .output = out_path};
    ck_assert_int_eq(convert_trace(&opts, &result, &err), -EBADMSG);
    ck_assert_msg(strstr(err.msg, "/etc/passwd: no trace that viztracer can read"), "%s", err.msg);
    ck_assert_int_lt(access(out_path, F_OK), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/chrome");
    TCase *tests = tcase_create("chrome");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_chrome_shape_is_viztracers);
    tcase_add_test(tests, test_chrome_the_command_line_labels_the_process);
    tcase_add_test(tests, test_chrome_marks_pieces_of_generators);
    tcase_add_test(tests, test_chrome_pieces_that_are_left_out_are_not_counted);
    tcase_add_test(tests, test_chrome_writes_args_and_tasks);
    tcase_add_test(tests, test_chrome_hostile_names_stay_strict_json);
    tcase_add_test(tests, test_chrome_file_info_has_source);
    tcase_add_test(tests, test_chrome_file_info_refuses_what_the_target_may_not_read);
    tcase_add_test(tests, test_chrome_file_info_in_another_root);
    tcase_add_test(tests, test_chrome_disk_full_leaves_nothing);
    tcase_add_test(tests, test_chrome_unwritable_output_is_refused);
    tcase_add_test(tests, test_chrome_gz_and_vzt_are_written);
    tcase_add_test(tests, test_chrome_stop_leaves_nothing);
    tcase_add_test(tests, test_chrome_refuses_what_is_no_trace);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
