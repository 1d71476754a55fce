/* Owns the wait for the GIL (gil_wait.h).
 *
 * take_gil (Python/ceval_gil.c, ceval_gil.h) waits on gil->cond and asks the holder to drop the GIL when the switch interval has
 * passed. A thread in it cannot be called back: it would leave gil->mutex locked. So this file makes the request and looks at
 * gil->locked, and take_gil is entered when it does not have to wait.
 *
 * A holder that drops the GIL on request waits on switch_cond until another thread is the last holder. Whoever has asked must
 * therefore take the GIL, or withdraw the request. Request and withdrawal are made with gil->mutex held, under which the holder
 * clears gil->locked. If the GIL is still locked at the withdrawal, the holder will not see the request. If it is free, the
 * holder may have seen it: then gil->last_holder is cleared and switch_cond signalled, as by a thread that takes the GIL.
 *
 *   below 3.12  the GIL is in _PyRuntime          request: gil_drop_request and eval_breaker, 3.8 in _PyRuntime,
 *   3.12        in the main interpreter             then in the main interpreter
 *   3.13+       in the main interpreter           request: a bit in the eval_breaker of the holder's thread state */
#include "agent/cpython/gil_wait.h"

#include "agent/cpython/arch.h"
#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "proto/abi/atomic.h"

enum { MUTEX_KIND = 16 }; /* glibc: of an ordinary mutex 0; musl: not used, 0 */
enum { FUTEX_WAIT_PRIVATE = 128 };
enum { INTERPRETER_MAX = 1 << 20, RECURSION_LIMIT_MAX = 0x7fffffff, TERMS = 5 }; /* sys.setrecursionlimit takes any int */
/* sys.setswitchinterval takes anything, 0 too. Pointers are larger than this, which is 11 days. */
#define INTERVAL_MAX_US 1000000000000ull
#define ASK_MAX_US 100000u /* a longer interval is not waited for: one switch more is no harm */
#define SLICE_US 1000u
#define SLICE_ASKED_US 100u /* while the holder may be waiting for us to take what it dropped */
#define ASKED_SOON_US 5000u
#define DROP_REQUEST_BIT 1ull

/* The word is in _PyRuntime, not in the main interpreter. */
#define IN_RUNTIME 0x80000000u

struct words {
    uint32_t python;
    uint32_t gil;             /* in _PyRuntime, or in the main interpreter a pointer to it (3.12+) */
    uint32_t breaker;         /* eval_breaker: of a thread state from 3.13 on, else as drop_request */
    uint32_t drop_request;    /* 0 = 3.13+; in the main interpreter, or IN_RUNTIME */
    uint32_t recursion_limit; /* beside them, to know them by */
    uint32_t terms[TERMS];    /* what else makes eval_breaker 1; 0 = no more */
};
static const struct words versions[] = {
    {0x308, 1152, IN_RUNTIME | 592, IN_RUNTIME | 596, IN_RUNTIME | 584, {IN_RUNTIME | 1144, IN_RUNTIME | 616, IN_RUNTIME | 620}},
    {0x309, 352, 72, 76, 64, {IN_RUNTIME | 344, 88, 92}},
    {0x30a, 352, 68, 72, 64, {IN_RUNTIME | 344, 88, 92}},
    {0x30b, 360, 100, 104, 96, {IN_RUNTIME | 352, 120, 124}},
    {0x30c, 384, 368, 372, 376, {IN_RUNTIME | 2008, IN_RUNTIME | 2032, 396, 416, 420}},
    {0x30d, 16, 24, 0, 0, {0}},
    {0x30e, 16, 24, 0, 0, {0}},
    {0x30f, 16, 24, 0, 0, {0}},
};

struct wait {
    const struct words *words;
    char *gil, *main;
    void *asked; /* 3.13+: the thread state that has the bit */
    bool requested;
};

static uint32_t *word(const struct wait *w, uint32_t at) {
    char *base = at & IN_RUNTIME ? (char *)py._PyRuntime : w->main;
    return (uint32_t *)(void *)(base + (at & ~IN_RUNTIME));
}
static uint32_t locked(const struct wait *w) { return vt_load_acquire((uint32_t *)(void *)(w->gil + GIL_LOCKED)); }
static uint64_t gil_word(const struct wait *w, uint32_t at) { return vt_load_acquire((uint64_t *)(void *)(w->gil + at)); }
static void lock(const struct wait *w) { py.pthread_mutex_lock(w->gil + GIL_MUTEX); }
static void unlock(const struct wait *w) { py.pthread_mutex_unlock(w->gil + GIL_MUTEX); }

/* ---- are the words where they are expected ---- */

static bool is_flag(const struct wait *w, uint32_t at) { return vt_load_relaxed(word(w, at)) <= 1; }

static bool gil_fits(const struct wait *w) {
    uint64_t interval = gil_word(w, GIL_INTERVAL), holder = gil_word(w, GIL_LAST_HOLDER);
    return interval <= INTERVAL_MAX_US && holder % 8 == 0 && locked(w) <= 1 && !field32(w->gil, GIL_MUTEX + MUTEX_KIND) &&
           !field32(w->gil, GIL_SWITCH_MUTEX + MUTEX_KIND);
}

