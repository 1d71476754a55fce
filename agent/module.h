/* What module.c needs of the interpreter beyond cpython/py_api.h, and its objects. */
#ifndef VT_AGENT_MODULE_H
#define VT_AGENT_MODULE_H

#include "agent/cpython/py_api.h"
#include "agent/cpython/symbols.h"

struct module_api {
    void *(*PyModuleDef_Init)(void *);
    int (*PyObject_SetAttrString)(void *, const char *, void *);
    void (*PyObject_Free)(void *);
    void *(*PyMethod_New)(void *, void *);
    void *(*PyObject_GetAttr)(void *, void *);
    void *PyExc_TypeError;
    int (*PyObject_IsTrue)(void *);
    void *(*PyBytes_FromStringAndSize)(const char *, int64_t);
};
extern HIDDEN struct module_api module_api;

/* Gives an object of the program's interpreter the module's functions as attributes. With the GIL, after py_api_resolve. 0, or
 * -1: this Python does not export all that they need; an exception may be pending. */
int module_fill(void *object);

typedef void *(*vectorcall)(void *self, void *const *args, size_t n, void *names);
#define NARGS(n) ((n) & ~(1ull << 63)) /* the highest bit says that args[-1] may be used */

struct callable {
    int64_t references;
    void *type;
    vectorcall call;
    void *target; /* owned; the Python function behind it, or NULL */
};

#endif
