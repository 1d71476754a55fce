/* The table of file formats: the promises of its rows, and that lists and choices come from it. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/interrupt.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "tests/lib/case.h"
#include "tests/lib/trace_build.h"

static void each_suffix(void (*fn)(const struct trace_format *f, const struct format_suffix *s)) {
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f))
        for (size_t i = 0; i < FORMAT_SUFFIXES_MAX && f->suffixes[i].text; i++) fn(f, &f->suffixes[i]);
}

START_TEST(test_format_rows_are_complete) {
    size_t natives = 0;
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f)) {
        ck_assert_ptr_nonnull(f->name);
        ck_assert_msg(f->help && f->help[0], "%s has no help", f->name);
        ck_assert_msg(f->suffixes[0].text && !f->suffixes[0].unlisted, "%s has no suffix", f->name);
        ck_assert_msg(f->source || f->writer, "%s is neither read nor written", f->name);
        ck_assert_msg(!f->source || f->is, "%s is read but never recognised", f->name);
        ck_assert_msg(f->view == FORMAT_NOT_VIEWED || f->is, "%s is viewed but never recognised", f->name);
        ck_assert_msg(f->view != FORMAT_VIEW_CONVERTED || f->source, "%s cannot be converted for the viewer", f->name);
        ck_assert_msg(!f->part || f->writer, "%s is a part of the viewer but not written", f->name);
        for (const struct trace_format *g = format_next(f); g; g = format_next(g)) {
            ck_assert_str_ne(f->name, g->name);
            ck_assert_msg(!f->part || f->part != g->part, "%s and %s are the same part", f->name, g->name);
        }
        natives += f->native;
    }
    ck_assert_uint_eq(natives, 1);
    for (enum format_part p = FORMAT_TRACE_PART; p <= FORMAT_FLAME_PART; p++) ck_assert_ptr_nonnull(format_of_part(p));
}
END_TEST

static void check_suffix(const struct trace_format *f, const struct format_suffix *s) {
    char name[64], other[64], list[FORMAT_LIST_MAX];
    const struct format_suffix *found;
    struct vt_err err = {0};
    snprintf(name, sizeof name, "x%s", s->text);
    snprintf(other, sizeof other, "x%s~", s->text);
    ck_assert_ptr_eq(format_by_name(name, &found), f);
    ck_assert_ptr_eq(found, s);
    ck_assert_ptr_null(format_by_name(other, &found));
    ck_assert_ptr_null(found);
    format_by_name(s->text, &found);
    ck_assert_ptr_ne(found, s); /* nothing in front of the suffix */
    ck_assert_int_eq(format_is_native(name), f->native);
    ck_assert_int_eq(format_check_output(name, &err), f->writer ? 0 : -EINVAL);
    for (enum format_use use = FORMAT_READ; use <= FORMAT_VIEWED; use++) {
        char *at = strstr(format_list(use, " or ", list), s->text);
        ck_assert_msg(s->unlisted || (at != NULL) >= format_has_use(f, use), "%s is not in: %s", s->text, list);
    }
}

START_TEST(test_format_name_chooses_the_row) { each_suffix(check_suffix); }
END_TEST

START_TEST(test_format_longest_suffix_wins) {
    ck_assert_str_eq(format_by_name("a.speedscope.json", NULL)->name, "speedscope");
    ck_assert_str_eq(format_by_name("a.pftrace.gz", NULL)->name, "pftrace");
    ck_assert_str_eq(format_by_name("a.gz", NULL)->name, "json");
}
END_TEST

START_TEST(test_format_refusal_lists_what_is_written) {
    char list[FORMAT_LIST_MAX];
    struct vt_err err = {0};
    ck_assert_int_eq(format_check_output("x.pdf", &err), -EINVAL);
    ck_assert_msg(strstr(err.msg, format_list(FORMAT_WRITTEN, " or ", list)), "%s", err.msg);
    ck_assert_ptr_null(strstr(list, ", .gz"));
    ck_assert_ptr_nonnull(strstr(list, " or "));
}
END_TEST

/* The row of a file with these bytes: its name, "" when there is none. */
static const char *row_of(const char *bytes, size_t len) {
    char path[64];
    const struct trace_format *f = NULL;
    struct vt_err err = {0};
    snprintf(path, sizeof path, "/tmp/cli_format-%d", getpid());
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    fclose(file);
    int rc = format_of_file(path, &f, &err);
    unlink(path);
    ck_assert_msg(rc == 0, "%s", err.msg);
    return f ? f->name : "";
}

