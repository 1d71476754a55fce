/* Owns the form of arguments in a Perfetto trace (perfetto_args.h). */
#include "cli/format/perfetto/perfetto_args.h"

#include <errno.h>
#include <stdio.h>

#include "cli/base/json_walk.h"
#include "cli/base/memory.h"
#include "cli/format/perfetto/perfetto_fields.h"
#include "cli/trace/call_args.h"
#include "cli/trace/fold_text.h"

#define DEPTH_MAX 64 /* levels of nested JSON; deeper values are left out */

static size_t open_named(struct buf *b, uint32_t field, const void *name, size_t len) {
    size_t start = pb_open(b, field);
    if (name) pb_text(b, ARG_NAME, name, len);
    return start;
}

void perfetto_arg_u64(struct buf *b, const char *name, uint64_t v) {
    size_t start = open_named(b, EVENT_ARGS, name, strlen(name));
    pb_u64(b, ARG_UINT, v);
    pb_close(b, start);
}

void perfetto_arg_true(struct buf *b, const char *name) {
    size_t start = open_named(b, EVENT_ARGS, name, strlen(name));
    pb_u64(b, ARG_BOOL, 1);
    pb_close(b, start);
}

void perfetto_arg_text(struct buf *b, const char *name, const void *text, size_t len) {
    size_t start = open_named(b, EVENT_ARGS, name, strlen(name));
    pb_text(b, ARG_STRING, text, len);
    pb_close(b, start);
}

static size_t digits(const char *s, size_t n) {
    size_t i = 0;
    while (i < n && s[i] >= '0' && s[i] <= '9') i++;
    return i;
}

/* An int as repr writes it, in 64 bits. */
static bool put_int(struct buf *b, const char *s) {
    char *end;
    errno = 0;
    if (s[0] == '-') {
        long long v = strtoll(s, &end, 10);
        if (errno || *end) return false;
        pb_u64(b, ARG_INT, (uint64_t)v);
        return true;
    }
    unsigned long long v = strtoull(s, &end, 10);
    if (errno || *end) return false;
    pb_u64(b, v > INT64_MAX ? ARG_UINT : ARG_INT, v);
    return true;
}

/* True when text is a number as Python or JSON writes it, and for a float, the shortest text of that number. */
static bool put_number(struct buf *b, const char *text, size_t len) {
    char s[64];
    if (len == 0 || len >= sizeof s) return false;
    memcpy(s, text, len);
    s[len] = 0;
    size_t at = s[0] == '-', n = digits(s + at, len - at);
    if (n == 0 || (n > 1 && s[at] == '0')) return false;
    at += n;
    if (at == len) return put_int(b, s);
    if (s[at] == '.') {
        n = digits(s + at + 1, len - at - 1);
        if (n == 0) return false;
        at += 1 + n;
    }
    if (at < len && (s[at] == 'e' || s[at] == 'E')) {
        at++;
        if (s[at] == '-' || s[at] == '+') at++;
        n = digits(s + at, len - at);
        if (n == 0) return false;
        at += n;
    }
    if (at != len) return false;
    pb_double(b, ARG_DOUBLE, strtod(s, NULL));
    return true;
}

static void put_repr(struct buf *b, const char *text, size_t len) {
    if (len == 4 && !memcmp(text, "True", 4))
        pb_u64(b, ARG_BOOL, 1);
    else if (len == 5 && !memcmp(text, "False", 5))
        pb_u64(b, ARG_BOOL, 0);
    else if (!put_number(b, text, len))
        pb_text(b, ARG_STRING, text, len);
}

void perfetto_arg_repr(struct buf *b, const char *name, const void *text, size_t len) {
    size_t start = open_named(b, EVENT_ARGS, name, strlen(name));
    put_repr(b, text, len);
    pb_close(b, start);
}

void perfetto_arg_func_args(struct buf *b, const struct trace_call *call) {
    struct call_args args = call_args_of(call);
    struct call_text name, value;
    size_t start = open_named(b, EVENT_ARGS, "func_args", 9);
    while (call_args_next(&args, &name, &value)) {
        size_t one = open_named(b, ARG_DICT, name.data, name.len);
        put_repr(b, (const char *)value.data, value.len);
        pb_close(b, one);
    }
    pb_close(b, start);
}

const char *const perfetto_fold_names[PERFETTO_FOLD_NAMES] = {"folded", "calls",   "total_us", "functions",
                                                              "name",   "self_us", "others"};
enum { FOLDED = 1, CALLS, TOTAL_US, FUNCTIONS, NAME, SELF_US, OTHERS }; /* their iids */

static size_t open_interned(struct buf *b, uint32_t field, uint64_t name) {
    size_t start = pb_open(b, field);
    pb_u64(b, ARG_NAME_ID, name);
    return start;
}
static void put_number_as(struct buf *b, uint64_t name, uint64_t v) {
    size_t start = open_interned(b, ARG_DICT, name);
    pb_u64(b, ARG_UINT, v);
    pb_close(b, start);
}
static void put_us(struct buf *b, uint64_t name, uint64_t ns) {
    size_t start = open_interned(b, ARG_DICT, name);
    pb_double(b, ARG_DOUBLE, (double)ns / 1000);
    pb_close(b, start);
}

