/* Owns the hook back end below 3.12 for sessions without C calls: the frame evaluation function (PEP 523). It costs less than the
 * profile function. It does not see the returns of frames that were open at the start.
 *
 * Frames that are open when we leave return through our function whenever they end; it then records nothing. On 3.11 the
 * hook makes Python calls use the C stack, so processes with deep recursion get the profile function instead. */
#include "agent/cpython/layout.h"
#include "agent/hooks/eval_slot.h"
#include "agent/hooks/greenlets.h"
#include "agent/hooks/hooks.h"
#include "agent/hooks/pieces.h"
#include "agent/hooks/user_code.h"
#include "agent/limit/governor.h"
#include "agent/session/slow.h"

enum { FRAME_CODE = 32 };

static void *installed;     /* our function that is or was in the slot */
static uint32_t generation; /* grows at each install and removal: a frame entered in another generation is not recorded */
static uint32_t followed;   /* generation since which greenlets are followed: frames of the one before it are still recorded */

static inline void look(void *frame, uint32_t type) {
    if (layout.python == 0x30b)
        greenlets_look(py.PyThreadState_Get(), greenlets_at(type));
    else
        greenlets_look_frame(frame, greenlets_at(type));
}

/* `governed` and `greenlets` are constants in each instance, so that sessions without them pay nothing for them. */
ALWAYS_INLINE uint32_t enter(void *frame, uint32_t id, uint32_t type, bool governed, bool greenlets) {
    if (greenlets) look(frame, type);
    if (governed && !governor_whole()) return 0;
    emit(id | type);
    return id;
}
/* Was entered before greenlets were followed. The frame is gone; its caller runs. */
static NOINLINE void leave_before_followed(uint32_t id, uint32_t entered, uint32_t type, bool governed) {
    if (!followed || entered + 1 != followed || followed != generation) return;
    void *tstate = py.PyThreadState_Get(), *caller = layout.python == 0x30b ? NULL : field(tstate, layout.ts_frame);
    if (layout.python == 0x30b)
        greenlets_look(tstate, GREENLETS_INSIDE);
    else if (caller)
        greenlets_look_frame(caller, GREENLETS_INSIDE);
    if (governed && !governor_whole()) return;
    if (!governed || id) emit(id | type);
}
ALWAYS_INLINE void leave(void *frame, uint32_t id, uint32_t entered, uint32_t type, bool governed, bool greenlets) {
    if (UNLIKELY(entered != generation)) {
        leave_before_followed(id, entered, type, governed);
        return;
    }
    if (greenlets) look(frame, type);
    if (governed && !governor_whole()) return;
    if (!governed || id) emit(id | type);
}

/* On 3.11 the call of a generator function runs its frame up to RETURN_GENERATOR, which copies the frame into the generator and
 * returns that. This is not a call of the body. Such a frame is still owned by the thread. (pycore_frame.h of 3.11) */
static inline bool makes_generator(const void *frame) {
    const uint8_t *bytes = frame;
    return layout.python == 0x30b && bytes[PIECES_OWNER_311] != PIECES_OWNED_BY_GENERATOR;
}

/* Functions without an id; generators and coroutines. Their object holds the frame, which is still there afterwards. */
static NOINLINE void *eval_rare(void *tstate, void *frame, int throwing) {
    void *code = field(frame, FRAME_CODE);
    bool pieces = code_in_pieces(code), governed = agent.governed, greenlets = greenlets_on;
    if (pieces && makes_generator(frame)) return eval_default(tstate, frame, throwing, layout.python);
    uint32_t type = throwing ? VT_REC_THROW : pieces && !piece_is_first(frame, true) ? VT_REC_RESUME : VT_REC_CALL;
    uint32_t entered = generation, id = enter(frame, code_id(code, layout.co_extra), type, governed, greenlets);
    bool user = user_code_is(code);
    void *result = eval_default(tstate, frame, throwing, layout.python);
    type = !result ? VT_REC_UNWIND : pieces && piece_is_suspended(frame) ? VT_REC_YIELD : VT_REC_RETURN;
    leave(frame, id, entered, type, governed, greenlets);
    if (user && user_code_is(code)) user_code_event(code, VT_REC_RETURN);
    return result;
}

/* `governed`, `greenlets`, `extra` and `python` are constants in each instance. */
ALWAYS_INLINE void *eval(void *tstate, void *frame, int throwing, size_t extra, uint32_t python, bool governed, bool greenlets) {
    uint32_t entered = generation, id;
    if (UNLIKELY(!code_id_known(field(frame, FRAME_CODE), extra, &id))) return eval_rare(tstate, frame, throwing);
    id = enter(frame, id, throwing ? VT_REC_THROW : VT_REC_CALL, governed, greenlets);
    void *result = eval_default(tstate, frame, throwing, python);
    leave(frame, id, entered, result ? VT_REC_RETURN : VT_REC_UNWIND, governed, greenlets);
    return result;
}

#define EVALS(tag, governed, greenlets)                                                                                          \
    static void *eval_308##tag(void *frame, int throwing) {                                                                      \
        return eval(NULL, frame, throwing, CO_EXTRA_308, 0x308, governed, greenlets);                                            \
    }                                                                                                                            \
    static void *eval_309##tag(void *tstate, void *frame, int throwing) {                                                        \
        return eval(tstate, frame, throwing, CO_EXTRA_308, 0x309, governed, greenlets);                                          \
    }                                                                                                                            \
    static void *eval_311##tag(void *tstate, void *frame, int throwing) {                                                        \
        return eval(tstate, frame, throwing, CO_EXTRA_311, 0x30b, governed, greenlets);                                          \
    }

EVALS(, false, false)
EVALS(_governed, true, false)
EVALS(_greenlets, false, true)
EVALS(_governed_greenlets, true, true)

static void *ours(void) {
    static void *const functions[2][2][3] = {
        {{(void *)eval_308, (void *)eval_309, (void *)eval_311},
         {(void *)eval_308_greenlets, (void *)eval_309_greenlets, (void *)eval_311_greenlets}},
        {{(void *)eval_308_governed, (void *)eval_309_governed, (void *)eval_311_governed},
         {(void *)eval_308_governed_greenlets, (void *)eval_309_governed_greenlets, (void *)eval_311_governed_greenlets}}};
    return functions[agent.governed][greenlets_on][layout.python == 0x308 ? 0 : layout.python == 0x30b ? 2 : 1];
}

static void eval_pause(void) {
    generation++;
    eval_slot_take(installed);
}

static void eval_resume(void) {
    generation++;
    eval_slot_put(installed);
}

static int eval_install(char *why, size_t why_size) {
    (void)why, (void)why_size;
    generation++;
    followed = 0;
    installed = ours();
    eval_slot_put(installed);
    return 0;
}

static void eval_remove(void) {
    generation++;
    eval_slot_take(installed);
}

static void follow_greenlets(void) {
    eval_slot_take(installed);
    followed = ++generation;
    installed = ours();
}

/* Hooks new interpreters. If the program has raised its recursion limit beyond what the C stack allows with our hook, the session
 * goes on with the profile function. */
static void eval_visit(void) {
    if (governor_is_off()) return;
    if (greenlets_appeared()) follow_greenlets();
    eval_slot_put(installed);
    if (!eval_slot_too_deep()) return;
    eval_remove();
    agent.hooks = &hook_profile;
    agent.full |= agent.governed;
    account_costs();
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
