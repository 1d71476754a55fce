/* Owns the parser of /proc/PID/maps: single lines, and modules (the lines of one file) with their kind. */
#include "attach/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/abi/boot.h"

#define MAPS_LINES_MAX 65536u
#define MAPS_TEXT_MAX (32u << 20)
#define MAPS_TRIES 10
/* Segments of one file lie close together. The same file mapped far away is another module. */
#define MAPS_GAP_MAX (16ull << 20)

/* A cursor over one line that never passes its end. */
struct cursor {
    const char *at, *end;
};

static bool take_number(struct cursor *c, unsigned base, uint64_t *out) {
    uint64_t value = 0;
    const char *start = c->at;
    for (; c->at < c->end; c->at++) {
        char ch = *c->at;
        unsigned digit;
        if (ch >= '0' && ch <= '9')
            digit = (unsigned)(ch - '0');
        else if (ch >= 'a' && ch <= 'f')
            digit = (unsigned)(ch - 'a') + 10;
        else
            break;
        if (digit >= base) break;
        if (value > (UINT64_MAX - digit) / base) return false;
        value = value * base + digit;
    }
    *out = value;
    return c->at > start;
}

static bool take_char(struct cursor *c, char ch) {
    if (c->at >= c->end || *c->at != ch) return false;
    c->at++;
    return true;
}

static bool take_flag(struct cursor *c, char set, char unset, bool *out) {
    if (c->at >= c->end || (*c->at != set && *c->at != unset)) return false;
    *out = *c->at == set;
    c->at++;
    return true;
}

int maps_parse_line(const char *line, size_t len, struct map_line *out) {
    struct cursor c = {line, line + len};
    uint64_t major, minor;
    *out = (struct map_line){0};
    bool ok = take_number(&c, 16, &out->start) && take_char(&c, '-') && take_number(&c, 16, &out->end) && take_char(&c, ' ') &&
              take_flag(&c, 'r', '-', &out->r) && take_flag(&c, 'w', '-', &out->w) && take_flag(&c, 'x', '-', &out->x) &&
              take_flag(&c, 's', 'p', &out->shared) && take_char(&c, ' ') && take_number(&c, 16, &out->offset) &&
              take_char(&c, ' ') && take_number(&c, 16, &major) && take_char(&c, ':') && take_number(&c, 16, &minor) &&
              take_char(&c, ' ') && take_number(&c, 10, &out->inode);
    if (!ok || out->start >= out->end || major > UINT32_MAX || minor > UINT32_MAX) return -EINVAL;
    if (c.at < c.end && *c.at != ' ') return -EINVAL;
    out->dev_major = (uint32_t)major;
    out->dev_minor = (uint32_t)minor;
    while (c.at < c.end && *c.at == ' ') c.at++;
    size_t n = (size_t)(c.end - c.at);
    if (n >= sizeof(out->path)) n = sizeof(out->path) - 1;
    if (n) memcpy(out->path, c.at, n);
    return memchr(out->path, '\0', n) ? -EINVAL : 0;
}

/* The start of a file name decides the kind of the module. The first match wins. */
static const struct {
    const char *prefix;
    enum map_kind kind;
} kinds[] = {
    {VT_AGENT_FILE, MAP_AGENT},
    {"libviztracer_agent.so", MAP_AGENT}, /* launched by us: preloaded under its own name */
    {"_viztracer_agent.so", MAP_AGENT},   /* imported by the program */
    {VT_ARENA_FILE, MAP_ARENA},
    {"ld-musl", MAP_LIBC}, /* musl: loader and libc are one file */
    {"libc.musl", MAP_LIBC},
    {"libc.so", MAP_LIBC},
    {"libc-2", MAP_LIBC},
    {"libpthread.so", MAP_LIBC},
    {"libpthread-2", MAP_LIBC},
    {"libdl.so", MAP_LIBC},
    {"libdl-2", MAP_LIBC},
    {"ld-linux", MAP_LD},
    {"ld-2", MAP_LD},
    {"ld.so", MAP_LD},
};

static bool starts(const char *s, const char *prefix) { return !strncmp(s, prefix, strlen(prefix)); }

static enum map_kind kind_of(const char *path) {
    static const char *const allocators[] = {"jemalloc", "tcmalloc", "mimalloc"};
    if (!strcmp(path, "[vdso]")) return MAP_VDSO;
    if (starts(path, "/memfd:" VT_AGENT_MEMFD)) return MAP_AGENT;
    if (starts(path, "/memfd:" VT_ARENA_MEMFD)) return MAP_ARENA;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < VT_ARRAY_LEN(kinds); i++)
        if (starts(name, kinds[i].prefix)) return kinds[i].kind;
    for (size_t i = 0; i < VT_ARRAY_LEN(allocators); i++)
        if (strstr(name, allocators[i])) return MAP_MALLOC;
    return MAP_OTHER;
}

