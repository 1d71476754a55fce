/* Owns one target that is read (outside.h): when a stack is read again, when we pin ourselves, and what is told of it all. */
#include "outside/outside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attach/view.h"
#include "outside/c_calls.h"
#include "outside/core.h"
#include "outside/locks.h"
#include "outside/objects.h"
#include "outside/pin.h"
#include "outside/pool.h"
#include "outside/pystacks.h"
#include "outside/states.h"
#include "outside/tasks.h"
#include "outside/text.h"
#include "outside/tids.h"
#include "outside/variables.h"

enum { TRIES = 20 /* for one stack */, LIST_TRIES = 20, VALUE_TRIES = 10, VALUES_MAX = 1 << 20 };
#define C_CALLS_WORK 8192u
#define VALUES_WORK 4000000ull /* objects and entries that are looked at in one reading */
#define WHOLE_NS 1000000000ull

struct outside {
    struct attach_view view; /* of a core file: what it knows of it; nothing is open */
    struct core *core;       /* NULL = a process */
    struct mem *mem;
    struct py_layout layout;
    struct remote *remote;
    struct codes *codes;
    struct pystacks *stacks;
    struct pin pin;
    struct tids tids;
    struct outside_thread *threads;
    uint32_t nthreads, room;
    struct outside_frame *frames; /* of all threads */
    uint32_t nframes, frames_room;
    struct tasks *tasks; /* NULL = none were asked for */
    bool want_values;
    struct outside_value *values; /* of all frames */
    uint32_t nvalues, values_room;
    struct pool texts; /* of the values */
    uint64_t work;     /* that may still be done for values */
    struct outside_counts counts;
    uint32_t c_calls_work; /* objects that may still be looked at for outside_c_call */
    bool c_calls_listed;   /* the list of threads was read for it */
    uint64_t whole_ns;     /* outside_sample: when all was last read anew */
};

/* ---- opening ---- */

static pid_t tid_of(const struct outside *o, const struct raw_thread *t) {
    return t->native && t->native <= INT32_MAX ? tids_find(&o->tids, (pid_t)t->native) : 0;
}

/* Runs where it runs: then it does not run meanwhile. held: has it not? */
static bool hold(void *ctx, const struct raw_thread *t, bool held) {
    struct outside *o = ctx;
    if (o->core) return true;
    pid_t tid = tid_of(o, t);
    return held ? pin_has_held(&o->pin, o->view.info.pid, tid) : pin_to(&o->pin, o->view.info.pid, tid);
}

/* Takes o, whose memory can be read and whose version is known. */
static int open_readers(struct outside **out, struct outside *o, struct vt_err *err) {
    int rc = layout_of(o->mem, &o->view.py, &o->layout);
    if (rc == -ENOTSUP)
        vt_err_set(err, rc, "process %d (%s) hides where its Python keeps its threads (_PyRuntime): use a build that exports it",
                   o->view.info.pid, o->view.info.exe);
    else if (rc)
        vt_err_set(err, rc, "cannot read the memory of process %d: %s", o->view.info.pid, strerror(-rc));
    if (!rc) rc = remote_new(&o->remote, o->mem);
    if (!rc) rc = codes_new(&o->codes, o->remote, &o->layout);
    if (!rc) rc = pystacks_new(&o->stacks, o->remote, &o->layout, o->view.py.runtime, hold, o);
    if (rc) {
        vt_err_set(err, rc, "out of memory");
        outside_close(o);
        return rc;
    }
    *out = o;
    return 0;
}

int outside_open(struct outside **out, pid_t pid, struct vt_err *err) {
    struct outside *o = calloc(1, sizeof(*o));
    *out = NULL;
    if (!o) return vt_err_set(err, -ENOMEM, "out of memory");
    int rc = attach_view_open(&o->view, pid, err);
    if (rc) {
        free(o);
        return rc;
    }
    o->mem = &o->view.mem;
    return open_readers(out, o, err);
}

/* The interpreter is in the program, else in a libpython, else in any other file. */
static int rank(const struct map_module *mod, const char *program) {
    if (program && !strcmp(mod->path, program)) return 0;
    return strstr(mod->path, "/libpython") ? 1 : 2;
}

