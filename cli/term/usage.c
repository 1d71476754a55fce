/* Owns the lines on stderr and the few checks that all commands share. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/term/usage.h"

/* vizviewer is the command view under another name: its lines begin with the name that was typed. */
static bool is_viewer;

void cli_is_viewer(void) { is_viewer = true; }

static void line(const char *fmt, va_list ap) {
    static const char command[] = "view: ";
    char text[8192];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    bool named = is_viewer && n > 0 && !strncmp(text, command, sizeof command - 1);
    char *usage = named ? strstr(text, "viztracer view ") : NULL;
    if (usage) memmove(usage, usage + 5, strlen(usage + 5) + 1), memcpy(usage, "vizviewer", 9);
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", is_viewer ? "vizviewer" : "viztracer", n < 0 ? fmt : named ? text + sizeof command - 1 : text);
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
