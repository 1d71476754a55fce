/* Owns which interpreters of the process have our hooks, 3.12+. (Below 3.12, one thread puts hooks into all interpreters.)
 *
 * An interpreter is hooked and unhooked by one of its own threads, through a pending call. A thread of ours cannot do it: with a
 * thread state of ours in the interpreter, Py_EndInterpreter would be a fatal error, and taking its GIL may end the thread that
 * tries. After the end of a session the hooks of an idle interpreter therefore stay in and do nothing; its first event takes
 * them out.
 *
 * PyInterpreterState_Delete gives up the GIL before it unlinks and frees an interpreter. So the list of interpreters is walked
 * only under the runtime's own lock on it, which is tried a bounded number of times. An interpreter that is not finalizing under
 * that lock cannot be freed before the lock is released, nor lose the lock of its pending calls, because clearing its
 * threads takes the same lock. An interpreter that shares our GIL and is not finalizing stays so until we give up the GIL.
 * Interpreters are identified by their ids, which are never reused. */
#include "agent/session/interps.h"

#include "agent/cpython/layout.h"
#include "agent/record/parallel_lock.h"

enum {
    INTERPS_MAX = 128,
    ARENAS_MAX = 32,
    RUNTIME_WORDS = 256,
    INTERPRETER_SIZE_MAX = 1 << 20,
    TRIES_AT_A_VISIT = 64,
    TRIES_AT_A_TURN = 256,
    TRIES = 20000
};
#define UNKNOWN_BUILD "other interpreters of the process are not traced: unknown build of Python"
enum { FREE = -1, PROT_READ_WRITE = 3, MAP_OVER_PRIVATE = 0x4032 /* FIXED|ANONYMOUS|PRIVATE|NORESERVE */ };
enum { IS_ID = 8 /* behind layout.is_next */, IS_READY = -4 /* before layout.is_finalizing */ };

struct interp {
    int64_t id;       /* FREE = this entry is unused; a used entry never moves */
    uint32_t session; /* the last session that hooked it, or found no free tool id in it */
    uint32_t rearms;
    int tool; /* our tool id in it, -1 = none */
    bool own_gil;
    bool asked; /* a pending call is on its way */
    bool seen, busy, again;
    uint32_t arenas; /* one bit for each arena that it may still write into */
};
/* Under registry_lock; `tool`, `session` and `rearms` of a busy entry belong to the thread that set `busy`. */
static struct interp interps[INTERPS_MAX];
static uint32_t ninterps, rearms, registry_lock;
static void *home_gil;

/* Address ranges where arenas were mapped; they are empty private memory now. */
static struct arena {
    void *at;
    uint64_t bytes;
} arenas[ARENAS_MAX];

static const struct interp_hooks *hooks;
/* In _PyRuntime: lock, first interpreter (where this points), main interpreter, next id. NULL = not found. */
static void **list_head;
/* The next id when the list was last walked; the same if nothing was left to do then, else -1 */
static int64_t seen_next_id, done_next_id;

static void *current(void) { return field(py.PyThreadState_Get(), layout.ts_interp); }
static int64_t id_of(void *interpreter) { return py.PyInterpreterState_GetID(interpreter); }
static bool finalizing(const void *interpreter) { return field32(interpreter, layout.is_finalizing); }
static void *gil_of(const void *interpreter) { return field(interpreter, layout.is_gil); }
static bool ready(const void *interpreter) { return field32(interpreter, (size_t)(layout.is_finalizing + IS_READY)); }

static void note(const char *what) {
    if (agent.ctl && !*agent.ctl->err) text_append(agent.ctl->err, sizeof agent.ctl->err, what);
}

/* ---- the list ---- */

/* Are its fields at the offsets of `layout`? Under the list's lock, or for the current interpreter. */
static bool layout_fits(void *interpreter) {
    return field(interpreter, layout.is_next) == py.PyInterpreterState_Next(interpreter) &&
           (int64_t)field(interpreter, layout.is_next + IS_ID) == id_of(interpreter);
}

/* The GIL of the main interpreter lies inside its struct. */
static bool main_fits(const void *main) {
    uint64_t gil_at = (uint64_t)gil_of(main) - (uint64_t)main;
    return ready(main) && !finalizing(main) && gil_at < INTERPRETER_SIZE_MAX;
}

