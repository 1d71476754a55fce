/* Owns the ladder of steps (rungs) into a target: attach_inject and attach_stop. One table holds the rungs in order, each
 * with its undo. After an error anywhere one place undoes the rungs in reverse order. Only this file calls them.
 *
 *   target runs    image, agent, place       look, read, prepare
 *   one thread     choose ... thread         frame on its stack, scratch mapping, memfds, pthread_create
 *   stopped
 *   target runs    leave ... wait            fill the memfds, let the new thread load the agent
 *
 * The scratch mapping and the memfds in the target belong to us up to rung `thread`, where the hijacked thread can still
 * remove them. Then the new thread owns them and removes them when it is told to cancel; later the agent does. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "attach/attach_priv.h"
#include "attach/fault.h"
#include "attach/headroom.h"
#include "attach/image.h"
#include "attach/place.h"
#include "attach/remote.h"
#include "attach/thread.h"
#include "attach/unwind.h"
#include "proto/abi/arena.h"
#include "proto/abi/atomic.h"
#include "proto/abi/boot.h"

#include "attach/advice.h"
#include "attach/blob_bytes.h"

#define DEFAULT_TIMEOUT_MS 10000u
#define BLOB_MS 2000u /* for pthread_create */
#define LOAD_NS                                                                                                                  \
    20000000000ull /* for loading the agent, counted from `go`; more than 10 s were seen once on a machine with load 15 \ */
#define BOOT_WAIT_NS 8000000000ull /* without real-time priority this process may wait seconds for the CPU */
#define STALE_TRIES 3
#define LEAST_TRY_MS 1000u
#define BOOT_STACK (512u << 10)
#define CANCEL_NS 1000000000ull /* the new thread looks every 0.5 ms */
#define POLL_NS 200000
#define SLOW_RUNG_MS 500u
#define RTLD_NOW_FLAG 2u
#define LIBC_DLOPEN_FLAG 0x80000000u /* __RTLD_DLOPEN of glibc before 2.34 */

/* scratch: code page, boot page, stack */
#define SCRATCH_PAGE 4096u
#define SCRATCH_STACK 65536u
#define SCRATCH_LEN (2 * SCRATCH_PAGE + SCRATCH_STACK)
_Static_assert(sizeof(blob_bytes) <= SCRATCH_PAGE && sizeof(struct vt_boot) <= SCRATCH_PAGE, "scratch");

struct climb {
    const struct attach_opts *o;
    const struct attach_info *info;
    struct attach_result *res;
    struct vt_err *err;
    uint32_t op; /* one of enum vt_boot_op */
    bool want_files;
    uint64_t deadline_ns;
    /* looked up before any thread is stopped */
    struct mem mem;
    struct image img;
    struct arch_gadgets gadgets;
    struct target_status status;
    struct target_creds creds;
    struct elf agent;
    uint64_t agent_entry;        /* in the target, when the agent is loaded already */
    struct attach_agent running; /* ops STOP and WAKE */
    uint32_t woken;              /* its value before this attach */
    struct place place;
    uint64_t arena_bytes; /* actual size of the arena */
    /* while a thread is hijacked */
    struct trace_env env;
    struct thread_search search;
    struct tracee thread;
    struct remote *remote;
    /* addresses in the target */
    uint64_t scratch;
    int agent_number, arena_number; /* fds */
    bool handed_over;               /* the new thread owns scratch and fds */
    bool stuck;                     /* the hijacked thread may still run in the scratch mapping */
    struct vt_boot boot;
    const struct vt_ctl *ctl;
};

void attach_log(const struct attach_opts *o, const char *fmt, ...) {
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    vt_debug(VT_AREA_ATTACH, "%s", line);
    if (o->log) o->log(o->ctx, line);
}

const char *attach_method_name(enum attach_method m) {
    static const char *const names[] = {[ATTACH_AUTO] = "auto", [ATTACH_PTRACE] = "ptrace", [ATTACH_REMOTE_EXEC] = "remote-exec"};
    return (unsigned)m < VT_ARRAY_LEN(names) ? names[m] : "?";
}

