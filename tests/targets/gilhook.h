/* Allocator hooks that take the GIL, as those of a memory profiler or of an embedding program may: compiled by the test against
 * no headers. */
#include <stddef.h>

struct allocator {
    void *ctx;
    void *(*malloc)(void *, size_t);
    void *(*calloc)(void *, size_t, size_t);
    void *(*realloc)(void *, void *, size_t);
    void (*free)(void *, void *);
};
void PyMem_GetAllocator(int, struct allocator *);
void PyMem_SetAllocator(int, struct allocator *);
int PyGILState_Ensure(void);
void PyGILState_Release(int);
void *PyGILState_GetThisThreadState(void);

static struct allocator before;
static __thread int inside;
static long taken;
static int known_only;

static void take(void) {
    if (inside || (known_only && !PyGILState_GetThisThreadState())) return;
    inside = 1;
    int state = PyGILState_Ensure();
    taken++;
    PyGILState_Release(state);
    inside = 0;
}
static void *hook_malloc(void *ctx, size_t size) {
    take();
    return before.malloc(before.ctx, size);
}
static void *hook_calloc(void *ctx, size_t n, size_t size) {
    take();
    return before.calloc(before.ctx, n, size);
}
static void *hook_realloc(void *ctx, void *block, size_t size) {
    take();
    return before.realloc(before.ctx, block, size);
}
static void hook_free(void *ctx, void *block) {
    take();
    before.free(before.ctx, block);
}
/* only_known: not in threads that have no thread state. From 3.13 on CPython itself does not survive that: while Ensure makes a
 * state, a second Ensure makes one for the same thread. */
void hook_install(int only_known) {
    known_only = only_known;
    struct allocator hooks = {NULL, hook_malloc, hook_calloc, hook_realloc, hook_free};
    PyMem_GetAllocator(0, &before); /* the raw domain */
    PyMem_SetAllocator(0, &hooks);
}
long hook_taken(void) { return taken; }
