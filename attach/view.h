/* A process that is to be read, not entered: refused for the same reasons and with the same words as an attach, except for
 * those that do not matter to a reader. A process that is stopped, traced by a debugger, or has opted out can be read. */
#ifndef VT_ATTACH_VIEW_H
#define VT_ATTACH_VIEW_H

#include "attach/attach.h"
#include "attach/pyruntime.h"
#include "attach/target.h"

struct attach_view {
    struct attach_info info;
    struct target_status status;
    struct maps maps;
    struct mem mem;
    struct py_runtime py;
};

/* Returns 0, or -errno as attach_preflight does, with the refusal in err and nothing to be closed. */
VT_MUST_CHECK int attach_view_open(struct attach_view *view, pid_t pid, struct vt_err *err);
void attach_view_close(struct attach_view *view);

#endif
