/* Owns the lines on stderr and the few checks that all commands share. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/term/usage.h"

static void line(const char *fmt, va_list ap) {
    fflush(stdout);
    fputs("viztracer: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

int cli_fail(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    line(fmt, ap);
    va_end(ap);
    return CLI_FAILED;
}

int cli_usage(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    line(fmt, ap);
    va_end(ap);
    return CLI_USAGE;
}

int cli_flush(void) {
    return fflush(stdout) == 0 && !ferror(stdout) ? CLI_OK : cli_fail("cannot write to stdout: %s", strerror(errno));
}
