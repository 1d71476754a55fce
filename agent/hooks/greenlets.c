/* Owns which stack each thread runs. A stack is known by its root: from Python 3.11 on the first piece of the memory that holds
 * its frames, below that its outermost frame. greenlet exchanges both with each switch, so nothing of it is called.
 *
 * The stack that a thread has at the attach, or else the first one that is seen, is the thread's own. Each other one gets a
 * serial, as a thread does. What is kept per thread for the open calls (filters, depth, tasks) is exchanged with the stack.
 *
 * The table is bounded. A stack that is in it no more, or was switched away from before the attach, counts as new when it runs
 * again: its open frames are told then. Numbers of greenlets that have ended are given to new ones, so a track holds one after
 * the other, and there are no more tracks than greenlets at one time. */
#include "agent/hooks/greenlets.h"

#include "agent/cpython/frames.h"
#include "agent/hooks/hooks.h"
#include "agent/limit/governor.h"
#include "agent/session/session.h"

enum { SETS = 4096, WAYS = 8, SPARES = 1024, ROOT_STEPS_MAX = 1 << 20, MEMORY_STEP = 16384 };
enum { MEMORY_PREVIOUS = 0, MEMORY_TOP = 8, MEMORY_LIMIT = 16 }; /* of a piece; behind ts_datastack */
#define NO_MEMORY 1ull /* root of a stack whose only frames are those of generators, which lie elsewhere */
#define TABLE_BYTES ((uint64_t)SETS * sizeof(struct set))

struct stack {
    uint64_t root;   /* 0 = this entry is free */
    uint32_t thread; /* serial + 1; 0: what a thread had at the attach, under its ident */
    uint32_t number; /* of the stack, as in struct thread */
    union {
        uint64_t dropped; /* thread->dropped when it ran last */
        uint64_t at_attach;
    };
    uint64_t step;
    int32_t ignored, depth, coroutines;
    uint32_t task, step_code, window;
    uint32_t tstate; /* id of its thread state */
    uint32_t used;   /* grows */
    uint32_t shared; /* another entry has the same number */
};
struct set {
    struct stack way[WAYS];
};

bool greenlets_on;
static struct set *table; /* NULL = not on */
static uint32_t now;
/* Stacks of greenlets that have ended: the next new ones of their threads take their numbers. */
static struct {
    uint32_t thread, number;
    uint64_t dropped;
} spares[SPARES];
static uint32_t nspares;

/* ---- the table ---- */

static struct set *set_of(uint64_t root) { return &table[(root >> 4) * 0x9E3779B97F4A7C15ull >> 52]; }
_Static_assert(SETS == 1 << (64 - 52), "set_of");

static struct stack *find(uint64_t root, uint32_t thread) {
    struct set *set = set_of(root);
    for (int i = 0; i < WAYS; i++)
        if (set->way[i].root == root && set->way[i].thread == thread) return &set->way[i];
    return NULL;
}

static void spare(const struct stack *stack) {
    if (!stack->number || stack->shared) return;
    uint32_t at = nspares < SPARES ? nspares++ : now % SPARES; /* those of threads that have ended are never taken */
    spares[at].thread = stack->thread;
    spares[at].number = stack->number;
    spares[at].dropped = stack->dropped;
}

/* Gives a new entry its number. */
static void set_number(struct stack *stack, const struct thread *thread) {
    uint32_t at = nspares;
    while (at && spares[at - 1].thread != stack->thread) at--;
    if (at) {
        stack->number = spares[at - 1].number;
        stack->dropped = spares[at - 1].dropped;
        spares[at - 1] = spares[--nspares];
        return;
    }
    stack->number = vt_fetch_add(&agent.ctl->next_thread, 1u) + 1;
    stack->dropped = thread->dropped;
}

/* Is `a` rather given up than `b`? A thread's own stack is kept as long as possible. */
static bool goes_before(const struct stack *a, const struct stack *b) {
    if (!a->root || !b->root) return !a->root;
    if (!a->number != !b->number) return a->number;
    return a->used < b->used;
}

