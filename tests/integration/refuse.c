/* A target that cannot be traced is refused: exit 1, one line on stderr with the reason, and the target is unchanged. Wrong
 * usage: exit 2. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/suite.h"

static bool says(const char *text, const char *word) { return strcasestr(text, word) != NULL; }

/* words: alternatives separated by '|', all groups (NULL-terminated) must be met. */
static void must_say(const struct tool *t, const char *const *groups, const char *who) {
    for (; *groups; groups++) {
        char copy[256], *save = NULL;
        bool met = false;
        snprintf(copy, sizeof copy, "%s", *groups);
        for (char *w = strtok_r(copy, "|", &save); w; w = strtok_r(NULL, "|", &save)) met |= says(t->err, w);
        ck_assert_msg(met, "%s: the line does not say %s: %s", who, *groups, t->err);
    }
}

/* Attaches to pid, wants a refusal in one line and no file. */
static void must_only_refuse(pid_t pid, const char *const *words, const char *options, const struct tool_opts *o,
                             const char *who) {
    struct tool t;
    const char *out = temp_path(".json");
    char number[16], line[256], *save = NULL;
    const char *args[24];
    int n = 0;
    snprintf(number, sizeof number, "%d", (int)pid);
    snprintf(line, sizeof line, "%s", options);
    args[n++] = "--attach";
    args[n++] = number;
    args[n++] = "-t";
    args[n++] = "0.2";
    args[n++] = "-o";
    args[n++] = out;
    for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save)) args[n++] = w;
    args[n] = NULL;
    tool_start(&t, args, o);
    tool_wait(&t, 20000);
    must_exit(&t, 1, who);
    ck_assert_msg(tool_one_line(&t), "%s: not one line on stderr: %s", who, t.err);
    ck_assert_msg(t.took_ms < 15000, "%s: took %llu ms", who, (unsigned long long)t.took_ms);
    must_say(&t, words, who);
    ck_assert_msg(access(out, F_OK) != 0, "%s: refused, and a file was written", who);
}

/* The same, and the process is as it was. */
static void must_refuse_with(pid_t pid, const char *const *words, const char *options, const struct tool_opts *o,
                             const char *who) {
    struct census before, after;
    bool known = !census_take(pid, &before);
    must_only_refuse(pid, words, options, o, who);
    if (!known) return;
    census_take(pid, &after);
    ck_assert_msg(before.threads == after.threads && before.fds == after.fds && before.maps == after.maps &&
                      before.state == after.state,
                  "%s: target before: %u threads %u fds %u maps %c, after: %u %u %u %c", who, before.threads, before.fds,
                  before.maps, before.state, after.threads, after.fds, after.maps, after.state);
    ck_assert_msg(!maps_have(pid, "viztracer"), "%s: the agent is in the target", who);
}

static void must_refuse(pid_t pid, const char *const *words, const char *who) { must_refuse_with(pid, words, "", NULL, who); }

static void start(struct target *t, int i, const char *script, const char *arg, const struct target_opts *o) {
    ck_assert_int_eq(target_spawn(t, suite_interp(i), script, (const char *[]){arg, NULL}, o), 0);
    sleep_ms(50);
}

START_TEST(test_refuse_no_such_process) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
    must_refuse(pid, (const char *[]){"no such|does not exist|not exist", NULL}, "no such process");
}
END_TEST

START_TEST(test_refuse_what_is_not_python) {
    struct target t;
    ck_assert_int_eq(target_spawn_argv(&t, (const char *[]){"sleep", "100", NULL}, &(struct target_opts){.no_ready = true}), 0);
    sleep_ms(50);
    must_refuse(t.pid, (const char *[]){"Python", NULL}, "not Python");
    target_kill(&t);
    /* Process 1 serves the whole machine: its threads and descriptors come and go by themselves. */
    must_only_refuse(1, (const char *[]){"Python|kernel|permitted|right|traced", NULL}, "", NULL, "process 1");
    ck_assert_msg(!maps_have(1, "viztracer"), "process 1: the agent is in it");
}
END_TEST

START_TEST(test_refuse_static_executable) {
    struct target t;
    char binary[PATH_MAX], command[PATH_MAX + 200];
    snprintf(binary, sizeof binary, "%s", temp_path("-python3"));
    snprintf(command, sizeof command,
             "echo 'int sleep(int); int main(void) { return sleep(100); }' | cc -w -static -x c -o %s - 2>/dev/null", binary);
    if (system(command)) skip_test("refuse static-executable: no compiler or no static C library");
    ck_assert_int_eq(target_spawn_argv(&t, (const char *[]){binary, NULL}, &(struct target_opts){.no_ready = true}), 0);
    sleep_ms(50);
    must_refuse(t.pid, (const char *[]){"Python|static", NULL}, "static executable");
    target_kill(&t);
    unlink(binary);
}
END_TEST

