/* What is read of a process from outside is what the process itself says: the function, the file and the line of each frame, in
 * every state in which a process can be. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "outside/outside.h"
#include "tests/lib/suite.h"

static struct outside *must_open(pid_t pid, const char *who) {
    struct outside *o;
    struct vt_err err = {0};
    ck_assert_msg(!outside_open(&o, pid, &err), "%s: %s", who, err.msg);
    return o;
}

static const struct outside_thread *must_read(struct outside *o, size_t *n, const char *who) {
    struct vt_err err = {0};
    ck_assert_msg(!outside_read(o, &err), "%s: %s", who, err.msg);
    outside_read_states(o);
    return outside_threads(o, n);
}

static const struct outside_thread *thread_of(const struct outside *o, pid_t tid) {
    size_t n;
    const struct outside_thread *threads = outside_threads(o, &n);
    for (size_t i = 0; i < n; i++)
        if (threads[i].tid == tid) return &threads[i];
    return NULL;
}

/* The frames as tests/targets/where.py says them. */
static char *say(const struct outside_thread *t) {
    size_t room = 64;
    for (uint32_t i = 0; i < t->nframes; i++)
        room += t->frames[i].code ? strlen(t->frames[i].code->name) + strlen(t->frames[i].code->file) + 16 : 8;
    char *text = calloc(1, room), *at = text;
    for (uint32_t i = 0; i < t->nframes; i++) {
        const struct outside_frame *f = &t->frames[i];
        at += sprintf(at, "%s%s|%u|%s", i ? "\t" : "", f->code ? f->code->name : "?", f->line, f->code ? f->code->file : "?");
    }
    if (t->torn || t->cut || t->unread) strcpy(at, " incomplete");
    return text;
}

/* The thread gets to the place that it has said: at most 10 s later. */
static void must_be_there(struct outside *o, pid_t tid, const char *name, const char *there, const char *who) {
    char *found = NULL;
    for (uint64_t end = now_ms() + 10000;;) {
        size_t n;
        must_read(o, &n, who);
        const struct outside_thread *t = thread_of(o, tid);
        free(found);
        found = t ? say(t) : strdup("not there");
        if (!strcmp(found, there) || now_ms() > end) break;
        sleep_ms(20);
    }
    ck_assert_msg(!strcmp(found, there), "%s: thread %d says\n%s\nand is read as\n%s", who, (int)tid, there, found);
    ck_assert_msg(!strcmp(thread_of(o, tid)->name, name), "%s: %s is called %s", who, name, thread_of(o, tid)->name);
    free(found);
}

enum { SAYING = 13 /* threads of where.py */ };

static unsigned lines_of(const struct target *t) {
    unsigned n = 0;
    for (size_t i = 0; i < t->text_len; i++) n += t->text[i] == '\n';
    return n;
}

START_TEST(test_dump_names_where_threads_are) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    char who[64], text[sizeof t.text], *save = NULL;
    int said = 0;
    snprintf(who, sizeof who, "where on %s", ip->version);
    ck_assert_msg(!target_spawn(&t, ip, "where.py", NULL, NULL), "%s: the target does not start", who);
    for (uint64_t end = now_ms() + 20000; lines_of(&t) < SAYING && now_ms() < end;) target_expect(&t, "\f", 50);
    struct outside *o = must_open(t.pid, who);
    memcpy(text, t.text, sizeof text);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *name, *there;
        if (strncmp(line, "stack ", 6)) continue;
        pid_t tid = (pid_t)strtol(line + 6, &name, 10);
        there = strchr(++name, '\t');
        ck_assert_ptr_nonnull(there);
        *there++ = 0;
        must_be_there(o, tid, name, there, who);
        said++;
    }
    ck_assert_msg(said == SAYING, "%s: %d threads have said where they are: %s", who, said, t.text);
    outside_close(o);
    target_kill(&t);
}
END_TEST

/* ---- a stack that changes all the time ---- */

struct source {
    char *lines[512];
    uint32_t n;
};