void perfetto_arg_fold(struct buf *b, const struct trace_fold *fold) {
    size_t start = open_interned(b, EVENT_ARGS, FOLDED);
    put_number_as(b, CALLS, fold->calls);
    put_us(b, TOTAL_US, fold->total_ns);
    size_t list = open_interned(b, ARG_DICT, FUNCTIONS);
    for (uint32_t i = 0; i < fold->listed; i++) {
        const struct trace_fold_function *f = &fold->functions[i];
        size_t one = pb_open(b, ARG_ARRAY), name = open_interned(b, ARG_DICT, NAME);
        pb_u64(b, ARG_STRING_ID, f->name->index + 1u);
        pb_close(b, name);
        put_number_as(b, CALLS, f->calls);
        put_us(b, SELF_US, f->self_ns);
        pb_close(b, one);
    }
    pb_close(b, list);
    struct trace_fold_function others = fold_others(fold);
    if (fold->listed < fold->nfunctions) {
        list = open_interned(b, ARG_DICT, OTHERS);
        put_number_as(b, FUNCTIONS, fold->nfunctions - fold->listed);
        put_number_as(b, CALLS, others.calls);
        put_us(b, SELF_US, others.self_ns);
        pb_close(b, list);
    }
    pb_close(b, start);
}

/* ---- JSON ---- */

struct nesting {
    struct buf *b;
    unsigned depth;          /* depth of the value being read: members of the outermost object have 1 */
    size_t start[DEPTH_MAX]; /* start of the annotation that holds the values at each depth */
    bool array[DEPTH_MAX];
    char *key; /* key of the next value, NULL = none; malloc'd */
    size_t key_len;
    bool failed;
};

/* Opens the annotation of a value. The members of the outermost object become annotations of the event itself. */
static size_t open_value(struct nesting *n) {
    const char *name = n->key;
    size_t len = n->key_len;
    uint32_t field = n->depth <= 1 ? EVENT_ARGS : n->array[n->depth - 1] ? ARG_ARRAY : ARG_DICT;
    if (n->depth == 0) {
        name = "args";
        len = 4;
    }
    return open_named(n->b, field, n->depth > 1 && n->array[n->depth - 1] ? NULL : name ? name : "", len);
}
static int close_value(struct nesting *n, size_t start) {
    pb_close(n->b, start);
    memory_free(n->key);
    n->key = NULL;
    n->key_len = 0;
    return 1;
}

static int on_text(struct nesting *n, const void *text, size_t len) {
    if (n->depth >= DEPTH_MAX) return 1;
    size_t start = open_value(n);
    pb_text(n->b, ARG_STRING, text, len);
    return close_value(n, start);
}
static int on_null(void *arg) { return on_text(arg, "null", 4); }
static int on_string(void *arg, const unsigned char *text, size_t len) { return on_text(arg, text, len); }
static int on_boolean(void *arg, int value) {
    struct nesting *n = arg;
    if (n->depth >= DEPTH_MAX) return 1;
    size_t start = open_value(n);
    pb_u64(n->b, ARG_BOOL, value != 0);
    return close_value(n, start);
}
static int on_number(void *arg, const char *text, size_t len) {
    struct nesting *n = arg;
    if (n->depth >= DEPTH_MAX) return 1;
    size_t start = open_value(n);
    if (!put_number(n->b, text, len)) pb_text(n->b, ARG_STRING, text, len);
    return close_value(n, start);
}
static int on_key(void *arg, const unsigned char *key, size_t len) {
    struct nesting *n = arg;
    memory_free(n->key);
    n->key = memory_alloc(len + 1);
    if (!n->key) return 0;
    memcpy(n->key, key, len);
    n->key_len = len;
    return 1;
}
static int enter_value(struct nesting *n, bool array) {
    if (n->depth < DEPTH_MAX) {
        bool outermost = n->depth == 0 && !array;
        if (n->depth == 0 && array) n->depth = 1; /* an array becomes the annotation "args" */
        n->start[n->depth] = 0;
        if (!outermost) {
            if (!n->key && !(n->depth > 1 && n->array[n->depth - 1])) on_key(n, (const unsigned char *)"args", 4);
            n->start[n->depth] = open_value(n);
        }
        n->array[n->depth] = array;
        memory_free(n->key);
        n->key = NULL;
        n->key_len = 0;
    }
    n->depth++;
    return 1;
}
static int leave_value(struct nesting *n) {
    n->depth--;
    if (n->depth < DEPTH_MAX && n->start[n->depth]) close_value(n, n->start[n->depth]);
    return 1;
}
static int on_map(void *arg) { return enter_value(arg, false); }
static int on_array(void *arg) { return enter_value(arg, true); }
static int on_end(void *arg) { return leave_value(arg); }

void perfetto_args_json(struct buf *b, const char *json, size_t len) {
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_map,
        .yajl_map_key = on_key,
        .yajl_end_map = on_end,
        .yajl_start_array = on_array,
        .yajl_end_array = on_end,
    };
    struct nesting n = {.b = b};
    size_t before = b->len;
    if (!json_walk(json, len, &callbacks, &n) && !b->failed) {
        b->len = before;
        perfetto_arg_text(b, "args", json, len);
    }
    memory_free(n.key);
}
