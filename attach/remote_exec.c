/* Owns attaching by PEP 768 (Python 3.14 and newer): memory writes only. The target is asked to run a
 * script at its next safe point; the script loads the agent.
 *
 *   place      <dir>/.viztracer-agent-X.so   the agent, its vt_agent_boot filled in
 *              <dir>/.viztracer-arena-X      the arena, its room reserved
 *              <dir>/.viztracer-agent-X.py   the script
 *   ask        script path, then "pending", then the eval breaker of the main thread
 *   wake       a main thread that sleeps in a system call of Python's own, by EINTR
 *   withdraw   on time-out: "pending" is cleared, so that a later wake-up runs nothing
 *   clean      the files go on every path
 *
 * Python copies the path when it takes the request, and opens the file a moment later. So the files stay for CLEAN_DELAY_MS
 * after the request. If Python starts the agent in that time, the attach has succeeded. */
#include "attach/attach_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attach/advice.h"
#include "attach/headroom.h"
#include "attach/image.h"
#include "attach/place.h"
#include "attach/ptrace.h"
#include "attach/seccomp.h"
#include "proto/abi/arena.h"

#define DEFAULT_TIMEOUT_MS 10000u
#define POLL_US 200u
#define FIRST_WAKE_MS 20u /* a busy thread takes the request much earlier by itself */
#define NEXT_WAKE_MS 200u
#define START_MS 3000u /* from "taken" to "agent runs" */
#define CLEAN_DELAY_MS 30u
#define STOP_MS 200u
#define LATE_MS 3000u
#define PLEASE_STOP 0x20u /* _PY_EVAL_PLEASE_STOP_BIT */

/* Runs in a namespace of its own that is discarded. The agent's init function starts the agent and then raises, so no module
 * object is made. A signal handler of the program may run here as at any other line: its KeyboardInterrupt is passed on. Other
 * errors are written over this file. */
static const char script_text[] = "try:\n"
                                  "    import sys, _imp\n"
                                  "    had = '%s' in sys.modules\n"
                                  "    _imp.create_dynamic(type(sys.implementation)(name='%s', origin='%s'))\n"
                                  "except KeyboardInterrupt:\n"
                                  "    import _thread\n"
                                  "    _thread.interrupt_main()\n"
                                  "except BaseException as e:\n"
                                  "    import posix\n"
                                  "    try:\n"
                                  "        fd = posix.open('%s', posix.O_WRONLY | posix.O_TRUNC | posix.O_CLOEXEC)\n"
                                  "        posix.write(fd, ascii(e)[:300].encode())\n"
                                  "        posix.close(fd)\n"
                                  "    except BaseException:\n"
                                  "        pass\n"
                                  "else:\n"
                                  "    had or sys.modules.pop('%s', None)\n";

#define MODULE_NAME "viztracer_agent"

struct request {
    const struct attach_opts *o;
    const struct attach_info *info;
    struct vt_err *err;
    struct target_status status;
    struct target_creds creds;
    struct maps maps;
    struct mem mem;
    struct py_runtime py;
    struct debug_state debug;
    struct elf agent;
    struct place place;
    char script_name[64], script_path[320]; /* name "" = nothing to unlink */
    int script_fd;
    uint64_t dlsym;     /* in the target; 0 = not known. Under a filter the agent may not ask the kernel where libraries are */
    uint64_t boot_addr; /* boot block of a loaded agent that is used again, or 0 */
    char loaded_path[256];
    bool asked;
    uint64_t deadline, next_wake;
    struct wake_stats wakes;
};

static void sleep_us(unsigned us) {
    struct timespec t = {us / 1000000u, (long)(us % 1000000u) * 1000};
    nanosleep(&t, NULL);
}

/* ---- looking at the target ---- */

