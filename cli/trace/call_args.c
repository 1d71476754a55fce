/* Owns the layout of recorded arguments for writers (call_args.h): u16 length of the name, u16 length of the value, both. */
#include "cli/trace/call_args.h"

static size_t get_u16(const uint8_t *p) { return (size_t)(p[0] | p[1] << 8); }

struct call_args call_args_of(const struct trace_call *call) {
    return (struct call_args){call->args, call->args ? call->args + call->args_len : NULL};
}

bool call_args_next(struct call_args *args, struct call_text *name, struct call_text *value) {
    if (args->end - args->at < 4) return false;
    size_t name_len = get_u16(args->at), value_len = get_u16(args->at + 2);
    const uint8_t *p = args->at + 4;
    if (name_len + value_len > (size_t)(args->end - p)) return false;
    *name = (struct call_text){p, name_len};
    *value = (struct call_text){p + name_len, value_len};
    args->at = p + name_len + value_len;
    return true;
}

bool call_retval(const struct trace_call *call, struct call_text *value) {
    *value = (struct call_text){call->retval, call->retval_len < VT_PAYLOAD_MAX ? call->retval_len : VT_PAYLOAD_MAX};
    return call->retval != NULL;
}
