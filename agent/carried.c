/* Owns running the carried files, and their options, which come from the daemon as lines. */
#include "agent/carried.h"

#include "agent/cpython/text.h"

enum { FILE_INPUT = 257 };

/* They come from the daemon's memory, so every step is bounded. */
static void options_text(char *to, uint32_t room) {
    const struct vt_ctl *ctl = agent.ctl;
    uint64_t from = (uint64_t)ctl->include_bytes + ctl->exclude_bytes;
    for (uint32_t i = 0; i < VT_GLOBS; i++) from += ctl->glob_bytes[i];
    uint64_t bytes = ctl->instrument_bytes, at = 0;
    if (from > VT_FILTER_BYTES || bytes > VT_FILTER_BYTES - from) bytes = 0;
    for (; at < bytes && at + 1 < room; at++) to[at] = ctl->filters[from + at] ? ctl->filters[from + at] : '\n';
    to[at] = 0;
}

static int failed(const char *what) {
    struct vt_ctl *ctl = agent.ctl;
    py.PyErr_Clear();
    if (*ctl->err) return -VT_ENOTSUP;
    text_append(ctl->err, sizeof ctl->err, what);
    text_append(ctl->err, sizeof ctl->err, " could not be started in this interpreter");
    return -VT_ENOTSUP;
}

void *carried_run(const char *source) {
    if (!py.Py_CompileString || !py.PyEval_EvalCode || !py.PyDict_New || !py.PyDict_SetItemString || !py.PyEval_GetBuiltins)
        return NULL;
    void *code = py.Py_CompileString(source, "<viztracer>", FILE_INPUT);
    void *names = code ? py.PyDict_New() : NULL, *done = NULL, *found = NULL;
    if (names && !py.PyDict_SetItemString(names, "__builtins__", py.PyEval_GetBuiltins()))
        done = py.PyEval_EvalCode(code, names, names);
    if (done) found = py.PyDict_GetItemString(names, "api");
    if (found) py.Py_IncRef(found);
    drop_ref(done);
    drop_ref(names);
    drop_ref(code);
    return found;
}

int carried_start(void *api, void *argument, const char *what) {
    static char options[VT_FILTER_BYTES + 1];
    struct vt_ctl *ctl = agent.ctl;
    options_text(options, sizeof options);
    void *wrong = api && argument ? py.PyObject_CallMethod(api, "start", "Os", argument, options) : NULL;
    if (wrong && wrong != py._Py_NoneStruct) {
        struct text text;
        text_of_unicode(&text, wrong);
        text_append(ctl->err, sizeof ctl->err, text.bytes);
        text_done(&text);
    }
    bool good = wrong == py._Py_NoneStruct;
    drop_ref(wrong);
    return good ? 0 : failed(what);
}