static void read_source(struct source *s, const char *name) {
    char path[PATH_MAX], line[512];
    snprintf(path, sizeof path, "%s/tests/targets/%s", tree_root(), name);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    for (s->n = 0; s->n < 512 && fgets(line, sizeof line, f);) s->lines[s->n++] = strdup(line);
    fclose(f);
}

/* In the line of the caller stands a call of the function inside it. */
static bool may_call(const struct source *s, const struct outside_frame *caller, const struct outside_frame *inner) {
    char call[256];
    const char *dot = strrchr(inner->code->name, '.');
    if (!caller->line || caller->line > s->n) return false;
    snprintf(call, sizeof call, "%s(",
             dot && !strstr(inner->code->name, ">")  ? dot + 1
             : strstr(inner->code->name, "<lambda>") ? "<lambda>"
                                                     : inner->code->name);
    return strstr(s->lines[caller->line - 1], call) != NULL;
}

static bool in_source(const struct outside_frame *f) { return f->code && strstr(f->code->file, "graph.py"); }

/* NULL = every edge of the stack is one of the program, down to its root. */
static const char *wrong(const struct source *s, const struct outside_thread *t, bool main) {
    const struct outside_frame *root = t->nframes ? &t->frames[t->nframes - 1] : NULL;
    if (!root || !root->code) return "no root";
    if (strcmp(root->code->name, "<module>") != 0 && (main || !strstr(root->code->name, "_bootstrap"))) return "another root";
    for (uint32_t i = 0; i < t->nframes; i++) {
        const struct outside_frame *f = &t->frames[i];
        if (!f->code) return "no code";
        if (!in_source(f)) continue;
        if (f->line < f->code->first_line || f->line > s->n) return "a line outside of the function";
        if (i && in_source(&t->frames[i - 1]) && !may_call(s, f, &t->frames[i - 1])) return "a call that is not in the program";
    }
    return NULL;
}

static void read_graph(int i, const char *threads, unsigned reads) {
    const struct interp *ip = suite_interp(i);
    struct target t;
    struct source s;
    char who[64];
    unsigned whole = 0, lost = 0;
    snprintf(who, sizeof who, "graph of %s on %s", threads, ip->version);
    read_source(&s, "graph.py");
    ck_assert_msg(!target_spawn(&t, ip, "graph.py", (const char *[]){threads, NULL}, NULL), "%s: does not start", who);
    struct outside *o = must_open(t.pid, who);
    for (unsigned k = 0; k < reads; k++) {
        size_t n;
        struct vt_err err = {0};
        ck_assert_msg(!outside_read(o, &err), "%s: %s", who, err.msg);
        const struct outside_thread *all = outside_threads(o, &n);
        ck_assert_msg(n == strtoul(threads, NULL, 10), "%s: %zu threads", who, n);
        for (size_t j = 0; j < n; j++) {
            if (all[j].torn) {
                lost++;
                continue;
            }
            const char *what = wrong(&s, &all[j], all[j].tid == t.pid);
            ck_assert_msg(!what, "%s: %s in %s", who, what, say(&all[j]));
            whole++;
        }
        usleep(300 + (unsigned)rand() % 700);
    }
    ck_assert_msg(lost * 10 < whole, "%s: %u stacks lost, %u read", who, lost, whole);
    ck_assert_msg(!target_progresses(&t, 1, 10000), "%s: the target does not run on", who);
    outside_close(o);
    for (uint32_t k = 0; k < s.n; k++) free(s.lines[k]);
    target_kill(&t);
}

START_TEST(test_dump_reads_no_wrong_stack_of_a_busy_thread) { read_graph(_i, "1", (unsigned)suite_times(600, 20000)); }
END_TEST

START_TEST(test_dump_reads_no_wrong_stack_of_busy_threads) { read_graph(_i, "4", (unsigned)suite_times(150, 5000)); }
END_TEST

/* ---- states ---- */

