/* Owns the layout of the ELF files that tests make (elf_build.h). */
#include "tests/lib/elf_build.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum { S_NULL, S_DYNSYM, S_DYNSTR, S_VERSYM, S_DATA, S_NAMES, S_COUNT };

static size_t align8(size_t n) { return (n + 7) & ~(size_t)7; }

static void put_dynamic(Elf64_Dyn **at, int64_t tag, uint64_t value) {
    (*at)->d_tag = tag;
    (*at)->d_un.d_val = value;
    (*at)++;
}

size_t elf_build(uint8_t *image, const struct elf_build_symbol *symbols, size_t nsymbols, const char *section) {
    size_t count = nsymbols + 1;
    size_t sym_at = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
    size_t str_at = sym_at + count * sizeof(Elf64_Sym), str_len = 1;
    memset(image, 0, ELF_BUILD_MAX);
    for (size_t i = 0; i < nsymbols; i++) {
        Elf64_Sym s = {.st_name = (Elf64_Word)str_len,
                       .st_info = ELF64_ST_INFO(STB_GLOBAL, symbols[i].type),
                       .st_shndx = symbols[i].undefined ? SHN_UNDEF : S_DATA,
                       .st_value = symbols[i].value,
                       .st_size = 8};
        size_t n = strlen(symbols[i].name) + 1;
        memcpy(image + sym_at + (i + 1) * sizeof(s), &s, sizeof(s));
        memcpy(image + str_at + str_len, symbols[i].name, n);
        str_len += n;
    }
    size_t ver_at = align8(str_at + str_len), hash_at = align8(ver_at + 2 * count);
    for (size_t i = 0; i < nsymbols; i++) memcpy(image + ver_at + 2 * (i + 1), &symbols[i].version, 2);
    uint32_t hash[2] = {1, (uint32_t)count};
    memcpy(image + hash_at, hash, sizeof(hash));
    size_t dyn_at = align8(hash_at + sizeof(hash) + 4 * (count + 1));
    if (dyn_at + 7 * sizeof(Elf64_Dyn) > ELF_BUILD_DATA) abort();
    Elf64_Dyn *dyn = (Elf64_Dyn *)(void *)(image + dyn_at);
    put_dynamic(&dyn, DT_SYMTAB, ELF_BUILD_BASE + sym_at);
    put_dynamic(&dyn, DT_STRTAB, ELF_BUILD_BASE + str_at);
    put_dynamic(&dyn, DT_STRSZ, str_len);
    put_dynamic(&dyn, DT_HASH, ELF_BUILD_BASE + hash_at);
    put_dynamic(&dyn, DT_VERSYM, ELF_BUILD_BASE + ver_at);
    put_dynamic(&dyn, DT_NULL, 0);

    size_t names_at = 0x2000, shdr_at = 0x2100, end = shdr_at + S_COUNT * sizeof(Elf64_Shdr);
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_DYN,
                    .e_machine = EM_X86_64,
                    .e_version = EV_CURRENT,
                    .e_phoff = sizeof(Elf64_Ehdr),
                    .e_shoff = shdr_at,
                    .e_ehsize = sizeof(Elf64_Ehdr),
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = 2,
                    .e_shentsize = sizeof(Elf64_Shdr),
                    .e_shnum = S_COUNT,
                    .e_shstrndx = S_NAMES};
    Elf64_Phdr p[2] = {
        {.p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X, .p_vaddr = ELF_BUILD_BASE, .p_filesz = 0x2000, .p_memsz = 0x2000},
        {.p_type = PT_DYNAMIC, .p_offset = dyn_at, .p_vaddr = ELF_BUILD_BASE + dyn_at, .p_filesz = 6 * sizeof(Elf64_Dyn)}};
    Elf64_Shdr s[S_COUNT] = {
        [S_DYNSYM] = {.sh_type = SHT_DYNSYM,
                      .sh_offset = sym_at,
                      .sh_size = count * sizeof(Elf64_Sym),
                      .sh_link = S_DYNSTR,
                      .sh_entsize = sizeof(Elf64_Sym)},
        [S_DYNSTR] = {.sh_type = SHT_STRTAB, .sh_offset = str_at, .sh_size = str_len},
        [S_VERSYM] = {.sh_type = SHT_GNU_versym, .sh_offset = ver_at, .sh_size = 2 * count},
        [S_DATA] = {.sh_name = 1,
                    .sh_type = SHT_PROGBITS,
                    .sh_addr = ELF_BUILD_BASE + ELF_BUILD_DATA,
                    .sh_offset = ELF_BUILD_DATA,
                    .sh_size = 0x1000},
        [S_NAMES] = {.sh_type = SHT_STRTAB, .sh_offset = names_at, .sh_size = 2 + (section ? strlen(section) : 0)},
    };
    memcpy(image, &h, sizeof(h));
    memcpy(image + h.e_phoff, p, sizeof(p));
    if (section) memcpy(image + names_at + 1, section, strlen(section));
    memcpy(image + shdr_at, s, sizeof(s));
    return end;
}
