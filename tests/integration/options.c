/* Each filter and log option has the effect of VizTracer's option of that name. Outputs in each format hold the same trace. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/suite.h"

struct scene {
    const struct interp *ip;
    struct target target;
    struct trace trace;
    char who[192];
    unsigned round;
    char folder[PATH_MAX]; /* of the scripts, as the target sees it */
};

static void begin(struct scene *x, int i) {
    memset(x, 0, sizeof *x);
    x->ip = suite_interp(i);
    if (x->ip->root[0])
        snprintf(x->folder, sizeof x->folder, "/tmp/vt-targets");
    else
        snprintf(x->folder, sizeof x->folder, "%s/tests/targets", tree_root());
    ck_assert_int_eq(target_spawn(&x->target, x->ip, "options.py", NULL, NULL), 0);
}

/* One traced round with these options; the trace is loaded from `out`. */
static void trace_round(struct scene *x, const char *options, const char *out) {
    snprintf(x->who, sizeof x->who, "%.120s on %s", options, x->ip->version);
    trace_free(&x->trace);
    must_trace_round(&x->target, ++x->round, options, out, &x->trace, x->who);
}

/* The same into a .vzt file, which is not loaded. */
static void native_round(struct scene *x, const char *native, const char *options) {
    must_trace_round(&x->target, ++x->round, options, native, NULL, "vzt");
}

static size_t count(const struct scene *x, const char *name) { return trace_count(&x->trace, name, 0); }

#define must(x, name, n)                                                                                                         \
    ck_assert_msg(count(x, name) == (n), "%s: %zu calls of %s instead of %d", (x)->who, count(x, name), name, n)

static void end(struct scene *x) {
    ck_assert_msg(!kill(x->target.pid, 0), "%s: the target has gone", x->who);
    trace_free(&x->trace);
    target_kill(&x->target);
}

static size_t without_location(const struct scene *x) {
    size_t n = 0;
    for (size_t i = 0; i < x->trace.n; i++) n += x->trace.events[i].ph == 'X' && !strchr(x->trace.events[i].name, '(');
    return n;
}

static size_t with_text(const struct scene *x, const char *text) {
    size_t n = 0;
    for (size_t i = 0; i < x->trace.n; i++)
        n += strchr("XB", x->trace.events[i].ph) && strstr(x->trace.events[i].name, text) != NULL;
    return n;
}

START_TEST(test_option_none_records_everything) {
    struct scene x;
    begin(&x, _i);
    trace_round(&x, "", temp_path(".json"));
    must(&x, "by_files", 1);
    must(&x, "helper", 1);
    must(&x, "called_back", 1);
    must(&x, "direct", 2);
    must(&x, "level0", 1);
    must(&x, "level1", 1);
    must(&x, "level2", 1);
    must(&x, "quick", 2001);
    must(&x, "slow", 1);
    must(&x, "math.hypot", 2);
    must(&x, "tasked", 8);
    ck_assert_msg(without_location(&x) > 10 && with_text(&x, "<frozen") > 0, "%s: C functions and frozen ones are missing",
                  x.who);
    end(&x);
}
END_TEST

START_TEST(test_option_file_filters) {
    struct scene x;
    char options[PATH_MAX + 64];
    begin(&x, _i);
    snprintf(options, sizeof options, "--include_files %s/options.py", x.folder);
    trace_round(&x, options, temp_path(".json"));
    must(&x, "by_files", 1);
    must(&x, "direct", 2);
    must(&x, "helper", 0);
    must(&x, "called_back", 0); /* the whole subtree of a function that is left out */
    must(&x, "math.hypot", 2);
    must(&x, "level0", 1); /* threading.py, which started the thread, hides nothing above the first included function */
    must(&x, "level2", 1);
    ck_assert_msg(with_text(&x, "threading.py") == 0, "%s: functions of threading.py", x.who);
    snprintf(options, sizeof options, "--exclude_files %s/optionlib.py", x.folder);
    trace_round(&x, options, temp_path(".json"));
    must(&x, "by_files", 1);
    must(&x, "direct", 2);
    must(&x, "helper", 0);
    must(&x, "called_back", 0);
    ck_assert_msg(with_text(&x, "threading.py") > 0, "%s: threading.py is left out as well", x.who);
    end(&x);
}
END_TEST

