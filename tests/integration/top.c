/* `viztracer top`: what is on the screen of a terminal (tmux) of any size, what each key does, and plain lines elsewhere. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/suite.h"

/* A terminal without a person. The server of tmux runs below the test and ends with it. */
struct terminal {
    struct target server;
    char folder[64], screen[65536];
};

static bool have_tmux(void) { return !system("command -v tmux >/dev/null"); }

static void tmux(struct terminal *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tmux(struct terminal *t, const char *fmt, ...) {
    char line[1024], command[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    snprintf(command, sizeof command, "tmux -u -S %s/socket %s 2>&1", t->folder, line);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(t->screen, 1, sizeof t->screen - 1, f);
    t->screen[n] = 0;
    pclose(f);
}

static const char *look(struct terminal *t) {
    tmux(t, "capture-pane -p");
    return t->screen;
}

/* Waits until the text is on the screen, or is not. */
static void must_show(struct terminal *t, const char *text, bool there) {
    for (uint64_t end = now_ms() + 20000; !strstr(look(t), text) == there; sleep_ms(50))
        ck_assert_msg(now_ms() < end, "the screen %s '%s':\n%s", there ? "has no" : "still has", text, t->screen);
}

static void open_terminal(struct terminal *t, unsigned columns, unsigned lines, const char *env, const char *command) {
    memset(t, 0, sizeof *t);
    strcpy(t->folder, "/tmp/vt-top-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(t->folder));
    char socket[128];
    snprintf(socket, sizeof socket, "%s/socket", t->folder);
    const char *const argv[] = {"tmux", "-u", "-D", "-S", socket, "-f", "/dev/null", NULL};
    const char *const utf8[] = {"LC_ALL=C.UTF-8", "SHELL=/bin/sh", NULL};
    ck_assert_int_eq(target_spawn_argv(&t->server, argv, &(struct target_opts){.no_ready = true, .env = utf8}), 0);
    for (uint64_t end = now_ms() + 20000; access(socket, F_OK) && now_ms() < end;) sleep_ms(10);
    tmux(t, "new-session -d -x %u -y %u \"%s %s/viztracer %s; echo exit code \\$?; exec cat\"", columns, lines, env, tree_bin(),
         command);
    ck_assert_str_eq(t->screen, "");
}

static void close_terminal(struct terminal *t) {
    char path[128];
    tmux(t, "kill-server");
    target_kill(&t->server);
    snprintf(path, sizeof path, "%s/socket", t->folder);
    unlink(path);
    rmdir(t->folder);
}

/* The lines of the screen, and the longest of them. */
static unsigned lines_of(const struct terminal *t, size_t *longest) {
    unsigned n = 0;
    *longest = 0;
    for (const char *at = t->screen, *end; (end = strchr(at, '\n')); at = end + 1, n++)
        if ((size_t)(end - at) > *longest) *longest = (size_t)(end - at);
    return n;
}

/* The line with the keys is the last one. */
static bool keys_are_last(const struct terminal *t) {
    const char *keys = strstr(t->screen, "o own t total");
    return keys && strchr(keys, '\n') && !strchr(keys, '\n')[1];
}

static void start_top(struct target *t, struct terminal *term, unsigned columns, unsigned lines, const char *env) {
    char command[64];
    ck_assert_int_eq(target_spawn(t, suite_interp(0), "shares.py", NULL, NULL), 0);
    snprintf(command, sizeof command, "top %d", (int)t->pid);
    open_terminal(term, columns, lines, env, command);
    must_show(term, "much (shares.py:", true);
}

/* Which of two texts is further up. */
static bool is_above(const struct terminal *t, const char *a, const char *b) {
    const char *x = strstr(t->screen, a), *y = strstr(t->screen, b);
    return x && y && x < y;
}

START_TEST(test_top_shows_a_view_for_each_key) {
    struct target t;
    struct terminal term;
    size_t longest;
    if (!have_tmux()) skip_test("top in a terminal: tmux is not installed");
    start_top(&t, &term, 80, 24, "");
    must_show(&term, "little (shares.py:", true);
    for (uint64_t end = now_ms() + 20000; !is_above(&term, "  much (", "  little ("); look(&term), sleep_ms(50))
        ck_assert_msg(now_ms() < end, "by own time:\n%s", term.screen);
    ck_assert_msg(lines_of(&term, &longest) == 24 && longest <= 80 && keys_are_last(&term), "%zu columns:\n%s", longest,
                  term.screen);
    ck_assert_msg(strstr(term.screen, "[by own time; sort: own %]") && strstr(term.screen, "q quit"), "%s", term.screen);
    tmux(&term, "send-keys t");
    must_show(&term, "[by total time", true);
    ck_assert_msg(is_above(&term, "<module> (shares.py:1)", "  much ("), "by total time:\n%s", term.screen);
    tmux(&term, "send-keys s");
    must_show(&term, "[by total time; sort: total time]", true);
    tmux(&term, "send-keys h");
    must_show(&term, "MainThread", true);
    ck_assert_msg(strstr(term.screen, "GIL%") && strstr(term.screen, "  waiting  "), "%s", term.screen);
    tmux(&term, "send-keys o");
    must_show(&term, "[by own time", true);
    tmux(&term, "send-keys / LITT Enter");
    must_show(&term, "  much (", false);
    ck_assert_msg(strstr(term.screen, "little (") && strstr(term.screen, "only LITT: "), "filter:\n%s", term.screen);
    tmux(&term, "send-keys Enter");
    must_show(&term, "from <module> (shares.py:1)", true);
    tmux(&term, "send-keys / Enter");
    must_show(&term, "  much (", true);
    tmux(&term, "send-keys q");
    must_show(&term, "exit code 0", true);
    ck_assert_msg(!strstr(term.screen, "q quit"), "the screen is not given back:\n%s", term.screen);
    close_terminal(&term);
    target_kill(&t);
}
END_TEST

START_TEST(test_top_fits_a_terminal_that_is_resized) {
    struct target t;
    struct terminal term;
    size_t longest;
    if (!have_tmux()) skip_test("top in a terminal: tmux is not installed");
    start_top(&t, &term, 200, 60, "");
    look(&term);
    ck_assert_msg(lines_of(&term, &longest) == 60 && keys_are_last(&term), "200x60:\n%s", term.screen);
    for (int small = 1; small >= 0; small--) {
        tmux(&term, "resize-window -x %d -y %d", small ? 80 : 200, small ? 24 : 60);
        for (uint64_t end = now_ms() + 20000;; sleep_ms(50)) {
            look(&term);
            unsigned lines = lines_of(&term, &longest);
            if (lines == (small ? 24 : 60) && keys_are_last(&term) && strstr(term.screen, "much (")) break;
            ck_assert_msg(now_ms() < end, "resized, %u lines:\n%s", lines, term.screen);
        }
    }
    close_terminal(&term);
    target_kill(&t);
}
END_TEST

static unsigned long samples_on(struct terminal *term) {
    const char *at = strstr(look(term), "PAUSED: ");
    return at ? strtoul(at + strlen("PAUSED: "), NULL, 10) : 0;
}

START_TEST(test_top_pauses_saves_and_outlives_the_process) {
    struct target t;
    struct terminal term;
    char text[8] = "";
    const char *out = temp_path(".svg");
    if (!have_tmux()) skip_test("top in a terminal: tmux is not installed");
    start_top(&t, &term, 100, 30, "");
    tmux(&term, "send-keys p");
    must_show(&term, "PAUSED: ", true);
    unsigned long before = samples_on(&term);
    sleep_ms(700);
    ck_assert_uint_eq(samples_on(&term), before);
    tmux(&term, "send-keys w");
    must_show(&term, "Save as ", true);
    tmux(&term, "send-keys -N 20 BSpace");
    tmux(&term, "send-keys -l %s", out);
    tmux(&term, "send-keys Enter");
    must_show(&term, "Saved ", true);
    FILE *f = fopen(out, "r");
    ck_assert_msg(f && fread(text, 1, 4, f) == 4 && (!strcmp(text, "<svg") || !strcmp(text, "<?xm")), "%s: '%s'", out, text);
    fclose(f);
    unlink(out);
    tmux(&term, "send-keys w -N 20 BSpace");
    tmux(&term, "send-keys w -l x.nothing");
    tmux(&term, "send-keys Enter");
    must_show(&term, "Not saved: ", true);
    tmux(&term, "send-keys p");
    must_show(&term, "PAUSED: ", false);
    target_kill(&t);
    must_show(&term, "ENDED: ", true);
    ck_assert_msg(strstr(term.screen, "much ("), "%s", term.screen);
    tmux(&term, "send-keys q");
    must_show(&term, "exit code 0", true);
    close_terminal(&term);
}
END_TEST

/* An escape sequence with a colour of its own: ESC [ ... 3N m */
static bool has_colour(const char *text) {
    for (const char *at = text; (at = strstr(at, "\x1b[")); at++) {
        size_t n = strspn(at + 2, "0123456789;");
        for (size_t i = 2; at[2 + n] == 'm' && i < 2 + n; i++)
            if (at[i] == '3' && at[i + 1] >= '1' && at[i + 1] <= '7' && (i == 2 || at[i - 1] == ';')) return true;
    }
    return false;
}

START_TEST(test_top_has_no_colour_where_none_is_wanted) {
    static const struct {
        const char *env;
        bool colour, keys;
    } rows[] = {
        {"", true, true}, {"NO_COLOR=1", false, true}, {"TERM=dumb", false, false}, {"TERM=no-such-terminal", false, false}};
    if (!have_tmux()) skip_test("top in a terminal: tmux is not installed");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct target t;
        struct terminal term;
        start_top(&t, &term, 80, 24, rows[i].env);
        tmux(&term, "send-keys j"); /* the selected row is reversed */
        bool colour = false;
        for (uint64_t end = now_ms() + (rows[i].colour ? 20000 : 1500); !colour && now_ms() < end; sleep_ms(50)) {
            tmux(&term, "capture-pane -p -e");
            colour = has_colour(term.screen);
        }
        look(&term);
        ck_assert_msg(colour == rows[i].colour && !!strstr(term.screen, "q quit") == rows[i].keys, "row %zu: %s", i, term.screen);
        close_terminal(&term);
        target_kill(&t);
    }
}
END_TEST

START_TEST(test_top_prints_plain_lines_into_a_pipe) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    char title[64];
    ck_assert_int_eq(target_spawn(&t, ip, "shares.py", NULL, NULL), 0);
    tool_startf(&tool, "top %d --rate 200", (int)t.pid);
    snprintf(title, sizeof title, "\n\n%d (Python 3.%d): ", (int)t.pid, ip->minor); /* of the second page */
    ck_assert_int_eq(tool_expect(&tool, title, 20000), 0);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 20000);
    must_exit(&tool, 0, "pipe");
    ck_assert_msg(!strncmp(tool.out, title + 2, strlen(title + 2)), "%s", tool.out);
    ck_assert_msg(strstr(tool.out, "  much (shares.py:") && !strchr(tool.out, '\x1b') && !strstr(tool.out, "q quit"), "%s",
                  tool.out);
    tool_runf(&tool, "top %d -t 0.2", (int)t.pid);
    must_exit(&tool, 0, "-t");
    tool_startf(&tool, "top %d", (int)t.pid);
    ck_assert_int_eq(tool_expect(&tool, "much (", 20000), 0);
    target_kill(&t);
    tool_wait(&tool, 20000);
    must_exit(&tool, 0, "the process has ended");
    ck_assert_msg(strstr(tool.out, "\nENDED: "), "%s", tool.out);
}
END_TEST

START_TEST(test_top_refuses_what_it_cannot_do) {
    static const struct {
        const char *line;
        int code;
        const char *says;
    } rows[] = {
        {"top", 2, "which process?"}, {"top 1 --gil --idle", 2, "cannot be combined"}, {"top 999999999", 1, "no process"}};
    struct tool tool;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tool_runf(&tool, "%s", rows[i].line);
        must_exit(&tool, rows[i].code, rows[i].line);
        ck_assert_msg(tool_one_line(&tool) && strstr(tool.err, rows[i].says), "%s: %s", rows[i].line, tool.err);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("top");
    suite_add_once(s, "views", test_top_shows_a_view_for_each_key, 120);
    suite_add_once(s, "resize", test_top_fits_a_terminal_that_is_resized, 120);
    suite_add_once(s, "save", test_top_pauses_saves_and_outlives_the_process, 120);
    suite_add_once(s, "colour", test_top_has_no_colour_where_none_is_wanted, 120);
    suite_add(s, "plain", test_top_prints_plain_lines_into_a_pipe, 60);
    suite_add_once(s, "refusals", test_top_refuses_what_it_cannot_do, 60);
    return suite_main(s);
}
