/* The streams of several sessions on their way into one .vzt, while they arrive: proto/FORMAT.md, "Several processes". Frames
 * are gathered per session and appended in pieces, so that the file can be read up to the last piece at any moment. One thread.
 */
#ifndef VT_CLI_RAW_SECTIONS_H
#define VT_CLI_RAW_SECTIONS_H

#include <stdio.h>

#include "proto/base.h"
#include "proto/msg_table.h"

struct raw_section {
    uint8_t *data;
    size_t len, room;
    uint64_t since_ns; /* when the first byte of data came */
};

struct raw_sections {
    FILE *file;     /* borrowed */
    int error;      /* the first one, -errno; nothing is written behind it */
    uint64_t bytes; /* written or held */
    struct raw_section *list;
    uint32_t n, room;
    size_t held;
};

/* Writes the head of the file. Errors of writing are noted in r->error. */
void raw_sections_open(struct raw_sections *r, FILE *file);
void raw_sections_free(struct raw_sections *r);
/* The number of a new section, or -ENOMEM, or -E2BIG when the file has as many as it can have. */
VT_MUST_CHECK int raw_sections_add(struct raw_sections *r);
/* A frame as it came from the daemon. */
void raw_sections_put(struct raw_sections *r, int section, uint32_t type, const uint8_t *payload, uint32_t len);
/* Writes what the section holds: up to the last byte it is in the file (not synced). 0 or r->error. */
VT_MUST_CHECK int raw_sections_flush(struct raw_sections *r, int section);
/* The same for sections that have held something for a while; all: for all sections. */
void raw_sections_flush_old(struct raw_sections *r, uint64_t now_ns, bool all);

#endif
