/* Owns the text of one value: at most `limit` characters, with work in proportion to them. Plain values and containers are
 * written here, item by item until the text is full. Other objects are asked for their repr, which is code of the target; the
 * caller has paused the thread. */
#include "agent/cpython/repr.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"
#include "agent/cpython/text.h"

enum {
    DEPTH_MAX = 16,
    ITEMS_MAX = 10000,
    INT_BITS_MAX = 8192,
    SHORT = 24 /* where a loop is faster than what starts up slowly */
};
static const char cut_mark[] = "...";

struct out {
    char *to;
    uint32_t room, len;    /* bytes */
    uint32_t limit, chars; /* characters */
    bool full;
    uint32_t depth;
    const void *around[DEPTH_MAX]; /* the containers that we are in */
    const void *main_interpreter;
};

static void put_value(struct out *out, void *value);

/* Whole characters of a UTF-8 text as long as there is room. */
static void put(struct out *out, const char *bytes, int64_t len) {
    for (int64_t at = 0; at < len && !out->full;) {
        int64_t n = 1;
        while (at + n < len && ((uint8_t)bytes[at + n] & 0xc0) == 0x80) n++;
        if (out->chars == out->limit || (uint64_t)n > out->room - out->len) {
            out->full = true;
            break;
        }
        memcpy(out->to + out->len, bytes + at, (size_t)n);
        out->len += (uint32_t)n;
        out->chars++;
        at += n;
    }
}

/* Characters of one byte each. */
static void put_ascii(struct out *out, const char *bytes, uint64_t len) {
    uint64_t room = out->room - out->len, chars = out->limit - out->chars, n = len;
    if (n > room) n = room;
    if (n > chars) n = chars;
    char *to = out->to + out->len;
    if (n > SHORT)
        memcpy(to, bytes, n);
    else
        for (uint64_t i = 0; i < n; i++) to[i] = bytes[i];
    out->len += (uint32_t)n;
    out->chars += (uint32_t)n;
    out->full |= n < len;
}

static void put_text(struct out *out, const char *text) { put(out, text, (int64_t)strlen(text)); }

static void put_number(struct out *out, int64_t number) {
    char digits[24];
    uint32_t at = sizeof digits;
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do digits[--at] = (char)('0' + left % 10), left /= 10;
    while (left);
    if (number < 0) digits[--at] = '-';
    put_ascii(out, digits + at, sizeof digits - at);
}

static void mark_cut(struct out *out) {
    uint32_t mark = (uint32_t)sizeof cut_mark - 1, keep = out->limit > mark ? out->limit - mark : 0;
    if (!keep) return;
    while (out->len && (out->chars > keep || out->room - out->len < mark)) {
        while (--out->len && ((uint8_t)out->to[out->len] & 0xc0) == 0x80) continue;
        out->chars--;
    }
    memcpy(out->to + out->len, cut_mark, mark);
    out->len += mark;
}

/* ---- objects of other types ---- */

static void put_type_name(struct out *out, const void *type) { put_text(out, field(type, TYPE_NAME)); }

/* What repr() raised. */
static void put_error(struct out *out) {
    struct pending_error error;
    error_save(&error);
    /* Ctrl+C in the middle of it was meant for the program; only the main interpreter gets it */
    bool main = field(py.PyThreadState_Get(), layout.ts_interp) == out->main_interpreter;
    if (main && error.type == *(void **)py.PyExc_KeyboardInterrupt) py.PyErr_SetInterrupt();
    put_text(out, "<repr raised ");
    if (error.type && field32(type_of(error.type), TYPE_FLAGS) & TYPE_FLAG_IS_TYPE)
        put_type_name(out, error.type);
    else
        put_text(out, "an exception");
    put_text(out, ">");
    drop_ref(error.type);
    drop_ref(error.value);
    drop_ref(error.traceback);
}

static void put_repr(struct out *out, void *value) {
    struct text text;
    void *repr = py.PyObject_Repr(value);
    if (!repr) {
        put_error(out);
        return;
    }
    text_of_unicode(&text, repr);
    put(out, text.bytes, text.len);
    text_done(&text);
    drop_ref(repr);
}

static void put_summary(struct out *out, const void *value, int64_t n, const char *of) {
    put_text(out, "<");
    put_type_name(out, type_of(value));
    put_text(out, " of ");
    put_number(out, n);
    put_text(out, of);
}

