/* Owns running `report`, `diff` and `convert` inside a unit test, and reading the JSON that they print. */
#include "tests/lib/report_run.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "tests/lib/capture.h"

struct trace_build report_trace;
char *report_out, *report_err;

void report_set_up(void) {
    trace_build_open(&report_trace);
    trace_build_letters(&report_trace);
    unsetenv("COLUMNS");
    setenv("TZ", "UTC", 1);
}
void report_forget(void) {
    free(report_out);
    free(report_err);
    report_out = report_err = NULL;
}
void report_tear_down(void) {
    report_forget();
    trace_build_remove(&report_trace);
}

const char REPORT_TRACE[] = "";
int report_run(const char *const *words) {
    char *argv[20];
    int argc = 0;
    for (; words[argc]; argc++) argv[argc] = (char *)(uintptr_t)(words[argc] == REPORT_TRACE ? report_trace.path : words[argc]);
    argv[argc] = NULL;
    struct capture c;
    report_forget();
    capture_begin(&c);
    const struct cli_cmd *cmd = NULL;
    for (size_t i = 0; i < cli_ncmds; i++)
        if (!strcmp(argv[0], cli_cmds[i]->options.name)) cmd = cli_cmds[i];
    ck_assert_msg(cmd != NULL, "no command %s", argv[0]);
    int rc = cmd->run(argc, argv);
    capture_end(&c, &report_out, &report_err);
    return rc;
}

yajl_val report_parse(void) {
    char why[512] = "";
    yajl_val root = yajl_tree_parse(report_out, why, sizeof why);
    ck_assert_msg(root != NULL, "not strict JSON: %s\n%s", why, report_out);
    return root;
}
yajl_val report_get(yajl_val v, const char *key) {
    yajl_val found = yajl_tree_get(v, (const char *[]){key, NULL}, yajl_t_any);
    ck_assert_msg(found != NULL, "no %s", key);
    return found;
}
yajl_val report_at(yajl_val v, const char *key, size_t i) {
    yajl_val list = report_get(v, key);
    ck_assert_msg(YAJL_IS_ARRAY(list) && i < list->u.array.len, "%s has no element %zu", key, i);
    return list->u.array.values[i];
}
size_t report_length(yajl_val v, const char *key) { return YAJL_GET_ARRAY(report_get(v, key))->len; }
long long report_number(yajl_val v, const char *key) {
    yajl_val found = report_get(v, key);
    ck_assert_msg(YAJL_IS_INTEGER(found), "%s is no integer", key);
    return YAJL_GET_INTEGER(found);
}
const char *report_string(yajl_val v, const char *key) {
    yajl_val found = report_get(v, key);
    ck_assert_msg(YAJL_IS_STRING(found), "%s is no text", key);
    return YAJL_GET_STRING(found);
}
void report_must_have(yajl_val v, const char *want) {
    char all[512] = "";
    for (size_t i = 0; i < v->u.object.len; i++) {
        strcat(all, i ? " " : "");
        strcat(all, v->u.object.keys[i]);
    }
    ck_assert_str_eq(all, want);
}