START_TEST(test_dump_names_who_holds_the_gil_for_ever) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    char who[64];
    size_t n, waiters;
    snprintf(who, sizeof who, "GIL on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "gil_for_ever.py", NULL, NULL), 0);
    struct outside *o = must_open(t.pid, who);
    /* the threads that wait wake now and then: one look may miss them */
    for (uint64_t end = now_ms() + 10000;; sleep_ms(10)) {
        const struct outside_thread *all = must_read(o, &n, who), *holder = NULL;
        waiters = 0;
        for (size_t i = 0; i < n; i++) {
            waiters += all[i].gil == OUTSIDE_GIL_WAITS;
            if (all[i].gil == OUTSIDE_GIL_HOLDS) holder = &all[i];
        }
        /* at first it may be the main thread, which has just started the other */
        bool inside = holder && holder->nframes && holder->frames[0].code && !strcmp(holder->frames[0].code->name, "hold");
        if (inside && waiters == 2) {
            ck_assert_msg(holder->frames[0].line == 9, "%s: %s", who, say(holder));
            break;
        }
        ck_assert_msg(now_ms() < end, "%s: %s, %zu threads wait", who, holder ? say(holder) : "not held", waiters);
    }
    outside_close(o);
    target_kill(&t);
}
END_TEST

/* The innermost function of the thread `name`, once it is there. */
static void must_be_in(struct outside *o, const char *function, char state, const char *who) {
    for (uint64_t end = now_ms() + 10000;; sleep_ms(10)) {
        size_t n;
        const struct outside_thread *all = must_read(o, &n, who);
        for (size_t i = 0; i < n; i++)
            if (all[i].nframes && all[i].frames[0].code && !strcmp(all[i].frames[0].code->name, function) &&
                (!state || all[i].state == state))
                return;
        ck_assert_msg(now_ms() < end, "%s: nobody is in %s in state %c: %s", who, function, state,
                      n ? say(&all[0]) : "no thread");
    }
}

START_TEST(test_dump_reads_a_stopped_process) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    char who[64];
    snprintf(who, sizeof who, "stopped on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "gil_for_ever.py", NULL, NULL), 0);
    sleep_ms(100);
    ck_assert_int_eq(process_stop(t.pid), 0);
    struct outside *o = must_open(t.pid, who);
    must_be_in(o, "hold", 'T', who);
    outside_close(o);
    target_kill(&t);
}
END_TEST

START_TEST(test_dump_reads_a_traced_process) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    char who[64];
    int status;
    snprintf(who, sizeof who, "traced on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "where.py", NULL, NULL), 0);
    for (uint64_t end = now_ms() + 20000; lines_of(&t) < SAYING && now_ms() < end;) target_expect(&t, "\f", 50);
    sleep_ms(200);
    ck_assert_int_eq((int)ptrace(PTRACE_SEIZE, t.pid, 0, 0), 0);
    ck_assert_int_eq((int)ptrace(PTRACE_INTERRUPT, t.pid, 0, 0), 0);
    ck_assert_int_eq(waitpid(t.pid, &status, __WALL), t.pid);
    struct outside *o = must_open(t.pid, who);
    must_be_in(o, "<module>", 't', who);
    outside_close(o);
    target_kill(&t);
}
END_TEST

START_TEST(test_dump_reads_a_deep_stack) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    char who[64];
    bool whole = false;
    snprintf(who, sizeof who, "deep on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "deep.py", NULL, NULL), 0);
    struct outside *o = must_open(t.pid, who);
    for (uint64_t end = now_ms() + 20000; !whole; sleep_ms(5)) {
        size_t n;
        const struct outside_thread *all = must_read(o, &n, who);
        for (size_t i = 0; i < n; i++) {
            const struct outside_thread *d = &all[i];
            if (d->tid == t.pid || d->torn) continue;
            unsigned downs = 0;
            for (uint32_t k = 0; k < d->nframes; k++) downs += d->frames[k].code && !strcmp(d->frames[k].code->name, "down");
            ck_assert_msg(downs == 15001 && d->nframes >= 15004 && d->nframes <= 15006, "%s: %u frames, %u of them down", who,
                          d->nframes, downs);
            whole = true;
        }
        ck_assert_msg(now_ms() < end, "%s: no whole stack", who);
    }
    ck_assert_msg(!target_progresses(&t, 1, 10000), "%s: the target does not run on", who);
    outside_close(o);
    target_kill(&t);
}
END_TEST

