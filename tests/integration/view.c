/* `viztracer view` and .html outputs from the command line: refusals in one line, --once, the browser that it starts, and that
 * nothing remains. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/suite.h"
#include "tests/lib/trace_build.h"

static struct trace_build trace;

static void set_up(void) {
    struct vt_event ev[] = {{.ticks = 10, .type = VT_REC_CALL, .id = 1}, {.ticks = 20, .type = VT_REC_RETURN, .id = 1}};
    trace_build_open(&trace);
    trace_build_name(&trace, 1, 0, "f", "a.py", 1);
    trace_build_block(&trace, 0, 9, 7, ev, VT_ARRAY_LEN(ev));
    trace_build_end(&trace, 0, 0);
    setenv("VIZTRACER_UI_DIR", "none", 1);
    setenv("XDG_CACHE_HOME", "/nowhere", 1);
    setenv("HOME", "/nowhere", 1);
    unsetenv("VIRTUAL_ENV");
    unsetenv("DISPLAY");
    unsetenv("WAYLAND_DISPLAY");
    unsetenv("BROWSER");
}

static void refused(struct tool *t, int code, const char *says) {
    ck_assert_msg(t->exit_code == code, "exit %d instead of %d: %s%s", t->exit_code, code, t->out, t->err);
    ck_assert_msg(tool_one_line(t) && strstr(t->err, says), "does not say '%s': %s", says, t->err);
}

START_TEST(test_view_refusals_are_one_line) {
    static const struct {
        const char *args, *says;
        int code;
    } rows[] = {
        {"view", "which trace?", 2},
        {"view --port 70000 x.json", "--port: 70000 is not a number from 0 to 65535", 2},
        {"view --timeout never x.json", "--timeout: never is not a number", 2},
        {"view --nonsense x.json", "--nonsense", 2},
        {"view a.json b.json", "b.json", 2},
        {"view /nowhere/trace.json", "/nowhere/trace.json: there is no such file", 1},
        {"view /etc/passwd", "/etc/passwd", 1},
        {"view /dev/null", "/dev/null is no file", 1},
        {"view --ui-dir /etc /dev/null", "no Perfetto UI", 1},
        {"convert /etc/passwd -o x.htm", ".html", 2},
    };
    struct tool t;
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        tool_runf(&t, "%s", rows[i].args);
        refused(&t, rows[i].code, rows[i].says);
    }
}
END_TEST

/* A file of another kind, or none: the line says what it is and what to do. */
START_TEST(test_view_wrong_kinds_of_files) {
    static const struct {
        const char *args, *says; /* %s in args: the .vzt */
    } rows[] = {
        {"--compress %s -o /tmp/x.cvf", " is a .vzt, and this takes a .json; use viztracer convert "},
        {"--decompress %s -o /tmp/x.json", " is a .vzt, and this takes a .cvf; use viztracer convert "},
        {"--compress /etc/passwd -o /tmp/x.cvf", "/etc/passwd is no .json; name a trace of that kind"},
        {"report /etc/passwd", "/etc/passwd: no trace that viztracer can read; it reads .json, "},
        {"report /tmp", "/tmp: Is a directory; name a trace in it, or see them with vizviewer"},
        {"report /nowhere/x.vzt", "/nowhere/x.vzt: No such file or directory; check the path"},
        {"convert %s -o /tmp/x.json --tid 4711", "the trace has no such thread; viztracer report --threads lists them"},
    };
    struct tool t;
    char svg[80];
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        tool_runf(&t, rows[i].args, trace.path);
        refused(&t, 1, rows[i].says);
    }
    snprintf(svg, sizeof svg, "%s.svg", trace.path);
    tool_runf(&t, "convert %s -o %s", trace.path, svg);
    must_exit(&t, 0, "svg");
    tool_runf(&t, "report %s", svg);
    refused(&t, 1, "a .svg is made of a trace; name that trace");
    unlink(svg);
}
END_TEST