/* An entry for the root, zero but for that. It takes the place of one with the same root, or of the one that is best given up. */
static struct stack *make(uint64_t root, uint32_t thread) {
    struct set *set = set_of(root);
    struct stack *best = &set->way[0];
    for (int i = 0; i < WAYS; i++)
        if (best->root != root && (set->way[i].root == root || goes_before(&set->way[i], best))) best = &set->way[i];
    if (best->root == root && best->number && !best->shared)
        spare(best); /* its greenlet has ended, or it would still have this root */
    *best = (struct stack){.root = root, .thread = thread, .used = ++now};
    return best;
}

/* ---- roots ---- */

static const char *memory_of(const void *tstate) { return field(tstate, layout.ts_datastack); }

/* Does the thread state hold what it should there? Nothing is read through pointers before this is known. */
static bool plausible(const void *tstate) {
    uint64_t memory = (uint64_t)memory_of(tstate), top = (uint64_t)field(tstate, layout.ts_datastack + MEMORY_TOP),
             limit = (uint64_t)field(tstate, layout.ts_datastack + MEMORY_LIMIT);
    return memory && memory % 16 == 0 && memory < top && top <= limit && (limit - memory) % MEMORY_STEP == 0;
}

static uint64_t memory_root(const void *tstate) {
    const char *memory = memory_of(tstate), *previous;
    if (!memory) return NO_MEMORY;
    if (!plausible(tstate)) return 0;
    for (int i = 0; i < ROOT_STEPS_MAX && (previous = field(memory, MEMORY_PREVIOUS)); i++) memory = previous;
    return (uint64_t)memory;
}

static uint64_t frame_root(const void *frame) {
    const void *caller;
    for (int i = 0; i < ROOT_STEPS_MAX && (caller = field(frame, GREENLETS_CALLER)); i++) frame = caller;
    return (uint64_t)frame;
}

static uint64_t root_of(const void *tstate) {
    if (layout.ts_datastack) return memory_root(tstate);
    const void *frame = field(tstate, layout.ts_frame);
    return frame ? frame_root(frame) : 0;
}

static uint32_t tstate_id(void *tstate) {
    return (uint32_t)(py.PyThreadState_GetID ? py.PyThreadState_GetID(tstate) : (uint64_t)tstate >> 4);
}

/* ---- switches ---- */

static struct thread *thread_here(void) {
    if (UNLIKELY(!this_thread->tid) && !session_visit()) return NULL;
    return table && agent.state == AGENT_TRACING && this_thread->tid ? this_thread : NULL;
}

static void put_away(struct stack *from, const struct thread *thread) {
    from->dropped = thread->dropped;
    from->ignored = thread->ignored;
    from->depth = thread->depth;
    from->coroutines = thread->coroutines;
    from->task = thread->task;
    from->step = thread->step;
    from->step_code = thread->step_code;
    from->window = thread->window;
    from->used = ++now;
}

static void take_up(const struct stack *to, struct thread *thread) {
    thread->ignored = to->ignored;
    thread->depth = to->depth;
    thread->coroutines = to->coroutines;
    thread->task = to->task;
    thread->step = to->step;
    thread->step_code = to->step_code;
    thread->window = to->window;
    thread->stack = to->number;
}

/* Frames of the running stack that the reader does not know, or no more after events were dropped. */
static void tell_frames(struct thread *thread, void *tstate, bool lost, bool entered) {
    struct pending_error error;
    error_save(&error);
    if (lost || frames_depth(tstate, 2) > (entered ? 1 : 0)) window_tell(thread, entered, VT_WINDOW_GREENLET);
    error_restore(&error);
}

/* The thread runs the stack with this root now. `entered`: the event is the begin of the innermost frame. */
static void run(struct thread *thread, void *tstate, uint64_t root, bool entered) {
    struct stack *to = find(root, thread->serial + 1), *from = find(thread->root, thread->serial + 1);
    uint32_t id = tstate_id(tstate);
    bool is_new = !to;
    if (is_new) {
        bool same = from && from->tstate != id; /* another thread state of this thread, not another greenlet */
        if (from && from->number == thread->stack) put_away(from, thread);
        to = make(root, thread->serial + 1);
        to->shared = same;
        if (same)
            to->number = thread->stack;
        else
            set_number(to, thread);
        to->window = thread->window;
        to->tstate = id;
    } else {
        if (from && from->number == thread->stack) put_away(from, thread);
        to->used = ++now;
    }
    thread->root = root;
    if (to->number == thread->stack) return;
    take_up(to, thread);
    thread_tell_stack(thread);
    bool lost = to->dropped != thread->dropped;
    if (is_new || lost) tell_frames(thread, tstate, lost, entered);
}