/* A machine that is short of memory ends the process with the most threads. Reading cannot send a signal. */
static bool was_killed(struct target *t) {
    int status;
    return !target_wait(t, 200, &status) && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

START_TEST(test_dump_reads_two_thousand_threads) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct vt_err err = {0};
    char who[64];
    size_t n = 0, waiting = 0;
    snprintf(who, sizeof who, "crowd on %s", ip->version);
    if (target_spawn(&t, ip, "crowd.py", (const char *[]){"2000", NULL}, NULL))
        skip_test("2000 threads: this machine does not allow as many");
    struct outside *o = must_open(t.pid, who);
    int rc = 0;
    for (uint64_t end = now_ms() + 30000; !rc && waiting != 2000 && now_ms() < end; sleep_ms(50)) {
        rc = outside_read(o, &err);
        const struct outside_thread *all = outside_threads(o, &n);
        waiting = 0;
        for (size_t i = 0; i < n; i++)
            for (uint32_t k = 0; k < all[i].nframes; k++)
                waiting += all[i].frames[k].code && !strcmp(all[i].frames[k].code->name, "waiting");
    }
    outside_close(o);
    tool_runf(&tool, "dump %d", (int)t.pid);
    if ((rc || tool.exit_code) && was_killed(&t)) skip_test("2000 threads on %s: something has killed the target", ip->version);
    ck_assert_msg(!rc && waiting == 2000 && n == 2001, "%s: %zu of 2000 wait, %zu threads: %s", who, waiting, n, err.msg);
    must_exit(&tool, 0, who);
    ck_assert_msg(strstr(tool.out, " threads, each waits for a Lock"), "%s: not told together: %.2000s", who, tool.out);
    target_kill(&t);
}
END_TEST

/* ---- core files ---- */

/* Ends the target with a core file; its path, or NULL where the kernel writes none to the folder of the process. */
static const char *dump_core(struct target *t) {
    static char path[PATH_MAX];
    char cwd[PATH_MAX - 32], link[64], pattern[64] = "";
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    pid_t pid = t->pid;
    int status;
    FILE *f = fopen("/proc/sys/kernel/core_pattern", "r");
    if (f && fgets(pattern, sizeof pattern, f)) pattern[strcspn(pattern, "\n")] = 0;
    if (f) fclose(f);
    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    ssize_t n = readlink(link, cwd, sizeof cwd - 1);
    if (strcmp(pattern, "core") != 0 || n < 0 || prlimit(pid, RLIMIT_CORE, &unlimited, NULL)) return NULL;
    cwd[n] = 0;
    kill(pid, SIGABRT);
    if (target_wait(t, 30000, &status) || !WIFSIGNALED(status) || !WCOREDUMP(status)) return NULL;
    snprintf(path, sizeof path, "%s/core.%d", cwd, (int)pid);
    if (access(path, F_OK)) snprintf(path, sizeof path, "%s/core", cwd);
    return access(path, F_OK) ? NULL : path;
}