/* A filter that lets nothing pass: the last line says so, and where the target's files are. */
START_TEST(test_option_nothing_matches) {
    struct scene x;
    struct tool tool;
    begin(&x, _i);
    snprintf(x.who, sizeof x.who, "nothing matches on %s", x.ip->version);
    const char *out = temp_path(".json");
    tool_startf(&tool, "--attach %d --include_files /no/such/folder -o %s", (int)x.target.pid, out);
    must_attach(&tool, x.who);
    must_round(&x.target, ++x.round, x.who);
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 60000);
    must_exit(&tool, 0, x.who);
    const char *line = strstr(tool.out, "functions match --include_files /no/such/folder: the target's files are under ");
    ck_assert_msg(line && strstr(line, x.folder), "%s: %s", x.who, tool.out);
    unlink(out);
    end(&x);
}
END_TEST

/* A process that waits below a function that is left out, and records nothing: the hooks leave at its next call, so that the next
 * attach finds no function of ours on its stack. */
START_TEST(test_option_filters_let_go_of_an_idle_process) {
    struct scene x;
    struct tool tool;
    begin(&x, _i);
    target_kill(&x.target);
    ck_assert_int_eq(target_spawn(&x.target, x.ip, "idling.py", NULL, NULL), 0);
    const char *out = temp_path(".vzt");
    for (int i = 0; i < 2; i++) {
        snprintf(x.who, sizeof x.who, "attach %d to an idle process on %s", i, x.ip->version);
        tool_runf(&tool, "--attach %d -t 0.5 -o %s --include_files %s/idling.py", (int)x.target.pid, out, x.folder);
        must_exit(&tool, 0, x.who);
        ck_assert_msg(!strstr(tool.out, "Note:"), "%s: %s", x.who, tool.out);
        ck_assert_msg(strstr(tool.out, "no function that passes --include_files ") != NULL, "%s: %s", x.who, tool.out);
    }
    unlink(out);
    ck_assert_msg(!target_progresses(&x.target, 1, 10000), "%s: the target does not run on", x.who);
    end(&x);
}
END_TEST

/* The function alone is left out; the C functions that it calls go with it. */
START_TEST(test_option_function_filters) {
    struct scene x;
    begin(&x, _i);
    trace_round(&x, "--exclude_functions helper qui*", temp_path(".json"));
    must(&x, "by_files", 1);
    must(&x, "helper", 0);
    must(&x, "called_back", 1);
    must(&x, "quick", 0);
    must(&x, "slow", 1);
    trace_round(&x, "--include_functions by_files d*t", temp_path(".json"));
    must(&x, "by_files", 1);
    must(&x, "direct", 2);
    must(&x, "math.hypot", 2);
    must(&x, "helper", 0);
    must(&x, "called_back", 0);
    must(&x, "quick", 0);
    trace_round(&x, "--exclude_functions math.hypot", temp_path(".json"));
    must(&x, "direct", 2);
    must(&x, "math.hypot", 0);
    must(&x, "quick", 2001);
    end(&x);
}
END_TEST

START_TEST(test_option_module_filters) {
    struct scene x;
    begin(&x, _i);
    trace_round(&x, "--exclude_modules optionlib math", temp_path(".json"));
    must(&x, "helper", 0);
    must(&x, "called_back", 1);
    must(&x, "direct", 2);
    must(&x, "math.hypot", 0);
    trace_round(&x, "--include_modules optionlib asyncio", temp_path(".json"));
    must(&x, "helper", 1);
    must(&x, "called_back", 0);
    must(&x, "direct", 0);
    ck_assert_msg(with_text(&x, "asyncio/base_events.py") > 0, "%s: nothing of the package asyncio", x.who);
    end(&x);
}
END_TEST

