/* Who holds the interpreter's lock (GIL) of a target, told by reading its memory: nothing in the target stops or changes. */
#ifndef VT_ATTACH_GIL_HOLDER_H
#define VT_ATTACH_GIL_HOLDER_H

#include <stddef.h>
#include <sys/types.h>

#define GIL_HOLDER_TEXT_MAX 256u /* with the NUL */

/* One clean line that goes after "held by": "thread 4711 (python3) in read(0: pipe)". Thread ids are as the caller sees them.
 * Where the memory cannot be read or is laid out differently: "probably" and a thread that is on a CPU. A moment later another
 * thread may hold it. */
void gil_holder_tell(pid_t pid, char *text, size_t size);

#endif
