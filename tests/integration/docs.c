/* The commands of README, of docs/ and of --help run as they are written there, on a service that has what they ask for. */
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "tests/lib/suite.h"

#define LINE_MAX_LEN 512
#define LEAST_COMMANDS 40 /* fewer: the pages were not read as they are written */
#define LEAST_EXAMPLES 25

static const char *const pages[] = {"README.md",       "docs/formats.md", "docs/launch.md",
                                    "docs/options.md", "docs/sample.md",  "docs/troubleshooting.md",
                                    "docs/viewer.md",  "docs/top.md",     "docs/dump.md"};

/* Commands that need more than a service and a folder. */
static const char *const skipped[] = {
    "viztracer dump --core", /* a core file: tests/integration/dump.c */
};

/* What goes on until Ctrl+C or q, from the output that shows that it works. */
static const struct {
    const char *has, *ready;
} endless[] = {
    {"vizviewer ", " is at http"}, {"viztracer view ", " is at http"}, {" --watch ", "----"},
    {"viztracer top ", "samples"}, {"--attach ", "Tracing"},           {"viztracer attach ", "Tracing"},
};

static char dir[32];
static struct tool shop, load, other;
static unsigned ran;

/* ---- the folder in which a reader tries it ---- */

static void put(const char *name, const char *text, mode_t mode) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    ck_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void start_example(struct tool *t, const char *const *args) {
    tool_start(t, args, &(struct tool_opts){.program = "/usr/bin/python3"});
    ck_assert_msg(!tool_expect(t, "\n", 30000), "%s: %s", args[0], t->err);
}

static void run_in_folder(struct tool *t, const char *line, const char *wait_for) {
    char command[LINE_MAX_LEN + 8];
    snprintf(command, sizeof command, "%s%s", wait_for ? "exec " : "", line); /* a shell would be ended by the signal, too */
    tool_start(t, (const char *const[]){"-c", command, NULL}, &(struct tool_opts){.program = "/bin/sh", .cwd = dir});
    if (wait_for) {
        int rc = tool_expect(t, wait_for, 30000);
        ck_assert_msg(rc == 0, "%s: says no %s: %s%s", line, wait_for, t->out, t->err);
        kill(-t->pid, SIGINT);
    }
    tool_wait(t, 60000);
}

static void set_up(void) {
    static const char *const program =
        "import time\ndef parse():\n    total_size = 3\n    loss = 0.5\n    return total_size + loss\nparse()\n";
    static const char *const scripts[] = {"script.py", "app.py", "train.py", "pytest.py", "tool.py", "app.pyz"};
    static struct tool t;
    char path[4200], line[256];
    ran = 0;
    snprintf(dir, sizeof dir, "/tmp/vt-docs-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/bin", dir);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/app.pyz", dir); /* a folder with __main__.py is as good as a zip file */
    ck_assert_int_eq(mkdir(path, 0755), 0);
    put("app.pyz/__main__.py", program, 0644);
    for (size_t i = 0; i + 1 < VT_ARRAY_LEN(scripts); i++) put(scripts[i], program, 0644);
    put("app.py", "import time\ntime.sleep(0.3)\n", 0644); /* there is time for a sample */
    put("bin/gunicorn", "#!/usr/bin/python3\nprint('served')\n", 0755);
    snprintf(path, sizeof path, "%s:%s/bin:/usr/bin:/bin", tree_bin(), dir);
    setenv("PATH", path, 1);
    setenv("BROWSER", "/bin/true", 1);
    start_example(&shop, (const char *const[]){"examples/shop.py", "serve", NULL});
    tool_start(&load, (const char *const[]){"examples/shop.py", "load", strtok(shop.out, "\n"), "4", NULL},
               &(struct tool_opts){.program = "/usr/bin/python3"});
    start_example(&other, (const char *const[]){"examples/blocking.py", NULL});
    snprintf(line, sizeof line, "viztracer --attach %d -t 1.2 -o good.vzt && viztracer convert good.vzt %s -o part.json",
             (int)shop.pid, "--slice 0.5..1s --match 'Store.*'");
    for (int i = 0; i < 10; i++) { /* until a customer comes in that half second */
        run_in_folder(&t, line, NULL);
        if (!t.exit_code) break;
    }
    must_exit(&t, 0, line);
    snprintf(line, sizeof line,
             "viztracer convert good.vzt -o good.json; for f in before after other monday tuesday; do cp good.vzt $f.vzt; cp "
             "good.json $f.json; done");
    run_in_folder(&t, line, NULL);
    must_exit(&t, 0, line);
}

