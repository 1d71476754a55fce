/* Owns what the Python file cannot do: the logger object, the records of the values that it tells, and running the program's
 * instrumented code in the place of the code that the interpreter has compiled already.
 *
 * The logger is no callable, so that telling a value is no call in the trace: its operator @ takes (kind, name, value) and gives
 * the value back. It stays in the constants of the program's code and works for ever; without a session it only hands the value
 * on. */
#include "agent/instrument.h"

#include "agent/carried.h"
#include "agent/cpython/layout.h"
#include "agent/cpython/repr.h"
#include "agent/cpython/text.h"
#include "agent/instrument_source.h"
#include "agent/record/thread.h"
#include "agent/session/session.h"

enum { BYTES_MAX = 8192, NAME_BYTES_MAX = 1024, TEXT_BYTES_MAX = 2048, FILE_INPUT = 257, CODE_38 = 48, CONSTS_38 = 56 };
enum { TYPE_BASIC = 32, OBJECT_SIZE = 16 };
/* Of the Python file. */
enum kind { KIND_VALUE, KIND_NUMBER, KIND_STEP, KIND_LOG_VAR, KIND_LOG_INSTANT, KIND_INSTANT_ARGS, KIND_MOMENT };

static void *api, *main_code; /* owned */

/* ---- texts in the making ---- */

struct line {
    char *bytes;
    uint32_t len, room;
};

static void add(struct line *line, const char *bytes, uint64_t len) {
    if (len > line->room - line->len) len = 0;
    memcpy(line->bytes + line->len, bytes, len);
    line->len += (uint32_t)len;
}
static void add_text(struct line *line, const char *text) { add(line, text, strlen(text)); }

static void add_escape(struct line *line, uint32_t unit) {
    static const char digits[] = "0123456789abcdef";
    const char text[6] = {'\\', 'u', digits[unit >> 12 & 15], digits[unit >> 8 & 15], digits[unit >> 4 & 15], digits[unit & 15]};
    add(line, text, sizeof text);
}

/* The code point at bytes[*at], which is moved on. Bytes that are no UTF-8 are told as U+FFFD. */
static uint32_t next_point(const char *bytes, uint32_t len, uint32_t *at) {
    uint8_t first = (uint8_t)bytes[(*at)++];
    uint32_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    if (first < 0x80) return first;
    uint32_t point = first & (0x3fu >> more);
    if (!more || more > len - *at) return 0xfffd;
    for (; more; more--, ++*at) {
        if (((uint8_t)bytes[*at] & 0xc0) != 0x80) return 0xfffd;
        point = point << 6 | ((uint8_t)bytes[*at] & 0x3f);
    }
    return point;
}

/* A JSON string in ASCII; what does not fit is left out. */
static void add_json(struct line *line, const char *bytes, uint32_t len) {
    const uint32_t end = 16; /* for what follows the string */
    add(line, "\"", 1);
    for (uint32_t at = 0; at < len && line->room - line->len > end;) {
        uint32_t point = next_point(bytes, len, &at);
        if (point == '"' || point == '\\') add(line, "\\", 1);
        if (point >= 0x20 && point < 0x7f)
            add(line, (const char[]){(char)point}, 1);
        else if (point < 0x10000)
            add_escape(line, point);
        else if (point < 0x110000) {
            add_escape(line, 0xd800 + ((point - 0x10000) >> 10));
            add_escape(line, 0xdc00 + ((point - 0x10000) & 0x3ff));
        }
    }
    add(line, "\"", 1);
}

/* ---- records ---- */

static void put_mark(char letter, char scope, const struct line *name, const struct line *args) {
    const struct vt_pl_mark head = {.ticks = clock_full(),
                                    .args_len = args->len,
                                    .name_len = (uint16_t)name->len,
                                    .ph = (uint8_t)letter,
                                    .scope = (uint8_t)scope};
    uint32_t len = (uint32_t)sizeof head + name->len + args->len;
    uint8_t *to = session_visit() ? payload_reserve(len) : NULL;
    if (!to) return;
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, name->bytes, name->len);
    memcpy(to + sizeof head + name->len, args->bytes, args->len);
    payload_commit(VT_PL_MARK, len);
}

