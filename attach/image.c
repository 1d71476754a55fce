/* Owns the image of a process (image.h), and the list of libc functions in which a thread can wait without a lock of libc. */
#include "attach/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach/advice.h"
#include "attach/attach_priv.h"

/* They block or do almost nothing, and take no lock of malloc, of the loader or of pthread_create. Leading underscores are
 * ignored. */
static const char *const waiting_functions[] = {
    "accept",
    "accept4",
    "clock_gettime",
    "clock_nanosleep",
    "connect",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "fcntl64",
    "fdatasync",
    "flock",
    "fsync",
    "futex",
    "gettimeofday",
    "ioctl",
    "libc_start_main",
    "lseek64",
    "nanosleep",
    "open",
    "open64",
    "pause",
    "poll",
    "ppoll",
    "pread64",
    "pselect",
    "pthread_cond_clockwait",
    "pthread_cond_timedwait",
    "pthread_cond_wait",
    "read",
    "readv",
    "recv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sched_yield",
    "select",
    "sem_clockwait",
    "sem_timedwait",
    "sem_wait",
    "semop",
    "semtimedop",
    "send",
    "sendmsg",
    "sendto",
    "sigtimedwait",
    "sigwait",
    "sigwaitinfo",
    "sleep",
    "stat64",
    "syscall",
    "time",
    "usleep",
    "wait",
    "wait4",
    "waitid",
    "waitpid",
    "write",
    "writev",
};

static int compare_names(const void *a, const void *b) { return strcmp(a, *(const char *const *)b); }
static int compare_addresses(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

struct wait_list {
    struct image *img;
    uint64_t bias;
    int rc;
};

static int add_if_waiting(void *ctx, const char *name, uint64_t vaddr, uint64_t size) {
    struct wait_list *list = ctx;
    struct image *img = list->img;
    (void)size;
    while (*name == '_') name++;
    if (!bsearch(name, waiting_functions, VT_ARRAY_LEN(waiting_functions), sizeof(waiting_functions[0]), compare_names)) return 0;
    if (!(img->nwaits & (img->nwaits - 1))) {
        size_t room = img->nwaits ? img->nwaits * 2 : 1;
        uint64_t *more = realloc(img->waits, room * sizeof(*more));
        if (!more) return list->rc = -ENOMEM;
        img->waits = more;
    }
    img->waits[img->nwaits++] = list->bias + vaddr;
    return 0;
}

bool image_is_wait(const struct image *img, uint64_t function) {
    return img->nwaits && bsearch(&function, img->waits, img->nwaits, sizeof(img->waits[0]), compare_addresses);
}

static void open_module(const struct image *img, const struct map_module *map, struct image_module *m) {
    *m = (struct image_module){.start = map->start, .end = map->end, .kind = map->kind};
    if (map->kind == MAP_ARENA || !strncmp(map->path, "/dev/", 5)) return;
    m->open = !module_open(img->mem, &img->maps, map, &m->elf);
    if (m->open) m->bias = module_bias(map, &m->elf);
    /* A module that defines malloc has locks of its own, whatever it is called. It may be the program itself. */
    if (m->open && m->kind == MAP_OTHER && elf_symbol(&m->elf, "malloc")) m->kind = MAP_MALLOC;
}

int image_open(struct image *img, pid_t pid, struct mem *mem, struct vt_err *err) {
    *img = (struct image){.pid = pid, .mem = mem};
    int rc = maps_read(pid, &img->maps);
    if (rc) {
        vt_err_set(err, rc, "cannot read the memory map of process %d: %s%s", (int)pid, strerror(-rc), attach_advice(-rc));
        goto fail;
    }
    img->mods = calloc(img->maps.nmods ? img->maps.nmods : 1, sizeof(*img->mods));
    if (!img->mods) {
        rc = vt_err_set(err, -ENOMEM, "out of memory");
        goto fail;
    }
    for (; img->nmods < img->maps.nmods; img->nmods++) {
        struct image_module *m = &img->mods[img->nmods];
        open_module(img, &img->maps.mods[img->nmods], m);
        struct wait_list list = {img, m->bias, 0};
        if (m->open && m->kind == MAP_LIBC) elf_each_func(&m->elf, add_if_waiting, &list);
        if (list.rc) {
            rc = vt_err_set(err, list.rc, "out of memory");
            img->nmods++;
            goto fail;
        }
    }
    if (img->nwaits) qsort(img->waits, img->nwaits, sizeof(img->waits[0]), compare_addresses);
    return 0;
fail:
    image_close(img);
    return rc;
}

void image_close(struct image *img) {
    for (size_t i = 0; i < img->nmods; i++)
        if (img->mods[i].open) elf_close(&img->mods[i].elf);
    free(img->mods);
    free(img->waits);
    maps_free(&img->maps);
    *img = (struct image){0};
}

const struct image_module *image_at(const struct image *img, uint64_t addr) {
    size_t lo = 0, hi = img->nmods;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (addr < img->mods[mid].start) {
            hi = mid;
        } else if (addr >= img->mods[mid].end) {
            lo = mid + 1;
        } else {
            return &img->mods[mid];
        }
    }
    return NULL;
}

uint64_t image_symbol(const struct image *img, enum map_kind kind, const char *name) {
    for (size_t i = 0; i < img->nmods; i++) {
        const struct image_module *m = &img->mods[i];
        uint64_t vaddr = m->open && m->kind == kind ? elf_symbol(&m->elf, name) : 0;
        if (vaddr) return m->bias + vaddr;
    }
    return 0;
}

/* Finds the pattern in the part of the file that this executable line maps. */
static uint64_t find_in_line(const struct image_module *m, const struct map_line *line, const struct arch_pattern *p) {
    uint64_t len = line->end - line->start;
    uint64_t offset = line->offset;
    if (!line->x || !line->r || offset >= m->elf.len) return 0;
    if (len > m->elf.len - offset) len = m->elf.len - offset;
    const uint8_t *hit = memmem(m->elf.img + offset, (size_t)len, p->bytes, p->len);
    return hit ? line->start + (uint64_t)(hit - (m->elf.img + offset)) : 0;
}

uint64_t image_find_code(const struct image *img, const struct arch_pattern *patterns) {
    for (const struct arch_pattern *p = patterns; p->len; p++)
        for (size_t i = 0; i < img->maps.nlines; i++) {
            const struct map_line *line = &img->maps.lines[i];
            const struct image_module *m = image_at(img, line->start);
            if (!m || !m->open || (m->kind != MAP_LIBC && m->kind != MAP_VDSO)) continue;
            uint64_t at = find_in_line(m, line, p);
            if (at) return at;
        }
    return 0;
}
