/* ELF files: valid, without section headers, rebuilt from memory, cut anywhere and damaged. */
#include <check.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/attach_priv.h"
#include "tests/lib/elf_build.h"

static const struct elf_build_symbol symbols[] = {
    {.name = "old", .value = 0x11000, .type = STT_FUNC, .version = 0x8002},
    {.name = "both", .value = 0x11010, .type = STT_FUNC, .version = 0x8002},
    {.name = "both", .value = 0x11020, .type = STT_FUNC, .version = 3},
    {.name = "data", .value = 0x11030, .type = STT_OBJECT, .version = 2},
    {.name = "wanted", .type = STT_FUNC, .undefined = 1},
    {.name = "tls", .value = 0x40, .type = STT_TLS, .version = 2},
};
#define NSYMBOLS (sizeof(symbols) / sizeof(symbols[0]))

static uint8_t image[ELF_BUILD_MAX];
static size_t image_len;
static void build(void) { image_len = elf_build(image, symbols, NSYMBOLS, ".PyRuntime"); }

static int count_function(void *ctx, const char *name, uint64_t vaddr, uint64_t size) {
    (void)name;
    (void)vaddr;
    ++*(int *)ctx;
    return size == 8 ? 0 : 99;
}

static void check_symbols(const struct elf *e) {
    ck_assert_uint_eq(e->nsym, NSYMBOLS + 1);
    ck_assert_uint_eq(elf_symbol(e, "old"), 0x11000);
    ck_assert_uint_eq(elf_symbol(e, "both"), 0x11020);
    ck_assert_uint_eq(elf_symbol(e, "data"), 0x11030);
    ck_assert_uint_eq(elf_symbol(e, "wanted"), 0);
    ck_assert_uint_eq(elf_symbol(e, "tls"), 0);
    ck_assert_uint_eq(elf_symbol(e, "dat"), 0);
    ck_assert_str_eq(elf_symbol_at(e, 0x11010), "both");
    ck_assert_ptr_null(elf_symbol_at(e, 0x11030)); /* no function */
    int n = 0;
    ck_assert_int_eq(elf_each_func(e, count_function, &n), 0);
    ck_assert_int_eq(n, 3);
}

START_TEST(test_elf_file_is_read) {
    struct elf e;
    uint64_t at, size;
    build();
    ck_assert_int_eq(elf_parse(&e, image, image_len), 0);
    ck_assert_uint_eq(e.vaddr0, ELF_BUILD_BASE);
    ck_assert(e.dyn && !e.interp && !e.mapped);
    check_symbols(&e);
    ck_assert_int_eq(elf_section(&e, ".PyRuntime", &at, &size), 0);
    ck_assert_uint_eq(at, ELF_BUILD_BASE + ELF_BUILD_DATA);
    ck_assert_uint_eq(size, 0x1000);
    ck_assert_int_eq(elf_section(&e, ".Py", &at, &size), -ENOENT);
    ck_assert_int_eq(elf_offset(&e, 0x11030, &at), 0);
    ck_assert_uint_eq(at, 0x1030);
    ck_assert_int_eq(elf_offset(&e, 0x11fff, &at), 0);
    ck_assert_int_eq(elf_offset(&e, 0x12000, &at), -ENOENT);
    ck_assert_int_eq(elf_offset(&e, 0xffff, &at), -ENOENT);
    ck_assert_int_eq(elf_offset(&e, UINT64_MAX, &at), -ENOENT);
}
END_TEST

START_TEST(test_elf_without_section_headers_is_read) {
    struct elf e;
    uint64_t at, size;
    build();
    memset(image + offsetof(Elf64_Ehdr, e_shoff), 0, 8);
    ck_assert_int_eq(elf_parse(&e, image, image_len), 0);
    check_symbols(&e);
    ck_assert_int_eq(elf_section(&e, ".PyRuntime", &at, &size), -ENOENT);
}
END_TEST

START_TEST(test_elf_refuses_other_files) {
    struct elf e;
    build();
    struct {
        size_t at;
        uint8_t value;
        int rc;
    } bad[] = {{0, 0, -ENOEXEC},        {EI_CLASS, ELFCLASS32, -ENOEXEC},    {EI_DATA, ELFDATA2MSB, -ENOEXEC},
               {16, ET_CORE, -ENOEXEC}, {54, 55, -EINVAL} /* e_phentsize */, {56, 0, -EINVAL} /* e_phnum */,
               {56, 200, -EINVAL}};
    for (size_t i = 0; i < VT_ARRAY_LEN(bad); i++) {
        build();
        image[bad[i].at] = bad[i].value;
        ck_assert_msg(elf_parse(&e, image, bad[i].at == 56 ? 1000 : image_len) == bad[i].rc, "byte %zu", bad[i].at);
    }
    ck_assert_int_eq(elf_open(&e, "/dev/null"), -ENOEXEC);
    ck_assert_int_eq(elf_open(&e, "/"), -ENOEXEC);
    ck_assert_int_eq(elf_open(&e, "/does/not/exist"), -ENOENT);
    elf_close(&e);
    char path[] = "/tmp/vt-elf-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(path));
    char fifo[64];
    snprintf(fifo, sizeof(fifo), "%s/f", path);
    ck_assert_int_eq(mknod(fifo, S_IFIFO | 0600, 0), 0);
    ck_assert_int_eq(elf_open(&e, fifo), -ENOEXEC); /* and does not wait for a writer */
    unlink(fifo);
    rmdir(path);
}
END_TEST

