/* Reading stacks from bytes that may be anything: right where they are right, refused or bounded where they are not. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outside/lines.h"
#include "outside/pystacks.h"
#include "outside/text.h"
#include "tests/lib/world.h"

struct reader {
    struct mem mem;
    struct py_layout layout;
    struct remote *remote;
    struct codes *codes;
    struct pystacks *stacks;
    unsigned held;
    bool ran; /* the thread ran while it was read */
};

static uint8_t memory[WORLD_SIZE];

static bool hold(void *ctx, const struct raw_thread *t, bool held) {
    struct reader *r = ctx;
    (void)t;
    r->held += !held;
    return !held || !r->ran;
}

static void open_reader(struct reader *r) {
    struct py_runtime py = {.major = 3, .minor = WORLD_PYTHON, .runtime = world_at(WORLD_RUNTIME)};
    *r = (struct reader){0};
    mem_buffer(&r->mem, WORLD_BASE, memory, sizeof memory);
    ck_assert_int_eq(layout_of(&r->mem, &py, &r->layout), 0);
    ck_assert_int_eq(remote_new(&r->remote, &r->mem), 0);
    ck_assert_int_eq(codes_new(&r->codes, r->remote, &r->layout), 0);
    ck_assert_int_eq(pystacks_new(&r->stacks, r->remote, &r->layout, py.runtime, hold, r), 0);
}

static void close_reader(struct reader *r) {
    pystacks_free(r->stacks);
    codes_free(r->codes);
    remote_free(r->remote);
}

START_TEST(test_stacks_are_read_whole) {
    static const char *const names[] = {"Inner.work", "middle", "<module>"};
    struct reader r;
    size_t n;
    world_make(memory);
    open_reader(&r);
    ck_assert_int_eq(pystacks_list(r.stacks), 0);
    struct raw_thread **threads = pystacks_threads(r.stacks, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(pystacks_read(r.stacks, threads[0]), 0);
    ck_assert_uint_eq(r.held, 1); /* it holds the GIL */
    ck_assert_uint_eq(threads[0]->native, 4711);
    ck_assert_uint_eq(threads[0]->ident, 0x7777);
    ck_assert_uint_eq(threads[0]->nframes, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct outside_code *code = codes_get(r.codes, threads[0]->frames[i].code);
        ck_assert_ptr_nonnull(code);
        ck_assert_str_eq(code->name, names[i]);
        ck_assert_str_eq(code->file, "app.py");
        ck_assert_uint_eq(code->first_line, 10 * (i + 1));
        ck_assert_uint_eq(codes_line(r.codes, code, threads[0]->frames[i].instr), 10 * (i + 1) + 3);
        ck_assert_uint_eq(codes_line(r.codes, code, threads[0]->frames[i].instr - 4), 10 * (i + 1)); /* without a line */
    }
    const struct gil_state *gils = pystacks_gils(r.stacks, &n);
    ck_assert(n == 1 && gils[0].holder == threads[0]->address);
    close_reader(&r);
}
END_TEST

/* Equal readings of a thread that ran in between, and a loop whose innermost frame is still that of an earlier call: not sure. */
START_TEST(test_stacks_of_a_moment_in_between_are_not_told) {
    for (int i = 0; i < 3; i++) {
        struct reader r;
        size_t n;
        world_make(memory);
        if (i == 2) world_put(memory, WORLD_CFRAME + 32 + 8, world_at(WORLD_FRAMES)); /* the loop around it is elsewhere */
        open_reader(&r);
        r.ran = i == 1;
        ck_assert_int_eq(pystacks_list(r.stacks), 0);
        struct raw_thread **threads = pystacks_threads(r.stacks, &n);
        ck_assert_int_eq(pystacks_read(r.stacks, threads[0]), i ? -EAGAIN : 0);
        ck_assert(threads[0]->nsure == (i ? 0 : 3) && threads[0]->torn == (i != 0));
        close_reader(&r);
    }
}
END_TEST

START_TEST(test_stacks_that_make_no_sense_are_refused) {
    static const struct {
        size_t at;
        uint64_t value;
        int list, read; /* results; read counts only where the list is there */
    } rows[] = {
        {40, 0x10001, -EINVAL, 0},                                 /* an interpreter that is not aligned */
        {40, 0x900000, -EFAULT, 0},                                /* not there */
        {40, 1ull << 50, -EINVAL, 0},                              /* in the kernel's half */
        {WORLD_INTERPRETER, WORLD_BASE + WORLD_INTERPRETER, 0, 0}, /* a ring of interpreters */
        {WORLD_INTERPRETER + 16, 8, -EINVAL, 0},                   /* no thread */
        {WORLD_THREAD + 16, 0, -EINVAL, 0},                        /* a thread of no interpreter */
        {WORLD_THREAD + 8, WORLD_BASE + WORLD_THREAD, -EINVAL, 0}, /* a ring of threads */
        {WORLD_THREAD + 56, 0x10001, 0, 0},                        /* the C frame may have any address */
        {WORLD_THREAD + 56, 0x900000, 0, -EAGAIN},
        {WORLD_CFRAME + 8, 0x10001, 0, -EAGAIN},
        {WORLD_FRAMES + 48, WORLD_BASE + WORLD_FRAMES, 0, -EAGAIN},                   /* a frame that called itself */
        {WORLD_FRAMES + 2 * WORLD_FRAME + 48, WORLD_BASE + WORLD_FRAMES, 0, -EAGAIN}, /* a ring of frames */
        {WORLD_FRAMES + 48, 0x900000, 0, -EAGAIN},
    };
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        struct reader r;
        size_t n;
        world_make(memory);
        world_put(memory, rows[i].at, rows[i].value);
        open_reader(&r);
        int rc = pystacks_list(r.stacks);
        /* a ring of interpreters brings the same thread again */
        int wanted = rows[i].at == WORLD_INTERPRETER ? -EINVAL : rows[i].list;
        ck_assert_msg(rc == wanted, "row %zu: list %d", i, rc);
        struct raw_thread **threads = pystacks_threads(r.stacks, &n);
        if (!rc && n && rows[i].read) {
            rc = pystacks_read(r.stacks, threads[0]);
            ck_assert_msg(rc == rows[i].read && threads[0]->torn, "row %zu: read %d", i, rc);
        }
        close_reader(&r);
    }
}
END_TEST

