/* Owns access to target memory: process_vm_readv/writev, /proc/PID/mem, a byte buffer. */
#include "attach/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define MEM_PAGE 4096u
#define RANGES_MAX 512u /* IOV_MAX is 1024 */

/* Turns kernel errors into those that mem.h promises. */
static int mem_errno(int code) {
    switch (code) {
    case EIO:
    case ENOMEM:
    case EFAULT: return -EFAULT;
    case EACCES:
    case EPERM: return -EPERM;
    default: return -code;
    }
}

static bool range_ok(uint64_t addr, size_t len) { return len <= SSIZE_MAX && addr <= UINT64_MAX - len; }

/* ---- /proc/PID/mem ---- */

static int proc_mem_read(struct mem *m, uint64_t addr, void *buf, size_t len) {
    if (!range_ok(addr, len) || addr > INT64_MAX) return -EFAULT;
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(m->fd, (char *)buf + done, len - done, (off_t)(addr + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return mem_errno(errno);
        if (n == 0) return -ESRCH; /* the address space is gone */
        done += (size_t)n;
    }
    return 0;
}

static int proc_mem_write(struct mem *m, uint64_t addr, const void *buf, size_t len) {
    if (!range_ok(addr, len) || addr > INT64_MAX) return -EFAULT;
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(m->fd, (const char *)buf + done, len - done, (off_t)(addr + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return mem_errno(errno);
        if (n == 0) return -ESRCH;
        done += (size_t)n;
    }
    return 0;
}

/* process_vm_* is missing or forbidden (a seccomp filter on us): uses /proc/PID/mem from now on. */
static int fall_back(struct mem *m, int cause) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", m->pid);
    m->fd = open(path, O_RDWR | O_CLOEXEC);
    if (m->fd < 0) return cause == ENOSYS ? mem_errno(errno) : mem_errno(cause);
    m->read = proc_mem_read;
    m->write = proc_mem_write;
    return 0;
}

/* ---- process_vm_readv(2), process_vm_writev(2) ---- */

static int vm_transfer(struct mem *m, uint64_t addr, void *buf, size_t len, bool to_target) {
    for (size_t done = 0; done < len;) {
        struct iovec local = {(char *)buf + done, len - done};
        struct iovec remote = {(void *)(uintptr_t)(addr + done), len - done};
        ssize_t n =
            to_target ? process_vm_writev(m->pid, &local, 1, &remote, 1, 0) : process_vm_readv(m->pid, &local, 1, &remote, 1, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return -EFAULT;
        done += (size_t)n;
    }
    return 0;
}

static int vm_read(struct mem *m, uint64_t addr, void *buf, size_t len) {
    if (!range_ok(addr, len)) return -EFAULT;
    int rc = vm_transfer(m, addr, buf, len, false);
    if (rc == -ENOSYS || rc == -EPERM) {
        rc = fall_back(m, -rc);
        return rc ? rc : proc_mem_read(m, addr, buf, len);
    }
    return rc ? mem_errno(-rc) : 0;
}

static int vm_write(struct mem *m, uint64_t addr, const void *buf, size_t len) {
    if (!range_ok(addr, len)) return -EFAULT;
    int rc = vm_transfer(m, addr, (void *)(uintptr_t)buf, len, true);
    if (rc == -ENOSYS || rc == -EPERM) {
        rc = fall_back(m, -rc);
        return rc ? rc : proc_mem_write(m, addr, buf, len);
    }
    return rc ? mem_errno(-rc) : 0;
}

/* ---- a byte buffer ---- */

static int buffer_read(struct mem *m, uint64_t addr, void *buf, size_t len) {
    if (addr < m->buf_base || len > m->buf_len || addr - m->buf_base > m->buf_len - len) return -EFAULT;
    if (len) memcpy(buf, m->buf + (addr - m->buf_base), len);
    return 0;
}

int mem_open(struct mem *m, pid_t pid) {
    *m = (struct mem){.read = vm_read, .write = vm_write, .pid = pid, .fd = -1};
    if (pid <= 0) return -ESRCH;
    if (kill(pid, 0) && errno == ESRCH) return -ESRCH;
    return 0;
}

void mem_buffer(struct mem *m, uint64_t base, const void *buf, size_t len) {
    *m = (struct mem){.read = buffer_read, .fd = -1, .buf = buf, .buf_base = base, .buf_len = len};
}

void mem_close(struct mem *m) {
    if (m->read) vt_close(&m->fd);
    *m = (struct mem){.fd = -1};
}

/* One call for up to RANGES_MAX of them. */
static size_t vm_read_ranges(struct mem *m, const struct mem_range *ranges, size_t n, char *buf) {
    struct iovec remote[RANGES_MAX], local = {buf, 0};
    size_t done = 0;
    if (n > RANGES_MAX) n = RANGES_MAX;
    for (size_t i = 0; i < n; i++) {
        remote[i] = (struct iovec){(void *)(uintptr_t)ranges[i].addr, ranges[i].len};
        local.iov_len += ranges[i].len;
    }
    ssize_t got = process_vm_readv(m->pid, &local, 1, remote, n, 0);
    for (; got > 0 && done < n && (size_t)got >= ranges[done].len; done++) got -= (ssize_t)ranges[done].len;
    return done;
}

size_t mem_read_ranges(struct mem *m, const struct mem_range *ranges, size_t n, void *buf) {
    char *to = buf;
    size_t done = 0;
    while (done < n) {
        size_t got = m->read == vm_read ? vm_read_ranges(m, ranges + done, n - done, to) : 0;
        /* alone: another way to read, or the first one that failed, which decides */
        if (!got && m->read(m, ranges[done].addr, to, ranges[done].len)) break;
        if (!got) got = 1;
        for (size_t end = done + got; done < end; done++) to += ranges[done].len;
    }
    return done;
}

int mem_read_u64(struct mem *m, uint64_t addr, uint64_t *v) { return m->read(m, addr, v, sizeof(*v)); }
int mem_read_u32(struct mem *m, uint64_t addr, uint32_t *v) { return m->read(m, addr, v, sizeof(*v)); }

int mem_read_str(struct mem *m, uint64_t addr, char *buf, size_t size) {
    if (!size) return -EINVAL;
    size_t done = 0;
    while (done < size - 1) {
        /* never reads past a page that the string may not reach */
        size_t part = MEM_PAGE - (size_t)((addr + done) % MEM_PAGE);
        if (part > size - 1 - done) part = size - 1 - done;
        int rc = m->read(m, addr + done, buf + done, part);
        if (rc == -EFAULT && part > 1 && m->buf) {
            /* a buffer may end inside a page */
            part = 1;
            rc = m->read(m, addr + done, buf + done, part);
        }
        if (rc) {
            buf[0] = '\0';
            return rc;
        }
        if (memchr(buf + done, '\0', part)) return 0;
        done += part;
    }
    buf[done] = '\0';
    return 0;
}