START_TEST(test_dump_reads_a_core_file) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    struct outside *o;
    struct vt_err err = {0};
    char who[64], exe[2 * PATH_MAX], text[sizeof t.text], *save = NULL;
    size_t n;
    snprintf(who, sizeof who, "core on %s", ip->version);
    /* in a folder of its own: several programs may do this at once */
    char folder[] = "/tmp/vt-core-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    const char *const wrapper[] = {"env", "-C", folder, NULL};
    ck_assert_int_eq(target_spawn(&t, ip, "where.py", NULL, &(struct target_opts){.wrapper = wrapper}), 0);
    for (uint64_t end = now_ms() + 20000; lines_of(&t) < SAYING && now_ms() < end;) target_expect(&t, "\f", 50);
    sleep_ms(500); /* all are where they have said */
    memcpy(text, t.text, sizeof text);
    const char *core = dump_core(&t);
    if (!core) {
        target_kill(&t);
        rmdir(folder);
        skip_test("core files: this kernel writes none to the folder of the process (kernel.core_pattern)");
    }
    snprintf(exe, sizeof exe, "%s%s", ip->root, ip->path);
    ck_assert_msg(!outside_open_core(&o, core, exe, &err), "%s: %s", who, err.msg);
    ck_assert_msg(!outside_read(o, &err), "%s: %s", who, err.msg);
    outside_threads(o, &n);
    ck_assert_msg(n == SAYING, "%s: %zu threads", who, n);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *name, *there;
        if (strncmp(line, "stack ", 6)) continue;
        const struct outside_thread *thread = thread_of(o, (pid_t)strtol(line + 6, &name, 10));
        there = strchr(++name, '\t');
        ck_assert_msg(there && thread, "%s: %s", who, line);
        *there++ = 0;
        char *found = say(thread);
        ck_assert_msg(!strcmp(found, there), "%s: %s says\n%s\nand is read as\n%s", who, name, there, found);
        ck_assert_str_eq(thread->name, name);
        free(found);
    }
    outside_close(o);
    tool_runf(&tool, "dump --core %s %s", core, exe);
    must_exit(&tool, 0, who);
    ck_assert_msg(strstr(tool.out, "Core file of process ") && strstr(tool.out, "<made/at run time>:4)"), "%s: %s", who,
                  tool.out);
    ck_assert_int_eq(truncate(core, 100000), 0);
    tool_runf(&tool, "dump --core %s %s", core, exe);
    must_exit(&tool, 1, who);
    ck_assert_msg(tool_one_line(&tool) && strstr(tool.err, "it is cut"), "%s: %s", who, tool.err);
    unlink(core);
    rmdir(folder);
    tool_runf(&tool, "dump --core %s", exe);
    must_exit(&tool, 1, who);
    ck_assert_msg(tool_one_line(&tool) && strstr(tool.err, "is not a core file"), "%s: %s", who, tool.err);
}
END_TEST

static const struct outside_thread *named(const struct outside *o, const char *name) {
    size_t n;
    const struct outside_thread *all = outside_threads(o, &n);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(all[i].name, name)) return &all[i];
    return NULL;
}

START_TEST(test_dump_proves_a_deadlock) {
    static const struct {
        const char *thread, *type, *owner;
        bool deadlocked;
    } rows[] = {
        {"take_a_then_b", "RLock", "take_b_then_c", true},
        {"take_b_then_c", "RLock", "take_c_then_a", true},
        {"take_c_then_a", "RLock", "take_a_then_b", true},
        {"want_a", "RLock", "take_a_then_b", false},
        {"want_plain", "Lock", NULL, false},
    };
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    char who[64];
    size_t n;
    bool all_right = false;
    snprintf(who, sizeof who, "deadlock on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "deadlock.py", NULL, NULL), 0);
    struct outside *o = must_open(t.pid, who);
    for (uint64_t end = now_ms() + 10000; !all_right; sleep_ms(50)) {
        must_read(o, &n, who);
        all_right = true;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const struct outside_thread *w = named(o, rows[i].thread);
            const char *owner = w && w->lock_owner ? w->lock_owner->name : NULL;
            bool right = w && w->lock && !strcmp(w->lock_type, rows[i].type) && w->deadlocked == rows[i].deadlocked &&
                         (rows[i].owner ? owner && !strcmp(owner, rows[i].owner) : !owner);
            ck_assert_msg(right || now_ms() < end, "%s: %s waits for a %s of %s%s", who, rows[i].thread,
                          w && w->lock ? w->lock_type : "thing", owner ? owner : "nobody",
                          w && w->deadlocked ? ", deadlocked" : "");
            all_right &= right;
        }
    }
    outside_close(o);
    tool_runf(&tool, "dump %d", (int)t.pid);
    must_exit(&tool, 0, who);
    const char *line = strstr(tool.out, "DEADLOCK: thread ");
    ck_assert_msg(line && !strstr(line + 1, "DEADLOCK"), "%s: not told once: %s", who, tool.out);
    target_kill(&t);
}
END_TEST