/* The thread has been on no stack yet. False: it is on its own. */
static bool has_another(struct thread *thread, void *tstate, uint64_t root) {
    struct stack *start = find(thread->ident | 1, 0);
    uint64_t own = start && start->at_attach ? start->at_attach : root;
    if (start) start->root = 0;
    make(own, thread->serial + 1)->tstate = tstate_id(tstate);
    thread->root = thread->stack_at = own;
    return own != root;
}

void greenlets_memory_changed(void *tstate, enum greenlets_at at) {
    struct thread *thread = thread_here();
    uint64_t root = thread ? memory_root(tstate) : 0;
    if (!thread) return;
    if (root && (thread->root ? root != thread->root : has_another(thread, tstate, root)))
        run(thread, tstate, root, at == GREENLETS_ENTER);
    if (this_thread->tid) this_thread->stack_at = (uint64_t)memory_of(tstate);
}

/* Only below 3.11 it is seen that a stack has no frames any more. */
static void left_empty(const struct thread *thread) {
    struct stack *stack = find(thread->root, thread->serial + 1);
    if (!stack || !stack->number) return;
    stack->dropped = thread->dropped;
    spare(stack);
    stack->root = 0;
}

static void move(uint64_t from, uint64_t to, uint32_t thread) {
    struct stack *stack = find(from, thread);
    if (!stack) return;
    struct stack copy = *stack;
    stack->root = 0;
    stack = make(to, thread);
    copy.root = to;
    *stack = copy;
}

static void frame_changed(struct thread *thread, void *tstate, uint64_t root, bool is_root, bool entered) {
    if (!thread->root && !has_another(thread, tstate, root)) return;
    bool empty = !thread->stack_at;
    if (root == thread->root) return; /* frames in between gave no events */
    if (is_root && empty) {
        move(thread->root, root, thread->serial + 1);
        thread->root = root;
        return;
    }
    if (empty) left_empty(thread);
    run(thread, tstate, root, entered);
}

void greenlets_frame_changed(void *frame, enum greenlets_at at) {
    struct thread *thread = thread_here();
    bool entered = at == GREENLETS_ENTER;
    void *caller = field(frame, GREENLETS_CALLER);
    if (!thread) return;
    frame_changed(thread, py.PyThreadState_Get(), frame_root(frame), entered && !caller, entered);
    if (this_thread->tid) this_thread->stack_at = at == GREENLETS_LEAVE ? (uint64_t)caller : (uint64_t)frame;
}

/* ---- the session ---- */

static bool loaded(void) {
    void *modules = py.PyImport_GetModuleDict(), *module = modules ? py.PyDict_GetItemString(modules, "greenlet") : NULL;
    return module && module != py._Py_NoneStruct;
}

static bool begin(void) {
    int64_t at = arch_syscall6(SYS_MMAP, 0, TABLE_BYTES, 3, 0x4022 /* PRIVATE|ANONYMOUS|NORESERVE */, ~0ull, 0);
    if (at < 0 && at > -4096) return false;
    table = (struct set *)at;
    nspares = 0;
    greenlets_on = true;
    return true;
}

bool greenlets_appeared(void) { return !greenlets_on && loaded() && begin(); }

void greenlets_note(void *tstate) {
    if (table && frames_any(tstate)) make(frames_ident(tstate) | 1, 0)->at_attach = root_of(tstate);
}

void greenlets_start(void) {
    if (loaded()) begin();
}

void greenlets_stop(void) {
    if (table) arch_syscall3(SYS_MUNMAP, (uint64_t)table, TABLE_BYTES, 0);
    table = NULL;
    greenlets_on = false;
}
