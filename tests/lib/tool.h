/* Runs viztracer from a test: limited in time, output kept. */
#ifndef VT_TESTS_TOOL_H
#define VT_TESTS_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tool {
    pid_t pid;
    int out_fd, err_fd;
    char out[32768], err[32768]; /* NUL-terminated, cut when longer */
    size_t out_len, err_len;
    int exit_code;  /* 128 + signal when killed; -1 while running */
    bool timed_out; /* we killed it */
    uint64_t start_ms, took_ms;
};

struct tool_opts {
    uid_t uid;           /* != 0: run as this user */
    int stdout_fd;       /* > 0: used as stdout instead of a pipe (a closed terminal) */
    const char *cwd;     /* NULL = the test's own */
    const char *program; /* NULL = viztracer; a name in build/bin, or a path from / */
};

/* Starts build/bin/viztracer ARGS... in a process group of its own. */
int tool_start(struct tool *t, const char *const *args, const struct tool_opts *o);
/* Collects output until it exits; kills it after ms. Returns the exit code. */
int tool_wait(struct tool *t, unsigned ms);
/* Collects output until text appears on either stream: 0, -ETIMEDOUT, -EPIPE (it ended). */
int tool_expect(struct tool *t, const char *text, unsigned ms);
/* Starts it and waits (60 s). */
int tool_run(struct tool *t, const char *const *args);
/* The same with printf, split into words at blanks: tool_runf(&t, "--attach %d -t 1 -o %s", …). */
int tool_runf(struct tool *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int tool_startf(struct tool *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tool_kill(struct tool *t);
/* True when stderr has exactly one line. */
bool tool_one_line(const struct tool *t);

/* A new path for an output file, which does not exist yet. Valid until the next 16 calls. */
const char *temp_path(const char *suffix) __attribute__((returns_nonnull));

#endif
