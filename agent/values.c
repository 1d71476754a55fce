/* Owns arguments and return values as payloads: texts (repr.c) made with this thread paused, because repr() is code
 * of the target and may do anything, also end the session. No arena pointer is held across it. */
#include "agent/detail.h"

enum { BYTES_MAX = 8192, NAME_MAX = 255, CODE_VARARGS = 4, CODE_VARKEYWORDS = 8 };

/* Cuts at `limit` characters, never inside one. */
static uint32_t cut_utf8(const char *bytes, int64_t len, uint32_t limit) {
    uint32_t at = 0, characters = 0;
    while (at < (uint64_t)len && at < BYTES_MAX) {
        if (((uint8_t)bytes[at] & 0xc0) != 0x80 && characters++ == limit) break;
        at++;
    }
    while (at < (uint64_t)len && at && ((uint8_t)bytes[at] & 0xc0) == 0x80) at--;
    return at;
}

static struct thread *pause(void) {
    struct thread *thread = this_thread;
    thread->paused = 1;
    return thread;
}

static void resume(struct thread *thread) {
    if (thread == this_thread) thread->paused = 0;
}

static void tell(uint32_t kind, const char *bytes, uint32_t len) {
    uint8_t *to = session_visit() ? payload_reserve(len) : NULL;
    if (!to) return;
    memcpy(to, bytes, len);
    payload_commit(kind, len);
}

NOINLINE void values_tell_result(void *value) {
    struct pending_error error;
    char bytes[BYTES_MAX];
    struct thread *thread = pause();
    error_save(&error);
    uint32_t len = repr_value(value, bytes, sizeof bytes, agent.repr_limit);
    resume(thread);
    tell(VT_PL_RETVAL, bytes, len);
    error_restore(&error);
}

/* name and value of one argument: u16 namelen, u16 vallen, name, value */
static uint32_t argument_text(void *names, int64_t i, void *locals, char *to, uint32_t room) {
    struct text name;
    uint16_t lens[2];
    void *key = py.PyTuple_GetItem(names, i); /* borrowed */
    void *value = key ? py.PyObject_GetItem(locals, key) : NULL;
    if (!value) {
        py.PyErr_Clear();
        return 0;
    }
    text_of_unicode(&name, key);
    uint32_t name_len = cut_utf8(name.bytes, name.len, NAME_MAX), head = (uint32_t)sizeof lens + name_len, value_len = 0;
    if (head < room) {
        value_len = repr_value(value, to + head, room - head, agent.repr_limit);
        lens[0] = (uint16_t)name_len;
        lens[1] = (uint16_t)value_len;
        memcpy(to, lens, sizeof lens);
        memcpy(to + sizeof lens, name.bytes, name_len);
    } else {
        head = 0;
    }
    text_done(&name);
    drop_ref(value);
    return head + value_len;
}

/* Positional, keyword-only, *args, **kwargs: the order of co_varnames. `frame` may be NULL on 3.12+. */
NOINLINE void values_tell_arguments(void *code, void *frame) {
    struct pending_error error;
    char bytes[BYTES_MAX];
    uint32_t flags = field32(code, layout.co_flags), len = 0;
    int64_t count = (int64_t)field32(code, layout.co_argcount) + field32(code, layout.co_kwonlyargcount);
    count += (flags & CODE_VARARGS ? 1 : 0) + (flags & CODE_VARKEYWORDS ? 1 : 0);
    if (!count) return;
    struct thread *thread = pause();
    error_save(&error);
    if (!frame) frame = py.PyEval_GetFrame();
    void *names = py.PyObject_GetAttrString(code, "co_varnames");
    void *locals = names && frame ? py.PyObject_GetAttrString(frame, "f_locals") : NULL;
    for (int64_t i = 0; locals && i < count; i++)
        len += argument_text(names, i, locals, bytes + len, (uint32_t)sizeof bytes - len);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    drop_ref(locals);
    drop_ref(names);
    resume(thread);
    if (len) tell(VT_PL_ARGS, bytes, len);
    error_restore(&error);
}