START_TEST(test_refuse_python_too_old) {
    static const char *const names[] = {"python3.7", "python3.6", "python2.7"};
    int tried = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char command[256], path[PATH_MAX] = "";
        snprintf(command, sizeof command,
                 "ls -d ${PYENV_ROOT:-$HOME/.pyenv}/versions/*/bin/%s /usr/bin/%s 2>/dev/null | head -n 1", names[i], names[i]);
        FILE *f = popen(command, "r");
        if (f && fgets(path, sizeof path, f)) path[strcspn(path, "\n")] = 0;
        if (f) pclose(f);
        if (!path[0]) continue;
        struct target t;
        ck_assert_int_eq(target_spawn_argv(&t, (const char *[]){path, "-c", "import time; time.sleep(100)", NULL},
                                           &(struct target_opts){.no_ready = true}),
                         0);
        sleep_ms(500);
        must_refuse(t.pid, (const char *[]){"Python", "3.7|3.6|2.7|old|not supported|support|3.8", NULL}, names[i]);
        target_kill(&t);
        tried++;
    }
    if (!tried) skip_test("refuse too-old: no Python below 3.8 on this machine");
}
END_TEST

START_TEST(test_refuse_a_zombie) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    sleep_ms(50);
    must_refuse(pid, (const char *[]){"zombie|exited|ended|dead|gone", NULL}, "zombie");
    waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(test_refuse_stopped_process) {
    struct target t;
    start(&t, _i, "blocked.py", "read", NULL);
    ck_assert_int_eq(process_stop(t.pid), 0);
    sleep_ms(50);
    must_refuse(t.pid, (const char *[]){"stopped", NULL}, "stopped");
    kill(t.pid, SIGCONT);
    target_send(&t, "\n");
    ck_assert_int_eq(target_expect(&t, "awake", 5000), 0);
    target_kill(&t);
}
END_TEST

START_TEST(test_refuse_process_traced_by_another) {
    struct target t;
    char number[32];
    start(&t, _i, "blocked.py", "read", NULL);
    ck_assert_int_eq(ptrace(PTRACE_SEIZE, t.pid, NULL, NULL), 0);
    snprintf(number, sizeof number, "%d", (int)getpid());
    must_refuse(t.pid, (const char *[]){"traced", number, NULL}, "traced by another");
    target_kill(&t);
}
END_TEST

START_TEST(test_refuse_a_vfork_child) {
    struct target t;
    char path[64], line[64] = "";
    start(&t, _i, "vfork.py", NULL, NULL);
    sleep_ms(100);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)t.pid, (int)t.pid);
    FILE *f = fopen(path, "re");
    if (f) {
        if (!fgets(line, sizeof line, f)) line[0] = 0;
        fclose(f);
    }
    pid_t child = atoi(line);
    ck_assert_msg(child > 0, "the target has no vfork child: %s", t.text);
    must_refuse(child, (const char *[]){"vfork", NULL}, "vfork child");
    target_kill(&t);
}
END_TEST

START_TEST(test_refuse_opted_out) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    const char *out = temp_path(".json");
    start(&t, _i, "blocked.py", "read", &(struct target_opts){.env = (const char *[]){"PYTHON_DISABLE_REMOTE_DEBUG=1", NULL}});
    must_refuse(t.pid, (const char *[]){"PYTHON_DISABLE_REMOTE_DEBUG|opted out|remote debug", "--force", NULL}, "opted out");
    must_refuse_with(t.pid, (const char *[]){"PYTHON_DISABLE_REMOTE_DEBUG|opted out|remote debug", NULL}, "--method ptrace", NULL,
                     "opted out, ptrace");
    tool_runf(&tool, "--attach %d -t 0.2 --force --method ptrace -o %s", (int)t.pid, out);
    must_exit(&tool, 0, "opted out, --force");
    unlink(out);
    target_kill(&t);
    if (ip->minor < 14) return;
    start(&t, _i, "blocked.py", "read", &(struct target_opts){.flags = (const char *[]){"-X", "disable-remote-debug", NULL}});
    must_refuse(t.pid, (const char *[]){"disable-remote-debug|opted out|remote debug", NULL}, "opted out by -X");
    target_kill(&t);
}
END_TEST

