/* Functions that the files of attach/ share, grouped by file. Only attach/ and tests/unit/attach_* include this. */
#ifndef VT_ATTACH_PRIV_H
#define VT_ATTACH_PRIV_H

#include "attach/attach.h"
#include "attach/creds.h"
#include "attach/elf.h"
#include "attach/maps.h"
#include "attach/mem.h"
#include "attach/pyruntime.h"
#include "attach/target.h"
#include "proto/abi/boot.h"

/* module.c: the ELF image of a mapped module. Three sources, tried in this order: the mapped inode (/proc/PID/map_files);
 * the file of that name in the target's root, if it is the same file; the target's memory. */
VT_MUST_CHECK int module_open(struct mem *mem, const struct maps *maps, const struct map_module *mod, struct elf *out);
/* Load bias of that module: address in the target = vaddr + bias. */
uint64_t module_bias(const struct map_module *mod, const struct elf *e);
/* Rebuilds a file image from the loaded segments; for [vdso] and for files that cannot be opened. */
VT_MUST_CHECK int module_from_memory(struct mem *mem, const struct map_module *mod, struct elf *out);

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