START_TEST(test_option_depth_is_kept) {
    struct scene x;
    begin(&x, _i);
    /* a new thread: _bootstrap 1, _bootstrap_inner 2, run 3, level0 4, level1 5, level2 6 (3.15 and others may add a frame of
     * their own) */
    trace_round(&x, "--max_stack_depth 5", temp_path(".json"));
    must(&x, "level0", 1);
    must(&x, "level2", 0);
    trace_round(&x, "--max_stack_depth 100", temp_path(".json"));
    must(&x, "level2", 1);
    end(&x);
}
END_TEST

START_TEST(test_option_ignored_kinds_are_left_out) {
    struct scene x;
    begin(&x, _i);
    trace_round(&x, "--ignore_c_function", temp_path(".json"));
    must(&x, "direct", 2);
    must(&x, "quick", 2001);
    ck_assert_msg(without_location(&x) == 0, "%s: %zu C functions", x.who, without_location(&x));
    trace_round(&x, "--ignore_frozen", temp_path(".json"));
    must(&x, "direct", 2);
    must(&x, "imports", 1);
    ck_assert_msg(with_text(&x, "<frozen") == 0, "%s: %zu frozen functions", x.who, with_text(&x, "<frozen"));
    end(&x);
}
END_TEST

static void must_be_long(const struct scene *x) {
    must(x, "slow", 1);
    for (size_t i = 0; i < x->trace.n; i++) {
        const struct trace_event *e = &x->trace.events[i];
        bool ended = e->ph == 'X' && !e->unfinished; /* how long an unfinished call takes is not known */
        ck_assert_msg(!ended || e->dur >= 5000000, "%s: %s takes %lld ns", x->who, e->name, (long long)e->dur);
    }
}

/* Short calls are not even in the raw trace. */
START_TEST(test_option_min_duration_is_kept) {
    struct scene x;
    struct tool tool;
    struct stat st;
    begin(&x, _i);
    trace_round(&x, "--min_duration 5ms", temp_path(".json"));
    must_be_long(&x);
    const char *native = temp_path(".vzt"), *converted = temp_path(".json");
    native_round(&x, native, "--min_duration 5ms --log_func_args");
    ck_assert_int_eq(stat(native, &st), 0);
    ck_assert_msg(st.st_size < 60000, "%s: %lld bytes of raw trace", x.who, (long long)st.st_size);
    tool_runf(&tool, "convert %s -o %s", native, converted);
    must_exit(&tool, 0, "convert");
    ck_assert_msg(strstr(tool.out, "shorter calls left out"), "%s: convert says %s", x.who, tool.out);
    trace_free(&x.trace);
    must_load(&x.trace, converted, "convert");
    must_be_long(&x);
    unlink(native);
    unlink(converted);
    end(&x);
}
END_TEST

static size_t file_has(const char *path, const char *text) {
    size_t n = 0;
    char line[65536];
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) n += strstr(line, text) != NULL;
    if (f) fclose(f);
    return n;
}