static int look(struct request *r) {
    pid_t pid = r->o->pid;
    int rc = target_status_read(pid, &r->status);
    if (!rc && r->status.start_time != r->info->start_time) rc = -ESRCH;
    if (!rc) creds_of(pid, &r->status, &r->creds);
    if (!rc) rc = maps_read(pid, &r->maps);
    if (!rc) rc = mem_open(&r->mem, pid);
    if (!rc) rc = pyruntime_find(&r->mem, &r->maps, r->info->exe, &r->py);
    if (rc) return vt_err_set(r->err, rc, "cannot look into process %d: %s%s", pid, strerror(-rc), attach_advice(-rc));
    rc = debug_state_read(&r->mem, &r->py, &r->debug);
    if (rc)
        return vt_err_set(r->err, rc,
                          "the debugging interface of Python %d.%d in process %d is not as expected: use --method ptrace",
                          r->py.major, r->py.minor, pid);
    if (!r->debug.enabled)
        return vt_err_set(r->err, -ECANCELED, "remote debugging is off in process %d: use --method ptrace", pid);
    return 0;
}

/* The script runs on the main thread, under the filters of that thread. They can only be read while it is stopped. */
static int check_filters(struct request *r) {
    pid_t pid = r->o->pid;
    struct image img;
    struct trace_env env;
    struct tracee t = {0};
    char why[256] = "";
    uint32_t count = target_thread_filters(pid, pid), most_unread = seccomp_most_unread(r->o->force);
    if (!count) return 0;
    int rc = image_open(&img, pid, &r->mem, r->err);
    if (rc) return rc;
    struct seccomp_need need = seccomp_need_of(&img, SECCOMP_SCRIPT | SECCOMP_START | SECCOMP_LOAD);
    r->dlsym = image_symbol(&img, MAP_LIBC, "dlsym");
    trace_begin(&env);
    rc = tracee_seize(&t, &env, pid, false, STOP_MS);
    if (!rc)
        rc = seccomp_check(pid, count, most_unread, &need, why, sizeof(why));
    else if (rc == -EPERM) /* ptrace is forbidden */
        rc = seccomp_unread(count, most_unread, rc, why, sizeof(why));
    uint64_t give_up = vt_mono_ns() + LATE_MS * 1000000ull;
    do tracee_release(&t, &env);
    while (t.state == TRACEE_RUNNING && vt_mono_ns() < give_up);
    trace_end(&env);
    image_close(&img);
    r->wakes.stops += env.stats.stops;
    if (env.stats.longest_ns > r->wakes.longest_ns) r->wakes.longest_ns = env.stats.longest_ns;
    if (rc == -EKEYREJECTED) return vt_err_set(r->err, rc, "process %d: %s", pid, why);
    if (!rc && why[0]) attach_log(r->o, "process %d: %s", pid, why);
    return rc ? vt_err_set(r->err, rc, "process %d cannot be stopped to look at its seccomp filters: %s%s", pid, strerror(-rc),
                           attach_advice(-rc))
              : 0;
}

/* Writing to the addresses is safe only while everything is still where it was. */
static int still_there(struct request *r) {
    struct debug_state now;
    int rc = target_check(r->o->pid, r->info->start_time);
    if (!rc) rc = debug_state_read(&r->mem, &r->py, &now);
    if (!rc && (now.thread != r->debug.thread || now.pending != r->debug.pending)) rc = -ESRCH;
    return rc;
}

static int read_pending(struct request *r, uint32_t *pending) {
    int rc = still_there(r);
    return rc ? rc : mem_read_u32(&r->mem, r->debug.pending, pending);
}

static uint32_t agent_state(const struct request *r) {
    uint32_t state = VT_AGENT_NONE;
    if (r->place.arena_fd < 0) return state;
    ssize_t n = pread(r->place.arena_fd, &state, sizeof(state), offsetof(struct vt_ctl, state));
    return n == (ssize_t)sizeof(state) ? state : VT_AGENT_NONE;
}

/* ---- place ---- */

static void fill_boot(const struct request *r, struct vt_boot *boot) {
    *boot = (struct vt_boot){
        .magic = VT_BOOT_MAGIC,
        .abi_major = VT_ABI_MAJOR,
        .abi_minor = VT_ABI_MINOR,
        .op = VT_OP_START,
        .go = VT_GO_RUN,
        .agent_fd = -1,
        .arena_fd = -1,
        .flags = r->status.seccomp ? VT_BOOT_F_FILTERED : 0,
        .arena_bytes = r->place.reserve,
        .entry = "vt_agent_main",
        .f_dlsym = r->dlsym,
    };
    memcpy(boot->agent_path, r->place.agent_path, sizeof(boot->agent_path));
    memcpy(boot->arena_path, r->place.arena_path, sizeof(boot->arena_path));
}

