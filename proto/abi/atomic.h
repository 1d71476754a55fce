/* Named atomic operations. No other file spells memory orders.
 * Freestanding: usable in the agent. Kernel wording: load_acquire pairs with store_release. */
#ifndef VT_PROTO_ABI_ATOMIC_H
#define VT_PROTO_ABI_ATOMIC_H

#define vt_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define vt_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define vt_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define vt_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define vt_fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define vt_fetch_or_release(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELEASE)
#define vt_fetch_and_acqrel(p, v) __atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL)
/* *p == *expected ? (*p = v, true) : (*expected = *p, false) */
#define vt_cas_acqrel(p, expected, v) __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define vt_full_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