/* vizviewer is a command of its own to who types it. */
START_TEST(test_view_refuses_under_its_own_name) {
    static const char *const rows[][2] = {{"--once", "vizviewer: which trace? vizviewer FILE|FOLDER\n"},
                                          {"--nonsense", "vizviewer: --nonsense: no such option"},
                                          {"/nowhere/trace.json", "vizviewer: /nowhere/trace.json: there is no such file"}};
    struct tool t;
    for (size_t i = 0; i < VT_ARRAY_LEN(rows); i++) {
        tool_start(&t, (const char *[]){rows[i][0], NULL}, &(struct tool_opts){.program = "vizviewer"});
        tool_wait(&t, 20000);
        ck_assert_msg(t.exit_code > 0 && tool_one_line(&t) && !strncmp(t.err, rows[i][1], strlen(rows[i][1])), "%s", t.err);
    }
}
END_TEST

/* Without -o there is a name, as VizTracer has it; a file that is there is not replaced without a word. */
START_TEST(test_view_outputs_without_a_name) {
    static const char *const outputs[] = {"result.json", "result.json", "result.cvf"};
    struct tool t;
    char dir[] = "/tmp/view-names-XXXXXX", json[64], path[64];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(json, sizeof json, "%s/new/in.json", dir);
    tool_runf(&t, "convert %s -o %s", trace.path, json);
    must_exit(&t, 0, "convert");
    ck_assert_msg(strstr(t.out, "/new/in.json, in the new folder /tmp/view-names-"), "%s", t.out);
    for (size_t i = 0; i < VT_ARRAY_LEN(outputs); i++)
        for (int again = 0; again < 2; again++) {
            const char *commands[][4] = {
                {"--combine", json, trace.path}, {"--align_combine", json, trace.path}, {"--compress", json}};
            tool_start(&t, commands[i], &(struct tool_opts){.cwd = dir});
            tool_wait(&t, 20000);
            must_exit(&t, 0, commands[i][0]);
            snprintf(path, sizeof path, "%s was there already and is replaced", outputs[i]);
            ck_assert_msg(!strstr(t.err, path) == !again, "%s, %d: %s", commands[i][0], again, t.err);
            snprintf(path, sizeof path, "%s/%s", dir, outputs[i]);
            ck_assert_msg(!access(path, F_OK) && (!again || !unlink(path)), "%s: no %s", commands[i][0], path);
        }
    unlink(json);
    *strrchr(json, '/') = 0;
    ck_assert_msg(!rmdir(json) && !rmdir(dir), "%s is not empty", dir);
}
END_TEST

/* It goes into a script and a header: an origin, nothing else. */
START_TEST(test_view_refuses_ui_urls) {
    static const char *const urls[] = {"http://ui.example.org",
                                       "https://",
                                       "https://ui.example.org/path",
                                       "javascript:alert(1)",
                                       "https://x';alert(1)//",
                                       "https://ui.example.org;script-src",
                                       "https://a b"};
    struct tool t;
    for (size_t i = 0; i < VT_ARRAY_LEN(urls); i++) {
        setenv("VIZTRACER_UI_URL", urls[i], 1);
        tool_runf(&t, "view -s -p 0 --once --timeout 1 %s", trace.path);
        refused(&t, 1, "give an origin like");
    }
    unsetenv("VIZTRACER_UI_URL");
}
END_TEST