/* Copies the agent, with its boot block filled in. */
static int fill_agent(struct request *r, uint8_t **image) {
    uint64_t vaddr = elf_symbol(&r->agent, "vt_agent_boot"), offset;
    struct vt_boot boot;
    if (!vaddr || elf_offset(&r->agent, vaddr, &offset) || r->agent.len - offset < sizeof(boot)) return -ENOEXEC;
    *image = malloc(r->agent.len);
    if (!*image) return -ENOMEM;
    fill_boot(r, &boot);
    memcpy(*image, r->agent.img, r->agent.len);
    memcpy(*image + offset, &boot, sizeof(boot));
    return 0;
}

/* An agent that an earlier remote exec left behind is loaded again by its old path: the loader knows it although the file is
 * gone. Its boot block is filled in in memory. Sets boot_addr, or leaves it 0. */
static int find_loaded(struct request *r, const char build[32]) {
    static const char gone[] = " (deleted)";
    char root[512], link[64];
    uint64_t entry, info_addr;
    struct elf e;
    int rc = agent_find_inert(&r->mem, &r->maps, build, &entry, &info_addr);
    const struct map_module *mod = rc || !info_addr ? NULL : maps_find(&r->maps, info_addr);
    if (!mod || !strstr(mod->path, "/" VT_AGENT_FILE)) return rc;
    snprintf(link, sizeof(link), "/proc/%d/root", r->o->pid);
    ssize_t n = readlink(link, root, sizeof(root) - 1);
    root[n > 0 ? n : 0] = '\0';
    const char *path = mod->path;
    size_t cut = strlen(root), len;
    if (cut > 1 && !strncmp(path, root, cut) && path[cut] == '/') path += cut;
    len = strlen(path);
    if (len > sizeof(gone) && !strcmp(path + len - (sizeof(gone) - 1), gone)) len -= sizeof(gone) - 1;
    if (len >= sizeof(r->loaded_path) || module_open(&r->mem, &r->maps, mod, &e)) return 0;
    uint64_t vaddr = elf_symbol(&e, "vt_agent_boot");
    if (vaddr) r->boot_addr = vaddr + module_bias(mod, &e);
    elf_close(&e);
    memcpy(r->loaded_path, path, len);
    r->loaded_path[len] = '\0';
    return 0;
}

static int write_script(struct request *r) {
    char text[2048];
    const char *in_dir = r->place.arena_path, *slash = strrchr(in_dir, '/');
    const char *agent = r->boot_addr ? r->loaded_path : r->place.agent_path;
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof(bits), 0) != (ssize_t)sizeof(bits)) return -EIO;
    snprintf(r->script_name, sizeof(r->script_name), "%s%08x.py", VT_AGENT_FILE, bits);
    snprintf(r->script_path, sizeof(r->script_path), "%.*s/%s", (int)(slash - in_dir), in_dir, r->script_name);
    if (strlen(r->script_path) >= r->debug.script_path_size) return -ENAMETOOLONG;
    int n = snprintf(text, sizeof(text), script_text, MODULE_NAME, MODULE_NAME, agent, r->script_path, MODULE_NAME);
    if (n < 0 || (size_t)n >= sizeof(text)) return -ENAMETOOLONG;
    int fd = place_create(&r->place, r->script_name, 0600);
    if (fd < 0) {
        r->script_name[0] = '\0';
        return fd;
    }
    r->script_fd = fd;
    if (flock(r->script_fd, LOCK_EX | LOCK_NB)) return -errno;
    return vt_write_full(r->script_fd, text, (size_t)n);
}