/* Is `line` another segment of the module that `prev` (the module's last line) belongs to? */
static bool same_module(const struct map_module *mod, const struct map_line *prev, const struct map_line *line) {
    if (prev->inode != line->inode || prev->dev_major != line->dev_major || prev->dev_minor != line->dev_minor) return false;
    if (strcmp(prev->path, line->path) || line->start - mod->end > MAPS_GAP_MAX) return false;
    /* a second line with file offset 0 is a second copy, unless a tiny library has its data in the first page */
    return line->offset != 0 || !mod->first_end || line->start == mod->end;
}

static void group(struct maps *m) {
    const struct map_line *prev = NULL;
    for (size_t i = 0; i < m->nlines; i++) {
        const struct map_line *line = &m->lines[i];
        if (line->path[0] != '/' && strcmp(line->path, "[vdso]")) continue;
        struct map_module *mod = m->nmods ? &m->mods[m->nmods - 1] : NULL;
        if (!mod || !prev || !same_module(mod, prev, line)) {
            mod = &m->mods[m->nmods++];
            *mod = (struct map_module){.start = line->start, .kind = kind_of(line->path)};
            memcpy(mod->path, line->path, sizeof(mod->path));
        }
        mod->end = line->end;
        if (line->offset == 0 && !mod->first_end) {
            mod->first_start = line->start;
            mod->first_end = line->end;
        }
        prev = line;
    }
}

int maps_parse(const char *text, size_t len, struct maps *out) {
    *out = (struct maps){0};
    const char *end = text + len;
    size_t count = 0;
    for (const char *at = text; at < end; count++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    if (count > MAPS_LINES_MAX) return -E2BIG;
    if (!count) return 0;
    int rc = 0;
    out->lines = malloc(count * sizeof(*out->lines));
    out->mods = malloc(count * sizeof(*out->mods));
    if (!out->lines || !out->mods) {
        rc = -ENOMEM;
        goto out;
    }
    uint64_t floor = 0;
    for (const char *at = text; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        struct map_line *line = &out->lines[out->nlines];
        rc = maps_parse_line(at, (size_t)(stop - at), line);
        if (!rc && line->start < floor) rc = -EINVAL; /* the kernel lists addresses in ascending order */
        if (rc) goto out;
        floor = line->end;
        out->nlines++;
        at = newline ? newline + 1 : end;
    }
    group(out);
out:
    if (rc) maps_free(out);
    return rc;
}

static int read_once(pid_t pid, struct maps *out) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? -ESRCH : -errno;
    size_t size = 256u << 10, len = 0;
    int rc = 0;
    char *text = malloc(size);
    if (!text) {
        rc = -ENOMEM;
        goto out;
    }
    for (;;) {
        if (len == size) {
            if (size >= MAPS_TEXT_MAX) {
                rc = -E2BIG;
                goto out;
            }
            char *more = realloc(text, size * 2);
            if (!more) {
                rc = -ENOMEM;
                goto out;
            }
            text = more;
            size *= 2;
        }
        ssize_t n = read(fd, text + len, size - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            rc = -errno;
            goto out;
        }
        if (n == 0) break;
        len += (size_t)n;
    }
    rc = maps_parse(text, len, out);
out:
    free(text);
    vt_close(&fd);
    return rc;
}

/* The kernel returns lines a page at a time. When mappings merge between two pages, the next line can begin before the end of
 * the last one: then all is read again. */
int maps_read(pid_t pid, struct maps *out) {
    int rc = -EINVAL;
    *out = (struct maps){0};
    for (int tries = 0; tries < MAPS_TRIES && rc == -EINVAL; tries++) rc = read_once(pid, out);
    return rc;
}

void maps_free(struct maps *m) {
    free(m->lines);
    free(m->mods);
    *m = (struct maps){0};
}

const struct map_module *maps_find(const struct maps *m, uint64_t addr) {
    size_t low = 0, high = m->nmods;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->mods[mid].end <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low < m->nmods && m->mods[low].start <= addr ? &m->mods[low] : NULL;
}

const struct map_line *maps_find_line(const struct maps *m, uint64_t addr) {
    size_t low = 0, high = m->nlines;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->lines[mid].end <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low < m->nlines && m->lines[low].start <= addr ? &m->lines[low] : NULL;
}
