/* Owns the part of the commands' help that lists file formats. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/format/format.h"

static void put_list(enum format_use use) {
    char list[FORMAT_LIST_MAX];
    printf("\n");
    options_print_row("Formats:", format_list(use, " and ", list), 10);
}
void cli_help_written(void) { put_list(FORMAT_WRITTEN); }
void cli_help_viewed(void) { put_list(FORMAT_VIEWED); }

void cli_help_formats(void) {
    printf("\nFormats:\n");
    for (const struct trace_format *f = format_next(NULL); f; f = format_next(f)) {
        char left[64], text[128];
        int n = snprintf(left, sizeof(left), "  ");
        for (size_t i = 0; i < FORMAT_SUFFIXES_MAX && f->suffixes[i].text && n > 0 && (size_t)n < sizeof(left); i++)
            if (!f->suffixes[i].unlisted)
                n += snprintf(left + n, sizeof(left) - (size_t)n, "%s%s", i ? ", " : "", f->suffixes[i].text);
        snprintf(text, sizeof(text), "%s%s", f->help, format_has_use(f, FORMAT_READ) ? "" : " (only written)");
        options_print_row(left, text, 28);
    }
}
