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
#include "agent/interps.h"

enum { INTERPS_MAX = 128, RUNTIME_WORDS = 256, TRIES_AT_A_VISIT = 64, TRIES = 20000 };
enum { FREE = -1 };
enum { IS_ID = 8 /* behind layout.is_next */, IS_READY = -4 /* before layout.is_finalizing */ };

struct interp {
    int64_t id;       /* -1: free. One that is in use stays where it is */
    uint32_t session; /* the last one that it was hooked for, or that found no tool id free */
    uint32_t rearms;
    int tool;   /* that it has from us, -1 = none */
    bool asked; /* a pending call is on its way */
    bool seen, busy;
};
static struct interp interps[INTERPS_MAX];
static uint32_t ninterps, rearms;
static const struct interp_hooks *hooks;
/* In _PyRuntime: lock, first interpreter, main interpreter, next id; NULL when not found */
static void **list_head;
static int64_t seen_next_id; /* when the list was last walked to the end with nothing left to do; -1 = it was not */

static void *current(void) { return field(py.PyThreadState_Get(), layout.ts_interp); }
static int64_t id_of(void *interpreter) { return py.PyInterpreterState_GetID(interpreter); }
static bool finalizing(const void *interpreter) { return field32(interpreter, layout.is_finalizing); }
static void *gil_of(const void *interpreter) { return field(interpreter, layout.is_gil); }
static bool ready(const void *interpreter) { return field32(interpreter, (size_t)(layout.is_finalizing + IS_READY)); }

/* ---- the list ---- */

static bool layout_fits(void *interpreter) {
    return field(interpreter, layout.is_next) == py.PyInterpreterState_Next(interpreter) &&
           (int64_t)field(interpreter, layout.is_next + IS_ID) == id_of(interpreter) && !finalizing(interpreter) &&
           ready(interpreter) && gil_of(interpreter);
}