static void use(const struct elf *e) {
    uint64_t a, b;
    int n = 0;
    elf_symbol(e, "both");
    elf_symbol_at(e, 0x11010);
    int rc = elf_each_func(e, count_function, &n);
    rc |= elf_section(e, ".PyRuntime", &a, &b);
    rc |= elf_offset(e, 0x11030, &a);
    (void)rc;
}

/* In memory that ends where the file ends: one byte too far is seen by the sanitizer. */
static void parse_exactly(const uint8_t *bytes, size_t len) {
    struct elf e;
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    if (!elf_parse(&e, copy, len)) use(&e);
    free(copy);
}

START_TEST(test_elf_cut_anywhere_is_safe) {
    build();
    for (size_t n = 0; n < image_len; n += n < 0x400 || n > 0x2000 ? 1 : 61) parse_exactly(image, n);
}
END_TEST

START_TEST(test_elf_damaged_anywhere_is_safe) {
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t at = 0; at < ELF_BUILD_MAX; at++) {
        build();
        if (at >= image_len || (at >= 0x400 && at < 0x2000)) continue;
        for (size_t v = 0; v < sizeof(values); v++) {
            uint8_t was = image[at];
            image[at] = values[v];
            parse_exactly(image, image_len);
            image[at] = was;
        }
    }
}
END_TEST

START_TEST(test_elf_finds_symbols_of_libc) {
    struct maps m;
    struct mem mem;
    struct elf e, again;
    ck_assert_int_eq(maps_read(getpid(), &m), 0);
    ck_assert_int_eq(mem_open(&mem, getpid()), 0);
    void *handle = dlopen("libc.so.6", RTLD_NOW), *symbol = dlsym(handle, "pthread_create");
    const struct map_module *mod = maps_find(&m, (uintptr_t)symbol);
    ck_assert_ptr_nonnull(mod);
    ck_assert_int_eq(module_open(&mem, &m, mod, &e), 0);
    ck_assert_uint_eq(elf_symbol(&e, "pthread_create") + module_bias(mod, &e), (uintptr_t)symbol);
    ck_assert_str_eq(elf_symbol_at(&e, elf_symbol(&e, "dlopen")), "dlopen");
    /* the same from memory, as for files that cannot be opened */
    ck_assert_int_eq(module_from_memory(&mem, mod, &again), 0);
    ck_assert_uint_eq(again.nsym, e.nsym);
    ck_assert_uint_eq(elf_symbol(&again, "pthread_create"), elf_symbol(&e, "pthread_create"));
    ck_assert_uint_eq(again.eh_frame_hdr, e.eh_frame_hdr);
    elf_close(&again);
    elf_close(&e);
    for (size_t i = 0; i < m.nmods; i++) {
        if (m.mods[i].kind != MAP_VDSO) continue;
        ck_assert_int_eq(module_open(&mem, &m, &m.mods[i], &e), 0);
        ck_assert_uint_ne(elf_symbol(&e, "__vdso_clock_gettime"), 0);
        elf_close(&e);
    }
    mem_close(&mem);
    maps_free(&m);
}
END_TEST

START_TEST(test_elf_from_hostile_memory_is_safe) {
    struct mem mem;
    struct elf e;
    struct map_module mod = {.start = 0x7000000, .end = 0x7002000, .kind = MAP_OTHER};
    for (size_t at = 0; at < 0x200; at++) {
        build();
        image[at] ^= 0xff;
        mem_buffer(&mem, mod.start, image, 0x2000);
        if (!module_from_memory(&mem, &mod, &e)) {
            use(&e);
            elf_close(&e);
        }
    }
    build();
    mem_buffer(&mem, mod.start, image, 0x2000);
    ck_assert_int_eq(module_from_memory(&mem, &mod, &e), 0);
    ck_assert_uint_eq(elf_symbol(&e, "both"), 0x11020);
    elf_close(&e);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("attach/elf");
    TCase *tests = tcase_create("elf");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_elf_file_is_read);
    tcase_add_test(tests, test_elf_without_section_headers_is_read);
    tcase_add_test(tests, test_elf_refuses_other_files);
    tcase_add_test(tests, test_elf_cut_anywhere_is_safe);
    tcase_add_test(tests, test_elf_damaged_anywhere_is_safe);
    tcase_add_test(tests, test_elf_finds_symbols_of_libc);
    tcase_add_test(tests, test_elf_from_hostile_memory_is_safe);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
