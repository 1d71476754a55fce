/* Hook back end below 3.12 without C calls: the frame evaluation function (PEP 523), cheaper than the profile
 * function. It does not see frames return that were open before, and shows a yield as a return.
 *
 * Frames that are open when we leave still return through our function, for ever if need be: it then only
 * passes on. On 3.11 the hook makes Python calls use the C stack, so deep recursion is left to the profile
 * function. */
#include "agent/cpython/frames.h"
#include "agent/hooks/detail.h"
#include "agent/hooks/hooks.h"
#include "agent/limit/governor.h"
#include "agent/record/emit.h"

enum { SLOTS_SEARCHED = 256, RECURSION_LIMIT_MAX = 5000, DEPTH_MAX = 2000 };

static py_evalfunc eval_default; /* takes (frame, throwing) on 3.8 */
static void *installed;          /* which of ours is or was in the slot */
static uint32_t generation;      /* one up at each install and removal: who entered before must not record */

/* `governed` is a constant in each instance: without a limit on the overhead there is no trace of it. */
ALWAYS_INLINE uint32_t enter(void *frame, int throwing, size_t extra, bool governed) {
    uint32_t id = code_id(field(frame, 32), extra);
    if (governed && !governor_whole()) return 0;
    emit(id | (throwing ? VT_REC_THROW : VT_REC_CALL));
    return id;
}
ALWAYS_INLINE void leave(uint32_t id, uint32_t entered, const void *result, bool governed) {
    if (UNLIKELY(entered != generation)) return;
    if (governed && !governor_whole()) return;
    if (!governed || id) emit(id | (result ? VT_REC_RETURN : VT_REC_UNWIND));
}

#define EVALS(tag, governed)                                                                                                     \
    static void *eval_308##tag(void *frame, int throwing) {                                                                      \
        uint32_t entered = generation, id = enter(frame, throwing, CO_EXTRA_308, governed);                                      \
        void *result = ((void *(*)(void *, int))(void *)eval_default)(frame, throwing);                                          \
        leave(id, entered, result, governed);                                                                                    \
        return result;                                                                                                           \
    }                                                                                                                            \
    static void *eval_309##tag(void *tstate, void *frame, int throwing) {                                                        \
        uint32_t entered = generation, id = enter(frame, throwing, CO_EXTRA_308, governed);                                      \
        void *result = eval_default(tstate, frame, throwing);                                                                    \
        leave(id, entered, result, governed);                                                                                    \
        return result;                                                                                                           \
    }                                                                                                                            \
    static void *eval_311##tag(void *tstate, void *frame, int throwing) {                                                        \
        if (makes_generator(frame)) return eval_default(tstate, frame, throwing);                                                \
        uint32_t entered = generation, id = enter(frame, throwing, CO_EXTRA_311, governed);                                      \
        void *result = eval_default(tstate, frame, throwing);                                                                    \
        leave(id, entered, result, governed);                                                                                    \
        return result;                                                                                                           \
    }

/* On 3.11 the call of a generator function runs its frame up to RETURN_GENERATOR, which copies it into the generator and
 * returns that: no call of the body. Such a frame is still owned by the thread. (pycore_frame.h, code.h of 3.11) */
enum { FRAME_OWNER_311 = 69, FRAME_OWNED_BY_THREAD = 0, CODE_MAKES_GENERATOR = 0x20 | 0x80 | 0x200 };
ALWAYS_INLINE bool makes_generator(const void *frame) {
    const uint8_t *bytes = frame;
    return UNLIKELY(field32(field(frame, 32), layout.co_flags) & CODE_MAKES_GENERATOR) &&
           bytes[FRAME_OWNER_311] == FRAME_OWNED_BY_THREAD;
}
EVALS(, false)
EVALS(_governed, true)

static void *ours(void) {
    if (agent.governed)
        return layout.python == 0x308   ? (void *)eval_308_governed
               : layout.python == 0x30b ? (void *)eval_311_governed
                                        : (void *)eval_309_governed;
    return layout.python == 0x308 ? (void *)eval_308 : layout.python == 0x30b ? (void *)eval_311 : (void *)eval_309;
}

/* 3.8 has no function for it: the slot is where its value is. */
static void **slot_308(void *interpreter, const void *value) {
    void **words = interpreter;
    for (uint32_t i = 0; i < SLOTS_SEARCHED; i++)
        if (words[i] == value) return &words[i];
    return NULL;
}

static bool is_set(void *interpreter, void *function) {
    if (layout.python == 0x308) return slot_308(interpreter, function) != NULL;
    return (void *)py._PyInterpreterState_GetEvalFrameFunc(interpreter) == function;
}

static void replace(void *from, void *to) {
    for (void *it = py.PyInterpreterState_Head(); it; it = py.PyInterpreterState_Next(it)) {
        if (!is_set(it, from)) continue;
        if (layout.python == 0x308)
            *slot_308(it, from) = to;
        else
            py._PyInterpreterState_SetEvalFrameFunc(it, (py_evalfunc)to);
    }
}

static bool too_deep(void) {
    if (layout.python != 0x30b) return false;
    if (py.Py_GetRecursionLimit() > RECURSION_LIMIT_MAX) return true;
    for (void *it = py.PyInterpreterState_Head(); it; it = py.PyInterpreterState_Next(it))
        for (void *tstate = py.PyInterpreterState_ThreadHead(it); tstate; tstate = py.PyThreadState_Next(tstate))
            if (frames_depth(tstate, DEPTH_MAX) >= DEPTH_MAX) return true;
    return false;
}

/* Somebody else's evaluation function (a debugger's, a compiler's) is not ours to call around. */
bool hook_eval_possible(void) {
    if (layout.python >= 0x30c || !py._PyEval_EvalFrameDefault) return false;
    if (layout.python > 0x308 && (!py._PyInterpreterState_GetEvalFrameFunc || !py._PyInterpreterState_SetEvalFrameFunc))
        return false;
    for (void *it = py.PyInterpreterState_Head(); it; it = py.PyInterpreterState_Next(it))
        if (!is_set(it, (void *)py._PyEval_EvalFrameDefault)) return false;
    return !too_deep();
}

static void eval_pause(void) {
    generation++;
    replace(installed, (void *)eval_default);
}

static void eval_resume(void) {
    generation++;
    replace((void *)eval_default, installed);
}

static int eval_install(char *why, size_t why_size) {
    (void)why, (void)why_size;
    generation++;
    eval_default = py._PyEval_EvalFrameDefault;
    installed = ours();
    replace((void *)eval_default, installed);
    return 0;
}

static void eval_remove(void) {
    generation++;
    replace(installed, (void *)eval_default);
}

/* New interpreters. And when the program asked for a deeper recursion than our use of the C stack allows: on with the other
 * back end. */
static void eval_visit(void) {
    if (governor_is_off()) return;
    replace((void *)eval_default, installed);
    if (layout.python != 0x30b || py.Py_GetRecursionLimit() <= RECURSION_LIMIT_MAX) return;
    eval_remove();
    agent.hooks = &hook_profile;
    agent.full |= agent.governed;
    governor_costs();
    hook_profile.install(NULL, 0);
    agent.ctl->hook_kind = VT_HOOK_PROFILE;
}

const struct hook_ops hook_eval = {
    .kind = VT_HOOK_EVAL,
    .install = eval_install,
    .remove = eval_remove,
    .visit = eval_visit,
    .pause = eval_pause,
    .resume = eval_resume,
};
