/* Below 3.12: what an event of a generator or coroutine is. The interpreter shows a resume as a call and a yield as a return; its
 * frame tells them apart. Only for code with CODE_IN_PIECES. A throw() or close() shows as a resume. With the GIL. */
#ifndef VT_AGENT_PIECES_H
#define VT_AGENT_PIECES_H

#include "agent/cpython/layout.h"
#include "proto/abi/record.h"

/* `frame`: a frame object up to 3.10, the interpreter's own frame on 3.11. */
enum { PIECES_LAST_308 = 104, PIECES_STACK_TOP_308 = 72 };                   /* f_lasti, f_stacktop: 3.8 and 3.9 */
enum { PIECES_LAST_310 = 96, PIECES_STATE_310 = 108 };                       /* f_lasti, f_state */
enum { PIECES_LAST_311 = 56, PIECES_OWNER_311 = 69, PIECES_STATE_311 = -5 }; /* prev_instr, owner, gi_frame_state before it */
enum { PIECES_OWNED_BY_GENERATOR = 1, PIECES_SUSPENDED = -1 };               /* 3.10 and 3.11 */
enum { OPCODE_RETURN_GENERATOR = 75, OPCODE_RESUME_QUICK = 150, OPCODE_RESUME = 151 }; /* 3.11 */

/* Does the body begin? `evaluated`: the frame is about to be evaluated; else it has come to its CALL event. */
static inline bool piece_is_first(const void *frame, bool evaluated) {
    if (layout.python < 0x30b) return (int32_t)field32(frame, layout.python == 0x30a ? PIECES_LAST_310 : PIECES_LAST_308) < 0;
    uint16_t last = *(const uint16_t *)field(frame, PIECES_LAST_311); /* an instruction: its code, its argument */
    if (evaluated) return (last & 0xff) == OPCODE_RETURN_GENERATOR;
    return last == OPCODE_RESUME || last == OPCODE_RESUME_QUICK; /* later ones have an argument */
}

/* A value came out of the frame: did a yield hand it out? */
static inline bool piece_is_suspended(const void *frame) {
    const char *bytes = frame;
    if (layout.python < 0x30a) return field(frame, PIECES_STACK_TOP_308) != NULL;
    if (layout.python == 0x30a) return (int8_t)bytes[PIECES_STATE_310] == PIECES_SUSPENDED;
    return bytes[PIECES_OWNER_311] == PIECES_OWNED_BY_GENERATOR && (int8_t)bytes[PIECES_STATE_311] == PIECES_SUSPENDED;
}

#endif
