/* Owns the choice of a row of the table of offsets and the proof, at every start, that it is true in this process. */
#include "agent/cpython/layout.h"

#include "agent/cpython/arch.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/text.h"
#include "proto/abi/py_layouts.h"

struct py_layout layout;

static int refuse(char *why, size_t why_size, const char *what) {
    text_append(why, why_size, "this build of Python lays out its objects differently: ");
    text_append(why, why_size, what);
    return -VT_ENOTSUP;
}

/* From Py_GetVersion's text "3.12.1 (main, ...". Needs no GIL. */
int layout_select(char *why, size_t why_size) {
    const char *version = py.Py_GetVersion(), *at = version;
    uint32_t major = 0, minor = 0;
    while (*at >= '0' && *at <= '9') major = major * 10 + (uint32_t)(*at++ - '0');
    if (*at == '.') at++;
    while (*at >= '0' && *at <= '9') minor = minor * 10 + (uint32_t)(*at++ - '0');
    for (const char *p = version; *p; p++) {
        static const char free_threading[] = "free-threading";
        size_t i = 0;
        while (free_threading[i] && p[i] == free_threading[i]) i++;
        if (free_threading[i]) continue;
        text_append(why, why_size, "free-threaded builds of Python are not supported yet");
        return -VT_ENOTSUP;
    }
    if (layout.python == (major << 8 | minor)) return 0; /* keep what was found: a thread with a GIL of its own may read it now */
    for (size_t i = 0; i < sizeof py_layouts / sizeof py_layouts[0]; i++)
        if (py_layouts[i].python == (major << 8 | minor)) layout = py_layouts[i];
    if (layout.python) return 0;
    text_append(why, why_size, "Python version not supported: ");
    text_append_number(why, why_size, major);
    text_append(why, why_size, ".");
    text_append_number(why, why_size, minor);
    return -VT_ENOTSUP;
}

static bool same_text(void *unicode, const char *expected) {
    struct text text;
    if (type_of(unicode) != py.PyUnicode_Type) return false;
    text_of_unicode(&text, unicode);
    bool same = text.bytes && text_equal(text.bytes, expected);
    text_done(&text);
    return same;
}

/* The value that the interpreter itself gives for this attribute. */
static int64_t number_attribute(void *object, const char *name) {
    void *value = py.PyObject_GetAttrString(object, name);
    int64_t number = value ? py.PyLong_AsLong(value) : -1;
    drop_ref(value);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    return number;
}

static int check_code(int64_t extra_index, char *why, size_t why_size) {
    static const char file[] = "<viztracer file>", name[] = "viztracer_name";
    const char *wrong = NULL;
    void *code = py.PyCode_NewEmpty(file, name, 4711);
    if (!code) {
        py.PyErr_Clear();
        return refuse(why, why_size, "no code object");
    }
    uint64_t mark = 0x5a5a5a50;
    const struct co_extra *extra = NULL;
    if (field(code, layout.co_extra)) wrong = "co_extra";
    if (!wrong && py.PyUnstable_Code_SetExtra(code, extra_index, (void *)mark) == 0) extra = field(code, layout.co_extra);
    if (!wrong && (!extra || extra->size <= extra_index || extra->size > 255 || extra->value[extra_index] != mark))
        wrong = "co_extra";
    if (!same_text(field(code, layout.co_filename), file)) wrong = "co_filename";
    if (!same_text(field(code, layout.co_name), name)) wrong = "co_name";
    if (field32(code, layout.co_firstlineno) != 4711) wrong = "co_firstlineno";
    if (field32(code, layout.co_flags) != number_attribute(code, "co_flags")) wrong = "co_flags";
    if (field32(code, layout.co_argcount) != number_attribute(code, "co_argcount")) wrong = "co_argcount";
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    py.Py_DecRef(code);
    return wrong ? refuse(why, why_size, wrong) : 0;
}

/* A function of the module sys, and its name. Programs replace some by their own: ansible does so with sys.intern. */
static void *sys_function(const char **name) {
    static const char *const names[] = {"intern", "getrecursionlimit", "getrefcount", "exc_info"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *function = py.PySys_GetObject(names[i]); /* borrowed */
        *name = names[i];
        if (function && type_of(function) == py.PyCFunction_Type) return function;
    }
    return NULL;
}

static int check_functions(char *why, size_t why_size) {
    const char *wrong = NULL;
    void *join = py.PyObject_GetAttrString(py.PyUnicode_Type, "join");
    void *text = py.PyUnicode_FromString("x"), *bound = text ? py.PyObject_GetAttrString(text, "join") : NULL;
    const char *name;
    void *function = sys_function(&name); /* borrowed */
    if (!join || !bound) wrong = "str.join";
    if (!wrong && (type_of(join) != py.PyMethodDescr_Type || !text_equal(field(field(join, DESCR_DEF), DEF_NAME), "join")))
        wrong = "method descriptor";
    if (!wrong && field(join, DESCR_TYPE) != py.PyUnicode_Type) wrong = "method descriptor";
    if (!wrong && (type_of(bound) != py.PyCFunction_Type || field(bound, CFUNCTION_SELF) != text)) wrong = "builtin method";
    if (!wrong && field(bound, CFUNCTION_DEF) != field(join, DESCR_DEF)) wrong = "builtin method";
    if (!wrong && (!function || !text_equal(field(field(function, CFUNCTION_DEF), DEF_NAME), name) ||
                   !same_text(field(function, CFUNCTION_MODULE), "sys")))
        wrong = "builtin function";
    if (!wrong && (field(py.PyBool_Type, TYPE_BASE) != py.PyLong_Type || !text_equal(field(py.PyUnicode_Type, TYPE_NAME), "str")))
        wrong = "type";
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    drop_ref(join);
    drop_ref(bound);
    drop_ref(text);
    return wrong ? refuse(why, why_size, wrong) : 0;
}