static void tear_down(void) {
    char command[64];
    tool_kill(&load);
    tool_kill(&shop);
    tool_kill(&other);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* ---- one command ---- */

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

/* `from`, where it is a word, becomes `to`. */
static void replace(char *line, const char *from, const char *to) {
    char made[LINE_MAX_LEN];
    for (char *at = line; (at = strstr(at, from)); at += strlen(to)) {
        size_t len = strlen(from);
        if ((at > line && is_word(at[-1])) || is_word(at[len])) {
            at += len - strlen(to);
            continue;
        }
        snprintf(made, sizeof made, "%.*s%s%s", (int)(at - line), line, to, at + len);
        snprintf(line, LINE_MAX_LEN, "%s", made);
    }
}

static bool is_skipped(const char *line) {
    for (size_t i = 0; i < VT_ARRAY_LEN(skipped); i++)
        if (!strncmp(line, skipped[i], strlen(skipped[i]))) return true;
    return false;
}

static const char *ready_of(const char *line) {
    for (size_t i = 0; i < VT_ARRAY_LEN(endless); i++)
        if (strstr(line, endless[i].has) && !strstr(line, " -t ") && !strstr(line, "| cat")) return endless[i].ready;
    return NULL;
}

static void run_command(const char *where, const char *written) {
    char line[LINE_MAX_LEN + 8], pid[16];
    static struct tool t;
    snprintf(line, sizeof line, "%.*s", (int)strcspn(written, "\n"), written);
    char *comment = strstr(line, " #");
    if (comment) *comment = 0;
    if (is_skipped(line)) return;
    snprintf(pid, sizeof pid, "%d", (int)shop.pid);
    replace(line, "1234", pid);
    replace(line, "4711", pid);
    replace(line, "PID", pid);
    snprintf(pid, sizeof pid, "%d", (int)load.pid);
    replace(line, "1240", pid);
    snprintf(pid, sizeof pid, "%d", (int)other.pid);
    replace(line, "1241", pid);
    replace(line, "-t 10", "-t 0.3"); /* nobody waits for more here */
    replace(line, "-t 2", "-t 0.3");
    bool viewer = !strncmp(line, "vizviewer ", 10) || !strncmp(line, "viztracer view ", 15);
    if (viewer && !strstr(line, " -p ")) strcat(line, " -p 0"); /* the usual port may be taken */
    ran++;
    run_in_folder(&t, "cp good.vzt slow.vzt && cp good.json slow.json", NULL);
    must_exit(&t, 0, written);
    run_in_folder(&t, line, ready_of(line));
    bool idle = strstr(line, "--detach") && strstr(t.err, "is not being traced"); /* it ends a trace that somebody else began */
    ck_assert_msg(t.exit_code == 0 || idle, "%s: %s: exit %d: %s%s", where, line, t.exit_code, t.out, t.err);
}

START_TEST(test_docs_commands_of_the_pages_run) {
    for (size_t i = 0; i < VT_ARRAY_LEN(pages); i++) {
        char line[LINE_MAX_LEN];
        bool inside = false;
        FILE *f = fopen(pages[i], "re");
        ck_assert_msg(f != NULL, "%s", pages[i]);
        while (fgets(line, sizeof line, f)) {
            if (!strncmp(line, "```", 3)) inside = !strncmp(line, "```sh", 5);
            if (inside && (!strncmp(line, "viztracer ", 10) || !strncmp(line, "vizviewer ", 10))) run_command(pages[i], line);
        }
        fclose(f);
    }
    ck_assert_msg(ran >= LEAST_COMMANDS, "only %u commands were found", ran);
}
END_TEST

START_TEST(test_docs_examples_of_help_run) {
    for (size_t i = 0; i < cli_ncmds; i++) {
        const struct options_command *c = &cli_cmds[i]->options;
        for (const char *line = c->examples; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
            run_command(c->name, line);
    }
    ck_assert_msg(ran >= LEAST_EXAMPLES, "only %u examples were found", ran);
}
END_TEST

int main(void) {
    Suite *s = suite_create("docs");
    TCase *tests = tcase_create("docs");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_docs_commands_of_the_pages_run);
    tcase_add_test(tests, test_docs_examples_of_help_run);
    suite_add_tcase(s, tests);
    return suite_main(s);
}