START_TEST(test_codes_that_are_none_are_not_told) {
    struct reader r;
    world_make(memory);
    open_reader(&r);
    ck_assert_ptr_null(codes_get(r.codes, world_at(WORLD_FRAMES))); /* its type is not the type of code objects */
    ck_assert_ptr_null(codes_get(r.codes, 0));
    ck_assert_ptr_null(codes_get(r.codes, world_at(WORLD_SIZE)));
    uint64_t at = world_at(WORLD_CODES);
    const struct outside_code *first = codes_get(r.codes, at);
    ck_assert_str_eq(first->name, "Inner.work");
    /* another code object gets the address */
    world_put(memory, WORLD_CODES + 128, remote_word(memory, WORLD_CODES + WORLD_CODE + 128));
    ck_assert_ptr_eq(codes_get(r.codes, at), first);
    codes_doubt(r.codes);
    remote_forget(r.remote);
    ck_assert_str_eq(codes_get(r.codes, at)->name, "middle");
    ck_assert_str_eq(first->name, "Inner.work"); /* who has it keeps it */
    close_reader(&r);
}
END_TEST

/* A frame that changes between two readings. The reads that bring frames: 1. the page of the GIL, which has frames too, 2. the
 * first reading of the stack, 3. the second one. */
static int (*real_read)(struct mem *m, uint64_t addr, void *buf, size_t len);
static unsigned reads_of_frame, change_at;
static size_t change_where;
static uint64_t change_to;

static int changing_read(struct mem *m, uint64_t addr, void *buf, size_t len) {
    if (addr <= world_at(WORLD_FRAMES) && addr + len > world_at(WORLD_FRAMES) && ++reads_of_frame == change_at)
        world_put(memory, change_where, change_to);
    return real_read(m, addr, buf, len);
}

static int read_changing(struct reader *r, unsigned when, size_t where, uint64_t to, struct raw_thread **out) {
    size_t n;
    world_make(memory);
    open_reader(r);
    ck_assert_int_eq(pystacks_list(r->stacks), 0);
    *out = pystacks_threads(r->stacks, &n)[0];
    real_read = r->mem.read;
    r->mem.read = changing_read;
    reads_of_frame = 0;
    change_at = when;
    change_where = where;
    change_to = to;
    return pystacks_read(r->stacks, *out);
}

START_TEST(test_stacks_that_change_are_told_as_far_as_they_are_sure) {
    struct reader r;
    struct raw_thread *t;
    size_t middle = WORLD_FRAMES + WORLD_FRAME;
    /* the innermost frame returns and calls another function: the two outer ones are sure */
    ck_assert_int_eq(read_changing(&r, 3, WORLD_FRAMES + 32, world_at(WORLD_CODES + WORLD_CODE), &t), -EAGAIN);
    ck_assert(t->torn && t->nframes == 3 && t->nsure == 2);
    close_reader(&r);
    /* the caller is at another line: it has called again */
    ck_assert_int_eq(read_changing(&r, 3, middle + 56, world_at(WORLD_CODES), &t), -EAGAIN);
    ck_assert(t->torn && t->nsure == 1);
    close_reader(&r);
    /* the innermost frame goes on: that is no other stack */
    ck_assert_int_eq(read_changing(&r, 3, WORLD_FRAMES + 56, world_at(WORLD_CODES + 184), &t), 0);
    ck_assert(!t->torn);
    close_reader(&r);
}
END_TEST

