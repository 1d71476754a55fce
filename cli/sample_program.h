/* The program that `sample -- COMMAND` starts, and the first interpreter in it. Main thread. */
#ifndef VT_CLI_SAMPLE_PROGRAM_H
#define VT_CLI_SAMPLE_PROGRAM_H

#include "cli/program.h"
#include "outside/outside.h"

/* Works out what to execute, as a launch does. words have to live on. 0, or -errno and err. */
VT_MUST_CHECK int sample_program_find(struct program *p, char **words, size_t n, struct vt_err *err);
/* Starts it as a shell would. 0, or -errno and err. */
VT_MUST_CHECK int sample_program_start(struct program *p, struct vt_err *err);
/* Waits for an interpreter in the program or in a process below it. -ESRCH and err: the program has ended before. */
VT_MUST_CHECK int sample_program_open(struct program *p, struct outside **out, struct vt_err *err);
/* Waits this long for the program to end; it need not. True: it has ended. */
bool sample_program_wait(struct program *p, uint64_t ns);

#endif
