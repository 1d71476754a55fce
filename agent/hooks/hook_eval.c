/* Hook back end below 3.12 without C calls: the frame evaluation function (PEP 523), cheaper than the profile
 * function. It does not see frames return that were open before, and shows a yield as a return.
 *
 * Frames that are open when we leave still return through our function, for ever if need be: it then only
 * passes on. On 3.11 the hook makes Python calls use the C stack, so deep recursion is left to the profile
 * function. */
#include "agent/hooks/detail.h"
#include "agent/hooks/eval_slot.h"
#include "agent/hooks/hooks.h"
#include "agent/limit/governor.h"
#include "agent/record/emit.h"

static void *installed;     /* which of ours is or was in the slot */
static uint32_t generation; /* one up at each install and removal: who entered before must not record */

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

/* New interpreters. And when the program asked for a deeper recursion than our use of the C stack allows: on with the other
 * back end. */
static void eval_visit(void) {
    if (governor_is_off()) return;
    eval_slot_put(installed);
    if (!eval_slot_too_deep()) return;
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