static uint64_t boot_address(const struct climb *c) { return c->scratch + SCRATCH_PAGE; }

static bool time_is_up(const struct climb *c) { return vt_mono_ns() > c->deadline_ns; }

static bool target_ended(const struct climb *c) {
    struct target_status now;
    return target_status_read(c->o->pid, &now) || now.start_time != c->info->start_time || now.state == 'Z' || now.state == 'X' ||
           !now.has_memory;
}

static void nap(void) {
    struct timespec ts = {0, POLL_NS};
    nanosleep(&ts, NULL);
}

/* -- rung: image -- */
static int resolve_libc(struct climb *c) {
    struct vt_boot *b = &c->boot;
    const struct {
        uint64_t *to;
        const char *name, *before_2_34;
    } wanted[] = {
        {&b->f_attr_init, "pthread_attr_init", NULL},
        {&b->f_attr_setstacksize, "pthread_attr_setstacksize", NULL},
        {&b->f_attr_setdetachstate, "pthread_attr_setdetachstate", NULL},
        {&b->f_create, "pthread_create", NULL},
        {&b->f_dlopen, "dlopen", "__libc_dlopen_mode"},
        {&b->f_dlsym, "dlsym", "__libc_dlsym"},
        {&b->f_munmap, "munmap", NULL},
    };
    b->dlopen_flags = RTLD_NOW_FLAG;
    for (size_t i = 0; i < VT_ARRAY_LEN(wanted); i++) {
        *wanted[i].to = image_symbol(&c->img, MAP_LIBC, wanted[i].name);
        if (!*wanted[i].to && wanted[i].before_2_34) {
            *wanted[i].to = image_symbol(&c->img, MAP_LIBC, wanted[i].before_2_34);
            if (wanted[i].to == &b->f_dlopen) b->dlopen_flags |= LIBC_DLOPEN_FLAG;
        }
        if (!*wanted[i].to)
            return vt_err_set(
                c->err, -ENOTSUP,
                "process %d: its C library has no %s that can be found: not supported; use --method remote-exec on 3.14+",
                (int)c->o->pid, wanted[i].name);
    }
    b->f_dlerror = image_symbol(&c->img, MAP_LIBC, "dlerror");
    return 0;
}

static int climb_image(struct climb *c) {
    int rc = target_status_read(c->o->pid, &c->status);
    if (!rc && c->status.start_time != c->info->start_time) rc = -ESRCH; /* the pid now belongs to another process */
    if (rc) return vt_err_set(c->err, rc, "process %d: %s", (int)c->o->pid, strerror(-rc));
    creds_of(c->o->pid, &c->status, &c->creds);
    rc = mem_open(&c->mem, c->o->pid);
    if (rc)
        return vt_err_set(c->err, rc, "cannot open the memory of process %d: %s%s", (int)c->o->pid, strerror(-rc),
                          attach_advice(-rc));
    rc = image_open(&c->img, c->o->pid, &c->mem, c->err);
    if (rc) return rc;
    c->gadgets.syscall_ret = image_find_code(&c->img, arch_syscall_ret_patterns);
    c->gadgets.sigreturn = image_find_code(&c->img, arch_sigreturn_patterns);
    if (!c->gadgets.syscall_ret || !c->gadgets.sigreturn)
        return vt_err_set(
            c->err, -ENOTSUP,
            "process %d: its C library is not as expected (no rt_sigreturn): not supported; use --method remote-exec on 3.14+",
            (int)c->o->pid);
    return resolve_libc(c);
}

static void undo_image(struct climb *c) {
    image_close(&c->img);
    mem_close(&c->mem);
}

static bool is_start(const struct climb *c) { return c->op == VT_OP_START; }

