/* Files of released trace formats must stay readable, and mean the same: each tests/golden/NAME.vzt still becomes the
 * events of NAME.json. A golden .vzt is never made again; a new format gets new ones. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/convert/convert.h"
#include "tests/lib/trace_build.h"

/* The events only: metadata names the version of the tool. */
static char *events_of(const char *path) {
    char *text = trace_build_slurp(path, NULL), *end = strstr(text, "\n],");
    ck_assert_msg(end != NULL, "%s has no end of its events", path);
    *end = 0;
    return text;
}

START_TEST(test_golden_format_1_is_read) {
    char out[] = "/tmp/viztracer-golden-XXXXXX.json";
    int fd = mkstemps(out, 5);
    ck_assert_int_ge(fd, 0);
    close(fd);
    struct convert_opts opts = {.input = "tests/golden/format1.vzt", .output = out, .no_file_info = true};
    struct convert_result result;
    struct vt_err err = {0};
    int rc = convert_trace(&opts, &result, &err);
    ck_assert_msg(rc == 0, "%d %s", rc, err.msg);
    ck_assert_str_eq(result.damage, "");
    ck_assert(!result.cut_off);
    char *now = events_of(out), *then = events_of("tests/golden/format1.json");
    unlink(out);
    ck_assert_msg(strstr(then, "\"Shop.order (/tmp/golden.py:8)\"") || strstr(then, "\"order (/tmp/golden.py:8)\""),
                  "the golden file is empty");
    ck_assert_msg(!strcmp(now, then), "the events are not those of format1.json any more");
    free(now);
    free(then);
}
END_TEST

int main(void) {
    Suite *s = suite_create("golden");
    TCase *c = tcase_create("formats");
    tcase_add_test(c, test_golden_format_1_is_read);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
