/* The first inputs of the fuzzers in tests/fuzz/corpus: made here (VT_WRITE_SEEDS=1 writes them) and checked: the trace
 * converts whole. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/convert/convert.h"
#include "tests/lib/trace_build.h"
#include "tests/lib/world.h"

#define CORPUS "tests/fuzz/corpus/"

static void write_seed(const char *folder, const char *name, const void *data, size_t len) {
    char path[256];
    if (!getenv("VT_WRITE_SEEDS")) return;
    snprintf(path, sizeof path, CORPUS "%s/%s", folder, name);
    ck_assert_int_eq(output_make_dirs(path), 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(vt_write_full(fd, data, len), 0);
    vt_close(&fd);
}

static void make_trace(struct trace_build *b) {
    static const struct vt_pl_counter gc = {1, 2, 3};
    static const uint8_t args[] = "\1\0\2\0x12";
    struct vt_event ev[] = {
        {.ticks = 1000, .type = VT_REC_PAYLOAD, .id = VT_PL_ARGS, .payload = args, .payload_len = sizeof args - 1},
        {.ticks = 1000, .type = VT_REC_CALL, .id = 1},
        {.ticks = 1001, .type = VT_REC_TASK, .id = 5},
        {.ticks = 1002, .type = VT_REC_C_CALL, .id = 2},
        {.ticks = 1003, .type = VT_REC_C_RAISE, .id = 2},
        {.type = VT_REC_GAP, .count = 4},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_COUNTER, .payload = (const void *)&gc, .payload_len = sizeof gc},
        {.type = VT_REC_PAYLOAD, .id = VT_PL_RETVAL, .payload = (const uint8_t *)"None", .payload_len = 4},
        {.ticks = 90000, .type = VT_REC_RETURN, .id = 1},
        {.ticks = 90001, .type = VT_REC_RESUME, .id = 1},
    };
    Vt__Task task = VT__TASK__INIT;
    Vt__Drops drops = VT__DROPS__INIT;
    task.id = 5;
    task.address = 0x7f0012345678;
    task.name = (ProtobufCBinaryData){3, (uint8_t *)"myT"};
    drops.count = 2;
    trace_build_open(b);
    trace_build_name(b, 1, 0, "A.f", "a.py", 3);
    trace_build_name(b, 2, 1, "append", "list", 0);
    trace_build_thread(b, 9, 100, 1, "MainThread");
    trace_build_stack(b, 9, 900, 2, (uint32_t[]){1, 1});
    trace_build_frame(b, VT_FRAME_TASK, &task.base);
    trace_build_block(b, 0, 9, 100, ev, VT_ARRAY_LEN(ev));
    trace_build_frame(b, VT_FRAME_DROPS, &drops.base);
    trace_build_end(b, 900, 6);
}

START_TEST(test_seeds_of_every_fuzzer_pass) {
    struct trace_build b;
    size_t len, n = 0;
    make_trace(&b);
    uint8_t *file = (uint8_t *)trace_build_slurp(b.path, &len), *frames = malloc(len);
    for (size_t at = 8; at < len;) { /* as fuzz/reader.c and fuzz/msg.c take them */
        uint32_t type, size, crc;
        char name[32];
        ck_assert_int_eq(vt_frame_get_header(file + at, &type, &size, &crc), 0);
        frames[n] = (uint8_t)type;
        frames[n + 1] = (uint8_t)size;
        frames[n + 2] = (uint8_t)(size >> 8);
        memcpy(frames + n + 3, file + at + VT_FRAME_HDR, size);
        snprintf(name, sizeof name, "type%u", type);
        uint8_t *one = malloc(size + 1);
        one[0] = (uint8_t)type;
        memcpy(one + 1, file + at + VT_FRAME_HDR, size);
        write_seed("msg", name, one, size + 1);
        free(one);
        n += 3 + size;
        at += VT_FRAME_HDR + size;
    }
    write_seed("reader", "small", frames, n);
    static const uint8_t head[] = {VT_FRAME_HEADER, 2, 0, 0x08, VT_TRACE_FORMAT_SECTIONS}, first[] = {0x80, 0, 0},
                         second[] = {0x81, 0, 0};
    uint8_t *several = malloc(2 * n + 64);
    size_t used = 0;
#define ADD(from, size) memcpy(several + used, from, size), used += size
    ADD(head, sizeof head);
    ADD(first, sizeof first);
    ADD(frames, n / 2);
    ADD(second, sizeof second);
    ADD(frames, n);
    ADD(first, sizeof first);
    ADD(frames + n / 2, n - n / 2);
#undef ADD
    write_seed("reader", "sections", several, used);
    free(several);
    write_seed("frame", "small", file + 8, len - 8);
    write_seed("json", "text", "a\"\\\n\xff\xed\xa0\x80\xc3\xa9", 9);
    /* two tokens, six bytes beside them, no payload: a call of id 1 and its return */
    write_seed("block", "raw", "\1\2\0\0\0\1\0\0\0\0\0\0\0\x02\x04\0\0\x11", 18);
    write_seed("block", "records", "\0\x11\0\0\x40\0\0\0\0\x12\0\0\x80\0\0\0\0", 17);

    /* the version, then the memory of an interpreter */
    uint8_t world[1 + WORLD_SIZE] = {WORLD_PYTHON - 8};
    world_make(world + 1);
    write_seed("outside", "python311", world, sizeof world);

    struct convert_result result;
    struct vt_err err = {0};
    char out[96];
    snprintf(out, sizeof out, "%s.json", b.path);
    struct convert_opts opts = {.input = b.path, .output = out};
    ck_assert_msg(convert_trace(&opts, &result, &err) == 0, "%s", err.msg);
    ck_assert_uint_eq(result.totals.calls, 2);
    ck_assert_uint_eq(result.totals.open, 2); /* the resumed piece is not a call */
    ck_assert_uint_eq(result.totals.dropped, 6);
    ck_assert_str_eq(result.damage, "");
    unlink(out);
    free(frames);
    free(file);
    trace_build_remove(&b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fuzz seeds");
    TCase *tests = tcase_create("seeds");
    tcase_add_test(tests, test_seeds_of_every_fuzzer_pass);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
