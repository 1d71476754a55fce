/* Owns the ELF reader: header, dynamic symbols, sections and file offsets of a file image. memcpy copies values out of the
 * image, because a hostile file may have anything at any alignment. If a mapped file is truncated while we read it, SIGBUS
 * ends this process. It is the attach helper, and the target goes on. */
#include "attach/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ELF_SYM_SIZE sizeof(Elf64_Sym)
#define ELF_PAGE_MASK 0xfffull
#define ELF_FILE_MAX (4ull << 30)

/* n bytes at offset, or NULL. */
static const void *bytes_at(const struct elf *e, uint64_t offset, uint64_t n) {
    if (n > e->len || offset > e->len - n) return NULL;
    return e->img + offset;
}

static bool copy_at(const struct elf *e, uint64_t offset, void *out, size_t n) {
    const void *p = bytes_at(e, offset, n);
    if (!p) return false;
    memcpy(out, p, n);
    return true;
}

static bool header(const struct elf *e, Elf64_Ehdr *h) { return copy_at(e, 0, h, sizeof(*h)); }

static bool segment(const struct elf *e, const Elf64_Ehdr *h, unsigned i, Elf64_Phdr *out) {
    if (i >= h->e_phnum || h->e_phentsize != sizeof(*out) || h->e_phoff > e->len) return false;
    return copy_at(e, h->e_phoff + (uint64_t)i * sizeof(*out), out, sizeof(*out));
}

static bool section(const struct elf *e, const Elf64_Ehdr *h, unsigned i, Elf64_Shdr *out) {
    if (!h->e_shoff || i >= h->e_shnum || h->e_shentsize != sizeof(*out) || h->e_shoff > e->len) return false;
    return copy_at(e, h->e_shoff + (uint64_t)i * sizeof(*out), out, sizeof(*out));
}

static void set_strtab(struct elf *e, const void *strings, uint64_t len) {
    /* cut to the last NUL: every string that starts inside then ends inside */
    while (len && ((const char *)strings)[len - 1]) len--;
    e->strtab = len ? strings : NULL;
    e->strtab_len = (size_t)len;
}

static void set_symtab(struct elf *e, const void *symbols, uint64_t count) {
    e->symtab = symbols;
    e->nsym = (size_t)count;
}

/* .dynsym by section header: the common case. */
static void symbols_by_section(struct elf *e, const Elf64_Ehdr *h) {
    Elf64_Shdr s, strings;
    for (unsigned i = 0; section(e, h, i, &s); i++) {
        if (s.sh_type == SHT_GNU_versym) {
            e->versym = bytes_at(e, s.sh_offset, s.sh_size);
            e->nversym = e->versym ? (size_t)(s.sh_size / sizeof(Elf64_Half)) : 0;
        }
        if (s.sh_type != SHT_DYNSYM || s.sh_entsize != ELF_SYM_SIZE || e->symtab) continue;
        if (!section(e, h, s.sh_link, &strings)) continue;
        const void *symbols = bytes_at(e, s.sh_offset, s.sh_size);
        const void *names = bytes_at(e, strings.sh_offset, strings.sh_size);
        if (!symbols || !names) continue;
        set_symtab(e, symbols, s.sh_size / ELF_SYM_SIZE);
        set_strtab(e, names, strings.sh_size);
    }
}

/* Number of symbols that a DT_GNU_HASH table covers; 0 if the table is invalid. */
static uint64_t gnu_hash_count(const struct elf *e, uint64_t offset) {
    struct {
        uint32_t nbuckets, first, bloom_words, bloom_shift;
    } head;
    if (!copy_at(e, offset, &head, sizeof(head))) return 0;
    uint64_t buckets = offset + sizeof(head) + (uint64_t)head.bloom_words * 8;
    uint64_t chains = buckets + (uint64_t)head.nbuckets * 4;
    uint32_t last = 0, value;
    for (uint32_t i = 0; i < head.nbuckets; i++) {
        if (!copy_at(e, buckets + (uint64_t)i * 4, &value, 4)) return 0;
        if (value > last) last = value;
    }
    if (last < head.first) return head.first;
    for (;; last++) {
        if (!copy_at(e, chains + (uint64_t)(last - head.first) * 4, &value, 4)) return 0;
        if (value & 1) return (uint64_t)last + 1;
    }
}

