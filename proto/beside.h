/* What is installed with this program: files that are found from the folder that the program is in. Any thread. */
#ifndef VT_PROTO_BESIDE_H
#define VT_PROTO_BESIDE_H

#include "proto/base.h"

/* The folder of this program, with a slash at its end. 0 or -errno. */
VT_MUST_CHECK int beside_folder(char *folder, size_t size);
/* Calls fn for each path that matches the pattern (glob(3)), which is seen from that folder. fn returns non-zero to end the walk;
 * that value is returned. */
int beside_each(const char *pattern, int (*fn)(void *ctx, const char *path), void *ctx);
/* VizTracer's own distribution in the same environment: both have commands viztracer and vizviewer, and a Python package
 * viztracer. Prints a line about it, or nothing. */
void beside_print_viztracer(void);

#endif
