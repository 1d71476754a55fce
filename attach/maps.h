/* /proc/PID/maps as a sorted array of modules, parsed from text. */
#ifndef VT_ATTACH_MAPS_H
#define VT_ATTACH_MAPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base.h"

enum map_kind { MAP_OTHER = 0, MAP_LIBC, MAP_LD, MAP_MALLOC, MAP_VDSO, MAP_AGENT, MAP_ARENA };

struct map_line { /* one line */
    uint64_t start, end, offset, inode;
    uint32_t dev_major, dev_minor;
    bool r, w, x, shared;
    char path[512]; /* "" = anonymous; cut when longer */
};

struct map_module {                  /* consecutive lines of one file */
    uint64_t start, end;             /* of all its mappings */
    uint64_t first_start, first_end; /* of the line with offset 0: the key below /proc/PID/map_files */
    enum map_kind kind;
    char path[512];
};

struct maps {
    struct map_line *lines;
    size_t nlines;
    struct map_module *mods;
    size_t nmods;
};

/* One line without newline. -EINVAL on anything that is not a maps line. */
VT_MUST_CHECK int maps_parse_line(const char *line, size_t len, struct map_line *out);
/* `text` may hold any bytes and stays the caller's. -EINVAL for a bad line, -E2BIG above 65536 lines. */
VT_MUST_CHECK int maps_parse(const char *text, size_t len, struct maps *out);
VT_MUST_CHECK int maps_read(pid_t pid, struct maps *out);
void maps_free(struct maps *m);

const struct map_module *maps_find(const struct maps *m, uint64_t addr);
const struct map_line *maps_find_line(const struct maps *m, uint64_t addr);

#endif
