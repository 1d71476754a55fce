/* A foreign frame evaluation function, compiled by the test against no headers: only what it needs of CPython 3.9-3.11. */
typedef void *(*eval_function)(void *, void *, int);
void *PyInterpreterState_Get(void);
void _PyInterpreterState_SetEvalFrameFunc(void *, eval_function);
eval_function _PyInterpreterState_GetEvalFrameFunc(void *);
static long count;
static eval_function before;
static void *counting(void *thread, void *frame, int flag) {
    count++;
    return before(thread, frame, flag);
}
int hook_install(void) {
    before = _PyInterpreterState_GetEvalFrameFunc(PyInterpreterState_Get());
    _PyInterpreterState_SetEvalFrameFunc(PyInterpreterState_Get(), counting);
    return 0;
}
int hook_count(void) { return (int)count; }
int hook_there(void) { return _PyInterpreterState_GetEvalFrameFunc(PyInterpreterState_Get()) == counting; }
