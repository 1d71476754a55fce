/* Owns the table of CPython functions: fills it by name, says which one is missing. */
#include "agent/cpython/py_api.h"

struct py_api py;

struct symbol {
    const char *name;
    uint32_t offset;
    bool required;
};

static const struct symbol symbols[] = {
#define REQUIRED(result, name, arguments) {#name, offsetof(struct py_api, name), true},
#define OPTIONAL(result, name, arguments) {#name, offsetof(struct py_api, name), false},
#define REQUIRED_DATA(name) {#name, offsetof(struct py_api, name), true},
#define OPTIONAL_DATA(name) {#name, offsetof(struct py_api, name), false},
    PY_API(REQUIRED, OPTIONAL, REQUIRED_DATA, OPTIONAL_DATA)
#undef REQUIRED
#undef OPTIONAL
#undef REQUIRED_DATA
#undef OPTIONAL_DATA
        {"clock_gettime", offsetof(struct py_api, clock_gettime), false},
    {"pthread_key_create", offsetof(struct py_api, pthread_key_create), false},
    {"pthread_key_delete", offsetof(struct py_api, pthread_key_delete), false},
    {"pthread_setspecific", offsetof(struct py_api, pthread_setspecific), false},
    {"pthread_getspecific", offsetof(struct py_api, pthread_getspecific), false},
    {"pthread_mutex_lock", offsetof(struct py_api, pthread_mutex_lock), false},
    {"pthread_mutex_unlock", offsetof(struct py_api, pthread_mutex_unlock), false},
    {"pthread_cond_signal", offsetof(struct py_api, pthread_cond_signal), false},
    {"dl_iterate_phdr", offsetof(struct py_api, dl_iterate_phdr), false},
};

int py_api_resolve(uint64_t dlsym_address, char *why, size_t why_size) {
    void *(*look_up)(void *, const char *) = (void *(*)(void *, const char *))dlsym_address;
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *found = look_up ? look_up(NULL, symbols[i].name) : NULL;
        if (!found) found = symbol_find(symbols[i].name);
        if (!found && symbols[i].required) {
            text_append(why, why_size, "this Python does not export ");
            text_append(why, why_size, symbols[i].name);
            return -VT_ENOENT;
        }
        *(void **)(void *)((char *)&py + symbols[i].offset) = found;
    }
    if (!py.PyUnstable_Code_SetExtra) py.PyUnstable_Code_SetExtra = py._PyCode_SetExtra;
    if (!py.PyUnstable_Eval_RequestCodeExtraIndex) py.PyUnstable_Eval_RequestCodeExtraIndex = py._PyEval_RequestCodeExtraIndex;
    if (!py.Py_IsFinalizing) py.Py_IsFinalizing = py._Py_IsFinalizing;
    if (!py.PyUnstable_Code_SetExtra || !py.PyUnstable_Eval_RequestCodeExtraIndex) {
        text_append(why, why_size, "this Python does not export _PyCode_SetExtra");
        return -VT_ENOENT;
    }
    return 0;
}
