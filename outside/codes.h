/* The code objects of a target: names, files, lines. Read once, and checked again after a while: an address can be given to
 * another code object. */
#ifndef VT_OUTSIDE_CODES_H
#define VT_OUTSIDE_CODES_H

#include "outside/outside.h"
#include "outside/remote.h"
#include "proto/abi/py_layout.h"

struct codes;

/* Borrows both. */
VT_MUST_CHECK int codes_new(struct codes **out, struct remote *remote, const struct py_layout *layout);
void codes_free(struct codes *c);
/* The code object at this address; NULL: there is none, or there are too many. Lives as long as c, also when another code
 * object takes its address. */
const struct outside_code *codes_get(struct codes *c, uint64_t address);
/* What was read before this is to be checked when it is asked for again. */
void codes_doubt(struct codes *c);
/* The line of an instruction. `instr`: as the frame has it (frame_instr of py_layout.h). 0 = unknown. */
uint32_t codes_line(const struct codes *c, const struct outside_code *code, uint64_t instr);

#endif
