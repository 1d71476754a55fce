/* Owns which interpreters of the process have our hooks, 3.12+. (Below, hooks are put into all of them from outside.)
 *
 * An interpreter is hooked and unhooked by one of its own threads, through a pending call: with a thread state of ours in it,
 * Py_EndInterpreter would be a fatal error, and taking its GIL may end the thread that tries. Until such a thread runs, what is
 * in an idle interpreter after the end of a session does nothing, and its first event takes it out.
 *
 * PyInterpreterState_Delete gives up the GIL before it unlinks and frees: the list is only walked with the runtime's own lock on
 * it, which is never waited for. An interpreter that is not finalizing under that lock cannot be freed, nor lose the lock of
 * its pending calls, before the lock is released: clearing its threads takes it, too. One that shares our GIL and
 * is not finalizing stays what it is until we give up the GIL. Interpreters are known by their ids, which are never used twice.
 */
#include "agent/session/interps.h"

#include "agent/hooks/parallel.h"

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
    int64_t id;       /* -1: free. One that is in use stays where it is */
    uint32_t session; /* the last one that it was hooked for, or that found no tool id free */
    uint32_t rearms;
    int tool; /* that it has from us, -1 = none */
    bool own_gil;
    bool asked; /* a pending call is on its way */
    bool seen, busy, again;
    uint32_t arenas; /* a bit for each of the arenas that it may still write into */
};
/* With registry_lock; what `busy` is for belongs to the thread that set it. */
static struct interp interps[INTERPS_MAX];
static uint32_t ninterps, rearms, registry_lock;
static void *home_gil;

/* Address space that arenas were mapped at, now empty private memory. */
static struct arena {
    void *at;
    uint64_t bytes;
} arenas[ARENAS_MAX];

static const struct interp_hooks *hooks;
/* In _PyRuntime: lock, first interpreter, main interpreter, next id; NULL when not found */
static void **list_head;
/* When the list was last walked; and, with nothing left to do then, or -1 */
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

/* With the lock, or of the current one: are its fields where we look for them? */
static bool layout_fits(void *interpreter) {
    return field(interpreter, layout.is_next) == py.PyInterpreterState_Next(interpreter) &&
           (int64_t)field(interpreter, layout.is_next + IS_ID) == id_of(interpreter);
}

/* The main interpreter's GIL is a part of it. */
static bool main_fits(const void *main) {
    uint64_t gil_at = (uint64_t)gil_of(main) - (uint64_t)main;
    return ready(main) && !finalizing(main) && gil_at < INTERPRETER_SIZE_MAX;
}

/* The first one may change at any time: one with a GIL of its own may be making another one. */
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
        if (tries && tries % TRIES_AT_A_TURN == 0 && !agent_filtered) /* its holder may be waiting for this CPU */
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

/* Does this one run only while we do not? Below 3.12 there is one GIL for all. */
static bool shares_gil(void *interpreter) {
    if (!list_head) return true;
    return layout_fits(interpreter) && gil_of(interpreter) == gil_of(current()) && ready(interpreter) && !finalizing(interpreter);
}

/* A thread with a GIL of its own deletes thread states of other interpreters, too, and without their GIL: _interpreters takes the
 * GIL of the interpreter that it comes from first, and an import of an extension module takes a turn in the main interpreter. */
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

/* ---- what each of them has ---- */

static void lock(void) { process_lock(&registry_lock); }
static void unlock(void) { process_unlock(&registry_lock); }

static struct interp *find(int64_t id) {
    for (uint32_t i = 0; i < ninterps; i++)
        if (interps[i].id == id) return &interps[i];
    return NULL;
}

/* NULL when there are too many of them. */
static struct interp *find_or_make(int64_t id) {
    struct interp *interp = find(id);
    if (!interp) interp = find(FREE);
    if (!interp && ninterps < INTERPS_MAX) interp = &interps[ninterps++];
    if (interp && interp->id != id) *interp = (struct interp){.id = id, .tool = -1};
    return interp;
}

/* ---- arenas that are over ---- */

static uint32_t arena_place(void) {
    uint32_t i = 0;
    while (i < ARENAS_MAX && arenas[i].at) i++;
    return i;
}

/* One of them needs these no longer. */
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

/* ---- what is to be ---- */

static bool wanted(void) {
    bool on = agent.state == AGENT_TRACING || agent.state == AGENT_STARTING;
    return on && agent.family->live && vt_load_relaxed(&agent.ctl->enabled);
}

/* From the main interpreter's side. */
static bool is_due(const struct interp *interp) {
    if (!wanted() || (interp->own_gil && !agent.parallel)) return interp->tool >= 0 || interp->arenas;
    return interp->session != agent.session || (interp->tool >= 0 && interp->rearms != rearms);
}

/* It may still be importing what it needs to begin. */
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

/* While hooks go in or out an audit hook of the target may run Python code, and come here again. */
static bool take(struct interp *interp) {
    bool mine = !interp->busy;
    interp->again = interp->busy;
    interp->busy = true;
    interp->asked = false;
    return mine;
}

/* False: once more. */
static bool give_back(struct interp *interp) {
    lock();
    bool again = interp->again;
    uint32_t held = interp->arenas; /* we have its GIL: none of its threads is inside an event */
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
    if (interp->tool >= 0) hooks->out(interp->tool); /* from an older session, still */
    interp->session = agent.session;
    interp->rearms = rearms;
    interp->tool = hooks->in();
    while (!give_back(interp)) continue;
    return interp->tool;
}

/* ---- the others ---- */

/* They are gone, and their threads with them. */
static void forget_unseen(void) {
    for (uint32_t i = 0; i < ninterps; i++) {
        if (interps[i].id == FREE || interps[i].seen || interps[i].busy) continue;
        uint32_t held = interps[i].arenas;
        interps[i] = (struct interp){.id = FREE, .tool = -1};
        arenas_drop(held);
    }
}

/* With both locks. True: nothing is left to do with it for now. */
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
    /* 3.12: the lock of its pending calls lives as long as it has a thread state. */
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