static int find_in_core(struct outside *o) {
    const struct maps *maps = core_maps(o->core);
    const char *program = core_program(o->core);
    for (int pass = 0; pass <= 2; pass++)
        for (size_t i = 0; i < maps->nmods; i++) {
            const struct map_module *mod = &maps->mods[i];
            struct stat st;
            struct elf e;
            if (rank(mod, program) != pass || stat(mod->path, &st) || !S_ISREG(st.st_mode) || elf_open(&e, mod->path)) continue;
            int rc = pyruntime_probe(o->mem, &e, mod->start - e.vaddr0, &o->view.py);
            elf_close(&e);
            if (rc || o->view.py.major) return rc;
        }
    return -ENOENT;
}

int outside_open_core(struct outside **out, const char *path, const char *exe, struct vt_err *err) {
    struct outside *o = calloc(1, sizeof(*o));
    *out = NULL;
    if (!o) return vt_err_set(err, -ENOMEM, "out of memory");
    int rc = core_open(&o->core, path, exe, err);
    if (rc) {
        free(o);
        return rc;
    }
    struct attach_info *info = &o->view.info;
    o->mem = core_mem(o->core);
    info->pid = core_pid(o->core);
    vt_clean_line(info->cmdline, sizeof(info->cmdline), core_command(o->core), strlen(core_command(o->core)));
    snprintf(info->exe, sizeof(info->exe), "%.255s", core_program(o->core) ? core_program(o->core) : path);
    rc = find_in_core(o);
    info->py_major = o->view.py.major;
    info->py_minor = o->view.py.minor;
    if (!rc) return open_readers(out, o, err);
    vt_err_set(err, -ENOEXEC, "no Python is found in the core file %s: name the program it was, `viztracer dump --core FILE EXE`",
               path);
    outside_close(o);
    return -ENOEXEC;
}

bool outside_is_core(const struct outside *o) { return o->core; }

void outside_close(struct outside *o) {
    if (!o) return;
    pin_release(&o->pin);
    tasks_free(o->tasks);
    pystacks_free(o->stacks);
    codes_free(o->codes);
    remote_free(o->remote);
    if (!o->core) attach_view_close(&o->view);
    core_close(o->core);
    tids_free(&o->tids);
    free(o->threads);
    free(o->frames);
    free(o->values);
    pool_free(&o->texts);
    free(o);
}

const struct attach_info *outside_info(const struct outside *o) { return &o->view.info; }

const struct outside_thread *outside_threads(const struct outside *o, size_t *n) {
    *n = o->nthreads;
    return o->threads;
}

size_t outside_other_threads(const struct outside *o) {
    size_t known = 0;
    for (uint32_t i = 0; i < o->nthreads; i++) known += o->threads[i].tid != 0;
    return o->tids.n > known ? o->tids.n - known : 0;
}

bool outside_is_cut(const struct outside *o) { return pystacks_is_cut(o->stacks); }
const struct outside_counts *outside_counts(const struct outside *o) { return &o->counts; }

/* ---- reading ---- */

static int read_stack(struct outside *o, struct raw_thread *t) {
    int rc = -EAGAIN;
    o->counts.stacks++;
    for (int i = 0; rc == -EAGAIN && i < TRIES; i++) {
        rc = pystacks_read(o->stacks, t);
        if (rc == -EAGAIN) o->counts.torn++;
    }
    if (rc == -EAGAIN) o->counts.lost++;
    return rc == -EAGAIN ? 0 : rc;
}

/* Threads come and go: the list is read until it makes sense. */
static int read_list(struct outside *o) {
    int rc = -EINVAL;
    for (int i = 0; (rc == -EINVAL || rc == -EFAULT) && i < LIST_TRIES; i++) {
        remote_forget(o->remote);
        rc = pystacks_list(o->stacks);
    }
    return rc;
}