/* A copy of the product that any user may run. */
static void public_copy(char *bin, size_t size) {
    const char *dir = temp_path("-public"), *from = tree_bin();
    char command[8 * PATH_MAX];
    snprintf(command, sizeof command,
             "d=%s; mkdir -p $d/bin $d/lib && cp %s/viztracer* $d/bin && cp %s/../lib/*.so $d/lib && chmod -R a+rX $d", dir, from,
             from);
    ck_assert_int_eq(system(command), 0);
    ck_assert(snprintf(bin, size, "%s/bin/viztracer", dir) < (int)size);
}

START_TEST(test_refuse_processes_of_other_users) {
    struct target t;
    char program[PATH_MAX];
    if (geteuid()) skip_test("refuse other-users: needs root to become somebody else");
    public_copy(program, sizeof program);
    start(&t, _i, "blocked.py", "read", NULL);
    must_refuse_with(t.pid,
                     (const char *[]){"right|permission|permitted|CAP_SYS_PTRACE|user", "CAP_SYS_PTRACE|root|sudo|user", NULL},
                     "", &(struct tool_opts){.uid = 65534, .program = program}, "other user's process");
    struct tool tool;
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)t.pid);
    tool_start(&tool, (const char *[]){"--detach", pid, NULL}, &(struct tool_opts){.uid = 65534, .program = program});
    tool_wait(&tool, 20000);
    must_exit(&tool, 1, "--detach of another user's process");
    must_say(&tool, (const char *[]){"is another user's (root)", "sudo viztracer --detach", NULL}, "--detach");
    target_kill(&t);
}
END_TEST

/* It is traced, though no daemon says so that its owner may ask. */
START_TEST(test_refuse_detach_of_what_root_traces) {
    struct target t;
    struct tool tool, second;
    char program[PATH_MAX], pid[16];
    const char *out = temp_path(".vzt");
    if (geteuid()) skip_test("refuse detach-of-root: needs root to become somebody else");
    public_copy(program, sizeof program);
    const char *argv[] = {"/usr/bin/python3", "-c", "print('ready', flush=True)\nwhile True: sum(range(99))", NULL};
    ck_assert_int_eq(target_spawn_argv(&t, argv, &(struct target_opts){.uid = 65534}), 0);
    tool_startf(&tool, "--attach %d -o %s", (int)t.pid, out);
    must_attach(&tool, "root");
    snprintf(pid, sizeof pid, "%d", (int)t.pid);
    tool_start(&second, (const char *[]){"--detach", pid, NULL}, &(struct tool_opts){.uid = 65534, .program = program});
    tool_wait(&second, 20000);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 20000);
    must_exit(&tool, 0, "root");
    must_exit(&second, 1, "--detach");
    ck_assert_msg(tool_one_line(&second), "not one line: %s", second.err);
    must_say(&second, (const char *[]){"is traced by another user", "sudo viztracer --detach", NULL}, "--detach");
    target_kill(&t);
    unlink(out);
}
END_TEST

/* A shell runs `script` with the tool as $1 and its arguments behind it. */
static void must_refuse_in_shell(const struct target *t, const char *script, const char *const *words, const char *who) {
    struct tool tool;
    char program[PATH_MAX], number[16];
    const char *out = temp_path(".json");
    snprintf(program, sizeof program, "%s/viztracer", tree_bin());
    snprintf(number, sizeof number, "%d", (int)t->pid);
    const char *args[] = {"-c", script, "sh", program, "--attach", number, "-t", "0.2", "-o", out, NULL};
    tool_start(&tool, args, &(struct tool_opts){.program = "/bin/sh"});
    tool_wait(&tool, 20000);
    must_exit(&tool, 1, who);
    ck_assert_msg(tool_one_line(&tool), "%s: not one line on stderr: %s", who, tool.err);
    must_say(&tool, words, who);
    ck_assert_msg(access(out, F_OK) != 0, "%s: refused, and a file was written", who);
    ck_assert_msg(!maps_have(t->pid, "viztracer"), "%s: the agent is in the target", who);
    ck_assert_msg(!target_progresses((struct target *)(uintptr_t)t, 1, 5000), "%s: the target does not run on", who);
}