/* A limit that cannot be kept by recording all: what was left out is told in the line and in the file. */
START_TEST(test_option_max_overhead_is_told) {
    struct scene x;
    struct tool tool;
    const char *out = temp_path(".json");
    begin(&x, _i);
    bool by_function = !strncmp(x.ip->version, "3.12", 4) || strtod(x.ip->version + 2, NULL) > 12.5;
    snprintf(x.who, sizeof x.who, "--max_overhead on %s", x.ip->version);
    tool_startf(&tool, "--attach %d -o %s --max_overhead 0.01%%", (int)x.target.pid, out);
    must_attach(&tool, x.who);
    for (int i = 0; i < 5; i++) {
        x.target.slots[60] = ++x.round;
        for (uint64_t end = now_ms() + 30000; x.target.slots[61] != x.round; sleep_ms(2))
            ck_assert_msg(now_ms() < end, "%s: the target does not get through: %s", x.who, x.target.text);
        sleep_ms(100); /* five rounds can be over before the limit looks for the first time */
    }
    kill(tool.pid, SIGINT);
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, x.who);
    ck_assert_msg(strstr(tool.out, "the limit of 0.01 % was kept by"), "%s: says %s", x.who, tool.out);
    ck_assert_msg(strstr(tool.out, by_function ? "throttling" : "taking the hooks out"), "%s: says %s", x.who, tool.out);
    must_load(&x.trace, out, x.who);
    ck_assert_msg(file_has(out, "\"max_overhead\":0.01"), "%s: no limit in the metadata", x.who);
    ck_assert_msg(!by_function || file_has(out, "calls_estimated") > 0, "%s: no throttled functions in the metadata", x.who);
    ck_assert_uint_lt(count(&x, "quick"), 5 * 2001);
    end(&x);
    unlink(out);
}
END_TEST

START_TEST(test_option_entries_keep_the_newest) {
    struct scene x;
    begin(&x, _i);
    trace_round(&x, "--tracer_entries 1000", temp_path(".json"));
    size_t n = 0;
    for (size_t i = 0; i < x.trace.n; i++) n += x.trace.events[i].ph == 'X';
    ck_assert_msg(n <= 1000 && n > 900, "%s: %zu entries", x.who, n);
    ck_assert_msg(x.trace.overflow, "%s: overflow is not set", x.who);
    ck_assert_msg(count(&x, "direct") >= 1, "%s: the newest call is missing", x.who);
    must(&x, "by_files", 0);
    end(&x);
}
END_TEST

static void must_args(const struct scene *x, const struct trace_event *e, const char *what) {
    ck_assert_msg(e && e->args && strstr(e->args, what), "%s: args of %s have no %s: %s", x->who, e ? e->name : "?", what,
                  e && e->args ? e->args : "none");
}

START_TEST(test_option_values_are_told) {
    struct scene x;
    begin(&x, _i);
    trace_round(&x, "--log_func_args --log_func_retval", temp_path(".json"));
    must(&x, "arguments", 2);
    must_args(&x, trace_find(&x.trace, "arguments", trace_find(&x.trace, "arguments", NULL)), "func_args.y=<__main__.Odd at 0x");
    trace_round(&x, "--log_func_args --log_func_retval --log_func_repr", temp_path(".json"));
    must(&x, "arguments", 2);
    const struct trace_event *e = trace_find(&x.trace, "arguments", NULL);
    must_args(&x, e, "func_args.x=1;");
    must_args(&x, e, "func_args.y='two';");
    must_args(&x, e, "func_args.k=5;");
    must_args(&x, e, "func_args.rest=(3, 4);");
    must_args(&x, e, "func_args.others={'z': [6]};");
    must_args(&x, e, "return_value=6;");
    e = trace_find(&x.trace, "arguments", e);
    must_args(&x, e, "func_args.y=<repr raised RuntimeError>;");
    must_args(&x, e, "return_value=2;");
    e = trace_find(&x.trace, "gives_text", NULL);
    must_args(&x, e, "return_value='text \"quoted\" \xc3\xa9';");
    e = trace_find(&x.trace, "direct", NULL);
    must_args(&x, e, "return_value=5.0;");
    trace_round(&x, "", temp_path(".json"));
    e = trace_find(&x.trace, "arguments", NULL);
    ck_assert_msg(e && !e->args, "%s: args without being asked", x.who);
    end(&x);
}
END_TEST

