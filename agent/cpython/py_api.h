/* The CPython functions and objects that the agent uses, found by name in the target: one table, no
 * Python header. Objects are void * throughout: only layout.h knows their fields.
 *
 * F(result, name, arguments)  must exist: without it the start is refused and the name is reported
 * O(...)                      may be missing: NULL then
 * D(name)                     data, must exist;  E(name) data, may be missing
 *
 * References are owned and borrowed as CPython documents each function. Calls need the GIL where CPython's do. */
#ifndef VT_AGENT_PY_API_H
#define VT_AGENT_PY_API_H

#include "agent/cpython/base.h"
#include "agent/cpython/symbols.h"

typedef int (*py_tracefunc)(void *object, void *frame, int what, void *argument);
typedef void *(*py_evalfunc)(void *tstate, void *frame, int throwing);

#define PY_API(F, O, D, E)                                                                                                       \
    F(const char *, Py_GetVersion, (void))                                                                                       \
    F(int, Py_IsInitialized, (void))                                                                                             \
    F(int, PyGILState_Ensure, (void))                                                                                            \
    F(void, PyGILState_Release, (int))                                                                                           \
    O(void *, PyGILState_GetThisThreadState, (void))                                                                             \
    F(void *, PyThreadState_Get, (void))                                                                                         \
    F(void *, PyInterpreterState_Head, (void))                                                                                   \
    F(void *, PyInterpreterState_Next, (void *))                                                                                 \
    F(void *, PyInterpreterState_ThreadHead, (void *))                                                                           \
    F(void *, PyThreadState_Next, (void *))                                                                                      \
    F(void *, PyThreadState_New, (void *))                                                                                       \
    F(void, PyThreadState_Clear, (void *))                                                                                       \
    F(void, PyThreadState_Delete, (void *))                                                                                      \
    F(void, PyThreadState_DeleteCurrent, (void))                                                                                 \
    F(void, PyEval_RestoreThread, (void *))                                                                                      \
    F(void *, PyEval_SaveThread, (void))                                                                                         \
    F(void *, PyThreadState_Swap, (void *))                                                                                      \
    F(void *, PyEval_GetFrame, (void))                                                                                           \
    F(void *, PyEval_GetGlobals, (void))                                                                                         \
    F(void, PyErr_Fetch, (void **, void **, void **))                                                                            \
    F(void, PyErr_Restore, (void *, void *, void *))                                                                             \
    F(void, PyErr_Clear, (void))                                                                                                 \
    F(void, PyErr_SetInterrupt, (void))                                                                                          \
    F(void *, PyErr_Occurred, (void))                                                                                            \
    F(void, PyErr_SetString, (void *, const char *))                                                                             \
    F(void *, PyObject_GetAttrString, (void *, const char *))                                                                    \
    F(void *, PyObject_GenericGetAttr, (void *, void *))                                                                         \
    F(void *, PyObject_GetItem, (void *, void *))                                                                                \
    F(void *, PyObject_CallMethod, (void *, const char *, const char *, ...))                                                    \
    F(void *, PyObject_CallObject, (void *, void *))                                                                             \
    F(void *, PyObject_Repr, (void *))                                                                                           \
    F(int64_t, PyObject_Size, (void *))                                                                                          \
    F(void *, PyObject_GetIter, (void *))                                                                                        \
    F(void *, PyIter_Next, (void *))                                                                                             \
    F(void *, PyLong_FromUnsignedLong, (unsigned long))                                                                          \
    F(long, PyLong_AsLong, (void *))                                                                                             \
    F(long, PyLong_AsLongAndOverflow, (void *, int *))                                                                           \
    F(double, PyFloat_AsDouble, (void *))                                                                                        \
    F(char *, PyOS_double_to_string, (double, char, int, int, int *))                                                            \
    F(void, PyMem_Free, (void *))                                                                                                \
    F(unsigned long, PyLong_AsUnsignedLong, (void *))                                                                            \
    F(void *, PyUnicode_FromString, (const char *))                                                                              \
    F(const char *, PyUnicode_AsUTF8AndSize, (void *, int64_t *))                                                                \
    F(void *, PyUnicode_AsEncodedString, (void *, const char *, const char *))                                                   \
    F(int64_t, PyUnicode_GetLength, (void *))                                                                                    \
    F(uint32_t, PyUnicode_ReadChar, (void *, int64_t))                                                                           \
    F(int, _PyUnicode_IsPrintable, (uint32_t))                                                                                   \
    F(int, PyBytes_AsStringAndSize, (void *, char **, int64_t *))                                                                \
    F(void *, PyImport_GetModuleDict, (void))                                                                                    \
    F(void *, PyImport_ImportModule, (const char *))                                                                             \
    F(void *, PySys_GetObject, (const char *))                                                                                   \
    F(void *, PyDict_GetItem, (void *, void *))                                                                                  \
    F(void *, PyDict_GetItemString, (void *, const char *))                                                                      \
    F(int, PyDict_Next, (void *, int64_t *, void **, void **))                                                                   \
    F(int64_t, PyList_Size, (void *))                                                                                            \
    F(void *, PyList_GetItem, (void *, int64_t))                                                                                 \
    F(int, PyList_Append, (void *, void *))                                                                                      \
    F(int, PySequence_DelItem, (void *, int64_t))                                                                                \
    F(int64_t, PySequence_Size, (void *))                                                                                        \
    F(void *, PySequence_GetSlice, (void *, int64_t, int64_t))                                                                   \
    F(void *, PyTuple_GetItem, (void *, int64_t))                                                                                \
    F(int64_t, PyTuple_Size, (void *))                                                                                           \
    F(int64_t, PyDict_Size, (void *))                                                                                            \
    F(void *, PyCFunction_NewEx, (void *, void *, void *))                                                                       \
    F(void *, PyType_FromSpec, (void *))                                                                                         \
    F(void *, PyType_GenericAlloc, (void *, int64_t))                                                                            \
    F(void *, PyVectorcall_Call, (void *, void *, void *))                                                                       \
    F(void *, PyCode_NewEmpty, (const char *, const char *, int))                                                                \
    F(void, Py_IncRef, (void *))                                                                                                 \
    F(void, Py_DecRef, (void *))                                                                                                 \
    F(int, Py_AddPendingCall, (int (*)(void *), void *))                                                                         \
    F(int, Py_GetRecursionLimit, (void))                                                                                         \
    O(int, PyUnstable_Code_SetExtra, (void *, int64_t, void *))                                                                  \
    O(int, _PyCode_SetExtra, (void *, int64_t, void *))                                                                          \
    O(int64_t, PyUnstable_Eval_RequestCodeExtraIndex, (void (*)(void *)))                                                        \
    O(int64_t, _PyEval_RequestCodeExtraIndex, (void (*)(void *)))                                                                \
    O(void *, Py_CompileString, (const char *, const char *, int))                                                               \
    O(void *, PyEval_EvalCode, (void *, void *, void *))                                                                         \
    O(void *, PyEval_GetBuiltins, (void))                                                                                        \
    O(void *, PyDict_New, (void))                                                                                                \
    O(int, PyDict_SetItemString, (void *, const char *, void *))                                                                 \
    O(int, Py_IsFinalizing, (void))                                                                                              \
    O(int, _Py_IsFinalizing, (void))                                                                                             \
    O(void *, PyThreadState_GetDict, (void))                                                                                     \
    O(void *, PyThreadState_GetFrame, (void *))                                                                                  \
    O(uint64_t, PyThreadState_GetID, (void *))                                                                                   \
    O(void *, PyFrame_GetBack, (void *))                                                                                         \
    O(int, PyFrame_GetLineNumber, (void *))                                                                                      \
    O(void *, PyFrame_GetCode, (void *))                                                                                         \
    O(void *, PyInterpreterState_Main, (void))                                                                                   \
    F(int64_t, PyInterpreterState_GetID, (void *))                                                                               \
    O(int, _PyEval_AddPendingCall, (void *, int (*)(void *), void *, int))                                                       \
    O(int, PyThread_acquire_lock, (void *, int))                                                                                 \
    O(void, PyThread_release_lock, (void *))                                                                                     \
    O(void, PyMutex_Unlock, (void *))                                                                                            \
    O(int, PyGC_Disable, (void))                                                                                                 \
    O(int, PyGC_Enable, (void))                                                                                                  \
    O(void, _PyInterpreterState_SetEvalFrameFunc, (void *, py_evalfunc))                                                         \
    O(py_evalfunc, _PyInterpreterState_GetEvalFrameFunc, (void *))                                                               \
    O(void *, _PyEval_EvalFrameDefault, (void *, void *, int))                                                                   \
    D(_Py_NoneStruct)                                                                                                            \
    D(_Py_TrueStruct)                                                                                                            \
    D(_Py_FalseStruct)                                                                                                           \
    D(PyCFunction_Type)                                                                                                          \
    D(PyMethodDescr_Type)                                                                                                        \
    D(PyCode_Type)                                                                                                               \
    D(PyFunction_Type)                                                                                                           \
    D(PyMethod_Type)                                                                                                             \
    D(PyUnicode_Type)                                                                                                            \
    D(PyLong_Type)                                                                                                               \
    D(PyBool_Type)                                                                                                               \
    D(PyList_Type)                                                                                                               \
    D(PyTuple_Type)                                                                                                              \
    D(PyFloat_Type)                                                                                                              \
    D(PyDict_Type)                                                                                                               \
    D(PySet_Type)                                                                                                                \
    D(PyFrozenSet_Type)                                                                                                          \
    D(PyBytes_Type)                                                                                                              \
    D(PyCell_Type)                                                                                                               \
    D(PyExc_ImportError)                                                                                                         \
    D(PyExc_KeyboardInterrupt)                                                                                                   \
    E(PyCMethod_Type)                                                                                                            \
    E(PyClassMethodDescr_Type)                                                                                                   \
    E(_PyRuntime)