/* As in a chroot without /proc: an empty file system lies over it. */
START_TEST(test_refuse_without_proc) {
    struct target t;
#ifdef __SANITIZE_ADDRESS__
    skip_test("refuse no-proc: a program built with ASan needs /proc itself");
#endif
    if (geteuid() || system("unshare -m mount -t tmpfs none /proc 2>/dev/null"))
        skip_test("refuse no-proc: nothing can be mounted over /proc here");
    start(&t, _i, "busy.py", "0", NULL);
    must_refuse_in_shell(&t, "exec unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$@\"' sh \"$@\"",
                         (const char *[]){"/proc", "mount", NULL}, "no /proc");
    target_kill(&t);
}
END_TEST

/* The client, its daemon and its helper may write no file of that size: the arena is one. */
START_TEST(test_refuse_with_file_size_limit) {
    struct target t;
    start(&t, _i, "busy.py", "0", NULL);
    must_refuse_in_shell(&t, "ulimit -f 100; exec \"$@\"", (const char *[]){"too large|ulimit -f|file size", NULL},
                         "RLIMIT_FSIZE");
    target_kill(&t);
}
END_TEST

START_TEST(test_refuse_process_traced_by_us) {
    struct target t;
    struct tool first;
    struct trace trace;
    const char *out = temp_path(".json");
    char number[32];
    start(&t, _i, "busy.py", "0", NULL);
    tool_startf(&first, "--attach %d -o %s", (int)t.pid, out);
    must_attach(&first, "first client");
    struct tool second;
    const char *other = temp_path(".json");
    tool_runf(&second, "--attach %d -t 0.2 -o %s", (int)t.pid, other);
    must_exit(&second, 1, "second client");
    ck_assert_msg(tool_one_line(&second), "second client: not one line: %s", second.err);
    snprintf(number, sizeof number, "%d", (int)first.pid);
    must_say(&second, (const char *[]){"already|traced", "since|ago|started", NULL}, "second client");
    ck_assert_msg(access(other, F_OK), "second client: wrote a file");
    kill(first.pid, SIGINT);
    tool_wait(&first, 20000);
    must_exit(&first, 0, "first client");
    must_load(&trace, out, "first client");
    ck_assert(trace_count(&trace, "fib", 0) > 100);
    trace_free(&trace);
    ck_assert_int_eq(target_progresses(&t, 1, 5000), 0);
    target_kill(&t);
    unlink(out);
}
END_TEST

/* Nobody is evicted: the line names who holds the ids. */
START_TEST(test_refuse_no_tool_id) {
    struct target t;
    struct tool tool;
    const char *out = temp_path(".json");
    if (suite_interp(_i)->minor < 12) return;
    start(&t, _i, "toolsfull.py", NULL, NULL);
    tool_runf(&tool, "--attach %d -t 0.2 -o %s", (int)t.pid, out);
    must_exit(&tool, 1, "no tool id");
    ck_assert_msg(tool_one_line(&tool), "no tool id: not one line: %s", tool.err);
    must_say(&tool, (const char *[]){"holder-3|holder-4|holder-5", NULL}, "no tool id");
    ck_assert_msg(access(out, F_OK), "no tool id: a file was written");
    ck_assert_int_eq(target_progresses(&t, 1, 5000), 0);
    target_kill(&t);
}
END_TEST

