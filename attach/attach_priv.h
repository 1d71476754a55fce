/* Functions that the files of attach/ share, grouped by file. Only attach/ and tests/unit/attach_* include this. */
#ifndef VT_ATTACH_PRIV_H
#define VT_ATTACH_PRIV_H

#include "attach/attach.h"
#include "attach/creds.h"
#include "attach/elf.h"
#include "attach/maps.h"
#include "attach/mem.h"
#include "proto/abi/boot.h"

/* module.c: the ELF image of a mapped module. Three sources, tried in this order: the mapped inode (/proc/PID/map_files);
 * the file of that name in the target's root, if it is the same file; the target's memory. */
VT_MUST_CHECK int module_open(struct mem *mem, const struct maps *maps, const struct map_module *mod, struct elf *out);
/* Load bias of that module: address in the target = vaddr + bias. */
uint64_t module_bias(const struct map_module *mod, const struct elf *e);
/* Rebuilds a file image from the loaded segments; for [vdso] and for files that cannot be opened. */
VT_MUST_CHECK int module_from_memory(struct mem *mem, const struct map_module *mod, struct elf *out);

/* target.c: what /proc says about a process. */
struct target_status {
    pid_t tgid, ppid, tracer;
    pid_t ns_pid; /* as the target sees itself */
    char state;   /* R S D T t Z X I */
    char comm[64];
    uint32_t uid[4], gid[4]; /* real, effective, saved, file system */
    uint32_t ngroups;        /* of the supplementary groups, the first CREDS_GROUPS */
    gid_t groups[CREDS_GROUPS];
    uint64_t cap_permitted, cap_effective;
    int seccomp; /* 0 off, 1 strict, 2 filter */
    bool no_new_privs;
    bool has_memory; /* false: kernel thread or exiting */
    bool kernel_thread;
    uint64_t start_time; /* clock ticks after boot */
};
VT_MUST_CHECK int target_status_parse(const char *status, const char *stat, struct target_status *out);
VT_MUST_CHECK int target_status_read(pid_t pid, struct target_status *out);
/* 0 while pid is still the process that started then; -ESRCH when it is gone or another one. */
VT_MUST_CHECK int target_check(pid_t pid, uint64_t start_time);
/* NUL-terminated name of a process for messages ("?" when unknown). */
void target_comm(pid_t pid, char *buf, size_t size);

/* pyruntime.c: whether the process is Python, and which version. */
struct py_runtime {
    int major, minor; /* 0.0 = no Python */
    uint64_t runtime; /* address of _PyRuntime or 0 */
    bool has_offsets; /* _Py_DebugOffsets at its start (3.13+) */
    bool has_api;     /* exports the C API: the agent can work */
    bool free_threaded, debug_build, trace_refs, musl;
    bool has_dlopen;                 /* a libc that can load libraries and create threads */
    const struct map_module *module; /* that holds the interpreter; points into the maps given */
};
/* 0 also when there is no Python: then major is 0. runtime is 0 too, unless there is an interpreter that exports nothing. */
VT_MUST_CHECK int pyruntime_find(struct mem *mem, const struct maps *maps, const char *exe, struct py_runtime *out);
/* The same for one module; public for tests and fuzzing. */
VT_MUST_CHECK int pyruntime_probe(struct mem *mem, const struct elf *e, uint64_t bias, struct py_runtime *out);
/* True when PYTHON_DISABLE_REMOTE_DEBUG is set, even to nothing, in a block of NUL-terminated NAME=VALUE strings. */
bool pyruntime_env_opt_out(const char *env, size_t len);
/* True when -X disable-remote-debug is among the interpreter's arguments (NUL-terminated strings). */
bool pyruntime_args_opt_out(const char *args, size_t len);

/* debug_offsets.c: the main interpreter's fields that PEP 768 uses (3.14, 3.15). Addresses in the target. */
struct debug_state {
    uint64_t interpreter, thread; /* PyInterpreterState 0 and its main PyThreadState */
    bool enabled;                 /* remote debugging is allowed */
    uint64_t eval_breaker, pending, script_path;
    uint64_t script_path_size;
};
/* -ENOTSUP: layout not known; -ENOENT: no interpreter or no main thread; -EINVAL: makes no sense. */
VT_MUST_CHECK int debug_state_read(struct mem *mem, const struct py_runtime *py, struct debug_state *out);

/* find_agent.c: finds our agent in a target. */
VT_MUST_CHECK int agent_find(struct mem *mem, const struct maps *maps, struct attach_agent *a);
/* Address of vt_agent_main of a loaded agent that is not busy and has exactly this build string;
 * 0 and *entry = 0 when there is none. */
VT_MUST_CHECK int agent_find_inert(struct mem *mem, const struct maps *maps, const char build[32], uint64_t *entry,
                                   uint64_t *info_addr);
/* Reads vt_agent_info from an agent file; -ENOEXEC when it is not an agent of this ABI. */
VT_MUST_CHECK int agent_file_info(const struct elf *e, struct vt_agent_info *out);

/* claim.c: one injector at a time. 0 and *fd, to be closed at the end (-1: none could be taken, which is no error);
 * -EBUSY when somebody else holds it all the time. */
VT_MUST_CHECK int claim_target(pid_t pid, uint64_t timeout_ns, int *fd, struct vt_err *err);

/* wake.c */
struct wake_stats {
    uint32_t stops;
    uint64_t longest_ns; /* of a stop */
    bool denied;         /* we may not stop it, or it does not stop: not tried again */
};
/* Makes the main thread look at its eval breaker if it sleeps in a call of CPython's own code. */
void wake_python(const struct attach_opts *o, struct mem *mem, const struct map_module *python, struct wake_stats *stats);

/* remote_exec.c: PEP 768. Called by attach_inject after a successful preflight with has_remote_exec. */
VT_MUST_CHECK int attach_remote_exec(const struct attach_opts *o, const struct attach_info *info, struct attach_result *res,
                                     struct vt_err *err);

/* inject.c: a log line through o->log and vt_log at debug level. */
void attach_log(const struct attach_opts *o, const char *fmt, ...) VT_PRINTF(2, 3);

#endif
