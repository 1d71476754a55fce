/* Owns the mapping of an arena and the SIGBUS guard. A memfd is sealed against shrinking. But an arena can also be a file in
 * the target's mount namespace, which its owner can truncate at any time. Then the signal handler maps empty pages in place of
 * the lost ones, and the session ends as broken. */
#include "daemon/drain/arena_map.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define PAGE 4096ul
/* When chunks above this were read, their pages go back to the kernel; chunks below keep theirs. */
#define KEEP_PAGES_BELOW 1024u

/* Protects the list while the thread that renews leases walks it. */
static pthread_mutex_t mapped_lock = PTHREAD_MUTEX_INITIALIZER;
static struct arena *mapped;

static void on_sigbus(int sig, siginfo_t *info, void *uc) {
    (void)uc;
    uintptr_t addr = (uintptr_t)info->si_addr;
    for (struct arena *a = mapped; a; a = a->next) {
        uintptr_t start = (uintptr_t)a->ctl;
        if (addr < start || addr >= start + a->bytes) continue;
        int saved = errno;
        /* Maps everything behind the page, too: a file is truncated at its end, and this makes one mapping. */
        uintptr_t page = addr & ~(PAGE - 1);
        a->broken = 1;
        if (mmap((void *)page, start + a->bytes - page, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
            break;
        errno = saved;
        return;
    }
    signal(sig, SIG_DFL); /* not in an arena: the instruction runs again, and the signal then ends the daemon */
}

static int guard_install(void) {
    static bool done;
    if (done) return 0;
    struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&sa.sa_mask);
    if (sigaction(SIGBUS, &sa, NULL)) return -errno;
    done = true;
    return 0;
}

uint32_t arena_chunks(int64_t file_size, uint32_t most) {
    uint64_t chunks = file_size > (int64_t)VT_CTL_SIZE ? ((uint64_t)file_size - VT_CTL_SIZE) / VT_CHUNK_SIZE : 0;
    return chunks < most ? (uint32_t)chunks : most;
}

void arena_ctl_begin(struct vt_ctl *ctl, uint32_t nchunks, uint32_t offered, uint64_t lease) {
    ctl->magic = VT_ARENA_MAGIC;
    ctl->abi_major = VT_ABI_MAJOR;
    ctl->abi_minor = VT_ABI_MINOR;
    ctl->nchunks = nchunks;
    for (uint32_t i = 0; i < offered; i++) ctl->free[i / 64] |= 1ul << (i & 63);
    ctl->enabled = 1;
    ctl->tool_id = -1;
    ctl->lease = lease;
}

int arena_open(struct arena *a, int fd, uint32_t nchunks, struct vt_err *err) {
    struct stat st;
    int rc;

    memset(a, 0, sizeof(*a));
    a->fd = -1;
    if (nchunks < 1 || nchunks > VT_CHUNKS_MAX) {
        rc = vt_err_set(err, -EINVAL, "arena of %u chunks: not between 1 and %u", nchunks, VT_CHUNKS_MAX);
        goto fail;
    }
    a->nchunks = nchunks;
    a->bytes = vt_arena_bytes(nchunks);
    if (fstat(fd, &st)) {
        rc = vt_err_set(err, -errno, "arena: %s", strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < a->bytes) {
        rc = vt_err_set(err, -EPROTO, "arena: %lld bytes instead of %zu", (long long)st.st_size, a->bytes);
        goto fail;
    }
    rc = guard_install();
    if (rc) {
        vt_err_set(err, rc, "arena: no SIGBUS guard: %s", strerror(-rc));
        goto fail;
    }
    void *p = mmap(NULL, a->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        rc = vt_err_set(err, -errno, "arena: cannot map %zu bytes: %s", a->bytes, strerror(errno));
        goto fail;
    }
    a->ctl = p;
    a->fd = fd;
    pthread_mutex_lock(&mapped_lock);
    a->next = mapped;
    mapped = a;
    pthread_mutex_unlock(&mapped_lock);
    return 0;
fail:
    vt_close(&fd);
    return rc;
}

void arena_close(struct arena *a) {
    pthread_mutex_lock(&mapped_lock);
    for (struct arena **p = &mapped; *p; p = &(*p)->next)
        if (*p == a) {
            *p = a->next;
            break;
        }
    pthread_mutex_unlock(&mapped_lock);
    if (a->ctl) munmap(a->ctl, a->bytes);
    a->ctl = NULL;
    vt_close(&a->fd);
}

void arena_warm(struct arena *a, uint32_t upto) {
    if (upto > a->nchunks) upto = a->nchunks;
    if (upto <= a->warm) return;
    char *start = (char *)vt_chunk_at(a->ctl, a->warm);
    size_t len = (size_t)(upto - a->warm) * VT_CHUNK_SIZE;
    if (madvise(start, len, MADV_POPULATE_WRITE)) {
        /* Older kernels: adding 0 touches the page without changing a record of a running thread. */
        for (char *p = start; p < start + len; p += PAGE) vt_fetch_or_release((uint64_t *)(void *)p, 0ul);
    }
    if (a->pages_first) {
        for (uint32_t i = a->warm; i < upto; i++) vt_fetch_or_release(&a->ctl->free[i / 64], 1ul << (i & 63));
        vt_fetch_add(&a->ctl->freed, 1ul); /* threads that found no free chunk try again */
    }
    a->warm = upto;
}

void arena_pages_first(struct arena *a) {
    a->pages_first = true;
    a->warm = a->nchunks < ARENA_FIRST_CHUNKS ? a->nchunks : ARENA_FIRST_CHUNKS;
    arena_warm(a, ARENA_AHEAD_PAGES_FIRST);
}

uint64_t arena_offered(const struct arena *a, uint32_t w) {
    uint32_t upto = a->pages_first ? a->warm : a->nchunks;
    if (upto <= w * 64) return 0;
    return upto - w * 64 >= 64 ? ~0ul : (1ul << (upto - w * 64)) - 1;
}

void arena_give_back(struct arena *a, uint32_t i) {
    struct vt_chunk *c = vt_chunk_at(a->ctl, i);
    if (a->pages_first || i < KEEP_PAGES_BELOW ||
        fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)((char *)c - (char *)a->ctl + (off_t)PAGE),
                  VT_CHUNK_SIZE - PAGE))
        memset(c->rec, 0, VT_CHUNK_SIZE - VT_CHUNK_HDR);
    else
        memset(c->rec, 0, PAGE - VT_CHUNK_HDR);
    c->base = 0;
    c->seq = 0;
    c->thread = 0;
    c->stack = 0;
    c->ident = 0;
    c->dropped = 0;
    vt_store_relaxed(&c->limit, 0ul);
    vt_store_relaxed(&c->state, (uint32_t)VT_CHUNK_FREE);
    vt_store_release(&c->owner, 0ul);
    vt_fetch_or_release(&a->ctl->free[i / 64], 1ul << (i & 63));
    vt_fetch_add(&a->ctl->freed, 1ul);
}

static void limits_to_zero(struct arena *a) {
    for (uint32_t w = 0; w * 64 < a->nchunks; w++)
        for (uint64_t used = ~vt_load_acquire(&a->ctl->free[w]); used; used &= used - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(used);
            if (i >= a->nchunks) break;
            vt_store_release(&vt_chunk_at(a->ctl, i)->limit, 0ul);
        }
}

/* A thread stores its new limit, executes a fence and reads `enabled` again. In any order of its steps and ours it sees
 * enabled == 0 or a limit of 0. */
void arena_stop_writers(struct arena *a) {
    limits_to_zero(a);
    vt_store_release(&a->ctl->enabled, 0u);
    vt_full_fence();
    limits_to_zero(a);
}

void arena_keep(struct arena *a, bool keep) { vt_store_release(&a->kept, keep ? 1u : 0u); }

uint32_t arenas_renew(uint64_t until) {
    uint32_t n = 0;
    pthread_mutex_lock(&mapped_lock);
    for (struct arena *a = mapped; a; a = a->next) {
        if (!vt_load_acquire(&a->kept)) continue;
        vt_store_release(&a->ctl->lease, until);
        n++;
    }
    pthread_mutex_unlock(&mapped_lock);
    return n;
}
