/* Owns reading core files (core.h): an ELF file whose segments are memory and whose notes say what was mapped, which threads
 * there were, and what the process was called. The kernel leaves out what it can find in the mapped files. All of it may be
 * damaged or hostile. */
#include "outside/core.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEGMENTS_MAX = 0xfffe,
    NOTES_MAX = 64 << 20, /* bytes */
    FILES_MAX = 65536,
    THREADS_MAX = 1 << 16,
    COMMAND_MAX = 80,
    /* struct elf_prstatus, struct elf_prpsinfo of x86-64 */
    PRSTATUS_PID = 32,
    PRPSINFO_PID = 24,
    PRPSINFO_COMMAND = 56
};

struct segment {
    uint64_t start, size, offset; /* start first; size: of what is in the core */
};

struct mapped {
    uint64_t start, end, offset; /* start first; offset in the file, in bytes */
    const char *path;
    int fd; /* -1 = not opened yet, -2 = cannot be */
};

struct core {
    struct mem mem; /* first, so that the one is found from the other */
    int fd;
    const char *exe;
    struct segment *segments;
    uint32_t nsegments, segments_room;
    uint8_t *notes;
    size_t notes_len;
    struct mapped *files;
    uint32_t nfiles, files_room;
    struct maps maps;
    uint64_t entry; /* address of the program's first instruction */
    const char *program;
    pid_t pid;
    char command[COMMAND_MAX + 1];
    pid_t *tids;
    uint32_t ntids, tids_room;
};

/* ---- memory ---- */

static int read_at(int fd, void *buf, size_t len, uint64_t offset) {
    for (size_t done = 0; done < len;) {
        ssize_t n = offset > INT64_MAX - len ? 0 : pread(fd, (char *)buf + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -EFAULT; /* the file is cut */
        done += (size_t)n;
    }
    return 0;
}

static int open_file(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) vt_close(&fd);
    return fd >= 0 ? fd : -2;
}

