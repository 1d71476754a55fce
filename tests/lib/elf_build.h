/* Small ELF files made to order, for tests of what reads ELF.
 *
 *   0       header, program headers (PT_LOAD of all up to the sections, PT_DYNAMIC), tables
 *   0x1000  one page of data, zero
 *   0x2000  section names, section headers
 *
 * The vaddr of a file offset is ELF_BUILD_BASE + offset. */
#ifndef VT_TESTS_ELF_BUILD_H
#define VT_TESTS_ELF_BUILD_H

#include <stddef.h>
#include <stdint.h>

#define ELF_BUILD_BASE 0x10000ull
#define ELF_BUILD_DATA 0x1000u
#define ELF_BUILD_MAX 0x3000u

struct elf_build_symbol {
    const char *name;
    uint64_t value;   /* vaddr; 0 with undefined */
    uint8_t type;     /* STT_* */
    uint16_t version; /* 2 = default, 0x8002 = old */
    uint8_t undefined;
};

/* `section`: name of a section that covers the data page, may be NULL. Fills image[ELF_BUILD_MAX]; returns the length. */
size_t elf_build(uint8_t *image, const struct elf_build_symbol *symbols, size_t nsymbols, const char *section);

#endif