/* The frames that are functions, without those that could not be proved. */
static int tell_frames(struct outside *o, const struct raw_thread *raw, struct outside_thread *t) {
    uint32_t first = raw->torn ? raw->nframes - raw->nsure : 0, begin = o->nframes;
    for (uint32_t i = first; i < raw->nframes; i++) {
        const struct raw_frame *f = &raw->frames[i];
        if (f->shim) continue;
        int rc = vt_grow(&o->frames, &o->frames_room, o->nframes + 1u, sizeof(*o->frames), UINT32_MAX);
        if (rc) return rc;
        const struct outside_code *code = codes_get(o->codes, f->code);
        o->frames[o->nframes++] =
            (struct outside_frame){.code = code, .line = code ? codes_line(o->codes, code, f->instr) : 0, .address = f->address};
    }
    t->nframes = o->nframes - begin;
    return 0;
}

/* The outermost function of a thread that threading started is Thread._bootstrap, and its first variable is the Thread object. */
static void name_thread(struct outside *o, struct outside_thread *t, const struct outside_frame *outermost) {
    char name[TEXT_MAX];
    uint64_t self, at;
    if (!outermost->code || (strcmp(outermost->code->name, "Thread._bootstrap") && strcmp(outermost->code->name, "_bootstrap")))
        return;
    int rc = remote_u64(o->remote, outermost->address + o->layout.frame_locals, &self);
    if (!rc) rc = object_field(o->remote, &o->layout, self & ~(uint64_t)o->layout.reference_tags, "_name", &at);
    if (!rc) rc = text_read(o->remote, &o->layout, at, name, sizeof(name));
    if (!rc) vt_clean_line(t->name, sizeof(t->name), name, strlen(name));
}

static int tell(struct outside *o, const struct raw_thread *raw) {
    int rc = vt_grow(&o->threads, &o->room, o->nthreads + 1u, sizeof(*o->threads), UINT32_MAX);
    if (rc) return rc;
    struct outside_thread *t = &o->threads[o->nthreads++];
    size_t n;
    const struct gil_state *gils = pystacks_gils(o->stacks, &n);
    *t = (struct outside_thread){.address = raw->address,
                                 .interpreter = raw->interpreter,
                                 .tid = tid_of(o, raw),
                                 .ident = raw->ident,
                                 .torn = raw->torn,
                                 .cut = raw->cut,
                                 .unread = raw->unread};
    for (size_t i = 0; i < n; i++)
        if (gils[i].address == raw->gil && gils[i].holder == raw->address) t->gil = OUTSIDE_GIL_HOLDS;
    rc = tell_frames(o, raw, t);
    if (!rc && t->nframes) name_thread(o, t, &o->frames[o->nframes - 1]);
    if (t->tid && t->tid == o->view.info.pid && !t->name[0]) snprintf(t->name, sizeof(t->name), "MainThread");
    return rc;
}

/* ---- variables ---- */

static int take_value(void *ctx, const char *name, const char *text) {
    struct outside *o = ctx;
    if (vt_grow(&o->values, &o->values_room, o->nvalues + 1u, sizeof(*o->values), VALUES_MAX)) return -ENOMEM;
    struct outside_value v = {pool_text(&o->texts, name), pool_text(&o->texts, text)};
    if (!v.name || !v.text) return -ENOMEM;
    o->values[o->nvalues++] = v;
    return 0;
}

/* The frames of the thread that was told last. When memory or work is used up, what is there stays. */
static void tell_values(struct outside *o, const struct raw_thread *raw, const struct outside_thread *t) {
    uint32_t next = o->nframes - t->nframes;
    for (uint32_t i = raw->nframes - raw->nsure; i < raw->nframes && next < o->nframes; i++) {
        const struct raw_frame *f = &raw->frames[i];
        uint32_t begin = o->nvalues;
        if (f->shim) continue;
        if (o->work) variables_each(o->remote, &o->layout, f->code, f->address, &o->work, take_value, o);
        o->frames[next++].nvalues = o->nvalues - begin;
    }
}

/* Reads the variables once more: all have the same texts. The first ones are kept. */
static bool are_same_again(struct outside *o, const struct raw_thread *raw, const struct outside_thread *t, uint32_t first) {
    uint32_t n = o->nvalues - first;
    remote_forget(o->remote);
    tell_values(o, raw, t);
    bool same = o->nvalues - first == 2 * n;
    for (uint32_t i = first; same && i < first + n; i++)
        same = !strcmp(o->values[i].name, o->values[i + n].name) && !strcmp(o->values[i].text, o->values[i + n].text);
    o->nvalues = first + n;
    return same;
}

