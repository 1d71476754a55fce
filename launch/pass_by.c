/* Owns the look at a program that is about to be started. Its bytes are hostile: everything read is checked. What cannot be read
 * is allowed: the dynamic linker decides then. */
#include "agent/cpython/arch.h"
#include "launch/launch.h"

enum {
    AT_HERE = -100, /* AT_FDCWD */
    O_READ_CLOEXEC = 02000000,
    CLASS_64 = 2,
    CPU_X86_64 = 62,
    TYPE_LOAD = 1,
    TYPE_DYNAMIC = 2,
    HEADERS_MAX = 64,
    DYNAMIC_MAX = 256,
    TAG_NEEDED = 1,
    TAG_STRTAB = 5,
    NAME_BYTES = 24
};

struct elf_header {
    uint8_t magic[4], class_, data, rest[10];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, headers_at, sections_at;
    uint32_t flags;
    uint16_t size, header_size, nheaders, section_size, nsections, names;
};
struct program_header {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
struct dynamic_entry {
    int64_t tag;
    uint64_t value;
};

static int64_t read_at(int64_t fd, void *to, uint64_t bytes, uint64_t at) {
    return arch_syscall6(SYS_PREAD, (uint64_t)fd, (uint64_t)to, bytes, at, 0, 0);
}

static bool begins(const char *text, const char *with) {
    for (; *with; text++, with++)
        if (*text != *with) return false;
    return true;
}

/* Its runtime ends the program when another library is loaded before it. */
static bool is_sanitizer(const char *library) { return begins(library, "libasan.so") || begins(library, "libclang_rt.asan"); }

static bool needs_sanitizer(int64_t fd, const struct program_header *headers, uint32_t n) {
    struct dynamic_entry entries[DYNAMIC_MAX];
    const struct program_header *dynamic = NULL;
    uint64_t strings = 0;
    for (uint32_t i = 0; i < n; i++)
        if (headers[i].type == TYPE_DYNAMIC) dynamic = &headers[i];
    if (!dynamic) return false;
    int64_t bytes = read_at(fd, entries, dynamic->filesz < sizeof entries ? dynamic->filesz : sizeof entries, dynamic->offset);
    uint32_t count = bytes > 0 ? (uint32_t)((uint64_t)bytes / sizeof entries[0]) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (entries[i].tag == TAG_STRTAB) strings = entries[i].value;
    const struct program_header *load = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (headers[i].type == TYPE_LOAD && strings >= headers[i].vaddr && strings - headers[i].vaddr < headers[i].filesz)
            load = &headers[i];
    for (uint32_t i = 0; load && i < count && entries[i].tag; i++) {
        char name[NAME_BYTES] = "";
        if (entries[i].tag != TAG_NEEDED) continue;
        read_at(fd, name, sizeof name - 1, strings - load->vaddr + load->offset + entries[i].value);
        name[sizeof name - 1] = 0;
        if (is_sanitizer(name)) return true;
    }
    return false;
}

static bool file_allows(int64_t fd) {
    static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};
    struct elf_header header;
    struct program_header headers[HEADERS_MAX];
    if (read_at(fd, &header, sizeof header, 0) != (int64_t)sizeof header || memcmp(header.magic, magic, sizeof magic))
        return true;
    if (header.class_ != CLASS_64 || header.machine != CPU_X86_64) return false;
    uint32_t n = header.nheaders < HEADERS_MAX ? header.nheaders : HEADERS_MAX;
    if (header.header_size != sizeof headers[0]) return true;
    int64_t bytes = read_at(fd, headers, n * sizeof headers[0], header.headers_at);
    return bytes < 0 || !needs_sanitizer(fd, headers, (uint32_t)((uint64_t)bytes / sizeof headers[0]));
}

/* Only calls that the dynamic linker makes, too: this process may be under a filter. */
bool pass_by_is_there(const char *path) {
    int64_t fd = arch_syscall3(SYS_OPENAT, (uint64_t)AT_HERE, (uint64_t)path, O_READ_CLOEXEC);
    if (fd >= 0) arch_syscall3(SYS_CLOSE, (uint64_t)fd, 0, 0);
    return fd >= 0;
}

bool pass_by_allows(const char *program) {
    if (!pass_by_is_there(own.path)) return false;
    int64_t fd = arch_syscall3(SYS_OPENAT, (uint64_t)AT_HERE, (uint64_t)program, O_READ_CLOEXEC);
    if (fd < 0) return true;
    bool allowed = file_allows(fd);
    arch_syscall3(SYS_CLOSE, (uint64_t)fd, 0, 0);
    return allowed;
}