/* How many items, asked of C code only: a class of the program may do anything in __len__. -1 = not known. */
static int64_t items_of(void *value) {
    uint32_t flags = field32(type_of(value), TYPE_FLAGS);
    int64_t n = -1;
    if (flags & TYPE_FLAG_IS_LIST) n = py.PyList_Size(value);
    if (flags & TYPE_FLAG_IS_TUPLE) n = py.PyTuple_Size(value);
    if (flags & TYPE_FLAG_IS_DICT) n = py.PyDict_Size(value);
    if (n < 0 && (!(flags & TYPE_FLAG_ON_HEAP) || flags & TYPE_FLAG_IMMUTABLE)) n = py.PyObject_Size(value);
    if (n < 0) py.PyErr_Clear();
    return n;
}

/* A repr of something huge takes as long as it is big, also when we want little of it. */
static void put_object(struct out *out, void *value) {
    int64_t n = items_of(value);
    if (n > ITEMS_MAX)
        put_summary(out, value, n, " items>");
    else
        put_repr(out, value);
}

/* ---- plain values: no code of the target runs, no exception is raised or touched ---- */

static bool put_long(struct out *out, void *value) {
    int overflow = 0;
    long number = py.PyLong_AsLongAndOverflow(value, &overflow);
    if (!overflow) put_number(out, number);
    return !overflow;
}

static bool put_float(struct out *out, void *value) {
    enum { ADD_DOT_0 = 2 };
    char *text = py.PyOS_double_to_string(py.PyFloat_AsDouble(value), 'r', 0, ADD_DOT_0, NULL);
    if (!text) return false;
    put_text(out, text);
    py.PyMem_Free(text);
    return true;
}

static void put_escaped(struct out *out, uint8_t c, char quote) {
    static const char hex[] = "0123456789abcdef";
    char text[4] = {'\\', (char)c, hex[c >> 4], hex[c & 15]};
    uint32_t n = 2;
    if (c == '\n')
        text[1] = 'n';
    else if (c == '\t')
        text[1] = 't';
    else if (c == '\r')
        text[1] = 'r';
    else if (c != '\\' && c != (uint8_t)quote)
        text[1] = 'x', n = 4;
    put_ascii(out, text, n);
}

/* Only what is compact ASCII: its bytes are behind its head. No more of it is looked at than fits. */
static bool put_ascii_str(struct out *out, const void *value) {
    uint64_t n;
    const char *bytes = str_ascii(value, &n);
    if (!bytes) return false;
    uint64_t seen = n < out->limit ? n : out->limit, odd = 0, single = 0, twice = 0;
    for (uint64_t i = 0; i < seen; i++) {
        uint8_t c = (uint8_t)bytes[i];
        odd += c < 0x20 || c == 0x7f || c == '\\';
        single += c == '\'';
        twice += c == '"';
    }
    char quote = single && !twice ? '"' : '\'';
    put_ascii(out, &quote, 1);
    if (!odd && (!single || quote == '"')) {
        put_ascii(out, bytes, seen);
    } else {
        for (uint64_t i = 0; i < seen && !out->full; i++) {
            uint8_t c = (uint8_t)bytes[i];
            if (c < 0x20 || c == 0x7f || c == '\\' || c == (uint8_t)quote)
                put_escaped(out, c, quote);
            else
                put_ascii(out, bytes + i, 1);
        }
    }
    if (!out->full) put_ascii(out, &quote, 1);
    out->full |= seen < n;
    return true;
}

/* True: that was it. False: nothing has been written. */
static bool put_plain(struct out *out, void *value) {
    const void *type = type_of(value);
    if (type == py.PyLong_Type) return put_long(out, value);
    if (type == py.PyUnicode_Type) return put_ascii_str(out, value);
    if (type == py.PyFloat_Type) return put_float(out, value);
    if (value == py._Py_NoneStruct)
        put_ascii(out, "None", 4);
    else if (value == py._Py_TrueStruct)
        put_ascii(out, "True", 4);
    else if (value == py._Py_FalseStruct)
        put_ascii(out, "False", 5);
    else
        return false;
    return true;
}

/* ---- long ints, other strings ---- */

static void put_int(struct out *out, void *value) {
    void *bits = py.PyObject_CallMethod(value, "bit_length", NULL);
    long n = bits ? py.PyLong_AsLong(bits) : -1;
    drop_ref(bits);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    if (n >= 0 && n <= INT_BITS_MAX)
        put_repr(out, value);
    else
        put_summary(out, value, n, " bits>");
}