/* Wrong command lines: exit 2, something that says what is wrong, no file, target untouched. %d is the target. */
static const struct {
    const char *line, *says;
} usage[] = {
    {"--attach", "attach"},
    {"--attach abc", "abc"},
    {"--attach 0", "0"},
    {"--attach -5", "5"},
    {"--attach 99999999999999999999", "9999"},
    {"--attach %d -t", "-t"},
    {"--attach %d -t abc", "abc"},
    {"--attach %d --no_such_option", "no_such_option"},
    {"--attach %d -o a.json -u", "-u"},
    {"--attach %d -o a.txt", "json"},
    {"--attach %d --open -o z.svg", "--open cannot show z.svg: name the output .json"},
    {"--attach %d --method magic", "magic"},
    {"--attach %d --max_stack_depth x", "max_stack_depth"},
    {"--attach %d --min_duration 5zz", "5zz"},
    {"--attach %d --tracer_entries x", "tracer_entries"},
    {"--attach %d --log_var x", "log_var"},
    {"--attach %d --log_number x", "log_number"},
    {"--attach %d --log_attr x", "log_attr"},
    {"--attach %d --log_func_exec x", "log_func_exec"},
    {"--attach %d --log_func_entry x", "log_func_entry"},
    {"--attach %d --log_exception", "log_exception"},
    {"--attach %d --magic_comment", "magic_comment"},
    {"--attach %d --include_files a --exclude_files b", "files"},
    {"--detach", "detach"},
    {"--detach abc", "abc"},
    {"--uninstall abc", "abc"},
    {"convert", "convert"},
    {"no-such-command", "no-such-command"},
    {"reprot x", "did you mean report?"},
    {"--atach %d", "did you mean --attach?"},
    {"--att %d", "could be --attach_installed or --attach"},
    {"--com a b", "could be --combine or --compress"},
    {"--include_file x foo.py", "which program?"},
    {"--log_var x foo.py", "which program?"}, /* as argparse: the list takes all words */
    {"--log_torch foo.py", "--log_torch"},
    {"report --async --tree foo.vzt", "--async shows other tables than --tree"},
    {"--no_such foo.py", "no_such"},
    {"-m", "--module: expected a value"},
    {"-- script.py", "no such file as script.py"},
    {"1234", "did you mean viztracer --attach 1234?"},
    {"foo.py --quiet", "no such file as foo.py"},
    {"--", "which program?"},
    {"known.vzt", "known.vzt is a trace, not a program: viztracer report known.vzt"},
    {"result.json --tree", "result.json is a trace, not a program"},
    {"--python /no/python -c pass", "--python /no/python: no such program"},
    {"--quiet", "which program?"},
    {"help nothing", "nothing"},
    {"--status=1", "takes no value"},
    {"status x", "what is x?"},
    {"report a.vzt b.vzt", "viztracer diff"},
    {"report a.vzt --sort magic", "none of self, total"},
    {"report a.vzt --qiuet", "no such option"},
    {"diff a.vzt", "two traces"},
    {"convert a.vzt -o b.json --budgte 5", "did you mean --budget?"},
    {"convert a.vzt -o b.json --slice 3", "FROM..TO"},
    {"view a.vzt --port 99999", "0 to 65535"},
    {"--attach %d -t 1 -o /tmp", "/tmp: a folder; name the file, too: /tmp/result.vzt"},
    {"--attach %d -t 1 -o no/such/", "no/such/: a folder; name the file, too: no/such/result.vzt"},
    {"dump", "which process? dump PID..."},
    {"uninstall %d %d", "one process at a time"},
};

START_TEST(test_refuse_wrong_usage) {
    struct target t;
    struct tool tool;
    struct census before, after;
    start(&t, 0, "blocked.py", "read", NULL);
    census_take(t.pid, &before);
    for (size_t i = 0; i < sizeof usage / sizeof *usage; i++) {
        char line[256], number[16];
        const char *place = strstr(usage[i].line, "%d");
        snprintf(number, sizeof number, "%d", (int)t.pid);
        if (place)
            snprintf(line, sizeof line, "%.*s%s%s", (int)(place - usage[i].line), usage[i].line, number, place + 2);
        else
            snprintf(line, sizeof line, "%s", usage[i].line);
        tool_runf(&tool, "%s", line);
        must_exit(&tool, 2, line);
        ck_assert_msg(tool_one_line(&tool), "%s: not one line on stderr: %s", line, tool.err);
        ck_assert_msg(says(tool.err, usage[i].says), "%s: stderr does not say %s: %s", line, usage[i].says, tool.err);
    }
    census_take(t.pid, &after);
    ck_assert(before.maps == after.maps && before.threads == after.threads && before.fds == after.fds);
    target_kill(&t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("refuse");
    suite_add_once(s, "no-such-process", test_refuse_no_such_process, 30);
    suite_add_once(s, "not-python", test_refuse_what_is_not_python, 60);
    suite_add_once(s, "static-executable", test_refuse_static_executable, 60);
    suite_add_once(s, "too-old", test_refuse_python_too_old, 60);
    suite_add_once(s, "zombie", test_refuse_a_zombie, 30);
    suite_add(s, "stopped", test_refuse_stopped_process, 60);
    suite_add(s, "traced-by-another", test_refuse_process_traced_by_another, 60);
    suite_add(s, "vfork-child", test_refuse_a_vfork_child, 60);
    suite_add(s, "opted-out", test_refuse_opted_out, 90);
    suite_add(s, "other-users", test_refuse_processes_of_other_users, 60);
    suite_add_once(s, "detach-of-root", test_refuse_detach_of_what_root_traces, 60);
    suite_add_once(s, "no-proc", test_refuse_without_proc, 60);
    suite_add_once(s, "file-size-limit", test_refuse_with_file_size_limit, 60);
    suite_add(s, "traced-by-us", test_refuse_process_traced_by_us, 90);
    suite_add(s, "no-tool-id", test_refuse_no_tool_id, 60);
    suite_add_once(s, "usage", test_refuse_wrong_usage, 120);
    return suite_main(s);
}
