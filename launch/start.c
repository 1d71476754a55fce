/* Owns the wait for the first line of the program, in a process with an interpreter, and the start of the agent there.
 *
 * A C audit hook that is added before the interpreter is initialised sees it coming:
 *
 *   python file, -c, stdin      the first `exec` with no Python frame: it comes after `site`, right before the first line
 *   python x.pyc                there is no `exec`: the first event behind the opening of the file
 *   python -m, folder, zip      the first event below runpy's _run_module_as_main; the program's own code is told by the `exec`
 *                               in runpy's _run_code
 *   embedded, PyRun_*           the first `exec` with no Python frame
 *   embedded, imports only      the first `import` with no Python frame, but that of `site`
 *   embedded, as in uWSGI       the first `compile` with no Python frame: that code is executed without an event
 *
 * The hook is taken out of the interpreter's list when it has seen enough. It runs with the GIL and leaves no exception. */
#include "agent/cpython/arch.h"
#include "agent/cpython/symbols.h"
#include "launch/launch.h"
#include "proto/abi/arena.h"

enum {
    LOAD_NOW = 2, /* RTLD_NOW */
    PROT_READ_WRITE = 3,
    MAP_PRIVATE_ANONYMOUS = 0x22,
    GET_TERMINAL = 0x5401, /* TCGETS */
    AT_FDCWD = -100,
    CAN_READ = 4, /* R_OK */
    FRAMES_MAX = 1000
};

enum way { WAY_UNKNOWN, WAY_FILE, WAY_STDIN, WAY_MODULE };
static struct {
    enum way way;
    bool inside;  /* the hook's own calls raise events, too */
    bool started; /* the agent was told to start; waits for the program's code */
    bool over;
    bool compiled; /* the program is a .pyc file */
    void *command; /* the str of -c, until the agent is there; owned */
} waiting;
static uint64_t *hooks; /* where the interpreter keeps the first entry of its list; NULL = not found */
static int (*agent_launch)(const struct vt_launch *);

struct hook_entry { /* of the interpreter, the same on every version */
    struct hook_entry *next;
    int (*function)(const char *event, void *arguments, void *data);
    void *data;
};

static struct {
    int (*Py_IsInitialized)(void);
    void *(*PyEval_GetFrame)(void);
    void *(*PyThreadState)(void); /* the current thread's, or NULL; may be called without one */
    void *(*PyFrame_GetBack)(void *);
    void *(*PyFrame_GetCode)(void *);
    void *(*PyObject_GetAttrString)(void *, const char *);
    const char *(*PyUnicode_AsUTF8)(void *);
    void *(*PyTuple_GetItem)(void *, int64_t);
    void (*Py_IncRef)(void *);
    void (*Py_DecRef)(void *);
    void (*PyErr_Clear)(void);
} python;

static const struct {
    const char *name, *other; /* of older or newer versions */
    size_t at;
    bool required;
} wanted[] = {
    {"Py_IsInitialized", NULL, 0, true},
    {"PyEval_GetFrame", NULL, 8, true},
    {"_PyThreadState_UncheckedGet", "PyThreadState_GetUnchecked", 16, true},
    {"PyFrame_GetBack", NULL, 24, false},
    {"PyFrame_GetCode", NULL, 32, false},
    {"PyObject_GetAttrString", NULL, 40, true},
    {"PyUnicode_AsUTF8", NULL, 48, true},
    {"PyTuple_GetItem", NULL, 56, true},
    {"Py_IncRef", NULL, 64, true},
    {"Py_DecRef", NULL, 72, true},
    {"PyErr_Clear", NULL, 80, true},
};
_Static_assert(sizeof python == 88, "one row in wanted for each function");

static bool find_python(void) {
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *found = symbol_find(wanted[i].name);
        if (!found && wanted[i].other) found = symbol_find(wanted[i].other);
        if (!found && wanted[i].required) return false;
        *(void **)(void *)((char *)&python + wanted[i].at) = found;
    }
    return true;
}

/* ---- what is running ---- */

static void drop(void *object) {
    if (object) python.Py_DecRef(object);
}

/* The frame object's caller and code; new references. 3.8 has no functions for them. */
static void *back_of(void *frame) {
    void *back = python.PyFrame_GetBack ? python.PyFrame_GetBack(frame) : python.PyObject_GetAttrString(frame, "f_back");
    void *code = back && !python.PyFrame_GetBack ? python.PyObject_GetAttrString(back, "f_code") : NULL;
    if (back && !python.PyFrame_GetBack && !code) { /* None: there is no caller */
        drop(back);
        back = NULL;
        python.PyErr_Clear();
    }
    drop(code);
    return back;
}