static void put_step(const struct line *step) {
    uint8_t *to = session_visit() ? payload_reserve(step->len) : NULL;
    if (!to) return;
    memcpy(to, step->bytes, step->len);
    payload_commit(VT_PL_STEP, step->len);
}

/* ---- values ---- */

/* The text of a number that JSON has, too. */
static bool is_json_number(void *value, const char *text, uint32_t len) {
    const void *type = type_of(value);
    if (!len || (type != py.PyLong_Type && type != py.PyFloat_Type)) return false;
    for (uint32_t i = 0; i < len; i++)
        if (!(text[i] >= '0' && text[i] <= '9') && text[i] != '-' && text[i] != '+' && text[i] != 'e' && text[i] != '.')
            return false;
    return text[len - 1] != '.';
}

/* False: the session in which the value was to be told is over. */
static bool value_of(void *value, char *to, uint32_t room, uint32_t *len) {
    if (!(agent.flags & VT_F_REPR)) {
        *len = value_text(value, to, room, agent.repr_limit);
        return true;
    }
    struct thread *thread = this_thread;
    thread->paused = 1;
    *len = repr_value(value, to, room, agent.repr_limit, agent.main_interpreter);
    if (thread == this_thread) thread->paused = 0;
    return thread == this_thread && thread->tid;
}

/* A value beside its name, in args: {"name": 3} for a number, {"key": "text"} for others. */
static void tell_args(long kind, struct line *name, const char *text, uint32_t len, bool number) {
    static char bytes[BYTES_MAX]; /* with the GIL, and no code of the program runs */
    struct line args = {bytes, 0, sizeof bytes};
    const char *key = number ? "value" : kind == KIND_LOG_VAR ? "object" : "args";
    add_text(&args, "{");
    if (kind == KIND_NUMBER)
        add_json(&args, name->bytes, name->len);
    else
        add_json(&args, key, (uint32_t)strlen(key));
    add_text(&args, ":");
    if (number)
        add(&args, text, len);
    else
        add_json(&args, text, len);
    add_text(&args, "}");
    put_mark(number ? 'C' : 'i', number ? 0 : 't', name, &args);
}

static void tell(long kind, void *of, void *value) {
    char bytes[NAME_BYTES_MAX + TEXT_BYTES_MAX], text[TEXT_BYTES_MAX];
    struct line name = {bytes, 0, sizeof bytes};
    const struct line nothing = {bytes, 0, 0};
    struct text given;
    uint32_t len = 0;
    bool valued = kind != KIND_MOMENT && kind != KIND_LOG_INSTANT;
    if (valued && !value_of(value, text, sizeof text, &len)) return;
    text_of_unicode(&given, of);
    add(&name, given.bytes, (uint64_t)given.len < NAME_BYTES_MAX ? (uint64_t)given.len : NAME_BYTES_MAX);
    text_done(&given);
    bool number = (kind == KIND_NUMBER || kind == KIND_LOG_VAR) && is_json_number(value, text, len);
    if (number || kind == KIND_LOG_VAR || kind == KIND_INSTANT_ARGS) {
        tell_args(kind, &name, text, len, number);
        return;
    }
    if (valued) {
        add_text(&name, " = ");
        add(&name, text, len);
    }
    if (kind == KIND_STEP)
        put_step(&name);
    else
        put_mark('i', kind == KIND_LOG_INSTANT ? 't' : 'p', &name, &nothing);
}

static bool is_on(void) { return agent.state == AGENT_TRACING && session_visit() && !this_thread->paused; }

