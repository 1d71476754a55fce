/* The agent file: it imports nothing, needs no library, and exports exactly its four names. */
#include <check.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const exports[] = {"PyInit_viztracer_agent", "PyInit__viztracer_agent", "vt_agent_boot",
                                      "vt_agent_info",          "vt_agent_main",           "vt_agent_launch"};
#define NEXPORTS (sizeof exports / sizeof exports[0])

static const char *file;
static size_t file_len;

static void open_agent(void) {
    char path[PATH_MAX], *build = getenv("VT_AGENT");
    struct stat st;
    if (build) {
        ck_assert_uint_lt(strlen(build), sizeof path);
        strcpy(path, build);
    } else { /* BUILD/tests/unit/agent_symbols -> BUILD/lib */
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
        ck_assert_int_gt(n, 0);
        path[n] = 0;
        for (int i = 0; i < 3; i++) *strrchr(path, '/') = 0;
        strcat(path, "/lib/libviztracer_agent.so");
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "no agent at %s", path);
    ck_assert_int_eq(fstat(fd, &st), 0);
    file_len = (size_t)st.st_size;
    file = mmap(NULL, file_len, PROT_READ, MAP_PRIVATE, fd, 0);
    ck_assert_ptr_ne(file, MAP_FAILED);
    close(fd);
}

static const Elf64_Shdr *section(uint32_t type) {
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)(const void *)file;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(const void *)(file + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++)
        if (sections[i].sh_type == type) return &sections[i];
    return NULL;
}

START_TEST(test_agent_imports_nothing) {
    const Elf64_Shdr *dynamic = section(SHT_DYNAMIC);
    ck_assert_ptr_nonnull(dynamic);
    const Elf64_Dyn *entry = (const Elf64_Dyn *)(const void *)(file + dynamic->sh_offset);
    int nodelete = 0;
    for (; entry->d_tag != DT_NULL; entry++) {
        ck_assert_int_ne(entry->d_tag, DT_NEEDED);
        ck_assert_int_ne(entry->d_tag, DT_INIT_ARRAY);
        ck_assert_int_ne(entry->d_tag, DT_TEXTREL);
        if (entry->d_tag == DT_FLAGS_1) nodelete = (entry->d_un.d_val & DF_1_NODELETE) != 0;
    }
    ck_assert_int_eq(nodelete, 1);
}
END_TEST

START_TEST(test_agent_exports_its_names_only) {
    const Elf64_Shdr *symbols = section(SHT_DYNSYM), *strings = section(SHT_STRTAB);
    ck_assert_ptr_nonnull(symbols);
    size_t n = symbols->sh_size / sizeof(Elf64_Sym), exported = 0;
    const Elf64_Sym *symbol = (const Elf64_Sym *)(const void *)(file + symbols->sh_offset);
    for (size_t i = 1; i < n; i++) {
        const char *name = file + strings->sh_offset + symbol[i].st_name;
        int known = 0;
        ck_assert_msg(symbol[i].st_shndx != SHN_UNDEF, "undefined: %s", name);
        for (size_t e = 0; e < NEXPORTS; e++) known |= !strcmp(name, exports[e]);
        ck_assert_msg(known, "exported without need: %s", name);
        exported++;
    }
    ck_assert_uint_eq(exported, NEXPORTS);
}
END_TEST

START_TEST(test_agent_has_unwinding_information) {
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)(const void *)file;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(const void *)(file + head->e_phoff);
    int found = 0;
    for (int i = 0; i < head->e_phnum; i++) found |= segments[i].p_type == PT_GNU_EH_FRAME;
    ck_assert_int_eq(found, 1); /* others unwind through our frames */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agent_symbols");
    TCase *tcase = tcase_create("file");
    tcase_add_checked_fixture(tcase, open_agent, NULL);
    tcase_add_test(tcase, test_agent_imports_nothing);
    tcase_add_test(tcase, test_agent_exports_its_names_only);
    tcase_add_test(tcase, test_agent_has_unwinding_information);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
