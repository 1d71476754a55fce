/* A command that runs bare or under viztracer, with pipes or on a terminal, and the libraries of a launch where programs in a
 * chroot find them. A failure aborts the test. */
#ifndef VT_TESTS_RUN_H
#define VT_TESTS_RUN_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/lib/interp.h"

#define RUN_TEXT_MAX 65536

struct run {
    pid_t pid;
    int in, out, err; /* our ends; err = -1 with a terminal, in = out then */
    char text[2][RUN_TEXT_MAX];
    size_t len[2];
    int status;
};

extern char run_folder[64]; /* of the two libraries; has the same path inside a chroot */

/* Before main runs the suite: copies the libraries, and sets the environment. */
void run_set_up(void);
void run_clean_up(void);
/* terminal: its standard streams are a pty, of which it is the session's leader. */
void run_start(struct run *r, char *const *argv, bool terminal);
/* Until `text` has come on stdout, or until both streams have ended. False: too late. */
bool run_read_until(struct run *r, const char *text);
/* Reads both streams to their ends, and waits. Addresses and a terminal's line ends are taken out of the texts. */
void run_finish(struct run *r, const char *who);
/* In a line for a shell: $PY becomes the interpreter, $T the folder of the targets, $B that of the built programs, $A a program
 * with an address sanitizer. */
void run_expand(const struct interp *ip, const char *line, char *to, size_t size);

/* Runs that script of tests/targets with the words of `how` to its end: bare, or with an output under viztracer with those
 * options. */
void run_target(struct run *r, const struct interp *ip, const char *script, const char *how, const char *options,
                const char *output);

#endif