/* -- rung: agent -- */
static int find_running_agent(struct climb *c) {
    int rc = agent_find(&c->mem, &c->img.maps, &c->running);
    if (rc)
        return vt_err_set(c->err, rc, "cannot read the memory of process %d: %s%s", (int)c->o->pid, strerror(-rc),
                          attach_advice(-rc));
    const struct image_module *m = image_at(&c->img, c->running.info_addr);
    uint64_t entry = m && m->open ? elf_symbol(&m->elf, "vt_agent_main") : 0;
    if (!entry)
        return vt_err_set(c->err, -ENOENT,
                          "process %d: the agent in it cannot be read; install this viztracer and viztracerd anew",
                          (int)c->o->pid);
    c->agent_entry = m->bias + entry;
    struct vt_agent_info info;
    rc = c->mem.read(&c->mem, c->running.info_addr, &info, sizeof(info));
    if (rc)
        return vt_err_set(c->err, rc, "cannot read the memory of process %d: %s%s", (int)c->o->pid, strerror(-rc),
                          attach_advice(-rc));
    c->woken = info.woken;
    return 0;
}

static int climb_agent(struct climb *c) {
    struct vt_agent_info info;
    uint64_t info_address;
    if (!is_start(c)) return find_running_agent(c);
    int rc = elf_open(&c->agent, c->o->agent_path);
    if (!rc) rc = agent_file_info(&c->agent, &info);
    if (rc)
        return vt_err_set(c->err, rc, "%s is not a usable agent: %s; install viztracer anew, or set VIZTRACER_AGENT",
                          c->o->agent_path, strerror(-rc));
    rc = agent_find_inert(&c->mem, &c->img.maps, info.build, &c->agent_entry, &info_address);
    if (rc)
        return vt_err_set(c->err, rc, "cannot read the memory of process %d: %s%s", (int)c->o->pid, strerror(-rc),
                          attach_advice(-rc));
    c->res->reused = c->agent_entry != 0;
    return 0;
}

static void undo_agent(struct climb *c) { elf_close(&c->agent); }

/* -- rung: place -- */
static int climb_place(struct climb *c) {
    struct headroom room;
    struct arena_plan plan;
    if (!is_start(c)) return 0;
    headroom_read(c->o->pid, &room);
    int rc = headroom_plan(&room, c->o->pid, c->o->arena_bytes, &plan, c->err);
    if (rc) return rc;
    c->arena_bytes = plan.bytes;
    c->res->pages_first = plan.pages_first;
    /* A suspended filter is active again if we die. Then a call that it forbids would kill the target. */
    bool filtered = c->status.seccomp != 0;
    if (!filtered && !c->want_files && place_target_has_proc(c->o->pid, c->status.ns_pid)) return 0;
    c->place.reserve = place_file_arena(c->arena_bytes);
    rc = place_files(&c->place, c->o->pid, &c->creds, !c->agent_entry, c->err);
    c->arena_bytes = c->place.reserve;
    c->res->pages_first = false; /* place_files has made the pages */
    return rc;
}

static void undo_place(struct climb *c) {
    place_close(&c->place);
    vt_close(&c->place.arena_fd);
}

/* -- rung: choose -- */
/* Those of the main thread at the attach. A thread of ours has lived under them. Under one that came later it may be killed at
 * its first system call, and the process with it. */
static uint32_t filters_most(const struct climb *c) {
    if (is_start(c)) return c->status.filters;
    return c->running.filters_known ? c->running.filters_known - 1 : UINT32_MAX;
}

static unsigned steps_of(const struct climb *c) {
    if (!is_start(c)) return SECCOMP_THREAD;
    return SECCOMP_THREAD | SECCOMP_START | (c->agent_entry ? 0 : SECCOMP_LOAD);
}

static int climb_choose(struct climb *c) {
    c->remote = calloc(1, sizeof(*c->remote));
    if (!c->remote) return vt_err_set(c->err, -ENOMEM, "out of memory");
    c->search = (struct thread_search){.o = c->o,
                                       .img = &c->img,
                                       .env = &c->env,
                                       .filters_most = filters_most(c),
                                       .unread_most = seccomp_most_unread(c->o->force || !is_start(c)),
                                       .need = seccomp_need_of(&c->img, steps_of(c)),
                                       .deadline_ns = c->deadline_ns};
    int rc = unwinder_open(&c->search.unwinder, &c->img, &c->mem);
    if (rc) return vt_err_set(c->err, rc, "out of memory");
    trace_begin(&c->env);
    return thread_find_safe(&c->search, &c->thread, c->remote, &c->gadgets, c->err);
}

