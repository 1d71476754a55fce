/* Owns what was read of a target: a small cache of pages, and ranges that were loaded at once (remote.h).
 *
 * A system call costs more than the bytes it copies, up to about 16 KB, and each range of a call costs a third of a call. So
 * ranges that lie near each other are read as one. */
#include "outside/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 4096,
    PAGES = 1024, /* a power of 2 */
    NEAR = 768,   /* bytes between two ranges that are read as one */
    WIDEST = 64 << 10,
    RANGES_MAX = 1 << 18,
    LOADED_MAX = 64 << 20
};
#define USER_END (1ull << 47)

struct page {
    uint64_t address, round;
};

struct remote {
    struct mem *mem;
    uint64_t round; /* of pages that are not forgotten */
    struct page pages[PAGES];
    uint8_t (*bytes)[PAGE]; /* of each page */
    struct mem_range *ranges;
    size_t *starts; /* of each range in `loaded` */
    uint32_t nranges, ranges_room, starts_room;
    size_t nloaded, last; /* ranges that were read; the one that was used last */
    uint8_t *loaded;
    uint32_t loaded_room;
};

int remote_new(struct remote **out, struct mem *mem) {
    struct remote *r = calloc(1, sizeof(*r));
    *out = r;
    if (!r) return -ENOMEM;
    r->mem = mem;
    r->round = 1;
    r->bytes = malloc(sizeof(*r->bytes) * PAGES);
    if (r->bytes) return 0;
    free(r);
    *out = NULL;
    return -ENOMEM;
}

void remote_free(struct remote *r) {
    if (!r) return;
    free(r->bytes);
    free(r->ranges);
    free(r->starts);
    free(r->loaded);
    free(r);
}

void remote_forget(struct remote *r) {
    r->round++;
    r->nranges = 0;
    r->nloaded = 0;
}

bool remote_is_object(uint64_t addr) { return addr >= PAGE && addr < USER_END && addr % 8 == 0; }

static bool in_user_space(uint64_t addr, size_t len) { return addr >= PAGE && addr < USER_END && len <= USER_END - addr; }

void remote_want(struct remote *r, uint64_t addr, size_t len) {
    if (!in_user_space(addr, len)) return;
    r->nloaded = 0; /* its place is taken */
    if (vt_grow(&r->ranges, &r->ranges_room, r->nranges + 1u, sizeof(*r->ranges), RANGES_MAX)) return;
    r->ranges[r->nranges++] = (struct mem_range){addr, len};
}

static int by_address(const void *a, const void *b) {
    const struct mem_range *x = a, *y = b;
    return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Sorts the ranges and makes one of those that are near each other. Returns how many bytes they have. */
static size_t merge(struct remote *r) {
    uint32_t n = 0;
    size_t bytes = 0;
    qsort(r->ranges, r->nranges, sizeof(*r->ranges), by_address);
    for (uint32_t i = 0; i < r->nranges; i++) {
        struct mem_range *last = n ? &r->ranges[n - 1] : NULL, next = r->ranges[i];
        uint64_t end = next.addr + next.len;
        if (last && next.addr <= last->addr + last->len + NEAR && end - last->addr <= WIDEST) {
            size_t len = (size_t)(end - last->addr);
            if (len > last->len) bytes += len - last->len;
            if (len > last->len) last->len = len;
        } else if (bytes + next.len <= LOADED_MAX) {
            r->ranges[n++] = next;
            bytes += next.len;
        }
    }
    r->nranges = n;
    return bytes;
}

void remote_load(struct remote *r) {
    size_t bytes = r->nranges ? merge(r) : 0, at = 0;
    r->nloaded = r->last = 0;
    if (!bytes || vt_grow(&r->loaded, &r->loaded_room, bytes, 1, LOADED_MAX) ||
        vt_grow(&r->starts, &r->starts_room, r->nranges, sizeof(*r->starts), RANGES_MAX)) {
        r->nranges = 0;
        return;
    }
    for (uint32_t i = 0; i < r->nranges; at += r->ranges[i++].len) r->starts[i] = at;
    r->nloaded = mem_read_ranges(r->mem, r->ranges, r->nranges, r->loaded);
    r->nranges = 0;
}

static const uint8_t *find_loaded(struct remote *r, uint64_t addr, size_t len) {
    size_t low = 0, high = r->nloaded;
    if (!high) return NULL;
    const struct mem_range *at = &r->ranges[r->last];
    if (addr < at->addr || addr - at->addr >= at->len) {
        while (low < high) { /* the first one that begins above addr */
            size_t middle = low + (high - low) / 2;
            if (r->ranges[middle].addr <= addr)
                low = middle + 1;
            else
                high = middle;
        }
        if (!low) return NULL;
        at = &r->ranges[low - 1];
        if (addr - at->addr >= at->len) return NULL;
        r->last = low - 1;
    }
    uint64_t offset = addr - at->addr;
    return len <= at->len - offset ? r->loaded + r->starts[r->last] + offset : NULL;
}

/* The page's bytes; NULL when it cannot be read whole. */
static const uint8_t *find_page(struct remote *r, uint64_t address) {
    size_t slot = (address / PAGE * 0x9E3779B97F4A7C15ull) >> 54;
    struct page *page = &r->pages[slot % PAGES];
    uint8_t *bytes = r->bytes[slot % PAGES];
    if (page->round == r->round && page->address == address) return bytes;
    page->round = 0;
    if (r->mem->read(r->mem, address, bytes, PAGE)) return NULL;
    *page = (struct page){address, r->round};
    return bytes;
}

int remote_read(struct remote *r, uint64_t addr, void *buf, size_t len) {
    if (!in_user_space(addr, len)) return -EFAULT;
    const uint8_t *loaded = find_loaded(r, addr, len);
    if (loaded) {
        memcpy(buf, loaded, len);
        return 0;
    }
    for (size_t done = 0; done < len;) {
        uint64_t from = addr + done;
        size_t offset = (size_t)(from % PAGE), part = PAGE - offset < len - done ? PAGE - offset : len - done;
        const uint8_t *page = find_page(r, from - offset);
        int rc = page ? 0 : r->mem->read(r->mem, from, (uint8_t *)buf + done, part);
        if (rc) return rc;
        if (page) memcpy((uint8_t *)buf + done, page + offset, part);
        done += part;
    }
    return 0;
}

int remote_u64(struct remote *r, uint64_t addr, uint64_t *v) { return remote_read(r, addr, v, sizeof(*v)); }
int remote_u32(struct remote *r, uint64_t addr, uint32_t *v) { return remote_read(r, addr, v, sizeof(*v)); }

uint64_t remote_word(const void *copy, size_t at) {
    uint64_t v;
    memcpy(&v, (const uint8_t *)copy + at, sizeof(v));
    return v;
}

uint32_t remote_half(const void *copy, size_t at) {
    uint32_t v;
    memcpy(&v, (const uint8_t *)copy + at, sizeof(v));
    return v;
}
