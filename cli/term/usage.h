/* How commands speak to the user: exit codes, and one line on stderr for each refusal. */
#ifndef VT_CLI_USAGE_H
#define VT_CLI_USAGE_H

#include "proto/base.h"

enum cli_exit {
    CLI_OK = 0,     /* done; for attach: a trace was saved */
    CLI_FAILED = 1, /* one line on stderr said what, why and what to do */
    CLI_USAGE = 2
};

/* From now on the lines begin with "vizviewer: ". */
void cli_is_viewer(void);
/* Print "viztracer: ..." on stderr and return the exit code. */
int cli_fail(const char *fmt, ...) VT_PRINTF(1, 2);
int cli_usage(const char *fmt, ...) VT_PRINTF(1, 2);
/* CLI_OK when stdout took everything; else a line and CLI_FAILED. */
int cli_flush(void);

#endif
