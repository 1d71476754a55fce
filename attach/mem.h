/* Reading and writing target memory through one small interface, so that the code above it can be tested and fuzzed
 * without a live process. One thread at a time. */
#ifndef VT_ATTACH_MEM_H
#define VT_ATTACH_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base.h"

struct mem {
    /* Exactly len bytes or an error: 0, -EFAULT (not mapped), -ESRCH (gone), -EPERM. */
    int (*read)(struct mem *m, uint64_t addr, void *buf, size_t len);
    int (*write)(struct mem *m, uint64_t addr, const void *buf, size_t len); /* NULL = read-only back end */
    pid_t pid;
    int fd;             /* /proc/PID/mem, where process_vm_readv is not allowed; else -1 */
    const uint8_t *buf; /* buffer back end */
    uint64_t buf_base;
    size_t buf_len;
};

/* process_vm_readv/writev(2), falling back to /proc/PID/mem on ENOSYS/EPERM. */
VT_MUST_CHECK int mem_open(struct mem *m, pid_t pid);
void mem_buffer(struct mem *m, uint64_t base, const void *buf, size_t len);
void mem_close(struct mem *m);

/* Reads n ranges, one behind the other into buf, with as few system calls as there can be. Returns how many were read whole;
 * the one behind them could not be read. */
struct mem_range {
    uint64_t addr;
    size_t len;
};
VT_MUST_CHECK size_t mem_read_ranges(struct mem *m, const struct mem_range *ranges, size_t n, void *buf);

VT_MUST_CHECK int mem_read_u64(struct mem *m, uint64_t addr, uint64_t *v);
VT_MUST_CHECK int mem_read_u32(struct mem *m, uint64_t addr, uint32_t *v);
/* NUL-terminated string of at most size-1 bytes (cut there). */
VT_MUST_CHECK int mem_read_str(struct mem *m, uint64_t addr, char *buf, size_t size);

#endif