/* Releases the thread; also the undo. */
static int let_thread_go(struct climb *c) {
    int rc = 0;
    if (c->remote) {
        rc = remote_end(c->remote);
        c->stuck = c->stuck || rc;
        uint64_t paused = tracee_release(&c->thread, &c->env);
        if (paused) c->res->pause_ns = paused;
        if (rc) attach_log(c->o, "thread %d was not restored by us (%s): it restores itself", (int)c->thread.tid, strerror(-rc));
        free(c->remote);
        c->remote = NULL;
    }
    trace_end(&c->env);
    unwinder_close(c->search.unwinder);
    c->search.unwinder = NULL;
    c->res->max_stop_ns = c->env.stats.longest_ns;
    c->res->stops = c->env.stats.stops;
    return rc;
}

static void undo_choose(struct climb *c) { (void)let_thread_go(c); }

/* -- rungs: scratch, memfds, code -- */
static int injected(struct climb *c, const char *name, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                    uint64_t a5, int64_t *result) {
    const uint64_t arg[6] = {a0, a1, a2, a3, a4, a5};
    int rc = remote_syscall(c->remote, name, nr, arg, result);
    if (!rc && *result < 0 && *result > -4096) rc = (int)*result;
    if (rc)
        return vt_err_set(c->err, rc, "%s in process %d failed: %s%s", name, (int)c->o->pid, strerror(-rc), attach_advice(-rc));
    return 0;
}

static int climb_scratch(struct climb *c) {
    int64_t address;
    int rc = injected(c, "mmap", arch_nr_mmap, 0, SCRATCH_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1,
                      0, &address);
    if (!rc) c->scratch = (uint64_t)address;
    return rc;
}

static void undo_scratch(struct climb *c) {
    int64_t ignored;
    if (c->handed_over || !c->remote || !c->scratch) return;
    if (injected(c, "munmap", arch_nr_munmap, c->scratch, SCRATCH_LEN, 0, 0, 0, 0, &ignored))
        attach_log(c->o, "cannot give back %u bytes at %lx in the target", SCRATCH_LEN, (unsigned long)c->scratch);
}

static int make_memfd(struct climb *c, const char *name, unsigned flags, int *number) {
    int64_t fd;
    uint64_t text = c->scratch + 2 * SCRATCH_PAGE; /* at the lowest part of the future stack */
    int rc = c->mem.write(&c->mem, text, name, strlen(name) + 1);
    if (rc) return vt_err_set(c->err, rc, "cannot write to process %d: %s%s", (int)c->o->pid, strerror(-rc), attach_advice(-rc));
    rc = injected(c, "memfd_create", arch_nr_memfd_create, text, flags, 0, 0, 0, 0, &fd);
    if (!rc) *number = (int)fd;
    return rc;
}

static void close_number(struct climb *c, int *number) {
    int64_t ignored;
    if (!c->handed_over && c->remote && *number >= 0 &&
        injected(c, "close", arch_nr_close, (uint64_t)*number, 0, 0, 0, 0, 0, &ignored))
        attach_log(c->o, "cannot close fd %d in the target", *number);
    *number = -1;
}

static int climb_agent_fd(struct climb *c) {
    if (!is_start(c) || c->place.files || c->agent_entry) return 0;
    return make_memfd(c, VT_AGENT_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING, &c->agent_number);
}
static void undo_agent_fd(struct climb *c) { close_number(c, &c->agent_number); }

static int climb_arena_fd(struct climb *c) {
    if (!is_start(c) || c->place.files) return 0;
    return make_memfd(c, VT_ARENA_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING, &c->arena_number);
}
static void undo_arena_fd(struct climb *c) { close_number(c, &c->arena_number); }

