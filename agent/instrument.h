/* The instrumentation of a launched program's source: python/viztracer/_instrument.py, which is carried in the agent, and the
 * object through which the program's code tells values. On the thread that starts the program, with the GIL. */
#ifndef VT_AGENT_INSTRUMENT_H
#define VT_AGENT_INSTRUMENT_H

#include "agent/record/state.h"

/* Before the hooks are in. 0, or -errno with vt_ctl.err filled in. */
int instrument_start(void);
/* The instrumented code of the program's __main__, owned by this file; NULL = it runs as it is. `code`: as the interpreter is
 * about to run it, borrowed. `command`: the str of -c, borrowed; NULL = code is of a file. */
void *instrument_main(void *code, void *command);
/* Runs that code in place of the other one, which does nothing afterwards. 0: there is none, or it has run to its end.
 * -1: it has raised, and the exception is pending. */
int instrument_run(void);

#endif
