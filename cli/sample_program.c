/* Owns finding the first interpreter of a program that was just started (sample_program.h). It may be the program itself, or a
 * process below it: a shell script, `env`, a launcher. */
#include "cli/sample_program.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define SECOND_NS 1000000000ull
#define LOOK_SOON_NS 2000000ull   /* at first, when an interpreter is about to start */
#define LOOK_LATER_NS 20000000ull /* a process that is no Python may stay one */
enum { SOON = 200 /* looks */ };

int sample_program_find(struct program *p, char **words, size_t n, struct vt_err *err) {
    struct run_options o = {.words = words, .nwords = n};
    return program_find(p, &o, err);
}

int sample_program_start(struct program *p, struct vt_err *err) { return program_start(p, NULL, NULL, false, err); }

bool sample_program_wait(struct program *p, uint64_t ns) {
    struct pollfd fd = {.fd = p->wake[0], .events = POLLIN};
    struct timespec nap = {(time_t)(ns / SECOND_NS), (long)(ns % SECOND_NS)};
    if (!p->ended && ppoll(&fd, 1, &nap, NULL) > 0) program_signals(p);
    return p->ended;
}

static int try_process(void *ctx, pid_t pid) {
    struct outside **out = ctx;
    struct vt_err err = {0};
    if (outside_open(out, pid, &err)) return 0;
    size_t n = 0;
    if (!outside_read(*out, &err)) outside_threads(*out, &n);
    if (n) return 1;
    outside_close(*out); /* it is not ready yet */
    *out = NULL;
    return 0;
}

int sample_program_open(struct program *p, struct outside **out, struct vt_err *err) {
    *out = NULL;
    for (unsigned i = 0; !*out && !p->ended; i++) {
        if (!try_process(out, p->pid) && outside_each_below(p->pid, try_process, out) < 0) *out = NULL;
        if (!*out) sample_program_wait(p, i < SOON ? LOOK_SOON_NS : LOOK_LATER_NS);
    }
    if (*out) return 0;
    return vt_err_set(err, -ESRCH, "%s has ended before Python ran in it: nothing is saved", p->file);
}
