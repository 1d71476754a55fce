/* Owns the way from JSON arguments to payloads (args_payload.h). */
#include "cli/format/vzt/args_payload.h"

#include <errno.h>
#include <yajl/yajl_parse.h>

#include "proto/abi/record.h"

#define TEXT_MAX 65535u     /* bytes of a name or value: its length is a u16 */
#define ARGS_MAX (1u << 20) /* bytes of one call: more than an attach records, less than a block holds */

enum place { ELSEWHERE, IN_ARGS, AT_RETVAL, AT_LINE };

struct parse {
    struct args_payload *p;
    unsigned depth;
    enum place place;
    struct buf key; /* the key, in func_args */
};

static void put_u16(struct buf *b, size_t v) {
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    buf_put(b, bytes, sizeof bytes);
}

static int other(void *arg) {
    ((struct parse *)arg)->p->rest = true;
    return 1;
}
static int other_boolean(void *arg, int value) {
    (void)value;
    return other(arg);
}
static int other_number(void *arg, const char *text, size_t len) {
    const struct parse *s = arg;
    (void)text;
    (void)len;
    if (s->depth == 1 && s->place == AT_LINE) return 1; /* trace_call.at_line says it */
    return other(arg);
}

static int on_string(void *arg, const unsigned char *text, size_t len) {
    struct parse *s = arg;
    struct args_payload *p = s->p;
    if (s->depth == 1 && s->place == AT_RETVAL && len <= VT_PAYLOAD_MAX) {
        buf_put(&p->retval, text, len);
        p->has_retval = true;
        return 1;
    }
    bool fits = s->depth == 2 && s->place == IN_ARGS && s->key.len <= TEXT_MAX && len <= TEXT_MAX &&
                p->args.len + s->key.len + len + 4 <= ARGS_MAX;
    if (!fits) return other(arg);
    put_u16(&p->args, s->key.len);
    put_u16(&p->args, len);
    buf_put(&p->args, s->key.data, s->key.len);
    buf_put(&p->args, text, len);
    return 1;
}

static int on_key(void *arg, const unsigned char *key, size_t len) {
    struct parse *s = arg;
    if (s->depth == 1) {
        s->place = len == 9 && !memcmp(key, "func_args", 9)        ? IN_ARGS
                   : len == 12 && !memcmp(key, "return_value", 12) ? AT_RETVAL
                   : len == 7 && !memcmp(key, "at_line", 7)        ? AT_LINE
                                                                   : ELSEWHERE;
        bool again = (s->place == IN_ARGS && s->p->has_args) || (s->place == AT_RETVAL && s->p->has_retval);
        if (again) s->place = ELSEWHERE;
    }
    s->key.len = 0;
    buf_put(&s->key, key, len);
    return 1;
}

static int on_map(void *arg) {
    struct parse *s = arg;
    if (s->depth == 1 && s->place == IN_ARGS)
        s->p->has_args = true;
    else if (s->depth >= 1)
        other(arg);
    s->depth++;
    return 1;
}
static int on_array(void *arg) {
    ((struct parse *)arg)->depth += 2; /* deeper strings are no arguments of their own */
    return other(arg);
}
static int on_map_end(void *arg) {
    ((struct parse *)arg)->depth--;
    return 1;
}
static int on_array_end(void *arg) {
    ((struct parse *)arg)->depth -= 2;
    return 1;
}

int args_payload_from_json(struct args_payload *p, const char *json, size_t len) {
    static const yajl_callbacks callbacks = {
        .yajl_null = other,
        .yajl_boolean = other_boolean,
        .yajl_number = other_number,
        .yajl_string = on_string,
        .yajl_start_map = on_map,
        .yajl_map_key = on_key,
        .yajl_end_map = on_map_end,
        .yajl_start_array = on_array,
        .yajl_end_array = on_array_end,
    };
    struct parse s = {.p = p};
    p->args.len = p->retval.len = 0;
    p->has_args = p->has_retval = p->rest = false;
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &s);
    if (!parser) return -ENOMEM;
    yajl_config(parser, yajl_dont_validate_strings, 1);
    if (yajl_parse(parser, (const unsigned char *)json, len) != yajl_status_ok || yajl_complete_parse(parser) != yajl_status_ok)
        p->rest = true;
    yajl_free(parser);
    bool failed = s.key.failed || p->args.failed || p->retval.failed;
    buf_free(&s.key);
    return failed ? -ENOMEM : 0;
}

void args_payload_free(struct args_payload *p) {
    buf_free(&p->args);
    buf_free(&p->retval);
}