static int put_in_place(struct request *r) {
    struct vt_agent_info info;
    uint8_t *image = NULL;
    int rc = elf_open(&r->agent, r->o->agent_path);
    if (!rc) rc = agent_file_info(&r->agent, &info);
    if (rc)
        return vt_err_set(r->err, rc, "%s is not a usable agent: %s; install viztracer anew, or set VIZTRACER_AGENT",
                          r->o->agent_path, strerror(-rc));
    rc = find_loaded(r, info.build);
    if (rc)
        return vt_err_set(r->err, rc, "cannot read the memory of process %d: %s%s", r->o->pid, strerror(-rc), attach_advice(-rc));
    struct headroom room;
    struct arena_plan plan;
    headroom_read(r->o->pid, &room);
    rc = headroom_plan(&room, r->o->pid, r->o->arena_bytes, &plan, r->err);
    if (rc) return rc;
    r->place.reserve = place_file_arena(plan.bytes);
    rc = place_files(&r->place, r->o->pid, &r->creds, !r->boot_addr, r->err);
    if (rc) return rc;
    if (!r->boot_addr) rc = fill_agent(r, &image);
    if (!rc) rc = place_fill(&r->place, image, r->agent.len, r->place.reserve, r->err);
    free(image);
    if (!rc && r->o->prepare_arena) rc = r->o->prepare_arena(r->o->ctx, r->place.arena_fd, r->err);
    if (!rc) rc = write_script(r);
    return rc ? vt_err_set(r->err, rc, "cannot prepare the files for process %d: %s%s", r->o->pid, strerror(-rc),
                           attach_advice(-rc))
              : 0;
}

static void clean(struct request *r) {
    if (r->script_name[0]) place_remove(&r->place, r->script_name);
    r->script_name[0] = '\0';
    vt_close(&r->script_fd);
    place_close(&r->place);
}

/* ---- ask, wake, withdraw ---- */

/* A request that one of our injectors left pending when it was killed. A live injector holds a lock on its script. */
static bool is_left_by_us(struct request *r) {
    char path[sizeof(r->script_path)];
    if (mem_read_str(&r->mem, r->debug.script_path, path, sizeof(path)) || !strstr(path, "/" VT_AGENT_FILE)) return false;
    int fd = place_open_file(r->o->pid, &r->creds, path);
    if (fd < 0) return fd == -ENOENT;
    bool left = !flock(fd, LOCK_EX | LOCK_NB);
    vt_close(&fd);
    return left;
}

static int cancel_left(struct request *r) {
    uint32_t zero = 0;
    int rc = r->mem.write(&r->mem, r->debug.pending, &zero, sizeof(zero));
    sleep_us(CLEAN_DELAY_MS * 1000); /* Python may have just taken it: then it ends before ours begins */
    return rc;
}

static int ask(struct request *r) {
    uint32_t pending, one = 1;
    uint8_t breaker = 0;
    int rc = read_pending(r, &pending);
    if (!rc && pending && is_left_by_us(r)) {
        rc = cancel_left(r);
        pending = 0;
    }
    if (!rc && pending)
        return vt_err_set(r->err, -EBUSY,
                          "another debugger's request is pending in process %d: try again later, or --method ptrace", r->o->pid);
    if (!rc && r->boot_addr) {
        struct vt_boot boot;
        fill_boot(r, &boot);
        rc = r->mem.write(&r->mem, r->boot_addr, &boot, sizeof(boot));
    }
    if (!rc) rc = r->mem.write(&r->mem, r->debug.script_path, r->script_path, strlen(r->script_path) + 1);
    if (!rc) {
        r->asked = true;
        rc = r->mem.write(&r->mem, r->debug.pending, &one, sizeof(one));
    }
    /* only the byte with the flag: the rest of the word counts changes of the instrumentation */
    if (!rc) rc = r->mem.read(&r->mem, r->debug.eval_breaker, &breaker, sizeof(breaker));
    breaker |= PLEASE_STOP;
    if (!rc) rc = r->mem.write(&r->mem, r->debug.eval_breaker, &breaker, sizeof(breaker));
    return rc ? vt_err_set(r->err, rc, "cannot hand the request to process %d: %s%s", r->o->pid, strerror(-rc),
                           attach_advice(-rc))
              : 0;
}

/* 0: Python took it. */
static int wait_taken(struct request *r) {
    r->next_wake = vt_mono_ns() + FIRST_WAKE_MS * 1000000ull;
    for (;;) {
        uint32_t pending;
        int rc = read_pending(r, &pending);
        if (rc) return vt_err_set(r->err, -ESRCH, "process %d exited before it took the request", r->o->pid);
        if (!pending) return 0;
        uint64_t now = vt_mono_ns();
        if (now >= r->deadline) return -ETIMEDOUT;
        if (now >= r->next_wake) {
            wake_python(r->o, &r->mem, r->py.module, &r->wakes);
            r->next_wake = vt_mono_ns() + NEXT_WAKE_MS * 1000000ull;
        }
        sleep_us(POLL_US);
    }
}