START_TEST(test_format_first_bytes_choose_the_row) {
    ck_assert_str_eq(row_of("VZT1....", 8), "vzt");
    ck_assert_str_eq(row_of("\xef\xbb\xbf [", 5), "json");
    ck_assert_str_eq(row_of("\n{", 2), "json"); /* not .pftrace, which begins with the same byte */
    ck_assert_str_eq(row_of("\n\x02zz", 4), "pftrace");
    ck_assert_str_eq(row_of("\1\0\0\0\0\0\0\0\2", 9), "cvf");
    ck_assert_str_eq(row_of(" \n<!doctype", 11), "html");
    ck_assert_str_eq(row_of("\0<", 2), "");
    ck_assert_str_eq(row_of("main:f 12", 9), "");
}
END_TEST

/* docs/formats.md has the rows' texts: the table between its two marks. */
START_TEST(test_format_table_of_the_docs_is_that_of_the_rows) {
    static const char mark[] = "<!-- generated: formats -->\n";
    char want[4096], got[16384] = "";
    size_t len = (size_t)snprintf(want, sizeof want, "%s| ending | format | can be read again |\n|---|---|---|\n", mark);
#define ADD(...) len += (size_t)snprintf(want + len, sizeof want - len, __VA_ARGS__)
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f)) {
        for (size_t i = 0; i < FORMAT_SUFFIXES_MAX && f->suffixes[i].text; i++)
            if (!f->suffixes[i].unlisted) ADD("%s`%s`", i ? ", " : "| ", f->suffixes[i].text);
        ADD(" | %s | %s%s%s |\n", f->help, f->source ? "yes" : "no", f->read_note ? ", " : "", f->read_note ? f->read_note : "");
        ck_assert_uint_lt(len, sizeof want - 512);
    }
    ADD("<!-- end -->\n");
#undef ADD
    FILE *file = fopen("docs/formats.md", "re");
    ck_assert_ptr_nonnull(file);
    size_t n = fread(got, 1, sizeof got - 1, file);
    fclose(file);
    got[n] = 0;
    char *at = strstr(got, mark);
    ck_assert_ptr_nonnull(at);
    ck_assert_msg(!strncmp(at, want, strlen(want)), "docs/formats.md has to have:\n%s", want);
}
END_TEST

/* The first reading of a file looks at signals, too: of a large one it takes long. */
static void check_interrupt(const struct trace_format *f, const struct format_suffix *s) {
    struct trace_build b;
    struct trace_source *source = NULL;
    struct convert_result result;
    struct vt_err err = {0};
    char path[128];
    if (s != &f->suffixes[0] || !f->source || !f->writer || f->native) return; /* of our own format only the head is read */
    trace_build_open(&b);
    trace_build_letters(&b);
    trace_build_thread(&b, 100, 7, 1, "one");
    trace_build_calls(&b, 1, 100, 1000, 10, "(a(bb)a)");
    trace_build_end(&b, 0, 0);
    trace_build_close(&b);
    snprintf(path, sizeof path, "%s%s", b.path, s->text);
    struct convert_opts opts = {.input = b.path, .output = path};
    ck_assert_msg(!convert_trace(&opts, &result, &err), "%s", err.msg);
    interrupts_seen = 1;
    int rc = trace_source_open(path, &source, &err);
    interrupts_seen = 0;
    ck_assert_msg(rc == -EINTR && !strcmp(err.msg, "interrupted"), "%s: %d, %s", f->name, rc, err.msg);
    ck_assert_msg(!trace_source_open(path, &source, &err), "%s: %s", f->name, err.msg);
    trace_source_close(source);
    unlink(path);
    trace_build_remove(&b);
}

START_TEST(test_format_open_ends_when_a_signal_came) { each_suffix(check_interrupt); }
END_TEST

int main(void) {
    const TTest *const tests[] = {test_format_rows_are_complete,           test_format_name_chooses_the_row,
                                  test_format_longest_suffix_wins,         test_format_refusal_lists_what_is_written,
                                  test_format_first_bytes_choose_the_row,  test_format_table_of_the_docs_is_that_of_the_rows,
                                  test_format_open_ends_when_a_signal_came};
    return case_main("cli/format", tests, VT_ARRAY_LEN(tests), NULL, NULL);
}