/* By PT_DYNAMIC, as the loader does it: for files whose section headers were cut off. */
static void symbols_by_dynamic(struct elf *e, const Elf64_Phdr *dynamic) {
    uint64_t symtab = 0, strtab = 0, strsz = 0, hash = 0, gnu_hash = 0, versym = 0, offset;
    for (uint64_t i = 0; i + sizeof(Elf64_Dyn) <= dynamic->p_filesz; i += sizeof(Elf64_Dyn)) {
        Elf64_Dyn d;
        if (i > e->len || dynamic->p_offset > e->len || !copy_at(e, dynamic->p_offset + i, &d, sizeof(d))) return;
        if (d.d_tag == DT_NULL) break;
        if (d.d_tag == DT_SYMTAB)
            symtab = d.d_un.d_ptr;
        else if (d.d_tag == DT_STRTAB)
            strtab = d.d_un.d_ptr;
        else if (d.d_tag == DT_STRSZ)
            strsz = d.d_un.d_val;
        else if (d.d_tag == DT_HASH)
            hash = d.d_un.d_ptr;
        else if (d.d_tag == DT_GNU_HASH)
            gnu_hash = d.d_un.d_ptr;
        else if (d.d_tag == DT_VERSYM)
            versym = d.d_un.d_ptr;
    }
    uint64_t count = 0;
    uint32_t chains[2];
    if (hash && !elf_offset(e, hash, &offset) && copy_at(e, offset, chains, sizeof(chains)))
        count = chains[1];
    else if (gnu_hash && !elf_offset(e, gnu_hash, &offset))
        count = gnu_hash_count(e, offset);
    if (!count || elf_offset(e, symtab, &offset)) return;
    const void *symbols = bytes_at(e, offset, count * ELF_SYM_SIZE);
    if (!symbols || elf_offset(e, strtab, &offset)) return;
    const void *names = bytes_at(e, offset, strsz);
    if (!names) return;
    set_symtab(e, symbols, count);
    set_strtab(e, names, strsz);
    if (!versym || elf_offset(e, versym, &offset)) return;
    e->versym = bytes_at(e, offset, count * sizeof(Elf64_Half));
    e->nversym = e->versym ? (size_t)count : 0;
}

int elf_parse(struct elf *e, const void *img, size_t len) {
    *e = (struct elf){.img = img, .len = len, .vaddr0 = UINT64_MAX};
    Elf64_Ehdr h;
    int rc = -ENOEXEC;
    if (!header(e, &h) || memcmp(h.e_ident, ELFMAG, SELFMAG)) goto out;
    if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB) goto out;
    if (h.e_type != ET_EXEC && h.e_type != ET_DYN) goto out;
    rc = -EINVAL;
    e->entry = h.e_entry;
    Elf64_Phdr p, dynamic = {0};
    for (unsigned i = 0; i < h.e_phnum; i++) {
        if (!segment(e, &h, i, &p)) goto out;
        if (p.p_type == PT_LOAD && (p.p_vaddr & ~ELF_PAGE_MASK) < e->vaddr0)
            e->vaddr0 = p.p_vaddr & ~ELF_PAGE_MASK;
        else if (p.p_type == PT_DYNAMIC)
            dynamic = p;
        else if (p.p_type == PT_INTERP)
            e->interp = true;
        else if (p.p_type == PT_GNU_EH_FRAME)
            e->eh_frame_hdr = p.p_vaddr;
    }
    if (e->vaddr0 == UINT64_MAX) goto out;
    e->dyn = dynamic.p_type == PT_DYNAMIC;
    symbols_by_section(e, &h);
    if (!e->symtab && e->dyn) symbols_by_dynamic(e, &dynamic);
    rc = 0;
out:
    if (rc) *e = (struct elf){0};
    return rc;
}