struct py_api {
#define FUNCTION(result, name, arguments) result(*name) arguments;
#define DATA(name) void *name;
    PY_API(FUNCTION, FUNCTION, DATA, DATA)
#undef FUNCTION
#undef DATA
    /* C library of the target, each may be missing */
    int (*clock_gettime)(int, int64_t *);
    int (*pthread_key_create)(uint32_t *, void (*)(void *));
    int (*pthread_key_delete)(uint32_t);
    int (*pthread_setspecific)(uint32_t, const void *);
    void *(*pthread_getspecific)(uint32_t);
    int (*pthread_mutex_lock)(void *);
    int (*pthread_mutex_unlock)(void *);
    int (*pthread_cond_signal)(void *);
    int (*dl_iterate_phdr)(int (*)(void *, size_t, void *), void *);
};
extern HIDDEN struct py_api py;

/* Fills `py`. Without the GIL. dlsym_address may be 0: then only symbol_find is used. 0, or -ENOENT with the missing name
 * appended to `why`. */
int py_api_resolve(uint64_t dlsym_address, char *why, size_t why_size);

static inline void drop_ref(void *object) {
    if (object) py.Py_DecRef(object);
}

/* The exception that is pending in the code that we interrupted. A callback saves it, and restores it before it returns. */
struct pending_error {
    void *type, *value, *traceback;
};
static inline void error_save(struct pending_error *e) { py.PyErr_Fetch(&e->type, &e->value, &e->traceback); }
static inline void error_restore(struct pending_error *e) { py.PyErr_Restore(e->type, e->value, e->traceback); }

#endif
