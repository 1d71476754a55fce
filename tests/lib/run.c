/* Owns running a command bare or under viztracer (run.h). */
#include "tests/lib/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base.h"
#include "tests/lib/suite.h"

#define WAIT_MS 200000

char run_folder[64];

void run_start(struct run *r, char *const *argv, bool terminal) {
    int in[2], out[2], err[2];
    memset(r, 0, sizeof *r);
    r->err = -1;
    if (terminal) {
        r->pid = forkpty(&r->out, NULL, NULL, &(struct winsize){.ws_row = 24, .ws_col = 80});
        r->in = r->out;
    } else {
        ck_assert(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC) && !pipe2(err, O_CLOEXEC));
        r->pid = fork();
    }
    ck_assert_int_ge(r->pid, 0);
    if (!r->pid) {
        if (!terminal) {
            setpgid(0, 0);
            dup2(in[0], 0);
            dup2(out[1], 1);
            dup2(err[1], 2);
        }
        alarm(0);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (terminal) return;
    setpgid(r->pid, r->pid);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    r->in = in[1];
    r->out = out[0];
    r->err = err[0];
}

static bool take(struct run *r, int which, int *fd) {
    char drop[4096];
    size_t room = RUN_TEXT_MAX - 1 - r->len[which];
    ssize_t n = read(*fd, room ? r->text[which] + r->len[which] : drop, room ? room : sizeof drop);
    if (n > 0 && room) r->len[which] += (size_t)n;
    if (n > 0) return true;
    if (n < 0 && errno == EINTR) return true;
    if (*fd != r->in) close(*fd);
    *fd = -1;
    return false;
}

/* Until `text` has come on stdout, or until both streams have ended. False: too late. */
bool run_read_until(struct run *r, const char *text) {
    uint64_t end = now_ms() + WAIT_MS;
    while (r->out >= 0 || r->err >= 0) {
        struct pollfd fds[2] = {{.fd = r->out, .events = POLLIN}, {.fd = r->err, .events = POLLIN}};
        if (text && strstr(r->text[0], text)) return true;
        if (now_ms() > end || poll(fds, 2, 1000) < 0) return false;
        if (fds[0].revents) take(r, 0, &r->out);
        if (fds[1].revents) take(r, 1, &r->err);
    }
    return !text;
}

/* An address says nothing, and a terminal has its own line ends. */
static void normalise(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from == '\r') continue;
        *to++ = *from;
        if (from[0] != '0' || from[1] != 'x') continue;
        *to++ = 'x';
        from++;
        while (strchr("0123456789abcdef", from[1]) && from[1]) from++;
    }
    *to = 0;
}

void run_finish(struct run *r, const char *who) {
    if (!run_read_until(r, NULL)) {
        kill(-r->pid, SIGKILL);
        ck_abort_msg("%s has not ended: %s%s", who, r->text[0], r->text[1]);
    }
    while (waitpid(r->pid, &r->status, 0) < 0 && errno == EINTR) continue;
    if (r->in >= 0) close(r->in);
    normalise(r->text[0]);
    normalise(r->text[1]);
}

/* $PY and $T, in a line for a shell. */
void run_expand(const struct interp *ip, const char *line, char *to, size_t size) {
    size_t at = 0;
    const char *targets = ip->root[0] ? "/tmp/vt-targets" : NULL;
    for (; *line && at + 1 < size; line++) {
        if (!strncmp(line, "$PY", 3)) {
            at += (size_t)snprintf(to + at, size - at, "%s%s%s%s", ip->root[0] ? "chroot " : "", ip->root, ip->root[0] ? " " : "",
                                   ip->path);
            line += 2;
        } else if (!strncmp(line, "$A", 2) || !strncmp(line, "$B", 2)) {
            at += (size_t)snprintf(to + at, size - at, "%s%s", line[1] == 'A' ? run_folder : tree_bin(),
                                   line[1] == 'A' ? "/asan" : "");
            line++;
        } else if (!strncmp(line, "$T", 2)) {
            at += (size_t)snprintf(to + at, size - at, "%s%s", targets ? targets : tree_root(), targets ? "" : "/tests/targets");
            line++;
        } else {
            to[at++] = *line;
            to[at] = 0;
        }
    }
}

/* ---- set-up ---- */

static void copy_libraries(const char *root) {
    char command[3 * PATH_MAX];
    snprintf(command, sizeof command,
             "mkdir -p %s%s && cp %.1000s/../lib/libviztracer_agent.so %.1000s/../lib/libviztracer_launch.so %s%s/", root,
             run_folder, tree_bin(), tree_bin(), root, run_folder);
    if (system(command)) {
        fprintf(stderr, "cannot copy the libraries: %s\n", command);
        exit(1);
    }
}

static void remove_libraries(const char *root) {
    static const char *const names[] = {"/libviztracer_agent.so", "/libviztracer_launch.so", "/asan", ""};
    char path[2 * PATH_MAX];
    for (size_t i = 0; i < VT_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s%s%s", root, run_folder, names[i]);
        remove(path);
    }
}

void run_set_up(void) {
    size_t n;
    const struct interp *ips = interp_list(&n);
    char text[PATH_MAX];
    snprintf(run_folder, sizeof run_folder, "/tmp/vt-launch-%d", (int)getpid());
    copy_libraries("");
    for (size_t i = 0; i < n; i++)
        if (ips[i].root[0]) copy_libraries(ips[i].root);
    snprintf(text, sizeof text, "%s/libviztracer_agent.so", run_folder);
    setenv("VIZTRACER_AGENT", text, 1);
    snprintf(text, sizeof text, "%s/tests/targets:/tmp/vt-targets", tree_root());
    setenv("PYTHONPATH", text, 1); /* for -m */
    setenv("VIZTRACERD_SOCKET", "none", 1);
}

void run_clean_up(void) {
    size_t n;
    const struct interp *ips = interp_list(&n);
    remove_libraries("");
    for (size_t i = 0; i < n; i++)
        if (ips[i].root[0]) remove_libraries(ips[i].root);
}

void run_target(struct run *r, const struct interp *ip, const char *script, const char *how, const char *options,
                const char *output) {
    char text[RUN_TEXT_MAX], line[RUN_TEXT_MAX], tool[PATH_MAX] = "", path[PATH_MAX], inside[PATH_MAX];
    snprintf(path, sizeof path, "%s/tests/targets/%s", tree_root(), script);
    ck_assert(!target_copy_in(ip, path, inside, sizeof inside));
    if (output) snprintf(tool, sizeof tool, "%.1000s/viztracer --quiet -o %.1000s %s --", tree_bin(), output, options);
    snprintf(text, sizeof text, "exec %s $PY $T/%s %s", tool, script, how);
    run_expand(ip, text, line, sizeof line);
    char *const words[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL};
    run_start(r, words, false);
    close(r->in);
    r->in = -1;
    run_finish(r, how);
}
