/* Owns waking a Python main thread that sleeps in a system call, so that it checks its eval breaker: the system call fails
 * with EINTR, as after a signal. Only a call made by CPython's own code is interrupted, because CPython retries it (PEP 475).
 * Other libraries may not. */
#include "attach/attach_priv.h"

#include <errno.h>
#include <string.h>

#include "attach/image.h"
#include "attach/ptrace.h"
#include "attach/unwind.h"

#define STOP_MS 200u
#define UNWIND_MS 20u
#define LATE_MS 3000u

struct caller {
    const struct maps *maps;
    uint64_t python; /* start of the module that holds the interpreter */
    bool python_code;
};

/* The first frame outside libc decides. */
static int who_calls(void *ctx, const struct unwind_frame *frame) {
    struct caller *c = ctx;
    if (frame->signal || !frame->module) return 1;
    if (frame->module->kind == MAP_LIBC || frame->module->kind == MAP_VDSO) return 0;
    const struct map_module *mod = maps_find(c->maps, frame->lookup);
    c->python_code = mod && (mod->start == c->python || strstr(mod->path, "/lib-dynload/"));
    return 1;
}

static bool retries(const struct image *img, struct mem *mem, const struct arch_regs *regs, uint64_t python) {
    struct unwinder *u = NULL;
    struct caller c = {&img->maps, python, false};
    if (unwinder_open(&u, img, mem)) return false;
    int rc = unwinder_walk(u, regs, vt_mono_ns() + UNWIND_MS * 1000000ull, who_calls, &c);
    unwinder_close(u);
    return rc == 1 && c.python_code;
}

void wake_python(const struct attach_opts *o, struct mem *mem, const struct map_module *python, struct wake_stats *stats) {
    struct image img;
    struct trace_env env;
    struct tracee t = {0};
    struct arch_regs regs;
    struct vt_err unused = {0};
    if (stats->denied || image_open(&img, o->pid, mem, &unused)) return;
    trace_begin(&env);
    int rc = tracee_seize(&t, &env, o->pid, false, STOP_MS);
    if (rc == -EPERM) stats->denied = true;
    if (!rc && !arch_regs_get(o->pid, &regs) && arch_interrupted(&regs) && retries(&img, mem, &regs, python->start)) {
        arch_fail_interrupted(&regs);
        rc = arch_regs_set(o->pid, &regs);
        if (!rc) vt_debug(VT_AREA_ATTACH, "process %d: main thread woken", o->pid);
        t.state = TRACEE_SYSCALL; /* released as if from an event-stop, epoll_wait would be restarted */
    }
    /* A thread that did not stop in time will stop later: it must not wait then for us to end. */
    uint64_t give_up = vt_mono_ns() + LATE_MS * 1000000ull;
    do tracee_release(&t, &env);
    while (t.state == TRACEE_RUNNING && vt_mono_ns() < give_up);
    if (t.state == TRACEE_RUNNING) stats->denied = true;
    trace_end(&env);
    stats->stops += env.stats.stops;
    if (env.stats.longest_ns > stats->longest_ns) stats->longest_ns = env.stats.longest_ns;
    image_close(&img);
}
