/* The arguments of a call as the agent recorded them: the VT_PL_ARGS payload, name by name. Calls that came as JSON have
 * args_json instead, which writers take as it is. */
#ifndef VT_CLI_CALL_ARGS_H
#define VT_CLI_CALL_ARGS_H

#include "cli/trace/writer.h"

struct call_text { /* any bytes, not terminated; points into the call */
    const uint8_t *data;
    size_t len;
};
struct call_args { /* what is left to hand out */
    const uint8_t *at, *end;
};

struct call_args call_args_of(const struct trace_call *call);
/* False at the end, or where the payload is damaged. value: a repr. */
bool call_args_next(struct call_args *args, struct call_text *name, struct call_text *value);
/* The return value's repr; false when there is none. */
bool call_retval(const struct trace_call *call, struct call_text *value);

#endif