/* Withdraws a request that was not taken. An eval breaker that stays set is harmless. */
static void withdraw(struct request *r) {
    uint32_t pending, zero = 0;
    char path[sizeof(r->script_path)];
    uint64_t none = 0;
    if (!r->asked || read_pending(r, &pending) || !pending) return;
    /* is the request still ours? */
    if (mem_read_str(&r->mem, r->debug.script_path, path, sizeof(path)) || strcmp(path, r->script_path)) return;
    int rc = r->mem.write(&r->mem, r->debug.pending, &zero, sizeof(zero));
    if (!rc && r->boot_addr) rc = r->mem.write(&r->mem, r->boot_addr + offsetof(struct vt_boot, magic), &none, sizeof(none));
    if (rc) vt_debug(VT_AREA_ATTACH, "process %d: cannot withdraw the request: %s", r->o->pid, strerror(-rc));
}

/* After the request was taken the main thread runs the script: waits for the agent, or for the script's error text. */
static int wait_started(struct request *r, unsigned ms) {
    uint64_t end = vt_mono_ns() + ms * 1000000ull;
    char words[320];
    for (;;) {
        if (agent_state(r) != VT_AGENT_NONE) return 0;
        if (target_check(r->o->pid, r->info->start_time))
            return vt_err_set(r->err, -ESRCH, "process %d exited while the agent was loaded", r->o->pid);
        ssize_t n = pread(r->script_fd, words, sizeof(words) - 1, 0);
        words[n > 0 ? n : 0] = '\0';
        if (n > 0 && strncmp(words, script_text, 4)) {
            if (agent_state(r) != VT_AGENT_NONE) return 0;
            return vt_err_set(r->err, -EIO, "process %d could not load the agent: %s", r->o->pid, words);
        }
        if (vt_mono_ns() >= end) return -ETIMEDOUT;
        sleep_us(POLL_US);
    }
}

static int run(struct request *r) {
    pid_t pid = r->o->pid;
    int rc = ask(r);
    if (!rc) rc = wait_taken(r);
    if (!rc)
        rc = wait_started(r, START_MS);
    else if (rc == -ETIMEDOUT && r->asked) {
        withdraw(r);
        /* Python may just have taken it */
        if (!wait_started(r, CLEAN_DELAY_MS)) return 0;
        return vt_err_set(r->err, -ETIMEDOUT,
                          "the main thread of process %d ran no Python for %.1f s (it is blocked%s): use --method ptrace", pid,
                          (r->o->timeout_ms ? r->o->timeout_ms : DEFAULT_TIMEOUT_MS) / 1000.0,
                          r->wakes.denied ? ", and may not be woken" : "");
    } else if (r->asked) {
        withdraw(r);
        sleep_us(CLEAN_DELAY_MS * 1000);
    }
    if (rc == -ETIMEDOUT)
        vt_err_set(r->err, rc, "process %d took the request but did not start the agent: use --method ptrace", pid);
    return rc;
}

int attach_remote_exec(const struct attach_opts *o, const struct attach_info *info, struct attach_result *res,
                       struct vt_err *err) {
    struct vt_err own = {0};
    uint64_t start = vt_mono_ns();
    struct request *r = calloc(1, sizeof(*r));
    *res = (struct attach_result){.arena_fd = -1, .method = ATTACH_REMOTE_EXEC};
    if (!r) return vt_err_set(err, -ENOMEM, "out of memory");
    r->o = o;
    r->info = info;
    r->err = err ? err : &own;
    r->mem.fd = r->script_fd = -1;
    place_init(&r->place);
    r->deadline = start + (o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS) * 1000000ull;
    int rc = look(r);
    if (!rc) rc = check_filters(r);
    if (!rc) rc = put_in_place(r);
    if (!rc) rc = run(r);
    clean(r);
    if (rc) vt_close(&r->place.arena_fd);
    res->arena_fd = r->place.arena_fd;
    res->reused = r->boot_addr != 0;
    res->stops = r->wakes.stops;
    res->max_stop_ns = r->wakes.longest_ns;
    res->total_ns = vt_mono_ns() - start;
    elf_close(&r->agent);
    mem_close(&r->mem);
    maps_free(&r->maps);
    free(r);
    return rc;
}