static int climb_code(struct climb *c) {
    struct vt_boot *b = &c->boot;
    int64_t ignored;
    b->magic = VT_BOOT_MAGIC;
    b->abi_major = VT_ABI_MAJOR;
    b->abi_minor = VT_ABI_MINOR;
    b->op = c->op;
    b->agent_fd = c->agent_number;
    b->arena_fd = c->arena_number;
    b->flags = c->status.seccomp ? VT_BOOT_F_FILTERED : 0;
    b->arena_bytes = is_start(c) ? c->arena_bytes : 0;
    b->scratch = c->scratch;
    b->scratch_len = SCRATCH_LEN;
    b->agent_entry = c->agent_entry;
    b->wait_ns = fault_boot_wait_ns(BOOT_WAIT_NS);
    b->stack_size = BOOT_STACK;
    snprintf(b->entry, sizeof(b->entry), "vt_agent_main");
    int rc = c->mem.write(&c->mem, c->scratch, blob_bytes, sizeof(blob_bytes));
    if (!rc) rc = c->mem.write(&c->mem, boot_address(c), b, sizeof(*b));
    if (rc) return vt_err_set(c->err, rc, "cannot write to process %d: %s%s", (int)c->o->pid, strerror(-rc), attach_advice(-rc));
    return injected(c, "mprotect", arch_nr_mprotect, c->scratch, SCRATCH_PAGE, PROT_READ | PROT_EXEC, 0, 0, 0, &ignored);
}

/* -- rung: thread -- */
/* -ESTALE: the memory holds something else now (the target may exec at any time). */
static int boot_read(struct climb *c) {
    struct vt_boot now;
    int rc = c->mem.read(&c->mem, boot_address(c), &now, sizeof(now));
    if (rc) return rc;
    if (now.magic != VT_BOOT_MAGIC || now.scratch != c->scratch) return -ESTALE;
    c->boot = now;
    return 0;
}

static int climb_thread(struct climb *c) {
    int rc = remote_blob(c->remote, c->scratch, SCRATCH_PAGE, boot_address(c), c->scratch + SCRATCH_LEN - 64, BLOB_MS);
    /* Unless pthread_create is known to have failed, a new thread may exist, which uses the scratch mapping. */
    int seen = boot_read(c);
    c->handed_over = c->remote->blob_ran && (seen || !c->boot.parked || !c->boot.create_rc);
    c->stuck = c->remote->in_blob; /* the hijacked thread finishes later, without us */
    if (rc)
        return vt_err_set(c->err, rc, "process %d: starting a thread in it failed: %s%s", (int)c->o->pid, strerror(-rc),
                          attach_advice(-rc));
    if (!seen) seen = -c->boot.create_rc;
    return seen ? vt_err_set(c->err, seen, "process %d cannot start a thread: %s%s", (int)c->o->pid, strerror(-seen),
                             attach_advice(-seen))
                : 0;
}

/* Tells the new thread to release everything, and waits until it has. */
static void undo_thread(struct climb *c) {
    uint32_t go = VT_GO_CANCEL;
    if (!c->handed_over) return;
    (void)let_thread_go(c); /* first, because the thread is in the mapping that will be removed */
    if (c->stuck || boot_read(c)) return;
    if (c->mem.write(&c->mem, boot_address(c) + offsetof(struct vt_boot, go), &go, sizeof(go))) return;
    for (uint64_t end = vt_mono_ns() + CANCEL_NS; vt_mono_ns() < end; nap()) {
        if (boot_read(c)) return;
    }
    attach_log(c->o, "the bootstrap thread did not leave in time; it will by itself");
}

/* -- rung: leave -- */
static int climb_leave(struct climb *c) {
    int rc = let_thread_go(c);
    return rc ? vt_err_set(c->err, rc,
                           "process %d: the thread that was used was not restored by us: %s; it restores itself, try again",
                           (int)c->o->pid, strerror(-rc))
              : 0;
}

/* -- rungs: fill, prepare, go, wait -- */
static int climb_fill(struct climb *c) {
    if (!is_start(c)) return 0;
    int rc = 0;
    if (!c->place.files) rc = place_memfds(&c->place, c->o->pid, &c->creds, c->agent_number, c->arena_number, c->err);
    if (rc == -ENOENT) rc = -ESTALE; /* closed: the new thread gave up waiting for us */
    if (!rc) rc = place_fill(&c->place, c->agent.img, c->agent.len, c->arena_bytes, c->err);
    return rc;
}

