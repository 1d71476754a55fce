/* Owns the text of one value: at most `limit` characters, and work in proportion to them. Plain values and
 * containers are written here, item by item until the text is full; only other objects are asked for their repr, which
 * is code of the target (values.c has this thread paused). What was cut ends in "...". */
#include "agent/detail.h"

enum { DEPTH_MAX = 16, ITEMS_MAX = 10000, INT_BITS_MAX = 8192, DIGIT_BITS = 30 };
static const char cut_mark[] = "...";

struct out {
    char *to;
    uint32_t room, len;    /* bytes */
    uint32_t limit, chars; /* characters */
    bool full;
    uint32_t depth;
    const void *around[DEPTH_MAX]; /* the containers that we are in */
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

static void put_text(struct out *out, const char *text) { put(out, text, (int64_t)strlen(text)); }

static void put_number(struct out *out, int64_t number) {
    char text[24] = "";
    text_append_number(text, sizeof text, number);
    put_text(out, text);
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
    /* Ctrl+C in the middle of it was meant for the program */
    if (error.type == *(void **)py.PyExc_KeyboardInterrupt) py.PyErr_SetInterrupt();
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

/* ---- plain values ---- */

static void put_int(struct out *out, void *value) {
    long number = py.PyLong_AsLong(value);
    if (number != -1 || !py.PyErr_Occurred()) {
        put_number(out, number);
        return;
    }
    py.PyErr_Clear(); /* too large for a long */
    void *bits = py.PyObject_CallMethod(value, "bit_length", NULL);
    long n = bits ? py.PyLong_AsLong(bits) : -1;
    drop_ref(bits);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    if (n >= 0 && n <= INT_BITS_MAX)
        put_repr(out, value);
    else
        put_summary(out, value, n, " bits>");
}

static bool plain_ascii(const struct text *text) {
    for (int64_t i = 0; i < text->len; i++) {
        uint8_t c = (uint8_t)text->bytes[i];
        if (c < 0x20 || c > 0x7e || c == '\'' || c == '\\') return false;
    }
    return true;
}

/* str and bytes: no more of it than fits is made into a repr. */
static void put_string(struct out *out, void *value) {
    struct text text = {"", 0, NULL};
    int64_t n = py.PySequence_Size(value);
    if (type_of(value) == py.PyUnicode_Type && n <= (int64_t)out->limit) text_of_unicode(&text, value);
    if (text.len && plain_ascii(&text)) {
        put(out, "'", 1);
        put(out, text.bytes, text.len);
        put(out, "'", 1);
    } else if (n > (int64_t)out->limit) {
        void *part = py.PySequence_GetSlice(value, 0, (int64_t)out->limit);
        if (part)
            put_repr(out, part);
        else
            py.PyErr_Clear();
        drop_ref(part);
        out->full = true;
    } else {
        put_repr(out, value);
    }
    text_done(&text);
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
    if (type == py.PyLong_Type) {
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
    } else if (value == py._Py_NoneStruct) {
        put_text(out, "None");
    } else if (type == py.PyBool_Type || type == py.PyFloat_Type) {
        put_repr(out, value);
    } else {
        put_object(out, value);
    }
}

/* Writes the text of a value; its bytes. No exception is pending afterwards. */
uint32_t repr_value(void *value, char *to, uint32_t room, uint32_t limit) {
    struct out out = {.to = to, .room = room, .limit = limit};
    put_value(&out, value);
    if (py.PyErr_Occurred()) py.PyErr_Clear();
    if (out.full) mark_cut(&out);
    return out.len;
}
