/* Owns the hook back end below 3.12 for sessions without C calls: the frame evaluation function (PEP 523). It costs less than the
 * profile function. It does not see the returns of frames that were open at the start, and shows a yield as a return.
 *
 * Frames that are open when we leave return through our function whenever they end; it then records nothing. On 3.11 the
 * hook makes Python calls use the C stack, so processes with deep recursion get the profile function instead. */
#include "agent/cpython/layout.h"
#include "agent/hooks/eval_slot.h"
#include "agent/hooks/hooks.h"
#include "agent/limit/governor.h"
#include "agent/session/slow.h"

static void *installed;     /* our function that is or was in the slot */
static uint32_t generation; /* grows at each install and removal: a frame entered in another generation is not recorded */

/* `governed` is a constant in each instance, so that sessions without --max_overhead pay nothing for it. */
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
        void *result = eval_default(NULL, frame, throwing, 0x308);                                                               \
        leave(id, entered, result, governed);                                                                                    \
        return result;                                                                                                           \
    }                                                                                                                            \
    static void *eval_309##tag(void *tstate, void *frame, int throwing) {                                                        \
        uint32_t entered = generation, id = enter(frame, throwing, CO_EXTRA_308, governed);                                      \
        void *result = eval_default(tstate, frame, throwing, 0x309);                                                             \
        leave(id, entered, result, governed);                                                                                    \
        return result;                                                                                                           \
    }                                                                                                                            \
    static void *eval_311##tag(void *tstate, void *frame, int throwing) {                                                        \
        if (makes_generator(frame)) return eval_default(tstate, frame, throwing, 0x30b);                                         \
        uint32_t entered = generation, id = enter(frame, throwing, CO_EXTRA_311, governed);                                      \
        void *result = eval_default(tstate, frame, throwing, 0x30b);                                                             \
        leave(id, entered, result, governed);                                                                                    \
        return result;                                                                                                           \
    }

/* On 3.11 the call of a generator function runs its frame up to RETURN_GENERATOR, which copies the frame into the generator and
 * returns that. This is not a call of the body. Such a frame is still owned by the thread. (pycore_frame.h, code.h of 3.11) */
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
    installed = ours();
    eval_slot_put(installed);
    return 0;
}

static void eval_remove(void) {
    generation++;
    eval_slot_take(installed);
}

/* Hooks new interpreters. If the program has raised its recursion limit beyond what the C stack allows with our hook, the session
 * goes on with the profile function. */
static void eval_visit(void) {
    if (governor_is_off()) return;
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