/* What repr() would do to the target: by default it is not called. */
static void reprs(const struct interp *ip, const char *kind, const char *options, const char *name, size_t calls) {
    struct target t;
    struct trace trace;
    char who[128];
    const char *out = temp_path(".json");
    snprintf(who, sizeof who, "reprs %s %s on %s", kind, options, ip->version);
    ck_assert_int_eq(target_spawn(&t, ip, "reprs.py", (const char *[]){kind, NULL}, NULL), 0);
    must_trace_round(&t, 1, options, out, &trace, who);
    ck_assert_msg(trace_count(&trace, name, 0) >= calls, "%s: %zu calls of %s", who, trace_count(&trace, name, 0), name);
    ck_assert_msg(t.slots[3] == 0, "%s: %llu time limits were lost", who, (unsigned long long)t.slots[3]);
    ck_assert_msg(strcmp(kind, "alarm") || t.slots[2] == 3, "%s: %llu of 3 time limits held", who,
                  (unsigned long long)t.slots[2]);
    must_round(&t, 2, who);
    trace_free(&trace);
    target_kill(&t);
    unlink(out);
}

START_TEST(test_option_values_of_locked_objects_do_not_block) {
    reprs(suite_interp(_i), "lock", "--log_func_args --log_func_retval", "store", 10);
}
END_TEST

START_TEST(test_option_values_beside_signal_handlers) {
    reprs(suite_interp(_i), "alarm", "--log_func_args", "step", 1);
    reprs(suite_interp(_i), "alarm", "--log_func_args --log_func_repr", "step", 1);
}
END_TEST

START_TEST(test_option_collections_are_counted) {
    struct scene x;
    size_t starts = 0, found = 0;
    begin(&x, _i);
    trace_round(&x, "--log_gc", temp_path(".json"));
    for (size_t i = 0; i < x.trace.n; i++) {
        const struct trace_event *e = &x.trace.events[i];
        if (e->ph != 'C') continue;
        ck_assert_msg(!strcmp(e->name, "garbage collection") && e->args && strstr(e->args, "uncollectable="), "%s: counter %s %s",
                      x.who, e->name, e->args ? e->args : "");
        starts += strstr(e->args, "collecting=1;") != NULL;
        found += strstr(e->args, "collected=0;") == NULL;
    }
    ck_assert_msg(starts >= 1 && found >= 1, "%s: %zu collections, %zu with a find", x.who, starts, found);
    end(&x);
}
END_TEST

START_TEST(test_option_tasks_have_tracks) {
    struct scene x;
    begin(&x, _i);
    trace_round(&x, "--log_async", temp_path(".json"));
    must(&x, "tasked", 8);
    must_have_jobs(&x.trace, x.who);
    end(&x);
}
END_TEST

/* .json.gz, and .vzt converted, hold what .json holds. */
START_TEST(test_option_output_forms) {
    struct scene x;
    struct tool tool;
    const char *zipped = temp_path(".json.gz"), *native = temp_path(".vzt"), *converted = temp_path(".json");
    begin(&x, _i);
    trace_round(&x, "", zipped);
    must(&x, "quick", 2001);
    FILE *f = fopen(zipped, "rb");
    ck_assert(f && fgetc(f) == 0x1f && fgetc(f) == 0x8b);
    fclose(f);
    trace_free(&x.trace);
    native_round(&x, native, "");
    tool_runf(&tool, "convert %s -o %s", native, converted);
    must_exit(&tool, 0, "convert");
    must_load(&x.trace, converted, "convert");
    must(&x, "quick", 2001);
    must(&x, "by_files", 1);
    /* cut anywhere, it is readable up to the last whole frame */
    struct stat st;
    ck_assert_int_eq(stat(native, &st), 0);
    ck_assert_int_eq(truncate(native, st.st_size - st.st_size / 3), 0);
    tool_runf(&tool, "convert %s -o %s", native, converted);
    must_exit(&tool, 0, "convert of a cut file");
    trace_free(&x.trace);
    must_load(&x.trace, converted, "convert of a cut file");
    end(&x);
    unlink(zipped);
    unlink(native);
    unlink(converted);
}
END_TEST

