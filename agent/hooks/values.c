/* Owns arguments and return values as payloads. The thread is paused while their texts are made. With --log_func_repr code of
 * the target runs (cpython/repr.c): it may do anything, even end the session. Without it none runs (cpython/value.c). No
 * pointer into the arena is kept across that. If all values are plain (numbers, ASCII texts, None), no code of the target runs
 * and the payload is written at once. */
#include "agent/hooks/values.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/locals.h"
#include "agent/cpython/repr.h"
#include "agent/cpython/text.h"
#include "agent/record/emit.h"
#include "agent/record/parallel_write.h"
#include "agent/session/session.h"

enum { BYTES_MAX = 8192, PLAIN_MAX = 1024, NAME_MAX = 255, CODE_VARARGS = 4, CODE_VARKEYWORDS = 8 };

/* A payload in the making, with room for the zeros up to the next word. */
union plain {
    uint64_t words[PLAIN_MAX / 8 + 1];
    char bytes[PLAIN_MAX + 8];
};

/* The length in bytes of whole characters, at most `limit` of them. */
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

/* False: the session in which the call began is over. */
static bool resume(struct thread *thread) {
    if (thread == this_thread) thread->paused = 0;
    return thread == this_thread && thread->tid;
}

/* No exception is pending. */
static uint32_t text_of(void *value, char *to, uint32_t room) {
    if (agent.flags & VT_F_REPR) return repr_value(value, to, room, agent.repr_limit, agent.main_interpreter);
    return value_text(value, to, room, agent.repr_limit);
}

static void tell(uint32_t kind, const char *bytes, uint32_t len, enum detail_way way) {
    if (way != WAY_MAIN) {
        parallel_payload(kind, bytes, len);
        return;
    }
    uint8_t *to = session_visit() ? payload_reserve(len) : NULL;
    if (!to) return;
    memcpy(to, bytes, len);
    payload_commit(kind, len);
}

static void plain_tell(uint32_t kind, union plain *text, uint32_t len, enum detail_way way) {
    for (uint32_t i = 0; i < 8; i++) text->bytes[len + i] = 0;
    bool told = false;
    if (way == WAY_MAIN) told = emit_payload(kind, text->words, len);
    if (way == WAY_PARALLEL) told = parallel_plain_payload(kind, text->words, len);
    if (!told) tell(kind, text->bytes, len, way);
}

static bool plain_result(void *value, enum detail_way way) {
    union plain text;
    if (repr_is_replaced()) return false;
    int32_t len = repr_plain(value, text.bytes, PLAIN_MAX, agent.repr_limit);
    if (len < 0 || len == PLAIN_MAX) return false;
    plain_tell(VT_PL_RETVAL, &text, (uint32_t)len, way);
    return true;
}

NOINLINE bool values_tell_result(void *value, enum detail_way way) {
    struct pending_error error;
    char bytes[BYTES_MAX];
    if (plain_result(value, way)) return false;
    struct thread *thread = pause();
    error_save(&error);
    uint32_t len = text_of(value, bytes, sizeof bytes);
    if (resume(thread)) tell(VT_PL_RETVAL, bytes, len, way);
    error_restore(&error);
    return true;
}

/* ---- arguments: u16 namelen, u16 vallen, name, value ---- */

static void put_lens(char *to, uint32_t name_len, uint32_t value_len) {
    const uint32_t both = name_len | value_len << 16;
    *(uint32_t *)(void *)to = both; /* x86-64: little endian, any alignment */
}

/* 0 = the value is not plain, or there is no room */
static uint32_t plain_argument(const struct locals *locals, int64_t i, char *to, uint32_t room) {
    void *value, *name = py.PyTuple_GetItem(field(locals->code, layout.co_varnames), i); /* borrowed */
    uint64_t len;
    if (!locals_value(locals, i, &value) || !value || type_of(name) != py.PyUnicode_Type) return 0;
    const char *text = str_ascii(name, &len);
    if (!text || len > NAME_MAX || 4 + len + agent.repr_limit >= room) return 0;
    for (uint64_t k = 0; k < len; k++) to[4 + k] = text[k];
    uint32_t head = 4 + (uint32_t)len;
    int32_t value_len = repr_plain(value, to + head, room - head, agent.repr_limit);
    if (value_len < 0) return 0;
    put_lens(to, (uint32_t)len, (uint32_t)value_len);
    return head + (uint32_t)value_len;
}