/* The printed address, fetched with curl's job done by hand. */
static void must_print_address(struct tool *t, char *url, size_t size) {
    ck_assert_int_eq(tool_expect(t, "\n", 20000), 0);
    const char *at = strstr(t->out, "http://127.0.0.1:");
    ck_assert_msg(at != NULL, "no address: %s%s", t->out, t->err);
    snprintf(url, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static const char fetch[] = "import sys, urllib.request as r, http.cookiejar as c\n"
                            "o = r.build_opener(r.ProxyHandler({}), r.HTTPCookieProcessor(c.CookieJar()))\n"
                            "page = o.open(sys.argv[1])\n"
                            "print(page.status, len(o.open(page.url + '-/' + sys.argv[2]).read()))\n";

static void must_fetch(const char *url, const char *what) {
    struct tool client;
    const char *args[] = {"-c", fetch, url, what, NULL};
    tool_start(&client, args, &(struct tool_opts){.program = "/usr/bin/python3"});
    tool_wait(&client, 30000);
    must_exit(&client, 0, url);
    ck_assert_msg(!strncmp(client.out, "200 ", 4), "%s", client.out);
}

START_TEST(test_view_once_ends) {
    struct tool t;
    char url[256];
    tool_startf(&t, "view -s -p 0 --once %s", trace.path);
    must_print_address(&t, url, sizeof url);
    must_fetch(url, "page");
    tool_wait(&t, 30000);
    must_exit(&t, 0, "view --once");
    tool_startf(&t, "view -s -p 0 --once --timeout 1 %s", trace.path);
    tool_wait(&t, 30000);
    refused(&t, 1, "nobody has fetched");
}
END_TEST

START_TEST(test_view_ends_with_a_signal) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct tool t;
    char url[256], temp[] = "/tmp/view-cli-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(temp));
    setenv("TMPDIR", temp, 1);
    for (size_t i = 0; i < VT_ARRAY_LEN(signals); i++) {
        tool_startf(&t, "view -s -p 0 %s", trace.path);
        must_print_address(&t, url, sizeof url);
        must_fetch(url, "trace");
        kill(t.pid, signals[i]);
        tool_wait(&t, 20000);
        must_exit(&t, 0, "view");
        ck_assert_str_eq(t.err, "");
    }
    unsetenv("TMPDIR");
    ck_assert_msg(rmdir(temp) == 0, "%s is not empty", temp);
}
END_TEST

/* The browser gets an address of its own, which works once, and is not waited for. */
START_TEST(test_view_starts_a_browser) {
    struct tool t;
    char url[256], browser[] = "/tmp/view-browser-XXXXXX", given[64], script[256];
    int fd = mkstemp(browser);
    snprintf(given, sizeof given, "%s.url", browser);
    snprintf(script, sizeof script, "#!/bin/sh\necho \"$1\" >%s.new; mv %s.new %s; exec sleep 20\n", given, given, given);
    ck_assert_int_eq(vt_write_full(fd, script, strlen(script)), 0);
    fchmod(fd, 0755);
    vt_close(&fd);
    setenv("BROWSER", browser, 1);
    tool_startf(&t, "view -p 0 %s", trace.path);
    must_print_address(&t, url, sizeof url);
    for (int i = 0; i < 200 && access(given, F_OK); i++) usleep(50000);
    char *line = trace_build_slurp(given, NULL);
    line[strcspn(line, "\n")] = 0;
    ck_assert_msg(!strncmp(line, "http://127.0.0.1:", 17) && strcmp(line, url), "%s", line);
    must_fetch(line, "page");
    must_fetch(url, "page");
    kill(t.pid, SIGINT);
    tool_wait(&t, 20000);
    must_exit(&t, 0, "view");
    free(line);
    unlink(given);
    unlink(browser);
}
END_TEST

START_TEST(test_view_html_output_needs_no_server) {
    struct tool t;
    const char *out = temp_path(".html");
    tool_runf(&t, "convert %s -o %s", trace.path, out);
    must_exit(&t, 0, "convert");
    char *page = trace_build_slurp(out, NULL);
    ck_assert_ptr_nonnull(strstr(page, "class=\"trace\""));
    ck_assert_ptr_null(strstr(page, "http://"));
    ck_assert_ptr_null(strstr(page, "https://"));
    free(page);
    unlink(out);
}
END_TEST

int main(void) {
    Suite *s = suite_create("view");
    set_up();
    suite_add_once(s, "refusals", test_view_refusals_are_one_line, 60);
    suite_add_once(s, "wrong-kinds", test_view_wrong_kinds_of_files, 60);
    suite_add_once(s, "own-name", test_view_refuses_under_its_own_name, 60);
    suite_add_once(s, "outputs-without-a-name", test_view_outputs_without_a_name, 60);
    suite_add_once(s, "once", test_view_once_ends, 60);
    suite_add_once(s, "signals", test_view_ends_with_a_signal, 60);
    suite_add_once(s, "ui-urls", test_view_refuses_ui_urls, 60);
    suite_add_once(s, "browser", test_view_starts_a_browser, 60);
    suite_add_once(s, "html", test_view_html_output_needs_no_server, 60);
    trace_build_close(&trace);
    int rc = suite_main(s);
    unlink(trace.path);
    return rc;
}
