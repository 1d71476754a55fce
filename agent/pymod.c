/* Owns the way in of a remote exec: the agent as a Python extension module. The injector fills in vt_agent_boot in a copy of the
 * file, and importing that starts the session on the importing thread, which holds the GIL. The import always fails with an
 * ImportError, because this is not a module. */
#include "agent/entry.h"

/* The injector fills this in, in the file. */
EXPORT struct vt_boot vt_agent_boot = {.abi_major = VT_ABI_MAJOR, .abi_minor = VT_ABI_MINOR, .agent_fd = -1, .arena_fd = -1};

static int start_here(const struct vt_boot *boot) {
    struct vt_ctl *ctl = NULL;
    if (boot->magic != VT_BOOT_MAGIC || boot->abi_major != VT_ABI_MAJOR || boot->op != VT_OP_START) return -VT_EINVAL;
    agent_filtered = boot->flags & VT_BOOT_F_FILTERED;
    int rc = arena_open(boot, &ctl);
    agent_close_fds(boot);
    if (rc) return rc;
    if (!agent_take(ctl, boot->arena_bytes)) return -VT_EBUSY;
    bool child = agent_is_child();
    rc = agent_prepare(boot->f_dlsym);
    if (rc) {
        agent_give_up("agent start failed");
        return rc;
    }
    if (child) agent_forget_parent(ctl);
    agent_start();
    return 0;
}

EXPORT void *PyInit_viztracer_agent(void);
void *PyInit_viztracer_agent(void) {
    struct vt_boot boot;
    memcpy(&boot, &vt_agent_boot, sizeof boot);
    vt_agent_boot.magic = 0; /* once */
    int rc = start_here(&boot);
    if (!py.PyErr_SetString) { /* not prepared, or not a Python that we know: the import still needs an exception */
        *(void **)&py.PyErr_SetString = symbol_find("PyErr_SetString");
        py.PyExc_ImportError = symbol_find("PyExc_ImportError");
    }
    if (py.PyErr_SetString && py.PyExc_ImportError)
        py.PyErr_SetString(*(void **)py.PyExc_ImportError,
                           rc ? "viztracer_agent is not a module; tracing was not started" : "viztracer_agent is not a module");
    return NULL;
}