static bool plain_arguments(const struct locals *locals, int64_t count, enum detail_way way) {
    union plain text;
    uint32_t len = 0;
    if (repr_is_replaced()) return false;
    for (int64_t i = 0; i < count; i++) {
        uint32_t more = plain_argument(locals, i, text.bytes + len, PLAIN_MAX - len);
        if (!more) return false;
        len += more;
    }
    plain_tell(VT_PL_ARGS, &text, len, way);
    return true;
}

/* Where the arguments of one call are read. */
struct source {
    struct locals locals;
    void *names, *frame, *by_name; /* names: a new reference; by_name: f_locals, made when it is needed */
    bool same;                     /* both ways gave the same value */
};

/* f_locals and co_varnames make objects that the garbage collector knows. Below 3.12 these may start a collection here, and with
 * it code of the target. */
static bool may_make_objects(void) { return layout.python >= 0x30c || agent.flags & VT_F_REPR; }

static void *value_by_name(struct source *source, void *name) {
    if (!source->frame) source->frame = py.PyEval_GetFrame(); /* borrowed */
    if (!source->by_name && source->frame) source->by_name = py.PyObject_GetAttrString(source->frame, "f_locals");
    void *value = source->by_name ? py.PyObject_GetItem(source->by_name, name) : NULL;
    if (!value) py.PyErr_Clear();
    return value;
}

/* New reference, or NULL. */
static void *argument_value(struct source *source, int64_t i, void *name) {
    void *value = NULL;
    bool read = source->locals.slots && locals_value(&source->locals, i, &value);
    if (read && locals_trusted()) {
        if (value) py.Py_IncRef(value);
        return value;
    }
    if (!may_make_objects()) return NULL;
    void *named = value_by_name(source, name);
    void *names = field(source->locals.code, layout.co_varnames);
    if (read) source->same &= value == named && type_of(names) == py.PyTuple_Type && py.PyTuple_GetItem(names, i) == name;
    return named;
}

static uint32_t argument_text(struct source *source, int64_t i, char *to, uint32_t room) {
    struct text name;
    void *key = py.PyTuple_GetItem(source->names, i); /* borrowed */
    void *value = key ? argument_value(source, i, key) : NULL;
    if (!value) {
        py.PyErr_Clear();
        return 0;
    }
    text_of_unicode(&name, key);
    uint32_t name_len = cut_utf8(name.bytes, name.len, NAME_MAX), head = 4 + name_len, value_len = 0;
    if (head < room) {
        value_len = text_of(value, to + head, room - head);
        put_lens(to, name_len, value_len);
        memcpy(to + 4, name.bytes, name_len);
    } else {
        head = 0;
    }
    text_done(&name);
    drop_ref(value);
    return head + value_len;
}

/* New reference, or NULL. Names behind those of the arguments may follow. */
static void *names_of(const struct source *source) {
    void *code = source->locals.code, *names = field(code, layout.co_varnames);
    if (!source->locals.slots || !locals_trusted())
        return may_make_objects() ? py.PyObject_GetAttrString(code, "co_varnames") : NULL;
    py.Py_IncRef(names);
    return names;
}

static NOINLINE void any_arguments(struct source *source, int64_t count, enum detail_way way) {
    struct pending_error error;
    char bytes[BYTES_MAX];
    uint32_t len = 0;
    struct thread *thread = pause();
    error_save(&error);
    source->names = names_of(source);
    for (int64_t i = 0; source->names && i < count; i++)
        len += argument_text(source, i, bytes + len, (uint32_t)sizeof bytes - len);
    if (!locals_trusted()) locals_tried(&source->locals, source->same);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    drop_ref(source->by_name);
    drop_ref(source->names);
    if (resume(thread) && len) tell(VT_PL_ARGS, bytes, len, way);
    error_restore(&error);
}

/* In the order of co_varnames: positional, keyword-only, *args, **kwargs. `frame` may be NULL on 3.12+. */
NOINLINE bool values_tell_arguments(void *code, void *frame, enum detail_way way) {
    uint32_t flags = field32(code, layout.co_flags);
    int64_t count = (int64_t)field32(code, layout.co_argcount) + field32(code, layout.co_kwonlyargcount);
    count += (flags & CODE_VARARGS ? 1 : 0) + (flags & CODE_VARKEYWORDS ? 1 : 0);
    if (!count) return false;
    struct source source = {.locals = locals_of(code, frame), .frame = frame, .same = true};
    if (locals_trusted() && source.locals.slots && plain_arguments(&source.locals, count, way)) return false;
    any_arguments(&source, count, way);
    return true;
}
