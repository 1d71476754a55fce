/* Owns the lines on stderr and the few checks that all commands share. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

int cli_parse_pid(const char *what, const char *text, pid_t *pid) {
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (end == text || *end || errno || v <= 0 || v > INT32_MAX) return cli_usage("%s: %s is not a process id", what, text);
    *pid = (pid_t)v;
    return 0;
}

bool cli_is_help(const char *arg) { return !strcmp(arg, "--help") || !strcmp(arg, "-h"); }
