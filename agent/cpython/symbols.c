/* Owns finding a symbol without any C library: auxv -> program headers -> DT_DEBUG -> list of loaded
 * objects -> GNU hash table of each. Used when the injector gave no dlsym, and for symbols that dlsym does not see. */
#include "agent/cpython/symbols.h"

#include "agent/cpython/arch.h"

enum { AT_PHDR = 3, AT_PHNUM = 5, PT_DYNAMIC = 2, PT_PHDR = 6, DT_STRTAB = 5, DT_SYMTAB = 6, DT_DEBUG = 21, STT_GNU_IFUNC = 10 };
#define DT_GNU_HASH 0x6ffffef5
#define DT_VERSYM 0x6ffffff0
#define PR_GET_AUXV 0x41555856

struct program_header {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
struct dynamic_entry {
    int64_t tag;
    uint64_t value;
};
struct link_map {
    uint64_t base;
    char *name;
    struct dynamic_entry *dynamic;
    struct link_map *next, *previous;
};
struct elf_symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, size;
};

static struct link_map *objects;
extern HIDDEN struct dynamic_entry _DYNAMIC[]; /* of this library */

bool agent_filtered;

static int64_t read_auxv(uint64_t *out, size_t bytes) {
    int64_t fd = arch_syscall3(SYS_OPENAT, (uint64_t)-100 /* AT_FDCWD */, (uint64_t) "/proc/self/auxv", 02000000 /* O_CLOEXEC */);
    int64_t n = fd;
    if (fd >= 0) {
        n = arch_syscall3(SYS_READ, (uint64_t)fd, (uint64_t)out, bytes);
        arch_syscall3(SYS_CLOSE, (uint64_t)fd, 0, 0);
    }
    return n > 0 || agent_filtered ? n : arch_syscall6(SYS_PRCTL, PR_GET_AUXV, (uint64_t)out, bytes, 0, 0, 0);
}

static struct link_map *find_objects(void) {
    uint64_t auxv[128] = {0}, headers = 0, count = 0, base = 0, dynamic = 0;
    int64_t n = read_auxv(auxv, sizeof auxv - 16);
    for (int64_t i = 0; i + 1 < n / 8; i += 2) {
        if (auxv[i] == AT_PHDR) headers = auxv[i + 1];
        if (auxv[i] == AT_PHNUM) count = auxv[i + 1];
    }
    if (!headers) return NULL;
    const struct program_header *header = (const struct program_header *)headers;
    for (uint64_t i = 0; i < count; i++) {
        if (header[i].type == PT_PHDR) base = headers - header[i].vaddr;
        if (header[i].type == PT_DYNAMIC) dynamic = header[i].vaddr;
    }
    if (!dynamic) return NULL;
    for (const struct dynamic_entry *d = (const struct dynamic_entry *)(base + dynamic); d->tag; d++)
        if (d->tag == DT_DEBUG && d->value) return *(struct link_map **)(d->value + 8); /* struct r_debug.r_map */
    return NULL;
}

static uint32_t gnu_hash(const char *name) {
    uint32_t h = 5381;
    for (; *name; name++) h = h * 33 + (unsigned char)*name;
    return h;
}

static const struct elf_symbol *find_in(const struct link_map *object, const char *name, uint32_t hash) {
    const uint32_t *table = NULL;
    const char *strings = NULL;
    const struct elf_symbol *symbol = NULL;
    const uint16_t *versions = NULL;
    if (!object->dynamic) return NULL;
    for (const struct dynamic_entry *d = object->dynamic; d->tag; d++) {
        /* glibc relocates these addresses; musl and the vDSO do not */
        uint64_t address = d->value < object->base ? d->value + object->base : d->value;
        if (d->tag == DT_GNU_HASH) table = (const uint32_t *)address;
        if (d->tag == DT_STRTAB) strings = (const char *)address;
        if (d->tag == DT_SYMTAB) symbol = (const struct elf_symbol *)address;
        if (d->tag == DT_VERSYM) versions = (const uint16_t *)address;
    }
    if (!table || !strings || !symbol) return NULL;
    uint32_t buckets = table[0], first = table[1], bloom_words = table[2], shift = table[3];
    if (!buckets || !bloom_words) return NULL;
    const uint64_t *bloom = (const uint64_t *)(const void *)(table + 4);
    const uint32_t *bucket = (const uint32_t *)(const void *)(bloom + bloom_words), *chain = bucket + buckets;
    uint64_t word = bloom[hash / 64 % bloom_words];
    if (!(word >> (hash % 64) & word >> ((hash >> shift) % 64) & 1)) return NULL;
    uint32_t i = bucket[hash % buckets];
    if (i < first) return NULL;
    for (;; i++) {
        uint32_t h = chain[i - first];
        bool default_version = !versions || !(versions[i] & 0x8000);
        if ((h | 1) == (hash | 1) && symbol[i].section && (symbol[i].info & 15) != STT_GNU_IFUNC && default_version &&
            text_equal(strings + symbol[i].name, name))
            return &symbol[i];
        if (h & 1) return NULL;
    }
}

/* The first one, in the order in which the dynamic linker looks; not one of this library's own if `foreign`. */
static void *find(const char *name, bool foreign, uint64_t *size) {
    uint32_t hash = gnu_hash(name);
    if (!objects) objects = find_objects();
    for (const struct link_map *object = objects; object; object = object->next) {
        const struct elf_symbol *symbol = foreign && object->dynamic == _DYNAMIC ? NULL : find_in(object, name, hash);
        if (!symbol) continue;
        if (size) *size = symbol->size;
        return (void *)(object->base + symbol->value);
    }
    return NULL;
}

void *symbol_find(const char *name) { return find(name, false, NULL); }
void *symbol_find_sized(const char *name, uint64_t *size) { return find(name, false, size); }
void *symbol_find_next(const char *name) { return find(name, true, NULL); }

const char *symbol_own_path(void) {
    if (!objects) objects = find_objects();
    for (const struct link_map *object = objects; object; object = object->next)
        if (object->dynamic == _DYNAMIC) return object->name;
    return NULL;
}
