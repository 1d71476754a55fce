/* The mappings of a process and the ELF files behind them: which module an address belongs to, and the address of a
 * symbol. Taken while the target runs, so it may be out of date when a thread is stopped later. */
#ifndef VT_ATTACH_IMAGE_H
#define VT_ATTACH_IMAGE_H

#include "attach/arch/arch.h"
#include "attach/elf.h"
#include "attach/maps.h"
#include "attach/mem.h"

struct image_module {
    uint64_t start, end, bias;
    enum map_kind kind;
    bool open; /* elf is usable */
    struct elf elf;
};

struct image {
    pid_t pid;
    struct mem *mem; /* borrowed */
    struct maps maps;
    struct image_module *mods;
    size_t nmods;
    uint64_t *waits; /* sorted addresses of libc functions where a thread may wait without holding a lock of libc */
    size_t nwaits;
};

VT_MUST_CHECK int image_open(struct image *img, pid_t pid, struct mem *mem, struct vt_err *err);
void image_close(struct image *img);
const struct image_module *image_at(const struct image *img, uint64_t addr);
/* Address of a symbol in any module of that kind, 0 = none. */
uint64_t image_symbol(const struct image *img, enum map_kind kind, const char *name);
/* Address of the first of these byte patterns in executable bytes of libc (or the vDSO), 0 = none. */
uint64_t image_find_code(const struct image *img, const struct arch_pattern *patterns);
bool image_is_wait(const struct image *img, uint64_t function);

#endif