/* The head of the list may change at any time, because an interpreter with a GIL of its own may make another one: retry. */
static void **find_list(void) {
    void **words = py._PyRuntime, *main = py.PyInterpreterState_Main();
    if (!layout_fits(current()) || !main_fits(main)) return NULL;
    for (uint32_t i = 1; i + 2 < RUNTIME_WORDS; i++) {
        bool lock = layout.python == 0x30c ? words[i - 1] != NULL : (uint64_t)words[i - 1] <= UINT8_MAX;
        if (words[i + 1] != main || (int64_t)words[i + 2] <= id_of(current()) || !lock) continue;
        for (int tries = 0; tries < 100; tries++)
            if (vt_load_relaxed(&words[i]) == py.PyInterpreterState_Head()) return &words[i];
    }
    return NULL;
}

/* 3.12: a PyThread lock; later: a PyMutex, one byte */
static bool list_try_lock(void) {
    uint8_t open = 0;
    if (layout.python == 0x30c) return py.PyThread_acquire_lock(list_head[-1], 0) == 1;
    return __atomic_compare_exchange_n((uint8_t *)&list_head[-1], &open, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static bool list_lock(uint32_t tries) {
    if (!list_head) return false;
    while (tries-- && !list_try_lock()) {
        /* its holder may be waiting for this CPU; later a seccomp filter may kill for the system call */
        if (tries && tries % TRIES_AT_A_TURN == 0 && agent.state == AGENT_STARTING && !agent_filtered)
            arch_syscall3(SYS_SCHED_YIELD, 0, 0, 0);
        arch_pause();
    }
    return tries != UINT32_MAX;
}

static void list_unlock(void) {
    if (layout.python == 0x30c)
        py.PyThread_release_lock(list_head[-1]);
    else
        py.PyMutex_Unlock(&list_head[-1]);
}

static void *list_first(void) { return list_head[0]; }
static void *list_next(void *interpreter) { return py.PyInterpreterState_Next(interpreter); }
static int64_t next_id(void) { return (int64_t)vt_load_relaxed((uint64_t *)(void *)&list_head[2]); }

/* Does it share our GIL, so that nothing of it runs now? Below 3.12 all interpreters do. */
static bool shares_gil(void *interpreter) {
    if (!list_head) return true;
    return layout_fits(interpreter) && gil_of(interpreter) == gil_of(current()) && ready(interpreter) && !finalizing(interpreter);
}

/* A thread with a GIL of its own also deletes thread states of other interpreters without their GIL: _interpreters first takes
 * the GIL of the interpreter that it comes from, and importing an extension module switches to the main interpreter for a while.
 */
static bool may_lose_threads(void) {
    return layout.python >= 0x30c && (list_head || py.PyInterpreterState_Next(py.PyInterpreterState_Head()));
}

uint32_t interps_threads(void **list, uint32_t most, bool (*wanted)(void *tstate)) {
    uint32_t n = 0;
    bool locked = list_lock(TRIES);
    if (!locked && may_lose_threads()) {
        if (agent.state == AGENT_STARTING) note("frames that other threads had open are not known: the list of threads was busy");
        list[0] = py.PyThreadState_Get();
        return wanted(list[0]);
    }
    for (void *it = py.PyInterpreterState_Head(); it; it = list_next(it)) {
        if (!shares_gil(it)) continue;
        for (void *t = py.PyInterpreterState_ThreadHead(it); t && n < most; t = py.PyThreadState_Next(t))
            if (wanted(t)) list[n++] = t;
    }
    if (locked) list_unlock();
    return n;
}

bool interps_own_gil(void) { return list_head && gil_of(current()) != home_gil; }

/* ---- the registry ---- */

static void lock(void) { process_lock(&registry_lock); }
static void unlock(void) { process_unlock(&registry_lock); }

static struct interp *find(int64_t id) {
    for (uint32_t i = 0; i < ninterps; i++)
        if (interps[i].id == id) return &interps[i];
    return NULL;
}

/* NULL = the registry is full. */
static struct interp *find_or_make(int64_t id) {
    struct interp *interp = find(id);
    if (!interp) interp = find(FREE);
    if (!interp && ninterps < INTERPS_MAX) interp = &interps[ninterps++];
    if (interp && interp->id != id) *interp = (struct interp){.id = id, .tool = -1};
    return interp;
}

/* ---- arenas of earlier sessions ---- */

static uint32_t arena_place(void) {
    uint32_t i = 0;
    while (i < ARENAS_MAX && arenas[i].at) i++;
    return i;
}

/* An interpreter no longer writes into the arenas of `held`: unmaps those that no other interpreter may write into. */
static void arenas_drop(uint32_t held) {
    uint32_t others = 0;
    for (uint32_t i = 0; i < ninterps; i++) others |= interps[i].arenas;
    for (uint32_t i = 0; i < ARENAS_MAX; i++) {
        if (!(held & ~others & 1u << i)) continue;
        arch_syscall3(SYS_MUNMAP, (uint64_t)arenas[i].at, arenas[i].bytes, 0);
        arenas[i].at = NULL;
    }
}

bool interps_keep(void *at, uint64_t bytes) {
    uint32_t place, holders = 0;
    lock();
    place = arena_place();
    for (uint32_t i = 0; i < ninterps && place < ARENAS_MAX; i++) {
        if (interps[i].id == FREE || !interps[i].own_gil || (interps[i].tool < 0 && !interps[i].busy)) continue;
        interps[i].arenas |= 1u << place;
        holders++;
    }
    if (holders) {
        arenas[place] = (struct arena){at, bytes};
        arch_syscall6(SYS_MMAP, (uint64_t)at, bytes, PROT_READ_WRITE, MAP_OVER_PRIVATE, ~0ull, 0);
    }
    unlock();
    return holders;
}

/* ---- the current interpreter ---- */

static bool wanted(void) {
    bool on = agent.state == AGENT_TRACING || agent.state == AGENT_STARTING;
    return on && agent.family->live && vt_load_relaxed(&agent.ctl->enabled);
}

/* Should the interpreter be asked to settle? Called with the main interpreter's GIL. */
static bool is_due(const struct interp *interp) {
    if (!wanted() || (interp->own_gil && !agent.parallel)) return interp->tool >= 0 || interp->arenas;
    return interp->session != agent.session || (interp->tool >= 0 && interp->rearms != rearms);
}

/* A new interpreter is left alone until it has imported what it needs to start. */
static bool initialized(void) {
    void *modules = py.PySys_GetObject("modules"); /* borrowed */
    return modules && type_of(modules) == py.PyDict_Type && py.PyDict_GetItemString(modules, "__main__");
}

static void settle(struct interp *interp, void *interpreter) {
    bool want = (interp->own_gil ? parallel_wanted() : wanted()) && !(list_head && finalizing(interpreter));
    uint32_t session = vt_load_acquire(&agent.session);
    if (interp->tool >= 0 && (!want || interp->session != session)) {
        hooks->out(interp->tool);
        interp->tool = -1;
    }
    if (!want) return;
    if (interp->session != session) {
        if (!initialized()) return;
        interp->session = session;
        interp->rearms = rearms;
        interp->tool = hooks->in();
    } else if (interp->tool >= 0 && interp->rearms != rearms) {
        interp->rearms = rearms;
        hooks->rearm();
    }
}

/* While hooks go in or out, an audit hook of the target may run Python code, which may come here again. False: this interpreter
 * is busy, and its thread will look once more. */
static bool take(struct interp *interp) {
    bool mine = !interp->busy;
    interp->again = interp->busy;
    interp->busy = true;
    interp->asked = false;
    return mine;
}

/* False: look once more. */
static bool give_back(struct interp *interp) {
    lock();
    bool again = interp->again;
    uint32_t held = interp->arenas; /* we hold its GIL, so none of its threads is inside an event */
    interp->arenas = 0;
    arenas_drop(held);
    interp->again = false;
    interp->busy = again;
    unlock();
    return !again;
}

void interps_settle(void) {
    struct pending_error error;
    if (!hooks) return;
    void *interpreter = current();
    lock();
    struct interp *interp = find(id_of(interpreter));
    bool mine = interp && take(interp);
    unlock();
    if (!mine) return;
    error_save(&error);
    do settle(interp, interpreter);
    while (!give_back(interp));
    error_restore(&error);
}

static int pending(void *unused) {
    (void)unused;
    interps_settle();
    return 0;
}

int interps_enter(void) {
    lock();
    struct interp *interp = find_or_make(id_of(current()));
    if (!interp) interp = &interps[0];
    interp->busy = true;
    unlock();
    if (interp->tool >= 0) hooks->out(interp->tool); /* still hooked for an older session */
    interp->session = agent.session;
    interp->rearms = rearms;
    interp->tool = hooks->in();
    while (!give_back(interp)) continue;
    return interp->tool;
}

/* ---- the other interpreters ---- */

/* Interpreters that are no longer in the list are gone, with their threads. */
static void forget_unseen(void) {
    for (uint32_t i = 0; i < ninterps; i++) {
        if (interps[i].id == FREE || interps[i].seen || interps[i].busy) continue;
        uint32_t held = interps[i].arenas;
        interps[i] = (struct interp){.id = FREE, .tool = -1};
        arenas_drop(held);
    }
}

/* Under both locks. True: nothing is left to do with it for now. */
static bool ask(void *interpreter) {
    if (!layout_fits(interpreter)) {
        note(UNKNOWN_BUILD);
        return true;
    }
    struct interp *interp = finalizing(interpreter) ? find(id_of(interpreter)) : find_or_make(id_of(interpreter));
    if (interp) interp->seen = true;
    if (finalizing(interpreter)) return true;
    if (!interp) {
        note("interpreters beyond the 128th are not traced");
        return true;
    }
    if (gil_of(interpreter)) interp->own_gil = gil_of(interpreter) != home_gil;
    if (interp->own_gil && wanted() && !agent.parallel)
        note(agent.governed ? "an interpreter with a GIL of its own is not traced with --max_overhead"
                            : "an interpreter with a GIL of its own is not traced: idle ones still hold on to earlier sessions");
    if (interp->asked || !is_due(interp)) return true;
    /* 3.12: the lock of its pending calls exists only while the interpreter has a thread state */
    if (!gil_of(interpreter) || !ready(interpreter)) return false;
    if (layout.python == 0x30c && !py.PyInterpreterState_ThreadHead(interpreter)) return false;
    interp->asked = py._PyEval_AddPendingCall(interpreter, pending, NULL, 0) == 0;
    return interp->asked;
}

static void ask_all(uint32_t tries) {
    if (!list_head || !agent.family->live) return;
    void *mine = current();
    bool all = true;
    done_next_id = -1;
    seen_next_id = next_id();
    if (!list_lock(tries)) return;
    lock();
    for (uint32_t i = 0; i < ninterps; i++) interps[i].seen = interps[i].id == id_of(mine);
    for (void *it = list_first(); it; it = list_next(it))
        if (it != mine) all &= ask(it);
    seen_next_id = next_id();
    if (all) done_next_id = seen_next_id;
    list_unlock();
    forget_unseen();
    unlock();
}

void interps_ask(void) { ask_all(TRIES); }

void interps_look(void) {
    if (list_head && next_id() != done_next_id) ask_all(TRIES_AT_A_VISIT);
}

void interps_news(void) {
    if (list_head && next_id() != seen_next_id) ask_all(TRIES_AT_A_VISIT);
}

void interps_rearm(void) {
    lock();
    struct interp *mine = find(id_of(current()));
    rearms++;
    if (mine) mine->rearms = rearms;
    unlock();
    hooks->rearm();
    ask_all(TRIES_AT_A_VISIT);
}

void interps_start(const struct interp_hooks *with) {
    bool possible = py._PyRuntime && py._PyEval_AddPendingCall && py.PyInterpreterState_Main &&
                    (layout.python == 0x30c ? py.PyThread_acquire_lock && py.PyThread_release_lock : py.PyMutex_Unlock != NULL);
    hooks = with;
    if (!list_head && possible) list_head = find_list();
    seen_next_id = done_next_id = -1;
    if (list_head) home_gil = gil_of(current());
    agent.parallel = list_head && !agent.governed && arena_place() < ARENAS_MAX;
    if (!list_head) note(UNKNOWN_BUILD);
}
