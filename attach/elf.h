/* The part of ELF that an injector needs, from a whole file image (64-bit little endian). Every offset is checked
 * against the image, because files may be cut, changed or hostile. */
#ifndef VT_ATTACH_ELF_H
#define VT_ATTACH_ELF_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"

struct elf {
    const uint8_t *img; /* owned unless borrowed */
    size_t len;
    bool mapped;           /* img came from mmap: elf_close unmaps */
    uint64_t vaddr0;       /* page address of the lowest PT_LOAD: load bias = start of mapping - vaddr0 */
    uint64_t entry;        /* e_entry */
    uint64_t eh_frame_hdr; /* vaddr or 0 */
    bool dyn;              /* has PT_DYNAMIC */
    bool interp;           /* has PT_INTERP */
    const uint8_t *symtab; /* .dynsym, nsym entries of 24 bytes, unaligned */
    size_t nsym;
    const char *strtab;
    size_t strtab_len;
    const uint8_t *versym; /* .gnu.version, nversym entries of 2 bytes; NULL = none */
    size_t nversym;
};

/* Borrows img. -ENOEXEC: not an ELF64 LE file; -EINVAL: cut or inconsistent. */
VT_MUST_CHECK int elf_parse(struct elf *e, const void *img, size_t len);
/* Maps the file read-only. */
VT_MUST_CHECK int elf_open(struct elf *e, const char *path);
void elf_close(struct elf *e);

/* vaddr of a defined dynamic symbol (default version preferred), 0 = none. */
uint64_t elf_symbol(const struct elf *e, const char *name);
/* Name of the function symbol that starts at vaddr, or NULL. Points into the image. */
const char *elf_symbol_at(const struct elf *e, uint64_t vaddr);
/* vaddr and size of a section by name: 0 or -ENOENT. */
VT_MUST_CHECK int elf_section(const struct elf *e, const char *name, uint64_t *vaddr, uint64_t *size);
/* Calls fn for each defined dynamic function symbol until it returns non-zero. */
int elf_each_func(const struct elf *e, int (*fn)(void *ctx, const char *name, uint64_t vaddr, uint64_t size), void *ctx);
/* File offset of a vaddr inside PT_LOAD: 0 or -ENOENT. */
VT_MUST_CHECK int elf_offset(const struct elf *e, uint64_t vaddr, uint64_t *offset);

#endif
