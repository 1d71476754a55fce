/* Whether a process is Python, and which version: told by what its files export, without running anything in it. */
#ifndef VT_ATTACH_PYRUNTIME_H
#define VT_ATTACH_PYRUNTIME_H

#include "attach/elf.h"
#include "attach/maps.h"
#include "attach/mem.h"

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

#endif
