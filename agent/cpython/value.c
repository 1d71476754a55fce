/* Owns the text of one value, made without running code of the target: the exact type of the value chooses the form. */
#include "agent/cpython/layout.h"
#include "agent/cpython/repr.h"
#include "agent/cpython/value_put.h"

static void put_any(struct out *out, void *value) {
    if (put_plain(out, value) || value_put_builtin(out, value) || value_put_known(out, value)) return;
    if (go_in(out, value)) {
        value_put_instance(out, value);
        out->depth--;
    } else {
        put_ascii(out, "<", 1);
        value_put_type(out, type_of(value));
        put_text(out, " ...>");
    }
}

uint32_t value_text(void *value, char *to, uint32_t room, uint32_t limit) {
    struct out out = {.to = to, .room = room, .limit = limit, .any = put_any};
    put_any(&out, value);
    if (out.full) mark_cut(&out);
    return out.len;
}