START_TEST(test_option_output_places) {
    struct scene x;
    struct tool tool;
    begin(&x, _i);
    const char *dir = temp_path("-dir");
    ck_assert_int_eq(mkdir(dir, 0755), 0);
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)x.target.pid);
    /* default name in the working folder, nothing printed with --quiet */
    tool_start(&tool, (const char *[]){"--attach", pid, "-t", "0.2", "--quiet", NULL}, &(struct tool_opts){.cwd = dir});
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, "--quiet");
    ck_assert_msg(!tool.out_len && !tool.err_len, "--quiet prints: %s%s", tool.out, tool.err);
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/result.json", dir);
    ck_assert_msg(!access(path, F_OK), "no result.json in the working folder");
    /* the same again replaces that file, and says so */
    tool_start(&tool, (const char *[]){"--attach", pid, "-t", "0.2", "--quiet", NULL}, &(struct tool_opts){.cwd = dir});
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, "no -o again");
    ck_assert_msg(tool_one_line(&tool) && strstr(tool.err, "result.json was there already and is replaced"), "says: %s",
                  tool.err);
    ck_assert_msg(!unlink(path), "no result.json in the working folder");
    /* a folder that is made is told */
    tool_runf(&tool, "--attach %s -t 0.2 -o %s/new/er/x.vzt", pid, dir);
    must_exit(&tool, 0, "new folder");
    snprintf(path, sizeof path, ", in the new folder %s/new): ", dir);
    ck_assert_msg(strstr(tool.out, path), "no '%s': %s", path, tool.out);
    /* --quiet hides no empty trace */
    tool_runf(&tool, "--attach %s -t 0.2 -o %s/new/x.vzt --quiet --include_files /no/such/folder", pid, dir);
    must_exit(&tool, 0, "--quiet of nothing");
    ck_assert_msg(!tool.out_len && tool_one_line(&tool) && strstr(tool.err, "x.vzt: no calls; "), "%s%s", tool.out, tool.err);
    tool_start(&tool, (const char *[]){"--attach", pid, "-t", "0.2", "-u", "--output_dir", dir, NULL}, NULL);
    tool_wait(&tool, 30000);
    must_exit(&tool, 0, "-u");
    DIR *d = opendir(dir);
    int found = 0;
    for (struct dirent *e; (e = readdir(d));) found += strstr(e->d_name, ".json") != NULL && strcmp(e->d_name, "result.json");
    closedir(d);
    ck_assert_msg(found == 1, "-u --output_dir: %d files", found);
    end(&x);
}
END_TEST

int main(void) {
    Suite *s = suite_create("options");
    suite_add(s, "no-filter", test_option_none_records_everything, 60);
    suite_add(s, "files", test_option_file_filters, 60);
    suite_add(s, "nothing-matches", test_option_nothing_matches, 60);
    suite_add(s, "idle-process", test_option_filters_let_go_of_an_idle_process, 60);
    suite_add(s, "functions", test_option_function_filters, 60);
    suite_add(s, "modules", test_option_module_filters, 60);
    suite_add(s, "depth", test_option_depth_is_kept, 60);
    suite_add(s, "ignored-kinds", test_option_ignored_kinds_are_left_out, 60);
    suite_add(s, "min-duration", test_option_min_duration_is_kept, 60);
    suite_add(s, "max-overhead", test_option_max_overhead_is_told, 90);
    suite_add(s, "entries", test_option_entries_keep_the_newest, 60);
    suite_add(s, "values", test_option_values_are_told, 60);
    suite_add(s, "values-of-locked-objects", test_option_values_of_locked_objects_do_not_block, 60);
    suite_add(s, "values-beside-signal-handlers", test_option_values_beside_signal_handlers, 60);
    suite_add(s, "gc", test_option_collections_are_counted, 60);
    suite_add(s, "async", test_option_tasks_have_tracks, 60);
    suite_add(s, "forms", test_option_output_forms, 90);
    suite_add(s, "places", test_option_output_places, 60);
    return suite_main(s);
}