/* Of n sorted items, each of which begins with the address where it starts: how many start at addr or below. */
static size_t last_from(const void *items, size_t n, size_t size, uint64_t addr) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t start;
        memcpy(&start, (const char *)items + middle * size, sizeof(start));
        if (start <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* As much as one place has, from addr on: 0, and *part = 0 when it is not there. -EFAULT: it should be, but the file is cut. */
static int read_segment(struct core *c, uint64_t addr, void *buf, size_t len, size_t *part) {
    size_t at = last_from(c->segments, c->nsegments, sizeof(*c->segments), addr);
    const struct segment *s = at ? &c->segments[at - 1] : NULL;
    *part = 0;
    if (!s || addr - s->start >= s->size) return 0;
    uint64_t left = s->size - (addr - s->start);
    *part = left < len ? (size_t)left : len;
    return read_at(c->fd, buf, *part, s->offset + (addr - s->start));
}

static size_t read_mapped(struct core *c, uint64_t addr, void *buf, size_t len) {
    size_t at = last_from(c->files, c->nfiles, sizeof(*c->files), addr);
    struct mapped *m = at ? &c->files[at - 1] : NULL;
    if (!m || addr >= m->end) return 0;
    if (m->fd == -1) m->fd = open_file(m->path);
    size_t part = m->end - addr < len ? (size_t)(m->end - addr) : len;
    return m->fd >= 0 && !read_at(m->fd, buf, part, m->offset + (addr - m->start)) ? part : 0;
}

static int core_read(struct mem *m, uint64_t addr, void *buf, size_t len) {
    struct core *c = (struct core *)(void *)m;
    for (size_t done = 0, part; done < len; done += part) {
        if (addr > UINT64_MAX - len || read_segment(c, addr + done, (char *)buf + done, len - done, &part)) return -EFAULT;
        if (!part) part = read_mapped(c, addr + done, (char *)buf + done, len - done);
        if (!part) return -EFAULT;
    }
    return 0;
}

/* ---- notes ---- */

static uint64_t word(const uint8_t *at) {
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

static int32_t half(const uint8_t *at) {
    int32_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

/* NT_FILE: count, size of a page, then start, end and page of each mapping, then the names. */
static int take_files(struct core *c, uint8_t *data, size_t len) {
    if (len < 16) return -EINVAL;
    uint64_t count = word(data), page = word(data + 8);
    if (count > FILES_MAX || page > 1 << 30 || len - 16 < count * 24) return -EINVAL;
    const char *name = (const char *)data + 16 + count * 24, *end = (const char *)data + len;
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *row = data + 16 + i * 24;
        const char *nul = memchr(name, 0, (size_t)(end - name));
        if (!nul) return -EINVAL;
        int rc = vt_grow(&c->files, &c->files_room, c->nfiles + 1u, sizeof(*c->files), FILES_MAX);
        if (rc) return rc;
        struct mapped m = {word(row), word(row + 8), word(row + 16) * page, name, -1};
        if (m.start < m.end && *name) c->files[c->nfiles++] = m;
        name = nul + 1;
    }
    return 0;
}

static int take_thread(struct core *c, const uint8_t *data, size_t len) {
    if (len < PRSTATUS_PID + 4) return -EINVAL;
    int rc = vt_grow(&c->tids, &c->tids_room, c->ntids + 1u, sizeof(*c->tids), THREADS_MAX);
    if (!rc) c->tids[c->ntids++] = half(data + PRSTATUS_PID);
    return rc;
}

static int take_process(struct core *c, const uint8_t *data, size_t len) {
    if (len < PRPSINFO_COMMAND + COMMAND_MAX) return -EINVAL;
    c->pid = half(data + PRPSINFO_PID);
    memcpy(c->command, data + PRPSINFO_COMMAND, COMMAND_MAX);
    return 0;
}

static void take_auxv(struct core *c, const uint8_t *data, size_t len) {
    for (; len >= 16; data += 16, len -= 16)
        if (word(data) == AT_ENTRY) c->entry = word(data + 8);
}

static int take_notes(struct core *c) {
    int rc = 0;
    for (size_t at = 0; !rc && c->notes_len - at >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr h;
        memcpy(&h, c->notes + at, sizeof(h));
        size_t data = at + sizeof(h) + (((size_t)h.n_namesz + 3) & ~(size_t)3),
               next = data + (((size_t)h.n_descsz + 3) & ~(size_t)3);
        if (next > c->notes_len) break;
        if (h.n_type == NT_FILE) rc = take_files(c, c->notes + data, h.n_descsz);
        if (h.n_type == NT_PRSTATUS) rc = take_thread(c, c->notes + data, h.n_descsz);
        if (h.n_type == NT_PRPSINFO) rc = take_process(c, c->notes + data, h.n_descsz);
        if (h.n_type == NT_AUXV) take_auxv(c, c->notes + data, h.n_descsz);
        at = next;
    }
    return rc;
}

/* ---- headers ---- */

/* Of segments and of mapped files, which both begin with it. */
static int by_start(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

static int read_notes(struct core *c, const Elf64_Phdr *ph) {
    if (ph->p_filesz > NOTES_MAX - c->notes_len) return -EINVAL;
    uint8_t *grown = realloc(c->notes, c->notes_len + ph->p_filesz + 1);
    if (!grown) return -ENOMEM;
    c->notes = grown;
    int rc = read_at(c->fd, c->notes + c->notes_len, ph->p_filesz, ph->p_offset);
    if (!rc) c->notes_len += ph->p_filesz;
    return rc;
}

static int read_headers(struct core *c) {
    Elf64_Ehdr h;
    if (read_at(c->fd, &h, sizeof(h), 0) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
        h.e_type != ET_CORE || h.e_machine != EM_X86_64)
        return -ENOEXEC;
    if (h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum > SEGMENTS_MAX) return -EINVAL;
    int rc = 0;
    for (unsigned i = 0; !rc && i < h.e_phnum; i++) {
        Elf64_Phdr ph;
        if (h.e_phoff > INT64_MAX / 2 || read_at(c->fd, &ph, sizeof(ph), h.e_phoff + i * sizeof(ph))) return -EINVAL;
        if (ph.p_type == PT_NOTE) rc = read_notes(c, &ph);
        if (ph.p_type != PT_LOAD || !ph.p_filesz) continue;
        if (!rc) rc = vt_grow(&c->segments, &c->segments_room, c->nsegments + 1u, sizeof(*c->segments), SEGMENTS_MAX);
        if (!rc) c->segments[c->nsegments++] = (struct segment){ph.p_vaddr, ph.p_filesz, ph.p_offset};
    }
    if (c->nsegments) qsort(c->segments, c->nsegments, sizeof(*c->segments), by_start);
    return rc;
}

/* The mapped files in the form of /proc/PID/maps. The program's own file may be elsewhere now. */
static int make_maps(struct core *c) {
    char *text = NULL;
    size_t len = 0;
    for (uint32_t i = 0; i < c->nfiles; i++)
        if (c->entry >= c->files[i].start && c->entry < c->files[i].end) c->program = c->files[i].path;
    for (uint32_t i = 0; c->exe && c->program && i < c->nfiles; i++)
        if (!strcmp(c->files[i].path, c->program) && c->files[i].path != c->exe) c->files[i].path = c->exe;
    if (c->exe) c->program = c->exe;
    if (c->nfiles) qsort(c->files, c->nfiles, sizeof(*c->files), by_start);
    FILE *f = open_memstream(&text, &len);
    if (!f) return -ENOMEM;
    for (uint32_t i = 0; i < c->nfiles; i++) {
        const struct mapped *m = &c->files[i];
        if (strchr(m->path, '\n')) continue;
        fprintf(f, "%lx-%lx r-xp %08lx 00:01 1 %s\n", m->start, m->end, m->offset, m->path);
    }
    if (fclose(f)) {
        free(text);
        return -ENOMEM;
    }
    int rc = maps_parse(text, len, &c->maps);
    free(text);
    return rc;
}

int core_open(struct core **out, const char *path, const char *exe, struct vt_err *err) {
    struct core *c = calloc(1, sizeof(*c));
    *out = NULL;
    if (!c) return vt_err_set(err, -ENOMEM, "out of memory");
    c->mem = (struct mem){.read = core_read, .fd = -1};
    c->exe = exe;
    c->fd = open_file(path);
    int rc = c->fd < 0
                 ? vt_err_set(err, -ENOENT, "cannot open the core file %s: %s", path, errno ? strerror(errno) : "it is no file")
                 : 0;
    if (!rc) rc = read_headers(c);
    if (!rc) rc = take_notes(c);
    if (!rc) rc = make_maps(c);
    if (rc == -ENOEXEC)
        vt_err_set(err, rc, "%s is not a core file of a 64-bit x86 process: give the file that the kernel or gcore wrote", path);
    else if (rc)
        vt_err_set(err, rc, "the core file %s is damaged or cut: %s", path, strerror(-rc));
    if (!rc) {
        *out = c;
        return 0;
    }
    core_close(c);
    return rc;
}

void core_close(struct core *c) {
    if (!c) return;
    for (uint32_t i = 0; i < c->nfiles; i++)
        if (c->files[i].fd >= 0) close(c->files[i].fd);
    if (c->fd >= 0) close(c->fd);
    maps_free(&c->maps);
    free(c->files);
    free(c->segments);
    free(c->notes);
    free(c->tids);
    free(c);
}

struct mem *core_mem(struct core *c) {
    return &c->mem;
}
const struct maps *core_maps(const struct core *c) { return &c->maps; }
const char *core_program(const struct core *c) { return c->program; }
pid_t core_pid(const struct core *c) { return c->pid; }
const char *core_command(const struct core *c) { return c->command; }

const pid_t *core_tids(const struct core *c, size_t *n) {
    *n = c->ntids;
    return c->tids;
}