static bool flags_fit(const struct wait *w) {
    if (!w->words->drop_request) return true;
    uint32_t limit = vt_load_relaxed(word(w, w->words->recursion_limit));
    if (!limit || limit > RECURSION_LIMIT_MAX) return false;
    for (uint32_t i = 0; i < TERMS && w->words->terms[i]; i++)
        if (!is_flag(w, w->words->terms[i])) return false;
    return is_flag(w, w->words->breaker) && is_flag(w, w->words->drop_request);
}

static bool find(struct wait *w) {
    if (!py._PyRuntime || !py.PyInterpreterState_Main || !py.pthread_mutex_lock || !py.pthread_mutex_unlock ||
        !py.pthread_cond_signal)
        return false;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (versions[i].python == layout.python) w->words = &versions[i];
    w->main = py.PyInterpreterState_Main();
    if (!w->words || !w->main) return false;
    w->gil = (char *)py._PyRuntime + w->words->gil;
    if (layout.python >= 0x30c) {
        w->gil = field(w->main, w->words->gil);
        if ((uint64_t)w->gil - (uint64_t)w->main > INTERPRETER_MAX - GIL_SIZE || (uint64_t)w->gil % 8) return false;
    }
    return gil_fits(w) && flags_fit(w);
}

/* ---- the request ---- */

/* With the mutex held and the GIL locked: then the holder's thread state cannot go. A holder of another interpreter is not asked:
 * that would be a write into what may be freed. take_gil does not ask it either, but on 3.8, where the words are in _PyRuntime.
 */
static void request(struct wait *w) {
    void *holder = (void *)gil_word(w, GIL_LAST_HOLDER);
    if (layout.python != 0x308 && (!holder || field(holder, layout.ts_interp) != w->main)) return;
    if (w->words->drop_request) {
        vt_store_relaxed(word(w, w->words->drop_request), 1u);
        vt_store_relaxed(word(w, w->words->breaker), 1u);
    } else {
        w->asked = holder;
        vt_fetch_or_release((uint64_t *)(void *)((char *)holder + w->words->breaker), DROP_REQUEST_BIT);
    }
    w->requested = true;
}

/* With the mutex held. A signal handler sets its term before eval_breaker: so eval_breaker is cleared first, and set again when a
 * term is set. */
static void withdraw(struct wait *w) {
    if (w->words->drop_request) {
        uint32_t any = 0;
        vt_store_relaxed(word(w, w->words->drop_request), 0u);
        vt_store_relaxed(word(w, w->words->breaker), 0u);
        vt_full_fence();
        for (uint32_t i = 0; i < TERMS && w->words->terms[i]; i++) any |= vt_load_relaxed(word(w, w->words->terms[i]));
        if (any) vt_store_relaxed(word(w, w->words->breaker), 1u);
    } else if (locked(w) && (void *)gil_word(w, GIL_LAST_HOLDER) == w->asked) {
        vt_fetch_and_acqrel((uint64_t *)(void *)((char *)w->asked + w->words->breaker), ~DROP_REQUEST_BIT);
    }
    w->requested = false;
}

/* With the mutex held and the GIL free: the thread that dropped it may be waiting, or be about to wait, until somebody else is
 * the last holder. */
static void let_holder_go(const struct wait *w) {
    py.pthread_mutex_lock(w->gil + GIL_SWITCH_MUTEX);
    vt_store_relaxed((uint64_t *)(void *)(w->gil + GIL_LAST_HOLDER), 0ull);
    py.pthread_cond_signal(w->gil + GIL_SWITCH_COND);
    py.pthread_mutex_unlock(w->gil + GIL_SWITCH_MUTEX);
}

/* ---- the wait ---- */

static void nap(uint32_t us) {
    uint32_t nobody_wakes = 0;
    const int64_t slice[2] = {0, (int64_t)us * 1000};
    arch_syscall6(SYS_FUTEX, (uint64_t)&nobody_wakes, FUTEX_WAIT_PRIVATE, 0, (uint64_t)slice, 0, 0);
}

static bool over(bool (*wanted)(void *ctx), void *ctx) {
    return !wanted(ctx) || !py.Py_IsInitialized() || (py.Py_IsFinalizing && py.Py_IsFinalizing());
}

static uint64_t ask_after(const struct wait *w) {
    uint64_t interval = gil_word(w, GIL_INTERVAL);
    return interval < ASK_MAX_US ? interval : ASK_MAX_US;
}

int gil_wait(bool (*wanted)(void *ctx), void *ctx) {
    struct wait w = {0};
    if (!find(&w)) return -VT_ENOTSUP;
    uint64_t switches = gil_word(&w, GIL_SWITCH_NUMBER), waited = 0, ask_at = ask_after(&w), asked_at = 0;
    for (;;) {
        if (!locked(&w) || gil_word(&w, GIL_SWITCH_NUMBER) != switches) return 0;
        if (over(wanted, ctx)) break;
        if (waited >= ask_at) {
            lock(&w);
            if (locked(&w) && gil_word(&w, GIL_SWITCH_NUMBER) == switches) request(&w);
            unlock(&w);
            if (!asked_at) asked_at = waited;
            ask_at = waited + ask_after(&w);
        }
        uint32_t us = asked_at && waited - asked_at < ASKED_SOON_US ? SLICE_ASKED_US : SLICE_US;
        nap(us);
        waited += us;
    }
    if (w.requested) {
        lock(&w);
        withdraw(&w);
        if (!locked(&w)) let_holder_go(&w);
        unlock(&w);
    }
    return -VT_ECANCELED;
}