/* Reads one stack and the variables on it, until both are of the same moment. */
static int read_with_values(struct outside *o, struct raw_thread *raw) {
    uint32_t nthreads = o->nthreads, nframes = o->nframes, nvalues = o->nvalues;
    for (int i = 0;; i++) {
        o->nthreads = nthreads;
        o->nframes = nframes;
        o->nvalues = nvalues;
        int rc = read_stack(o, raw);
        if (!rc) rc = tell(o, raw);
        if (rc || raw->torn || raw->unread) return rc;
        tell_values(o, raw, &o->threads[nthreads]);
        bool still = pystacks_still(o->stacks, raw);
        if (still && pystacks_could_run(o->stacks)) still = are_same_again(o, raw, &o->threads[nthreads], nvalues);
        if (still) return 0;
        if (i < VALUE_TRIES && o->work) continue;
        o->nvalues = nvalues;
        for (uint32_t k = nframes; k < o->nframes; k++) o->frames[k].nvalues = 0;
        o->threads[nthreads].changed = true;
        return 0;
    }
}

void outside_want_values(struct outside *o) { o->want_values = true; }

/* ---- C functions ---- */

/* Once: the ids of all threads, and where they are. */
static int list_for_c_calls(struct outside *o) {
    size_t n;
    struct raw_frame f;
    int rc = read_list(o);
    struct raw_thread **threads = pystacks_threads(o->stacks, &n);
    if (!rc) rc = tids_read(&o->tids, o->view.info.pid, o->view.status.ns_pid);
    for (size_t i = 0; !rc && i < n; i++)
        if (pystacks_innermost(o->stacks, threads[i], &f)) threads[i]->native = 0;
    o->c_calls_work = C_CALLS_WORK;
    return rc;
}

/* The system call does not end meanwhile, so that the frame and its values stay. */
int outside_c_call(struct outside *o, pid_t tid, char *text, size_t size) {
    uint64_t sp, sp_again;
    struct raw_frame f;
    size_t n, i = 0;
    int rc = o->core ? -ENOENT : o->c_calls_listed ? 0 : list_for_c_calls(o);
    struct raw_thread **threads = pystacks_threads(o->stacks, &n);
    o->c_calls_listed = true;
    while (!rc && i < n && tid_of(o, threads[i]) != tid) i++;
    if (rc || i == n || inside_sp(o->view.info.pid, tid, &sp) != 1) return -ENOENT;
    remote_forget(o->remote);
    rc = pystacks_innermost(o->stacks, threads[i], &f);
    if (!rc && f.shim) rc = -ENOENT;
    if (!rc) rc = c_calls_find(o->remote, &o->layout, &o->view.maps, f.address, sp, &o->c_calls_work, text, size);
    return rc || inside_sp(o->view.info.pid, tid, &sp_again) != 1 || sp_again != sp ? -ENOENT : 0;
}

/* ---- all threads ---- */

static int read_tids(struct outside *o) {
    if (!o->core) return tids_read(&o->tids, o->view.info.pid, o->view.status.ns_pid);
    size_t n;
    const pid_t *tids = core_tids(o->core, &n);
    return tids_set(&o->tids, tids, n);
}

static int refuse(struct outside *o, int rc, struct vt_err *err) {
    if (rc == -ESRCH || rc == -ENOENT)
        return vt_err_set(err, -ESRCH, "process %d exited while viztracer looked at it", o->view.info.pid);
    if ((rc == -EINVAL || rc == -EFAULT) && o->core)
        return vt_err_set(err, rc,
                          "the threads are not in the core file of process %d: it is cut, or %s is not the program that it was",
                          o->view.info.pid, o->view.info.exe);
    if (rc == -EINVAL || rc == -EFAULT)
        return vt_err_set(err, rc, "the threads of process %d cannot be read: Python %d.%d keeps them elsewhere in this build",
                          o->view.info.pid, o->view.py.major, o->view.py.minor);
    return vt_err_set(err, rc, "cannot read the memory of process %d: %s", o->view.info.pid, strerror(-rc));
}

