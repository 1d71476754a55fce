/* Owns running the product's programs from tests. */
#include "tests/lib/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/interp.h"
#include "tests/lib/target.h"

#define MAX_ARGS 48

const char *temp_path(const char *suffix) {
    static char ring[16][PATH_MAX];
    static unsigned serial;
    char *path = ring[serial % 16];
    const char *dir = getenv("VT_TMP");
    if (!dir) dir = "/tmp/vt-tests";
    mkdir(dir, 01777);
    if (chmod(dir, 01777)) errno = 0;
    snprintf(path, PATH_MAX, "%s/%d-%u%s", dir, (int)getpid(), serial++, suffix);
    unlink(path);
    return path;
}

static void child_exec(const char *const *argv, const struct tool_opts *o, int out, int err, pid_t parent) {
    int null = open("/dev/null", O_RDONLY);
    setpgid(0, 0);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
    if (o->cwd && chdir(o->cwd)) _exit(126);
    if (o->uid && (setgroups(0, NULL) || setgid(o->uid) || setuid(o->uid))) _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);
    const char *spool = getenv("VT_SPOOL"); /* kept traces of killed clients go with the test run */
    if (spool && !o->uid) setenv("VIZTRACERD_SPOOL", spool, 0);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

int tool_start(struct tool *t, const char *const *args, const struct tool_opts *o) {
    static const struct tool_opts none;
    const char *argv[MAX_ARGS];
    char program[PATH_MAX + 32];
    int out[2] = {-1, -1}, err[2] = {-1, -1}, n = 0;
    if (!o) o = &none;
    memset(t, 0, sizeof *t);
    t->out_fd = t->err_fd = -1;
    t->exit_code = -1;
    if (o->program && o->program[0] == '/')
        snprintf(program, sizeof program, "%s", o->program);
    else
        snprintf(program, sizeof program, "%s/%s", tree_bin(), o->program ? o->program : "viztracer");
    argv[n++] = program;
    for (; *args && n < MAX_ARGS - 1; args++) argv[n++] = *args;
    argv[n] = NULL;
    if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) return -errno;
    t->start_ms = now_ms();
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) child_exec(argv, o, o->stdout_fd > 0 ? o->stdout_fd : out[1], err[1], parent);
    int rc = pid < 0 ? -errno : 0;
    close(out[1]);
    close(err[1]);
    if (rc) {
        close(out[0]);
        close(err[0]);
        return rc;
    }
    setpgid(pid, pid);
    t->pid = pid;
    t->out_fd = out[0];
    t->err_fd = err[0];
    return 0;
}

static void take(int *fd, char *buf, size_t *len, size_t size) {
    char lost[4096];
    bool full = *len >= size - 1;
    ssize_t n = full ? read(*fd, lost, sizeof lost) : read(*fd, buf + *len, size - 1 - *len);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
        close(*fd);
        *fd = -1;
    } else if (n > 0 && !full) {
        *len += (size_t)n;
        buf[*len] = 0;
    }
}

/* One round of collecting; false when both streams are at their end. */
static bool collect(struct tool *t, int ms) {
    struct pollfd p[2] = {{t->out_fd, POLLIN, 0}, {t->err_fd, POLLIN, 0}};
    if (t->out_fd < 0 && t->err_fd < 0) return false;
    if (poll(p, 2, ms) > 0) {
        if (p[0].revents) take(&t->out_fd, t->out, &t->out_len, sizeof t->out);
        if (p[1].revents) take(&t->err_fd, t->err, &t->err_len, sizeof t->err);
    }
    return true;
}

static bool reap(struct tool *t, int flags) {
    int status;
    if (t->pid <= 0) return true;
    if (waitpid(t->pid, &status, flags) != t->pid) return false;
    t->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    t->took_ms = now_ms() - t->start_ms;
    t->pid = 0;
    return true;
}

int tool_wait(struct tool *t, unsigned ms) {
    uint64_t end = now_ms() + ms;
    while (!reap(t, WNOHANG)) {
        if (now_ms() >= end) {
            t->timed_out = true;
            kill(-t->pid, SIGKILL);
            kill(t->pid, SIGKILL);
            reap(t, 0);
        } else if (!collect(t, 20)) {
            sleep_ms(2);
        }
    }
    for (int i = 0; i < 200 && (t->out_fd >= 0 || t->err_fd >= 0); i++) collect(t, 2);
    if (t->out_fd >= 0) close(t->out_fd);
    if (t->err_fd >= 0) close(t->err_fd);
    t->out_fd = t->err_fd = -1;
    return t->exit_code;
}

int tool_expect(struct tool *t, const char *text, unsigned ms) {
    for (uint64_t end = now_ms() + ms;;) {
        if (strstr(t->out, text) || strstr(t->err, text)) return 0;
        if (now_ms() >= end) return -ETIMEDOUT;
        if (!collect(t, 10)) return -EPIPE;
    }
}

int tool_run(struct tool *t, const char *const *args) {
    int rc = tool_start(t, args, NULL);
    return rc ? rc : tool_wait(t, 60000);
}

static int split_start(struct tool *t, const char *fmt, va_list ap) {
    char line[8192], *save = NULL;
    const char *args[MAX_ARGS];
    int n = 0;
    vsnprintf(line, sizeof line, fmt, ap);
    for (char *word = strtok_r(line, " ", &save); word && n < MAX_ARGS - 1; word = strtok_r(NULL, " ", &save)) args[n++] = word;
    args[n] = NULL;
    return tool_start(t, args, NULL);
}

int tool_startf(struct tool *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int rc = split_start(t, fmt, ap);
    va_end(ap);
    return rc;
}

int tool_runf(struct tool *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int rc = split_start(t, fmt, ap);
    va_end(ap);
    return rc ? rc : tool_wait(t, 60000);
}

void tool_kill(struct tool *t) {
    if (t->pid > 0) {
        kill(-t->pid, SIGKILL);
        kill(t->pid, SIGKILL);
        reap(t, 0);
    }
    if (t->out_fd >= 0) close(t->out_fd);
    if (t->err_fd >= 0) close(t->err_fd);
    t->out_fd = t->err_fd = -1;
}

bool tool_one_line(const struct tool *t) {
    const char *end = strchr(t->err, '\n');
    return t->err_len > 1 && end && !end[1];
}
