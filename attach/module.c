/* Owns reading the ELF image of a mapped module. Three sources, tried in this order:
 *   1. /proc/PID/map_files/S-E: the mapped inode itself, even when it was deleted or replaced or is in another mount
 *   namespace. Needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
 *   2. /proc/PID/root + path, when inode and first page are the mapped ones.
 *   3. The loaded segments, read from target memory and placed at their file offsets. */
#include "attach/attach_priv.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define IMAGE_MAX (1ull << 30)
#define SEGMENTS_MAX 64u

uint64_t module_bias(const struct map_module *mod, const struct elf *e) { return mod->start - e->vaddr0; }

/* Is `e`, opened by name, the mapped file? Another device may use the same inode number, and overlay and btrfs report one
 * device in maps and another in stat. So the contents are compared. */
static bool same_file(struct mem *mem, const struct maps *maps, const struct map_module *mod, const struct elf *e,
                      const char *path) {
    const struct map_line *line = maps_find_line(maps, mod->first_start);
    struct stat st;
    uint8_t page[4096];
    if (!line || stat(path, &st) || (uint64_t)st.st_ino != line->inode) return false;
    size_t len = e->len < sizeof(page) ? e->len : sizeof(page);
    return !mem->read(mem, mod->first_start, page, len) && !memcmp(page, e->img, len);
}

int module_open(struct mem *mem, const struct maps *maps, const struct map_module *mod, struct elf *out) {
    *out = (struct elf){0};
    if (!mod->first_end) return -ENOENT;
    if (mem->pid > 0 && mod->kind != MAP_VDSO) {
        char path[640];
        snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", mem->pid, mod->first_start, mod->first_end);
        int rc = elf_open(out, path);
        if (!rc || rc == -ENOEXEC || rc == -EINVAL) return rc;
        /* If we can reach the file (a chroot), maps has our path to it; else the path in the target's mount namespace. */
        char root[32];
        snprintf(root, sizeof(root), "/proc/%d/root", mem->pid);
        const char *const roots[] = {root, ""};
        for (size_t i = 0; i < VT_ARRAY_LEN(roots); i++) {
            snprintf(path, sizeof(path), "%s%s", roots[i], mod->path);
            if (elf_open(out, path)) continue;
            if (same_file(mem, maps, mod, out, path)) return 0;
            elf_close(out);
        }
    }
    return module_from_memory(mem, mod, out);
}

static void copy_segment(struct mem *mem, uint8_t *image, uint64_t addr, uint64_t offset, uint64_t size) {
    /* Page by page: pages that are not mapped stay zero. */
    while (size) {
        uint64_t part = 4096 - addr % 4096;
        if (part > size) part = size;
        if (mem->read(mem, addr, image + offset, part)) memset(image + offset, 0, part);
        addr += part;
        offset += part;
        size -= part;
    }
}

/* The loader has turned these vaddrs into addresses. */
static void unrelocate(uint8_t *image, const Elf64_Phdr *dynamic, uint64_t bias) {
    for (uint64_t i = 0; i + sizeof(Elf64_Dyn) <= dynamic->p_filesz; i += sizeof(Elf64_Dyn)) {
        Elf64_Dyn d;
        memcpy(&d, image + dynamic->p_offset + i, sizeof(d));
        if (d.d_tag == DT_NULL) return;
        if (d.d_tag != DT_SYMTAB && d.d_tag != DT_STRTAB && d.d_tag != DT_HASH && d.d_tag != DT_GNU_HASH && d.d_tag != DT_VERSYM)
            continue;
        if (d.d_un.d_ptr < bias) continue;
        d.d_un.d_ptr -= bias;
        memcpy(image + dynamic->p_offset + i, &d, sizeof(d));
    }
}

int module_from_memory(struct mem *mem, const struct map_module *mod, struct elf *out) {
    *out = (struct elf){0};
    Elf64_Ehdr h;
    Elf64_Phdr p[SEGMENTS_MAX];
    int rc = mem->read(mem, mod->start, &h, sizeof(h));
    if (rc) return rc;
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_phentsize != sizeof(p[0])) return -ENOEXEC;
    if (!h.e_phnum || h.e_phnum > SEGMENTS_MAX || h.e_phoff > mod->end - mod->start) return -EINVAL;
    rc = mem->read(mem, mod->start + h.e_phoff, p, h.e_phnum * sizeof(p[0]));
    if (rc) return rc;

    uint64_t size = h.e_phoff + h.e_phnum * sizeof(p[0]), vaddr0 = UINT64_MAX;
    if (size < sizeof(h)) size = sizeof(h);
    const Elf64_Phdr *dynamic = NULL;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        if (p[i].p_type == PT_DYNAMIC) dynamic = &p[i];
        if (p[i].p_type != PT_LOAD) continue;
        if (p[i].p_offset > IMAGE_MAX || p[i].p_filesz > IMAGE_MAX) return -EINVAL;
        if (p[i].p_offset + p[i].p_filesz > size) size = p[i].p_offset + p[i].p_filesz;
        if ((p[i].p_vaddr & ~0xfffull) < vaddr0) vaddr0 = p[i].p_vaddr & ~0xfffull;
    }
    if (mod->kind == MAP_VDSO && size < mod->end - mod->start) size = mod->end - mod->start;
    if (vaddr0 == UINT64_MAX || size > IMAGE_MAX || size > mod->end - mod->start + (1u << 20)) return -EINVAL;

    uint8_t *image = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (image == MAP_FAILED) return -errno;
    uint64_t bias = mod->start - vaddr0;
    if (mod->kind == MAP_VDSO) copy_segment(mem, image, mod->start, 0, size);
    for (unsigned i = 0; i < h.e_phnum; i++)
        if (p[i].p_type == PT_LOAD) copy_segment(mem, image, p[i].p_vaddr + bias, p[i].p_offset, p[i].p_filesz);
    memcpy(image, &h, sizeof(h));
    memcpy(image + h.e_phoff, p, h.e_phnum * sizeof(p[0]));
    if (dynamic && bias && mod->kind != MAP_VDSO && dynamic->p_offset <= size && dynamic->p_filesz <= size - dynamic->p_offset)
        unrelocate(image, dynamic, bias);
    rc = elf_parse(out, image, size);
    if (rc)
        munmap(image, size);
    else
        out->mapped = true;
    return rc;
}