/* ---- the command ---- */

static yajl_val must_parse(const char *text, const char *who) {
    char why[256];
    yajl_val v = yajl_tree_parse(text, why, sizeof why);
    ck_assert_msg(v != NULL, "%s: %s in %s", who, why, text);
    return v;
}

START_TEST(test_dump_prints_text_and_json) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    struct tool tool;
    char who[64], line[128];
    snprintf(who, sizeof who, "text on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "gil_for_ever.py", NULL, NULL), 0);
    sleep_ms(300);
    tool_runf(&tool, "dump %d", (int)t.pid);
    must_exit(&tool, 0, who);
    snprintf(line, sizeof line, "Process %d (Python 3.%d): ", (int)t.pid, ip->minor);
    ck_assert_msg(strstr(tool.out, line) && strstr(tool.out, "The GIL is held by thread "), "%s: %s", who, tool.out);
    ck_assert_msg(strstr(tool.out, "    hold (") && strstr(tool.out, "gil_for_ever.py:9)\n"), "%s: %s", who, tool.out);
    ck_assert_msg(strstr(tool.out, "holds the GIL") < strstr(tool.out, "    turn ("), "%s: who works is not first: %s", who,
                  tool.out);
    tool_runf(&tool, "dump --json %d %d", (int)t.pid, (int)t.pid);
    must_exit(&tool, 0, who);
    yajl_val v = must_parse(tool.out, who), processes = yajl_tree_get(v, (const char *[]){"processes", NULL}, yajl_t_array);
    ck_assert_msg(processes && YAJL_GET_ARRAY(processes)->len == 1, "%s: %s", who, tool.out);
    yajl_val threads = yajl_tree_get(YAJL_GET_ARRAY(processes)->values[0], (const char *[]){"threads", NULL}, yajl_t_array);
    bool held = false;
    for (size_t i = 0; threads && i < YAJL_GET_ARRAY(threads)->len; i++) {
        yajl_val thread = YAJL_GET_ARRAY(threads)->values[i];
        yajl_val gil = yajl_tree_get(thread, (const char *[]){"gil", NULL}, yajl_t_string);
        const char *text = gil ? YAJL_GET_STRING(gil) : NULL;
        yajl_val frames = yajl_tree_get(thread, (const char *[]){"frames", NULL}, yajl_t_array);
        if (!text || strcmp(text, "holds") != 0) continue;
        ck_assert(frames && YAJL_GET_ARRAY(frames)->len >= 2);
        yajl_val inner = YAJL_GET_ARRAY(frames)->values[0];
        yajl_val function = yajl_tree_get(inner, (const char *[]){"function", NULL}, yajl_t_string);
        text = function ? YAJL_GET_STRING(function) : NULL;
        ck_assert_msg(text && !strcmp(text, "hold"), "%s: %s", who, tool.out);
        ck_assert_int_eq((int)YAJL_GET_INTEGER(yajl_tree_get(inner, (const char *[]){"line", NULL}, yajl_t_number)), 9);
        held = true;
    }
    ck_assert_msg(held, "%s: %s", who, tool.out);
    yajl_tree_free(v);
    target_kill(&t);
}
END_TEST

START_TEST(test_dump_reads_a_process_of_another_pid_namespace) {
    const struct interp *ip = suite_interp(_i);
    struct target t;
    char who[64];
    const char *const wrapper[] = {"unshare", "-p", "-f", "--kill-child", NULL};
    snprintf(who, sizeof who, "namespace on %s", ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "gil_for_ever.py", NULL, &(struct target_opts){.wrapper = wrapper}), 0);
    sleep_ms(200);
    struct outside *o = must_open(t.pid, who);
    size_t n;
    const struct outside_thread *all = must_read(o, &n, who);
    ck_assert_uint_eq(n, 3);
    for (size_t i = 0; i < n; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task/%d", (int)t.pid, (int)all[i].tid);
        ck_assert_msg(all[i].tid && !access(path, F_OK), "%s: thread %zu has the id %d", who, i, (int)all[i].tid);
    }
    outside_close(o);
    target_kill(&t);
}
END_TEST