static bool has_native_id(const void *tstate, uint32_t at) {
    return (uint64_t)field(tstate, at + 8) == (uint32_t)arch_syscall3(SYS_GETTID, 0, 0, 0);
}

static bool is_thread_id(const void *tstate, uint32_t at) {
    if ((uint64_t)field(tstate, at) != arch_thread_pointer()) return false;
    return layout.python < 0x30b || has_native_id(tstate, at);
}

/* thread_id (pthread_self) in the thread state, which 3.11+ keeps right before the native id: where the table says, else it is
 * looked for. A child that C code has forked without telling the interpreter (uWSGI) has the native id of its parent's thread. */
static int check_tstate(const void *tstate, char *why, size_t why_size) {
    enum { FIRST = 64, END = 256 };
    uint32_t at = layout.ts_thread_id;
    if ((uint64_t)field(tstate, at) != arch_thread_pointer())
        for (at = FIRST; at < END && !is_thread_id(tstate, at);) at += 8;
    if (at == END) return refuse(why, why_size, "thread_id");
    layout.ts_thread_id = at;
    layout.ts_native_id = layout.python >= 0x30b && has_native_id(tstate, at) ? at + 8 : 0;
    bool found = py.PyInterpreterState_Main && field(tstate, layout.ts_interp) == py.PyInterpreterState_Main();
    for (void *it = found ? NULL : py.PyInterpreterState_Head(); it; it = py.PyInterpreterState_Next(it))
        found |= field(tstate, layout.ts_interp) == it;
    return found ? 0 : refuse(why, why_size, "interpreter of a thread");
}

static void *call_sys(const char *name) {
    void *function = py.PySys_GetObject(name);                             /* borrowed */
    if (function && type_of(function) != py.PyCFunction_Type) return NULL; /* the program's own: it may not run */
    void *seen = function ? py.PyObject_CallObject(function, NULL) : NULL;
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    return seen;
}

/* A debugger or a coverage tool has set a trace function: then sys.gettrace() must return the object beside it. */
static bool trace_is_there(const void *tstate) {
    if (!field(tstate, layout.ts_tracefunc)) return true;
    void *object = field(tstate, layout.ts_profileobj + 8), *seen = call_sys("gettrace");
    bool there = seen && seen == (object ? object : py._Py_NoneStruct);
    drop_ref(seen);
    return there;
}

/* Below 3.12 the agent writes the profile function of a thread itself, because PyEval_SetProfile runs audit hooks of the target.
 * On later versions it replaces one that the target has set. The field is proved on this thread: sys.getprofile() must return
 * what was written there. */
static bool profile_is_there(void *tstate) {
    void **slot = (void **)(void *)((char *)tstate + layout.ts_profileobj), *mark = py.PyLong_Type;
    if (*slot || !trace_is_there(tstate)) return false;
    *slot = mark;
    void *seen = call_sys("getprofile");
    *slot = NULL;
    bool there = seen == mark;
    drop_ref(seen);
    return there;
}

static int check_profile(void *tstate, char *why, size_t why_size) {
    if (!layout.ts_profilefunc || field(tstate, layout.ts_profilefunc) || profile_is_there(tstate)) return 0;
    if (layout.python < 0x30c) return refuse(why, why_size, "profile function of a thread");
    layout.ts_profilefunc = 0; /* profile functions of the target are then left as they are */
    return 0;
}

static uint32_t state_of(void *str) { return field32(str, STR_STATE) & (STR_IS_COMPACT | STR_IS_ASCII); }

/* Not required: if this differs, the interpreter is asked for the text. */
static void check_str(void) {
    static const char plain[] = "viztracer", other[] = "v\xc3\xaf";
    void *ascii = py.PyUnicode_FromString(plain), *latin = py.PyUnicode_FromString(other);
    int64_t len = 0;
    const char *bytes = ascii ? py.PyUnicode_AsUTF8AndSize(ascii, &len) : NULL;
    bool holds = bytes && latin && bytes == (const char *)ascii + layout.str_data && len == (int64_t)field(ascii, STR_LENGTH) &&
                 state_of(ascii) == (STR_IS_COMPACT | STR_IS_ASCII) && state_of(latin) == STR_IS_COMPACT;
    if (!holds) layout.str_data = 0;
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    drop_ref(ascii);
    drop_ref(latin);
}

int layout_check(void *tstate, int64_t extra_index, char *why, size_t why_size) {
    int rc = check_tstate(tstate, why, why_size);
    check_str();
    if (!rc) rc = check_code(extra_index, why, why_size);
    if (!rc) rc = check_functions(why, why_size);
    return rc ? rc : check_profile(tstate, why, why_size);
}
