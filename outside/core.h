/* A core file as the memory of a process that is no more (core(5)). */
#ifndef VT_OUTSIDE_CORE_H
#define VT_OUTSIDE_CORE_H

#include "attach/maps.h"
#include "attach/mem.h"

struct core;

/* exe: the program's file, where it is not at the place that the core names, or NULL. Returns 0, or -errno with a refusal in
 * err: -ENOEXEC no core file of a 64-bit x86 process, -EINVAL a damaged one. */
VT_MUST_CHECK int core_open(struct core **out, const char *path, const char *exe, struct vt_err *err);
void core_close(struct core *c);

/* Borrowed. Reads what the core has, and from the files that were mapped where it has nothing. */
struct mem *core_mem(struct core *c);
/* The files that were mapped; a path is that of exe where that was given. */
const struct maps *core_maps(const struct core *c);
/* The file that the program was started from; NULL = unknown. */
const char *core_program(const struct core *c);
pid_t core_pid(const struct core *c);
const char *core_command(const struct core *c); /* any bytes */
/* The ids of its threads. */
const pid_t *core_tids(const struct core *c, size_t *n);

#endif