static bool runs(void *frame, const char *function) {
    void *code = python.PyFrame_GetCode ? python.PyFrame_GetCode(frame) : python.PyObject_GetAttrString(frame, "f_code");
    void *name = code ? python.PyObject_GetAttrString(code, "co_name") : NULL;
    const char *text = name ? python.PyUnicode_AsUTF8(name) : NULL;
    bool same = text && text_equal(text, function);
    if (!text) python.PyErr_Clear();
    drop(name);
    drop(code);
    return same;
}

/* Is this thread below runpy's _run_module_as_main, which the interpreter called itself? */
static bool below_runpy(void *frame) {
    python.Py_IncRef(frame);
    for (int i = 0; i < FRAMES_MAX; i++) {
        void *back = back_of(frame);
        if (!back) break;
        drop(frame);
        frame = back;
    }
    bool below = runs(frame, "_run_module_as_main");
    drop(frame);
    return below;
}

static bool is_terminal(void) {
    uint8_t settings[64];
    return arch_syscall3(SYS_IOCTL, 0, GET_TERMINAL, (uint64_t)settings) == 0;
}

/* ---- the agent ---- */

/* Loads the agent, which lies beside this library. NULL, or why not. */
static const char *load_agent(void) {
    static char path[LAUNCH_PATH_MAX + sizeof VT_LAUNCH_AGENT];
    void *(*open)(const char *, int) = symbol_find("dlopen");
    void *(*find)(void *, const char *) = symbol_find("dlsym");
    size_t end = strlen(own.path);
    while (end && own.path[end - 1] != '/') end--;
    memcpy(path, own.path, end);
    memcpy(path + end, VT_LAUNCH_AGENT, sizeof VT_LAUNCH_AGENT);
    if (arch_syscall3(SYS_FACCESSAT, (uint64_t)(int64_t)AT_FDCWD, (uint64_t)path, CAN_READ))
        memcpy(path + end, VT_LAUNCH_MODULE, sizeof VT_LAUNCH_MODULE);
    if (!open || !find) return "this program has no dlopen";
    void *handle = open(path, LOAD_NOW);
    if (!handle) return "the agent library cannot be loaded";
    *(void **)&agent_launch = find(handle, "vt_agent_launch");
    return agent_launch ? NULL : "the agent library is of another version";
}

static void start(void *code, uint32_t flags) {
    struct vt_launch launch = {.op = VT_LAUNCH_START, .user_code = code, .flags = flags};
    if (own.carries) launch.connect = connect_child;
    const char *why = load_agent();
    struct vt_launch_origin origin;
    int fd = -1;
    waiting.started = true;
    origin_of_program(&origin);
    if (connect_daemon(&origin, why ? -VT_ENOTSUP : 0, why ? why : "", &fd, &launch.arena_bytes)) {
        waiting.over = true;
        return;
    }
    launch.arena_fd = fd;
    if (waiting.command) {
        const struct vt_launch command = {.op = VT_LAUNCH_COMMAND, .arena_fd = -1, .user_code = waiting.command};
        agent_launch(&command);
        waiting.command = NULL;
    }
    if (agent_launch(&launch)) waiting.over = true;
}

/* ---- the audit hook ---- */

static int on_audit(const char *event, void *arguments, void *data);

static void unhook(void) {
    waiting.over = true;
    if (!hooks) return;
    for (struct hook_entry **at = (struct hook_entry **)hooks; *at; at = &(*at)->next)
        if ((*at)->function == on_audit) {
            *at = (*at)->next; /* the entry itself is being used by our caller */
            return;
        }
}

/* The program's code is about to run. Its instrumented form is run here and now; -1: it has raised. */
static int run_instrumented(void) {
    const struct vt_launch launch = {.op = VT_LAUNCH_RUN, .arena_fd = -1};
    bool started = !waiting.over;
    unhook();
    return started ? agent_launch(&launch) : 0;
}

static int in_module(const char *event, void *arguments, void *frame) {
    if (!frame) return 0;
    if (!waiting.started && below_runpy(frame)) start(NULL, 0);
    if (!waiting.started || waiting.over || !text_equal(event, "exec") || !runs(frame, "_run_code")) return 0;
    struct vt_launch launch = {.op = VT_LAUNCH_USER_CODE, .arena_fd = -1, .user_code = python.PyTuple_GetItem(arguments, 0)};
    agent_launch(&launch);
    return run_instrumented();
}