static int read_threads(struct outside *o, bool values) {
    size_t n;
    int rc = 0;
    struct raw_thread **threads = pystacks_threads(o->stacks, &n);
    o->nvalues = 0;
    o->work = VALUES_WORK;
    pool_reset(&o->texts);
    for (size_t i = 0; !rc && values && i < n; i++) rc = read_with_values(o, threads[i]);
    for (size_t i = 0; !rc && !values && i < n; i++) rc = read_stack(o, threads[i]);
    for (size_t i = 0; !rc && !values && i < n; i++) rc = tell(o, threads[i]);
    for (uint32_t i = 0, at = 0; i < o->nthreads; at += o->threads[i++].nframes) o->threads[i].frames = o->frames + at;
    for (uint32_t i = 0, at = 0; i < o->nframes; at += o->frames[i++].nvalues) o->frames[i].values = o->values + at;
    return rc;
}

int outside_read(struct outside *o, struct vt_err *err) {
    o->nthreads = o->nframes = 0;
    codes_doubt(o->codes);
    int rc = read_list(o);
    if (!rc) rc = read_tids(o);
    if (!rc) rc = read_threads(o, o->want_values);
    pin_release(&o->pin);
    if (!rc && (o->core || !target_check(o->view.info.pid, o->view.info.start_time))) return 0;
    return refuse(o, rc ? rc : -ESRCH, err);
}

static bool all_known(const struct outside *o) {
    size_t n;
    struct raw_thread **threads = pystacks_threads(o->stacks, &n);
    for (size_t i = 0; i < n; i++)
        if (!tid_of(o, threads[i])) return false;
    return true;
}

int outside_sample(struct outside *o, struct vt_err *err) {
    uint64_t now_ns = vt_mono_ns();
    if (!o->whole_ns || now_ns - o->whole_ns > WHOLE_NS) {
        o->whole_ns = now_ns;
        return outside_read(o, err);
    }
    o->nthreads = o->nframes = 0;
    int rc = read_list(o);
    if (!rc && !all_known(o)) rc = read_tids(o);
    if (!rc) rc = read_threads(o, false);
    if (!rc) return 0;
    /* it may have ended just now, and another one may have its id */
    return refuse(o, target_check(o->view.info.pid, o->view.info.start_time) ? -ESRCH : rc, err);
}

void outside_read_calls(struct outside *o) {
    size_t n;
    const struct gil_state *gils = pystacks_gils(o->stacks, &n);
    states_read_calls(o->view.info.pid, o->threads, o->nthreads, gils, n);
}

int outside_read_tasks(struct outside *o, struct vt_err *err) {
    enum { INTERPRETERS_MAX = 64 };
    uint64_t interpreters[INTERPRETERS_MAX];
    size_t n = 0, nthreads;
    int rc = o->tasks ? 0 : tasks_new(&o->tasks, o->remote, &o->layout, o->codes, o->view.py.runtime);
    struct raw_thread **threads = pystacks_threads(o->stacks, &nthreads);
    for (size_t i = 0; !rc && i < nthreads && n < INTERPRETERS_MAX; i++) { /* threads of one follow each other */
        uint64_t at;
        if (!remote_u64(o->remote, threads[i]->address + o->layout.ts_interp, &at) && (!n || at != interpreters[n - 1]))
            interpreters[n++] = at;
    }
    if (!rc) rc = tasks_read(o->tasks, interpreters, n, o->threads, o->nthreads);
    return rc ? vt_err_set(err, rc, "out of memory") : 0;
}

const struct outside_task *outside_tasks(const struct outside *o, size_t *n, bool *cut) {
    *n = 0;
    *cut = false;
    return o->tasks ? tasks_all(o->tasks, n, cut) : NULL;
}

void outside_read_running(struct outside *o) { states_read_running(o->view.info.pid, o->threads, o->nthreads); }

void outside_read_cpu_times(struct outside *o) { states_read_cpu_times(o->view.info.pid, o->threads, o->nthreads); }

void outside_read_states(struct outside *o) {
    size_t n;
    if (o->core) return;
    const struct gil_state *gils = pystacks_gils(o->stacks, &n);
    states_read(o->view.info.pid, o->threads, o->nthreads, gils, n);
    locks_find(o->remote, &o->layout, o->view.info.pid, o->threads, o->nthreads);
}