/* LOGGER @ (kind, name, value). What else stands there is not of us. */
static void *on_operator(void *self, void *what) {
    struct pending_error error;
    (void)self;
    bool ours = type_of(what) == py.PyTuple_Type && py.PyTuple_Size(what) == 3;
    void *value = ours ? py.PyTuple_GetItem(what, 2) : py._Py_NoneStruct; /* borrowed */
    py.Py_IncRef(value);
    if (!ours || !is_on()) return value;
    error_save(&error);
    tell(py.PyLong_AsLong(py.PyTuple_GetItem(what, 0)), py.PyTuple_GetItem(what, 1), value);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    error_restore(&error);
    return value;
}

static void *logger_new(void) {
    enum { SLOT_MATRIX_MULTIPLY = 75, DEFAULT_FLAGS = 1 << 18 };
    struct slot {
        int id;
        void *value;
    } slots[2] = {{SLOT_MATRIX_MULTIPLY, (void *)on_operator}};
    struct {
        const char *name;
        int basic_size, item_size;
        unsigned flags;
        struct slot *slots;
    } spec = {"viztracer_agent.logger", OBJECT_SIZE, 0, DEFAULT_FLAGS, slots};
    void *type = py.PyType_FromSpec(&spec), *logger = type ? py.PyType_GenericAlloc(type, 0) : NULL;
    drop_ref(type);
    return logger;
}

int instrument_start(void) {
    if (!carried_wanted(agent.ctl) || api) return 0;
    void *logger = logger_new(), *started = logger ? carried_run(instrument_source) : NULL;
    int rc = carried_start(started, logger, "--log_var and its kind");
    drop_ref(logger); /* the file keeps it */
    if (rc)
        drop_ref(started);
    else
        api = started;
    return rc;
}

/* ---- the program's own code ---- */

/* Makes the code object, which nothing has run yet, that of an empty module: the bytes of one, or below 3.11 its objects. */
static bool make_empty(void *code, void *empty) {
    if (layout.python < 0x30b) {
        void *bytes = py.PyObject_GetAttrString(code, "co_code");
        bool known = bytes && bytes == field(code, CODE_38);
        drop_ref(bytes);
        for (uint32_t at = CODE_38; known && at <= CONSTS_38; at += 8) {
            void **to = (void **)(void *)((char *)code + at), *old = *to;
            *to = field(empty, at);
            py.Py_IncRef(*to);
            drop_ref(old);
        }
        return known;
    }
    const char *type = type_of(code);
    uint64_t units = (uint64_t)field(empty, OBJECT_SIZE), start = (uint64_t)field(type, TYPE_BASIC);
    if ((uint64_t)field(type, TYPE_ITEM_SIZE) != 2 || units > (uint64_t)field(code, OBJECT_SIZE)) return false;
    memcpy((char *)code + start, (const char *)empty + start, units * 2);
    return true;
}

void *instrument_main(void *code, void *command) {
    struct pending_error error;
    if (!api || !code || main_code) return NULL;
    error_save(&error);
    void *made = py.PyObject_CallMethod(api, "main", "OO", code, command ? command : py._Py_NoneStruct);
    void *empty = made && made != py._Py_NoneStruct ? py.Py_CompileString("", "", FILE_INPUT) : NULL;
    if (empty && make_empty(code, empty)) main_code = made;
    if (!main_code) drop_ref(made);
    drop_ref(empty);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    error_restore(&error);
    return main_code;
}

int instrument_run(void) {
    void *code = main_code;
    if (!code) return 0;
    main_code = NULL;
    void *module = py.PyDict_GetItemString(py.PyImport_GetModuleDict(), "__main__"); /* borrowed */
    void *names = module ? py.PyObject_GetAttrString(module, "__dict__") : NULL;
    void *result = names ? py.PyEval_EvalCode(code, names, names) : NULL;
    drop_ref(names);
    drop_ref(code);
    drop_ref(result);
    return result ? 0 : -1;
}
