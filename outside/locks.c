/* Owns finding the lock that a thread waits for, and circles of threads that wait for each other (locks.h).
 *
 * A thread that waits sleeps in a futex. The Lock or RLock is among the values of its frames: as a variable, or on the stack of
 * values, where `lock.acquire()` and `with lock` have put it. Up to 3.13 its semaphore is at the address of the futex, which
 * proves it. From 3.14 on the futex says nothing, so it has to be the topmost lock on the stack of values of the innermost frame,
 * and it has to be locked. An RLock knows who holds it; a Lock does not. */
#include "outside/locks.h"

#include <string.h>
#include <sys/syscall.h>

#include "attach/inside.h"

enum {
    FRAMES_MAX = 8,  /* that are searched: acquire() of a Condition or a Queue is some frames further in */
    SLOTS_MAX = 64,  /* of each */
    LOCK_STATE = 16, /* up to 3.13 the address of the semaphore; from 3.14 on a byte */
    LOCK_OWNER = 24, /* of an RLock: what threading.get_ident() says */
    METHOD_SELF = 24,
    STACK_POINTER = 64, /* 3.14+: of a frame */
    TYPE_NAME_MAX = 32,
    NAMES = 2
};
static const char *const names[NAMES] = {"Lock", "RLock"};
static const char *const type_names[NAMES] = {"_thread.lock", "_thread.RLock"};
static const char method_type[] = "builtin_function_or_method";

struct found {
    uint64_t lock;
    int type; /* index in names */
};

static bool type_name(struct remote *r, uint64_t object, char name[TYPE_NAME_MAX]) {
    uint64_t type, at;
    memset(name, 0, TYPE_NAME_MAX);
    if (!remote_is_object(object) || remote_u64(r, object + OBJECT_TYPE, &type) || !remote_is_object(type)) return false;
    return !remote_u64(r, type + TYPE_NAME, &at) && !remote_read(r, at, name, TYPE_NAME_MAX - 1);
}

/* The lock that a value is, or a bound method of which it is. */
static bool lock_of(struct remote *r, uint64_t value, struct found *out) {
    char name[TYPE_NAME_MAX];
    if (!type_name(r, value, name)) return false;
    if (!strcmp(name, method_type) && (remote_u64(r, value + METHOD_SELF, &value) || !type_name(r, value, name))) return false;
    for (int i = 0; i < NAMES; i++) {
        if (strcmp(name, type_names[i]) != 0) continue;
        *out = (struct found){value, i};
        return true;
    }
    return false;
}

static bool find_by_semaphore(struct remote *r, const struct py_layout *l, const struct outside_thread *t, struct found *out) {
    for (uint32_t i = 0; i < t->nframes && i < FRAMES_MAX; i++)
        for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
            uint64_t value, semaphore;
            if (remote_u64(r, t->frames[i].address + l->frame_locals + slot * 8, &value)) break;
            if (lock_of(r, value, out) && !remote_u64(r, out->lock + LOCK_STATE, &semaphore) && semaphore == t->futex)
                return true;
        }
    return false;
}

static bool find_on_stack(struct remote *r, const struct py_layout *l, const struct outside_thread *t, struct found *out) {
    uint64_t frame = t->nframes ? t->frames[0].address : 0, top, value;
    uint32_t state;
    if (!frame || remote_u64(r, frame + STACK_POINTER, &top)) return false;
    for (unsigned i = 1; i <= SLOTS_MAX && top >= frame + l->frame_locals + i * 8; i++) {
        if (remote_u64(r, top - i * 8, &value) || !lock_of(r, value & ~(uint64_t)l->reference_tags, out)) continue;
        return !remote_u32(r, out->lock + LOCK_STATE, &state) && state & 1;
    }
    return false;
}

static void find_owner(struct remote *r, struct outside_thread *t, const struct found *found,
                       const struct outside_thread *threads, size_t n) {
    uint64_t owner = 0;
    t->lock = found->lock;
    t->lock_type = names[found->type];
    if (found->type != 1 || remote_u64(r, found->lock + LOCK_OWNER, &owner) || !owner) return;
    for (size_t i = 0; i < n; i++)
        if (threads[i].ident == owner && &threads[i] != t) t->lock_owner = &threads[i];
}

/* Nobody in the circle has moved since its state was read. */
static bool still_waits(pid_t pid, const struct outside_thread *t) {
    unsigned long arg[2] = {0, 0};
    long nr = -1;
    return inside_call(pid, t->tid, &nr, arg) == 1 && nr == SYS_futex && arg[0] == t->futex;
}

/* Follows the owners from one thread on: it is in a circle when it comes back to itself. */
static bool in_circle(pid_t pid, const struct outside_thread *t, size_t n) {
    const struct outside_thread *at = t;
    for (size_t i = 0; i < n && at; i++) {
        at = at->lock_owner;
        if (at == t) break;
    }
    if (at != t) return false;
    do {
        if (!still_waits(pid, at)) return false;
        at = at->lock_owner;
    } while (at != t);
    return true;
}

void locks_find(struct remote *r, const struct py_layout *l, pid_t pid, struct outside_thread *threads, size_t n) {
    enum { WAITERS_MAX = 4096 };
    unsigned waiters = 0;
    remote_forget(r);
    for (size_t i = 0; i < n && waiters < WAITERS_MAX; i++) {
        struct found found;
        if (!threads[i].futex || threads[i].gil != OUTSIDE_GIL_NOT || threads[i].torn) continue;
        waiters++;
        if (l->python < 0x30e ? find_by_semaphore(r, l, &threads[i], &found) : find_on_stack(r, l, &threads[i], &found))
            find_owner(r, &threads[i], &found, threads, n);
    }
    waiters = 0;
    for (size_t i = 0; i < n && waiters < WAITERS_MAX; i++) {
        if (!threads[i].lock_owner) continue;
        waiters++;
        threads[i].deadlocked = in_circle(pid, &threads[i], n < WAITERS_MAX ? n : WAITERS_MAX);
    }
}