static int climb_prepare(struct climb *c) {
    if (!is_start(c)) return 0;
    int rc = c->o->prepare_arena ? c->o->prepare_arena(c->o->ctx, c->place.arena_fd, c->err) : 0;
    if (rc) return vt_err_set(c->err, rc, "cannot prepare the shared memory: %s%s", strerror(-rc), attach_advice(-rc));
    rc = place_seal(&c->place, c->err);
    if (rc) return rc;
    void *ctl = mmap(NULL, VT_CTL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, c->place.arena_fd, 0);
    if (ctl == MAP_FAILED)
        return vt_err_set(c->err, -errno, "cannot map the shared memory: %s%s", strerror(errno), attach_advice(errno));
    c->ctl = ctl;
    ((struct vt_ctl *)ctl)->filters_known = c->status.filters + 1;
    return 0;
}

static void undo_prepare(struct climb *c) {
    if (!c->ctl) return;
    struct vt_ctl *ctl = (struct vt_ctl *)(uintptr_t)c->ctl;
    vt_store_release(&ctl->enabled, 0); /* an agent that starts in spite of the error leaves at once */
    munmap(ctl, VT_CTL_SIZE);
    c->ctl = NULL;
}

static int climb_go(struct climb *c) {
    struct vt_boot *b = &c->boot;
    const struct {
        size_t offset, len;
        const void *from;
    } fields[] = {
        {offsetof(struct vt_boot, agent_path), sizeof(b->agent_path), c->place.agent_path},
        {offsetof(struct vt_boot, arena_path), sizeof(b->arena_path), c->place.arena_path},
        {offsetof(struct vt_boot, go), sizeof(b->go), &(uint32_t){VT_GO_RUN}}, /* last */
    };
    int rc = boot_read(c);
    if (!rc && b->state == VT_BOOT_FAILED) rc = -ESTALE; /* the new thread gave up waiting for us */
    if (is_start(c) && c->deadline_ns < vt_mono_ns() + LOAD_NS) c->deadline_ns = vt_mono_ns() + LOAD_NS;
    for (size_t i = 0; !rc && i < VT_ARRAY_LEN(fields); i++)
        rc = c->mem.write(&c->mem, boot_address(c) + fields[i].offset, fields[i].from, fields[i].len);
    return rc ? vt_err_set(c->err, rc, "process %d: its new thread cannot be told to go on: %s%s", (int)c->o->pid, strerror(-rc),
                           attach_advice(-rc))
              : 0;
}

static int agent_arrived(struct climb *c, bool *arrived) {
    if (!is_start(c)) { /* the agent answers when it is finished */
        struct vt_agent_info info;
        int rc = c->mem.read(&c->mem, c->running.info_addr, &info, sizeof(info));
        *arrived = !rc && (!info.busy || (c->op == VT_OP_WAKE && info.woken != c->woken));
        return rc;
    }
    *arrived = vt_load_acquire(&c->ctl->state) >= VT_AGENT_MAPPED;
    return 0;
}

static int climb_wait(struct climb *c) {
    bool arrived = false;
    for (;; nap()) {
        int rc = agent_arrived(c, &arrived);
        if (!rc && arrived) break;
        if (rc || target_ended(c)) return -ESRCH;
        if (!boot_read(c) && c->boot.state == VT_BOOT_FAILED) {
            c->boot.err[sizeof(c->boot.err) - 1] = 0;
            return vt_err_set(c->err, -ELIBACC, "process %d cannot load the agent: %s", (int)c->o->pid,
                              c->boot.err[0] ? c->boot.err : "no cause given");
        }
        if (time_is_up(c)) {
            const char *why = !is_start(c) ? "the agent did not answer in time (Python inside one long C call?)"
                                           : "the agent was not loaded in time (another library being loaded?)";
            return vt_err_set(c->err, -ETIMEDOUT, "process %d: %s; try again", (int)c->o->pid, why);
        }
    }
    place_unlink(&c->place);
    return 0;
}

