/* `viztracer --attach P1 P2 ...` and --subprocesses: several processes into one trace. */
#ifndef VT_CLI_ATTACH_MANY_H
#define VT_CLI_ATTACH_MANY_H

#include "cli/attach_options.h"

/* Exit code, after lines. 0: every process that was named was traced, and all is saved. */
int attach_many(struct attach_options *o);

#endif