/* str and bytes: no more of it than fits is made into a repr. */
static void put_string(struct out *out, void *value) {
    if (py.PySequence_Size(value) <= (int64_t)out->limit) {
        put_repr(out, value);
        return;
    }
    void *part = py.PySequence_GetSlice(value, 0, (int64_t)out->limit);
    if (part)
        put_repr(out, part);
    else
        py.PyErr_Clear();
    drop_ref(part);
    out->full = true;
}

/* ---- containers ---- */

/* An item may change or free the container while it is asked for its repr: each is ours while we look at it. */
static bool put_item(struct out *out, void *item, bool first) {
    if (!first) put(out, ", ", 2);
    if (!out->full) put_value(out, item);
    return !out->full;
}

static void put_sequence(struct out *out, void *value, bool tuple) {
    int64_t n = 0;
    put_text(out, tuple ? "(" : "[");
    for (; n < (tuple ? py.PyTuple_Size(value) : py.PyList_Size(value)); n++) {
        void *item = tuple ? py.PyTuple_GetItem(value, n) : py.PyList_GetItem(value, n);
        if (!item) break;
        py.Py_IncRef(item);
        bool more = put_item(out, item, n == 0);
        py.Py_DecRef(item);
        if (!more) break;
    }
    put_text(out, !tuple ? "]" : n == 1 ? ",)" : ")");
}

static void put_dict(struct out *out, void *value) {
    int64_t at = 0;
    void *key, *item;
    bool first = true, more = true;
    put_text(out, "{");
    while (more && py.PyDict_Next(value, &at, &key, &item)) {
        py.Py_IncRef(key);
        py.Py_IncRef(item);
        more = put_item(out, key, first);
        put(out, ": ", 2);
        if (!out->full) put_value(out, item);
        more = more && !out->full;
        py.Py_DecRef(key);
        py.Py_DecRef(item);
        first = false;
    }
    put_text(out, "}");
}

static void put_set(struct out *out, void *value) {
    bool frozen = type_of(value) == py.PyFrozenSet_Type, first = true, more = true;
    void *items = py.PySequence_Size(value) > 0 ? py.PyObject_GetIter(value) : NULL, *item;
    if (!items) {
        if (py.PyErr_Occurred()) py.PyErr_Clear();
        put_text(out, frozen ? "frozenset()" : "set()");
        return;
    }
    put_text(out, frozen ? "frozenset({" : "{");
    while (more && (item = py.PyIter_Next(items))) {
        more = put_item(out, item, first);
        py.Py_DecRef(item);
        first = false;
    }
    if (py.PyErr_Occurred()) py.PyErr_Clear(); /* it changed under us */
    put_text(out, frozen ? "})" : "}");
    drop_ref(items);
}

/* False when the value is one of the containers that we are in, or too deep. */
static bool go_in(struct out *out, const void *value) {
    for (uint32_t i = 0; i < out->depth; i++)
        if (out->around[i] == value) return false;
    if (out->depth == DEPTH_MAX) return false;
    out->around[out->depth++] = value;
    return true;
}

static void put_value(struct out *out, void *value) {
    const void *type = type_of(value);
    bool tuple = type == py.PyTuple_Type, list = type == py.PyList_Type, dict = type == py.PyDict_Type;
    bool set = type == py.PySet_Type || type == py.PyFrozenSet_Type;
    if (put_plain(out, value)) {
        return;
    } else if (type == py.PyLong_Type) {
        put_int(out, value);
    } else if (type == py.PyUnicode_Type || type == py.PyBytes_Type) {
        put_string(out, value);
    } else if (tuple || list || dict || set) {
        if (!go_in(out, value)) {
            put_text(out, tuple ? "(...)" : list ? "[...]" : "{...}");
            return;
        }
        if (tuple || list)
            put_sequence(out, value, tuple);
        else if (dict)
            put_dict(out, value);
        else
            put_set(out, value);
        out->depth--;
    } else {
        put_object(out, value);
    }
}

int32_t repr_plain(void *value, char *to, uint32_t room, uint32_t limit) {
    struct out out = {.to = to, .room = room, .limit = limit};
    if (!put_plain(&out, value) || (out.full && out.chars < limit)) return -1; /* more fits elsewhere */
    if (out.full) mark_cut(&out);
    return (int32_t)out.len;
}

uint32_t repr_value(void *value, char *to, uint32_t room, uint32_t limit, const void *main_interpreter) {
    struct out out = {.to = to, .room = room, .limit = limit, .main_interpreter = main_interpreter};
    put_value(&out, value);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    if (out.full) mark_cut(&out);
    return out.len;
}