/* -- the ladder -- */
static const struct rung {
    const char *name;
    int (*climb)(struct climb *c);
    void (*undo)(struct climb *c); /* also called for a rung that failed half-way; NULL = nothing to undo */
    bool to_the_end;               /* undone after success, too: it is needed only during the climb */
} ladder[] = {
    {"image", climb_image, undo_image, true},
    {"agent", climb_agent, undo_agent, true},
    {"place", climb_place, undo_place, false},
    {"choose", climb_choose, undo_choose, false},
    {"scratch", climb_scratch, undo_scratch, false},
    {"agent-fd", climb_agent_fd, undo_agent_fd, false},
    {"arena-fd", climb_arena_fd, undo_arena_fd, false},
    {"code", climb_code, NULL, false},
    {"thread", climb_thread, undo_thread, false},
    {"leave", climb_leave, NULL, false},
    {"fill", climb_fill, NULL, false},
    {"prepare", climb_prepare, undo_prepare, false},
    {"go", climb_go, NULL, false},
    {"wait", climb_wait, NULL, false},
};

static int climb_all(struct climb *c) {
    size_t reached = 0;
    int rc = 0;
    for (; !rc && reached < VT_ARRAY_LEN(ladder); reached++) {
        rc = fault_point(ladder[reached].name);
        if (rc) {
            vt_err_set(c->err, rc, "rung %s failed on request", ladder[reached].name);
        } else {
            uint64_t begin = vt_mono_ns();
            rc = ladder[reached].climb(c);
            uint64_t ms = (vt_mono_ns() - begin) / 1000000;
            if (ms >= SLOW_RUNG_MS)
                vt_log(VT_LOG_INFO, "process %d: rung %s took %lu ms", (int)c->o->pid, ladder[reached].name, ms);
        }
    }
    for (size_t i = reached; i-- > 0;)
        if (ladder[i].undo && (rc || ladder[i].to_the_end)) ladder[i].undo(c);
    return rc;
}

static unsigned timeout_of(const struct attach_opts *o) { return o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS; }

static int run(struct climb *c) {
    uint64_t begin = vt_mono_ns();
    c->deadline_ns = begin + timeout_of(c->o) * 1000000ull;
    c->agent_number = c->arena_number = -1;
    c->arena_bytes = c->o->arena_bytes;
    c->mem.fd = -1;
    place_init(&c->place);
    int rc = climb_all(c);
    if (rc && target_ended(c)) { /* the target has ended, so other errors do not matter */
        if (c->err) *c->err = (struct vt_err){0};
        rc = vt_err_set(c->err, -ESRCH, "process %d ended while viztracer was at it", (int)c->o->pid);
    }
    c->res->total_ns = vt_mono_ns() - begin;
    if (rc) return rc;
    c->res->method = ATTACH_PTRACE;
    c->res->arena_fd = c->place.arena_fd;
    if (c->ctl) munmap((void *)(uintptr_t)c->ctl, VT_CTL_SIZE);
    place_close(&c->place);
    return 0;
}

static int climb_op(const struct attach_opts *o, const struct attach_info *info, struct attach_result *res, struct vt_err *err,
                    uint32_t op, bool want_files) {
    struct climb *c = calloc(1, sizeof(*c));
    if (!c) return vt_err_set(err, -ENOMEM, "out of memory");
    c->o = o;
    c->info = info;
    c->res = res;
    c->err = err;
    c->op = op;
    c->want_files = want_files;
    int rc = run(c);
    free(c);
    return rc;
}

/* One climb on a claimed target. -ESTALE: climb again. */
static int again_once(const struct attach_opts *o, uint32_t op, struct attach_result *res, struct vt_err *err) {
    struct attach_agent a;
    int rc = attach_find_agent(o->pid, &a, err);
    if (rc || !a.busy) return rc;
    struct target_status st;
    rc = target_status_read(o->pid, &st);
    if (rc) return vt_err_set(err, rc, "process %d: %s", (int)o->pid, strerror(-rc));
    struct attach_info info = {.pid = o->pid, .start_time = st.start_time};
    return climb_op(o, &info, res, err, op, false);
}

