/* Any bytes as an ELF file: every name and offset that comes out lies inside the file. */
#include "attach/elf.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static int visit(void *ctx, const char *name, uint64_t vaddr, uint64_t size) {
    const struct elf *e = ctx;
    (void)size;
    if (name < e->strtab || name + strlen(name) >= e->strtab + e->strtab_len) abort();
    const char *found = elf_symbol_at(e, vaddr);
    return !found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct elf e;
    uint64_t at, len;
    uint8_t sum = 0;
    if (elf_parse(&e, data, size)) return 0;
    elf_symbol(&e, "dlopen");
    if (e.nsym < 64 && elf_each_func(&e, visit, &e)) abort();
    if (!elf_section(&e, ".PyRuntime", &at, &len) && !elf_offset(&e, at, &at)) sum = data[at];
    if (!elf_offset(&e, e.entry, &at)) sum = (uint8_t)(sum + data[at]);
    if (e.nversym && e.versym + 2 * e.nversym > data + size) abort();
    elf_close(&e);
    static volatile uint8_t sink; /* keeps the reads */
    sink = sum;
    return 0;
}