static void **find_list(void) {
    void **words = py._PyRuntime, *first = py.PyInterpreterState_Head(), *main = py.PyInterpreterState_Main();
    if (!layout_fits(current())) return NULL;
    for (uint32_t i = 1; i + 2 < RUNTIME_WORDS; i++) {
        bool lock = layout.python == 0x30c ? words[i - 1] != NULL : (uint64_t)words[i - 1] <= UINT8_MAX;
        if (words[i] == first && words[i + 1] == main && (int64_t)words[i + 2] > id_of(current()) && lock) return &words[i];
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
    while (tries-- && !list_try_lock()) arch_pause();
    return tries != UINT32_MAX;
}

static void list_unlock(void) {
    if (layout.python == 0x30c)
        py.PyThread_release_lock(list_head[-1]);
    else
        py.PyMutex_Unlock(&list_head[-1]);
}

static void *list_first(void) { return list_head[0]; }
static void *list_next(const void *interpreter) { return field(interpreter, layout.is_next); }
static int64_t next_id(void) { return (int64_t)vt_load_relaxed((uint64_t *)(void *)&list_head[2]); }

uint32_t interps_sharing_gil(void **list, uint32_t most) {
    uint32_t n = 0;
    if (!list_lock(TRIES)) return 0;
    for (void *it = list_first(); it && n < most; it = list_next(it))
        if (gil_of(it) == gil_of(current()) && ready(it) && !finalizing(it)) list[n++] = it;
    list_unlock();
    return n;
}

/* ---- what each of them has ---- */

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

static bool wanted(void) {
    bool on = agent.state == AGENT_TRACING || agent.state == AGENT_STARTING;
    return on && agent.family->live && vt_load_relaxed(&agent.ctl->enabled);
}

static bool is_due(const struct interp *interp) {
    if (!wanted()) return interp->tool >= 0;
    return interp->session != agent.session || (interp->tool >= 0 && interp->rearms != rearms);
}

/* It may still be importing what it needs to begin. */
static bool initialized(void) {
    void *modules = py.PySys_GetObject("modules"); /* borrowed */
    return modules && type_of(modules) == py.PyDict_Type && py.PyDict_GetItemString(modules, "__main__");
}

static void settle(struct interp *interp, void *interpreter) {
    bool want = wanted() && !(list_head && finalizing(interpreter));
    if (interp->tool >= 0 && (!want || interp->session != agent.session)) {
        hooks->out(interp->tool);
        interp->tool = -1;
    }
    if (!want) return;
    if (interp->session != agent.session) {
        if (!initialized()) return;
        interp->session = agent.session;
        interp->rearms = rearms;
        interp->tool = hooks->in();
    } else if (interp->tool >= 0 && interp->rearms != rearms) {
        interp->rearms = rearms;
        hooks->rearm();
    }
}

void interps_settle(void) {
    struct pending_error error;
    void *interpreter = hooks ? current() : NULL;
    struct interp *interp = interpreter ? find(id_of(interpreter)) : NULL;
    if (!interp || interp->busy) return;
    error_save(&error);
    interp->busy = true; /* an audit hook of the target may run Python code meanwhile */
    interp->asked = false;
    settle(interp, interpreter);
    interp->busy = false;
    error_restore(&error);
}

static int pending(void *unused) {
    (void)unused;
    interps_settle();
    return 0;
}

int interps_enter(void) {
    struct interp *interp = find_or_make(id_of(current()));
    if (!interp) interp = &interps[0];
    if (interp->tool >= 0) hooks->out(interp->tool); /* from an older session, still */
    interp->session = agent.session;
    interp->rearms = rearms;
    interp->tool = hooks->in();
    return interp->tool;
}

/* ---- the others ---- */

static void forget_unseen(void) {
    for (uint32_t i = 0; i < ninterps; i++)
        if (!interps[i].seen && !interps[i].busy) interps[i].id = FREE;
}

static void note(const char *what) {
    if (agent.ctl && !*agent.ctl->err) text_append(agent.ctl->err, sizeof agent.ctl->err, what);
}

/* With the lock on the list. True: nothing is left to do with it for now. */
static bool ask(void *interpreter, void *gil) {
    bool own = gil_of(interpreter) && gil_of(interpreter) != gil;
    if (finalizing(interpreter)) return true;
    if (own) {
        note("an interpreter with a GIL of its own is not traced");
        return true;
    }
    struct interp *interp = find_or_make(id_of(interpreter));
    if (!interp) {
        note("interpreters beyond the 128th are not traced");
        return true;
    }
    interp->seen = true;
    if (interp->asked || !is_due(interp)) return true;
    /* 3.12: the lock of its pending calls lives as long as it has a thread state. */
    if (!gil_of(interpreter) || !ready(interpreter)) return false;
    if (layout.python == 0x30c && !py.PyInterpreterState_ThreadHead(interpreter)) return false;
    interp->asked = py._PyEval_AddPendingCall(interpreter, pending, NULL, 0) == 0;
    return interp->asked;
}

static void ask_all(uint32_t tries) {
    if (!list_head || !agent.family->live) return;
    void *mine = current(), *gil = gil_of(mine);
    bool all = true;
    seen_next_id = -1;
    if (!list_lock(tries)) return;
    for (uint32_t i = 0; i < ninterps; i++) interps[i].seen = interps[i].id == id_of(mine);
    for (void *it = list_first(); it; it = list_next(it))
        if (it != mine) all &= ask(it, gil);
    if (all) seen_next_id = next_id();
    list_unlock();
    forget_unseen();
}

void interps_ask(void) { ask_all(TRIES); }

void interps_ask_if_new(void) {
    if (list_head && next_id() != seen_next_id) ask_all(TRIES_AT_A_VISIT);
}

void interps_rearm(void) {
    struct interp *mine = find(id_of(current()));
    rearms++;
    if (mine) mine->rearms = rearms;
    hooks->rearm();
    ask_all(TRIES_AT_A_VISIT);
}

bool interps_start(const struct interp_hooks *with) {
    bool possible = py._PyRuntime && py._PyEval_AddPendingCall && py.PyInterpreterState_Main &&
                    (layout.python == 0x30c ? py.PyThread_acquire_lock && py.PyThread_release_lock : py.PyMutex_Unlock != NULL);
    hooks = with;
    if (!list_head && possible) list_head = find_list();
    seen_next_id = -1;
    return list_head != NULL;
}
