/* How commands speak to the user: exit codes, and one line on stderr for each refusal. */
#ifndef VT_CLI_USAGE_H
#define VT_CLI_USAGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base.h"

enum cli_exit {
    CLI_OK = 0,     /* done; for attach: a trace was saved */
    CLI_FAILED = 1, /* one line on stderr said what, why and what to do */
    CLI_USAGE = 2
};

/* Print "viztracer: ..." on stderr and return the exit code. */
int cli_fail(const char *fmt, ...) VT_PRINTF(1, 2);
int cli_usage(const char *fmt, ...) VT_PRINTF(1, 2);
/* A pid from the command line: 0, or CLI_USAGE after a line on stderr. what: "--attach". */
int cli_parse_pid(const char *what, const char *text, pid_t *pid);
/* True for --help and -h. */
bool cli_is_help(const char *arg);

#endif