int elf_open(struct elf *e, const char *path) {
    *e = (struct elf){0};
    /* the target may have put a fifo or a tty there: never block */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -errno;
    int rc = 0;
    struct stat st;
    void *img = MAP_FAILED;
    if (fstat(fd, &st))
        rc = -errno;
    else if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(Elf64_Ehdr))
        rc = -ENOEXEC;
    else if ((uint64_t)st.st_size > ELF_FILE_MAX)
        rc = -EFBIG;
    if (rc) goto out;
    img = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (img == MAP_FAILED) {
        rc = -errno;
        goto out;
    }
    rc = elf_parse(e, img, (size_t)st.st_size);
    if (rc)
        munmap(img, (size_t)st.st_size);
    else
        e->mapped = true;
out:
    vt_close(&fd);
    return rc;
}

void elf_close(struct elf *e) {
    if (e->mapped) munmap((void *)(uintptr_t)e->img, e->len);
    *e = (struct elf){0};
}

/* Symbol i when it is defined and has a name inside the string table. */
static const char *symbol(const struct elf *e, size_t i, Elf64_Sym *out) {
    memcpy(out, e->symtab + i * ELF_SYM_SIZE, sizeof(*out));
    if (out->st_shndx == SHN_UNDEF || out->st_name >= e->strtab_len || ELF64_ST_TYPE(out->st_info) == STT_TLS) return NULL;
    return e->strtab + out->st_name;
}

static bool old_version(const struct elf *e, size_t i) {
    Elf64_Half version = 0;
    if (i < e->nversym) memcpy(&version, e->versym + i * sizeof(version), sizeof(version));
    return version & 0x8000;
}

uint64_t elf_symbol(const struct elf *e, const char *name) {
    uint64_t found = 0;
    for (size_t i = 0; i < e->nsym; i++) {
        Elf64_Sym s;
        const char *n = symbol(e, i, &s);
        if (!n || strcmp(n, name)) continue;
        if (!old_version(e, i)) return s.st_value;
        found = s.st_value;
    }
    return found;
}

const char *elf_symbol_at(const struct elf *e, uint64_t vaddr) {
    for (size_t i = 0; i < e->nsym; i++) {
        Elf64_Sym s;
        const char *n = symbol(e, i, &s);
        if (n && s.st_value == vaddr && ELF64_ST_TYPE(s.st_info) == STT_FUNC) return n;
    }
    return NULL;
}

int elf_each_func(const struct elf *e, int (*fn)(void *ctx, const char *name, uint64_t vaddr, uint64_t size), void *ctx) {
    for (size_t i = 0; i < e->nsym; i++) {
        Elf64_Sym s;
        const char *n = symbol(e, i, &s);
        if (!n || ELF64_ST_TYPE(s.st_info) != STT_FUNC) continue;
        int rc = fn(ctx, n, s.st_value, s.st_size);
        if (rc) return rc;
    }
    return 0;
}

int elf_section(const struct elf *e, const char *name, uint64_t *vaddr, uint64_t *size) {
    Elf64_Ehdr h;
    Elf64_Shdr names, s;
    if (!header(e, &h) || !section(e, &h, h.e_shstrndx, &names)) return -ENOENT;
    size_t want = strlen(name) + 1;
    for (unsigned i = 0; section(e, &h, i, &s); i++) {
        if (s.sh_name > names.sh_size || want > names.sh_size - s.sh_name || names.sh_offset > e->len) continue;
        const char *n = bytes_at(e, names.sh_offset + s.sh_name, want);
        if (!n || memcmp(n, name, want)) continue;
        *vaddr = s.sh_addr;
        *size = s.sh_size;
        return 0;
    }
    return -ENOENT;
}

int elf_offset(const struct elf *e, uint64_t vaddr, uint64_t *offset) {
    Elf64_Ehdr h;
    Elf64_Phdr p;
    if (!header(e, &h)) return -ENOENT;
    for (unsigned i = 0; segment(e, &h, i, &p); i++) {
        if (p.p_type != PT_LOAD || vaddr < p.p_vaddr || vaddr - p.p_vaddr >= p.p_filesz) continue;
        uint64_t in_file = vaddr - p.p_vaddr;
        if (p.p_offset > e->len || in_file >= e->len - p.p_offset) return -ENOENT;
        *offset = p.p_offset + in_file;
        return 0;
    }
    return -ENOENT;
}