START_TEST(test_stacks_of_waiting_threads_need_the_gil_to_stay) {
    struct reader r;
    struct raw_thread *t;
    size_t holder = 360 + 8, switches = 360 + 24;
    /* another thread holds the GIL all the time: nobody is held still, and one reading is enough */
    world_make(memory);
    world_put(memory, holder, world_at(0x1f00));
    open_reader(&r);
    size_t n;
    ck_assert_int_eq(pystacks_list(r.stacks), 0);
    t = pystacks_threads(r.stacks, &n)[0];
    ck_assert_int_eq(pystacks_read(r.stacks, t), 0);
    ck_assert_uint_eq(r.held, 0);
    real_read = r.mem.read;
    r.mem.read = changing_read;
    reads_of_frame = 0;
    change_at = 2;
    change_where = switches;
    change_to = 7; /* it went to this one and back */
    ck_assert_int_eq(pystacks_read(r.stacks, t), -EAGAIN);
    ck_assert(t->torn);
    close_reader(&r);
}
END_TEST

static void must_read_lines(int minor, const uint8_t *table, size_t len, uint32_t at, uint32_t line) {
    struct line_start *starts;
    uint32_t n;
    ck_assert_int_eq(lines_read(minor, table, len, 10, &starts, &n), 0);
    uint32_t found = lines_find(starts, n, at);
    ck_assert_msg(found == line, "3.%d at %u: %u, not %u", minor, at, found, line);
    free(starts);
}

START_TEST(test_lines_of_each_kind_of_table) {
    static const uint8_t old[] = {6, 1, 255, 0, 5, 3, 2, 0xfe}, pairs[] = {4, 1, 4, 0x80, 2, 0xff};
    static const uint8_t locations[] = {0x80 | 1, 0, 0x80 | 11 << 3, 1, 2, 0x80 | 15 << 3, 0x80 | 14 << 3 | 7, 0x42, 1, 0, 0, 0};
    must_read_lines(8, old, sizeof old, 0, 10);
    must_read_lines(8, old, sizeof old, 5, 10);
    must_read_lines(9, old, sizeof old, 6, 11);
    must_read_lines(9, old, sizeof old, 265, 11);
    must_read_lines(9, old, sizeof old, 266, 14);
    must_read_lines(9, old, sizeof old, 300, 12);
    must_read_lines(10, pairs, sizeof pairs, 3, 11);
    must_read_lines(10, pairs, sizeof pairs, 5, 11); /* no line of its own */
    must_read_lines(10, pairs, sizeof pairs, 8, 10);
    must_read_lines(10, pairs, sizeof pairs, 10, 0);
    must_read_lines(11, locations, sizeof locations, 0, 10);
    must_read_lines(11, locations, sizeof locations, 3, 10);
    must_read_lines(11, locations, sizeof locations, 4, 11);
    must_read_lines(15, locations, sizeof locations, 6, 11);
    must_read_lines(15, locations, sizeof locations, 8, 11 + 33);
    must_read_lines(11, NULL, 0, 0, 0);
}
END_TEST

START_TEST(test_texts_become_utf8) {
    struct reader r;
    char to[TEXT_MAX];
    size_t at = 0x1e00;
    world_make(memory);
    open_reader(&r);
    world_put(memory, at + STR_LENGTH, 3);
    world_put(memory, at + STR_STATE, 2u << 2 | 1u << 5);
    memcpy(memory + at + 72, (const uint16_t[]){'a', 0xe9, 0x4e2d}, 6);
    ck_assert_int_eq(text_read(r.remote, &r.layout, world_at(at), to, sizeof to), 0);
    ck_assert_str_eq(to, "a\u00e9\u4e2d");
    remote_forget(r.remote);
    world_put(memory, at + STR_LENGTH, 2);
    world_put(memory, at + STR_STATE, 4u << 2 | 1u << 5);
    memcpy(memory + at + 72, (const uint32_t[]){0x1f600, 0xd800}, 8);
    ck_assert_int_eq(text_read(r.remote, &r.layout, world_at(at), to, sizeof to), 0);
    ck_assert_str_eq(to, "\U0001f600\ufffd");
    remote_forget(r.remote);
    world_put(memory, at + STR_LENGTH, 100);
    world_put(memory, at + STR_STATE, 1u << 2 | 3u << 5);
    memset(memory + at + 48, 'x', 100);
    ck_assert_int_eq(text_read(r.remote, &r.layout, world_at(at), to, 20), 0);
    ck_assert_msg(strlen(to) < 20 && !strcmp(to + strlen(to) - 4, "x..."), "%s", to);
    remote_forget(r.remote);
    world_put(memory, at + STR_LENGTH, UINT64_MAX);
    ck_assert_int_eq(text_read(r.remote, &r.layout, world_at(at), to, sizeof to), -EINVAL);
    close_reader(&r);
}
END_TEST

int main(void) {
    Suite *s = suite_create("outside_stacks");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_stacks_are_read_whole);
    tcase_add_test(tc, test_stacks_of_a_moment_in_between_are_not_told);
    tcase_add_test(tc, test_stacks_that_make_no_sense_are_refused);
    tcase_add_test(tc, test_codes_that_are_none_are_not_told);
    tcase_add_test(tc, test_stacks_that_change_are_told_as_far_as_they_are_sure);
    tcase_add_test(tc, test_stacks_of_waiting_threads_need_the_gil_to_stay);
    tcase_add_test(tc, test_lines_of_each_kind_of_table);
    tcase_add_test(tc, test_texts_become_utf8);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