static int start_once(const struct attach_opts *o, struct attach_info *info, struct attach_result *res, struct vt_err *err) {
    int rc = attach_preflight(o, info, err); /* every time, because the target may have become another program */
    return rc ? rc : climb_op(o, info, res, err, VT_OP_START, false);
}

/* Options for one more try: all tries share one timeout. */
static struct attach_opts with_time_left(const struct attach_opts *o, uint64_t begin_ns) {
    struct attach_opts left = *o;
    uint64_t gone_ms = (vt_mono_ns() - begin_ns) / 1000000;
    left.timeout_ms = gone_ms + LEAST_TRY_MS < timeout_of(o) ? timeout_of(o) - (unsigned)gone_ms : LEAST_TRY_MS;
    return left;
}

static int again_claimed(const struct attach_opts *o, uint32_t op, struct attach_result *res, struct vt_err *err) {
    struct vt_err why;
    uint64_t begin = vt_mono_ns();
    int rc = -ESTALE;
    for (int i = 0; i < STALE_TRIES && rc == -ESTALE; i++) {
        struct attach_opts left = with_time_left(o, begin);
        why = (struct vt_err){0};
        rc = again_once(&left, op, res, &why);
    }
    return rc ? vt_err_set(err, rc, "%s", why.msg) : 0;
}

static int inject_claimed(const struct attach_opts *o, struct attach_info *info, struct attach_result *res, struct vt_err *err) {
    struct vt_err first = {0};
    uint64_t begin = vt_mono_ns();
    int rc = attach_preflight(o, info, err);
    if (rc) return rc;
    /* A tracer that died leaves an agent behind that notices it only when Python runs: remove that agent first. The preflight
     * refuses when the tracer is alive. */
    rc = again_claimed(o, VT_OP_STOP, res, err);
    if (rc) return rc;
    *res = (struct attach_result){.arena_fd = -1};
    if (o->method == ATTACH_REMOTE_EXEC) return attach_remote_exec(o, info, res, err);
    rc = -ESTALE; /* the new thread had given up */
    for (int i = 0; i < STALE_TRIES && rc == -ESTALE; i++) {
        struct attach_opts left = with_time_left(o, begin);
        first = (struct vt_err){0};
        *res = (struct attach_result){.arena_fd = -1};
        rc = start_once(&left, info, res, &first);
        res->tries = (uint32_t)i + 1;
    }
    if (rc == -ELIBACC || rc == -ENOSYS || rc == -EACCES) { /* memfds are forbidden or cannot be executed: use files */
        attach_log(o, "%s; trying with files", first.msg);
        struct attach_opts left = with_time_left(o, begin);
        *res = (struct attach_result){.arena_fd = -1};
        rc = climb_op(&left, info, res, err, VT_OP_START, true);
    }
    return rc ? vt_err_set(err, rc, "%s", first.msg) : 0;
}

int attach_inject(const struct attach_opts *o, struct attach_info *info, struct attach_result *res, struct vt_err *err) {
    int claim;
    *res = (struct attach_result){.arena_fd = -1};
    int rc = claim_target(o->pid, timeout_of(o) * 1000000ull, &claim, err);
    if (!rc) rc = inject_claimed(o, info, res, err);
    vt_close(&claim);
    return rc;
}

static int go_in_again(const struct attach_opts *o, uint32_t op, struct attach_result *res, struct vt_err *err) {
    int claim;
    *res = (struct attach_result){.arena_fd = -1};
    int rc = claim_target(o->pid, timeout_of(o) * 1000000ull, &claim, err);
    if (!rc) rc = again_claimed(o, op, res, err);
    vt_close(&claim);
    return rc;
}

int attach_stop(const struct attach_opts *o, struct attach_result *res, struct vt_err *err) {
    return go_in_again(o, VT_OP_STOP, res, err);
}

int attach_wake(const struct attach_opts *o, struct attach_result *res, struct vt_err *err) {
    return go_in_again(o, VT_OP_WAKE, res, err);
}