START_TEST(test_dump_looks_at_subprocesses_and_again) {
    const struct interp *ip = suite_interp(0);
    struct target t;
    struct tool tool;
    char *at;
    unsigned looks = 0, processes = 0;
    ck_assert_int_eq(target_spawn(&t, ip, "family.py", NULL, NULL), 0);
    tool_startf(&tool, "dump %d --subprocesses --watch 100ms", (int)t.pid);
    ck_assert_int_eq(tool_expect(&tool, "    in_the_grandchild (", 20000), 0);
    sleep_ms(1000);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 20000);
    must_exit(&tool, 0, "watch");
    for (at = tool.out; (at = strstr(at, "----\nProcess")); at++) looks++;
    for (at = tool.out; (at = strstr(at, "\n    in_the_child (")); at++) processes++;
    ck_assert_msg(looks >= 2 && processes >= looks - 1, "%u looks, %u times the child: %s", looks, processes, tool.out);
    target_kill(&t);
}
END_TEST

START_TEST(test_dump_refuses_what_cannot_be_read) {
    struct tool tool;
    struct target t;
    pid_t gone = fork();
    if (!gone) _exit(0);
    waitpid(gone, NULL, 0);
    tool_runf(&tool, "dump %d", (int)gone);
    must_exit(&tool, 1, "no process");
    ck_assert_msg(tool_one_line(&tool) && strstr(tool.err, "no process"), "%s", tool.err);
    ck_assert_int_eq(target_spawn_argv(&t, (const char *[]){"sleep", "100", NULL}, &(struct target_opts){.no_ready = true}), 0);
    sleep_ms(100);
    tool_runf(&tool, "dump %d", (int)t.pid);
    must_exit(&tool, 1, "not Python");
    ck_assert_msg(tool_one_line(&tool) && strstr(tool.err, "is not a Python process"), "%s", tool.err);
    ck_assert_str_eq(tool.out, "");
    target_kill(&t);
    tool_runf(&tool, "dump x1");
    must_exit(&tool, 2, "no number");
    tool_runf(&tool, "dump");
    must_exit(&tool, 2, "no pid");
    ck_assert_int_eq(target_spawn(&t, suite_interp(0), "gil_for_ever.py", NULL, NULL), 0);
    tool_start(&tool, (const char *[]){"dump", "1", NULL}, &(struct tool_opts){.uid = 65534});
    tool_wait(&tool, 20000);
    must_exit(&tool, 1, "no right");
    ck_assert_msg(tool_one_line(&tool), "%s", tool.err);
    target_kill(&t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("dump");
    suite_add(s, "where", test_dump_names_where_threads_are, 120);
    suite_add(s, "busy-thread", test_dump_reads_no_wrong_stack_of_a_busy_thread, 120);
    suite_add(s, "busy-threads", test_dump_reads_no_wrong_stack_of_busy_threads, 120);
    suite_add(s, "gil-for-ever", test_dump_names_who_holds_the_gil_for_ever, 60);
    suite_add(s, "stopped", test_dump_reads_a_stopped_process, 60);
    suite_add(s, "traced", test_dump_reads_a_traced_process, 60);
    suite_add(s, "deep", test_dump_reads_a_deep_stack, 60);
    suite_add(s, "crowd", test_dump_reads_two_thousand_threads, 90);
    suite_add(s, "core", test_dump_reads_a_core_file, 90);
    suite_add(s, "deadlock", test_dump_proves_a_deadlock, 60);
    suite_add(s, "text-and-json", test_dump_prints_text_and_json, 60);
    suite_add(s, "pid-namespace", test_dump_reads_a_process_of_another_pid_namespace, 60);
    suite_add_once(s, "subprocesses", test_dump_looks_at_subprocesses_and_again, 60);
    suite_add_once(s, "refusals", test_dump_refuses_what_cannot_be_read, 60);
    return suite_main(s);
}