static int in_program(const char *event, void *arguments) {
    if (text_equal(event, "exec")) {
        bool whole = waiting.way == WAY_FILE || (waiting.way == WAY_STDIN && !is_terminal());
        void *code = python.PyTuple_GetItem(arguments, 0);
        start(whole ? code : NULL, whole ? VT_LAUNCH_EXEC : 0);
        return run_instrumented();
    } else if (waiting.way == WAY_UNKNOWN && text_equal(event, "import") && python.Py_IsInitialized()) {
        void *module = python.PyTuple_GetItem(arguments, 0); /* borrowed */
        const char *name = module ? python.PyUnicode_AsUTF8(module) : NULL;
        if (!name) python.PyErr_Clear();
        if (!name || text_equal(name, "site")) return 0;
        start(NULL, 0);
        unhook();
    } else if (waiting.way == WAY_UNKNOWN && text_equal(event, "compile") && python.Py_IsInitialized()) {
        start(NULL, 0); /* what was compiled is run without an event */
        unhook();
    }
    return 0;
}

static void note_file(void *arguments) {
    void *file = python.PyTuple_GetItem(arguments, 0); /* borrowed */
    const char *name = file ? python.PyUnicode_AsUTF8(file) : NULL;
    size_t len = name ? strlen(name) : 0;
    if (!name) python.PyErr_Clear();
    waiting.compiled = len > 4 && text_equal(name + len - 4, ".pyc");
}

/* The code of a .pyc file is being read, or runs already. */
static void in_compiled(void) {
    start(NULL, 0);
    unhook();
}

static void keep_command(void *arguments) {
    void *command = python.PyTuple_GetItem(arguments, 0); /* borrowed */
    if (!command) python.PyErr_Clear();
    if (command) python.Py_IncRef(command);
    waiting.command = command;
}

static int on_audit(const char *event, void *arguments, void *data) {
    (void)data;
    if (waiting.over || waiting.inside) return 0;
    if (text_begins(event, "cpython.run_")) {
        const char *what = event + sizeof "cpython.run_" - 1;
        waiting.way = text_equal(what, "module") ? WAY_MODULE : text_equal(what, "stdin") ? WAY_STDIN : WAY_FILE;
        if (text_equal(what, "command")) keep_command(arguments);
        if (text_equal(what, "file")) note_file(arguments);
        return 0;
    }
    if (!python.PyThreadState()) return 0;
    waiting.inside = true;
    int rc = 0;
    void *frame = python.PyEval_GetFrame();
    if (waiting.way == WAY_MODULE)
        rc = in_module(event, arguments, frame);
    else if (waiting.compiled && !text_equal(event, "exec") && !text_equal(event, "open"))
        in_compiled();
    else if (!frame)
        rc = in_program(event, arguments);
    if (waiting.over) unhook();
    waiting.inside = false;
    return rc;
}

/* ---- putting it in ---- */

static bool read_entry(uint64_t address, struct hook_entry *entry) {
    struct {
        const void *base;
        uint64_t len;
    } to = {entry, sizeof *entry}, from = {(const void *)address, sizeof *entry};
    int64_t pid = arch_syscall3(SYS_GETPID, 0, 0, 0);
    int64_t n = arch_syscall6(SYS_PROCESS_VM_READV, (uint64_t)pid, (uint64_t)&to, 1, (uint64_t)&from, 1, 0);
    return n == (int64_t)sizeof *entry;
}

/* Adding the hook changes one word of the runtime that then points to an entry with our function. */
static void find_hooks(uint64_t *runtime, const uint64_t *before, uint64_t words) {
    struct hook_entry entry;
    for (uint64_t i = 0; i < words && !hooks; i++)
        if (runtime[i] != before[i] && runtime[i] > VT_CHUNK_SIZE && !(runtime[i] & 7) && read_entry(runtime[i], &entry) &&
            entry.function == on_audit)
            hooks = runtime + i;
}

void start_arm(void) {
    int (*add)(int (*)(const char *, void *, void *), void *) = symbol_find("PySys_AddAuditHook");
    uint64_t bytes = 0, *runtime = symbol_find_sized("_PyRuntime", &bytes);
    if (!add || !find_python()) return;
    int64_t copy = runtime ? arch_syscall6(SYS_MMAP, 0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, ~0ull, 0) : 0;
    if (copy > 0) memcpy((void *)copy, runtime, bytes);
    if (!add(on_audit, NULL) && copy > 0) find_hooks(runtime, (const uint64_t *)copy, bytes / 8);
    if (copy > 0) arch_syscall3(SYS_MUNMAP, (uint64_t)copy, bytes, 0);
}
