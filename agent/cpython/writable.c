/* Owns whether a word may be written: looks into the program headers of the loaded libraries. Asking the kernel would take a
 * system call, which a seccomp filter of the target may refuse. */
#include "agent/cpython/writable.h"

#include "agent/cpython/py_api.h"

enum { PT_LOAD = 1, PT_GNU_RELRO = 0x6474e552, FLAG_WRITE = 2 };
#define PAGE 4096ull

struct program_header {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
/* The first members of struct dl_phdr_info. */
struct library {
    uint64_t base;
    const char *name;
    const struct program_header *headers;
    uint16_t nheaders;
};
struct question {
    uint64_t from, to; /* of the word */
    bool in_data, read_only;
};

/* `page`: 1, or the unit to which the range is widened. */
static bool covers(const struct library *library, const struct program_header *header, const struct question *q, uint64_t page) {
    uint64_t from = library->base + header->vaddr, to = from + header->memsz;
    from &= ~(page - 1);
    to = (to + page - 1) & ~(page - 1);
    return from < q->to && q->from < to;
}

static int look(void *found, size_t size, void *ctx) {
    const struct library *library = found;
    struct question *q = ctx;
    if (size < sizeof *library) return 1;
    for (uint32_t i = 0; i < library->nheaders; i++) {
        const struct program_header *header = &library->headers[i];
        if (header->type == PT_LOAD && header->flags & FLAG_WRITE && covers(library, header, q, 1)) q->in_data = true;
        if (header->type == PT_GNU_RELRO && covers(library, header, q, PAGE)) q->read_only = true;
    }
    return q->in_data;
}

bool writable_word(const void *word) {
    struct question q = {.from = (uint64_t)word, .to = (uint64_t)word + sizeof word};
    if (!py.dl_iterate_phdr) return false;
    py.dl_iterate_phdr(look, &q);
    return q.in_data && !q.read_only;
}
