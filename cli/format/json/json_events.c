/* Owns the way from JSON text to events (json_events.h): yajl parses the text, this file knows the place in the trace. */
#include "cli/format/json/json_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "cli/base/buf.h"
#include "cli/base/input.h"
#include "cli/base/memory.h"
#include "cli/format/json/json_words.h"

#define CHUNK (1u << 20) /* not small: yajl parses a token again from its start in each further chunk */
#define PROGRESS_STEP (8u << 20)

enum place { OUTSIDE, ROOT, EVENTS, EVENT, ARGS, META, INFO, FILES, ONE_FILE };
enum field {
    F_NONE,
    F_PH,
    F_SCOPE,
    F_TS,
    F_DUR,
    F_PID,
    F_TID,
    F_NAME,
    F_CAT,
    F_ID,
    F_ARGS,
    F_COUNT,
    F_BIND,
    F_UNFINISHED,
    F_RESUMED,
    F_SUSPENDED
};

/* A part of the file that is kept unchanged. */
struct capture {
    bool on;
    size_t from; /* in the chunk */
    struct buf buf;
};

struct piece { /* of the buffer */
    bool set;
    size_t at, len;
};

struct reader {
    const struct json_handler *handler;
    void *ctx;
    yajl_handle yajl;
    int rc; /* error of a handler or our own; reading stops */
    bool too_big, too_deep, is_trace;
    enum place place;
    enum place events_parent; /* OUTSIDE: the file is a plain array */
    size_t depth;             /* containers open */
    size_t skip;              /* != 0: everything is of no interest until fewer containers are open */
    enum field field;         /* of the event: what the value that comes next is */
    enum field arg;           /* the same in its args: F_NAME, F_COUNT, F_UNFINISHED and later */
    struct json_event event;  /* numbers of it */
    struct piece pid, tid, name, cat, id, args_name, args_count;
    struct piece key;        /* key in meta, in a file, of a member */
    bool has_args, has_text; /* there is text in value */
    uint64_t lines;
    size_t nth; /* position in a file's array */
    struct json_words words;
    struct capture value; /* args of an event, text of a file: from the end of the key on, with blanks and colon */
    struct capture whole; /* an event, a member */
    const char *chunk;
    struct buf buf; /* texts of the event at hand */
    uint64_t tokens;
};

/* ---- buffer ---- */

static int put(struct reader *r, struct buf *b, const void *data, size_t len) {
    size_t most = b == &r->whole.buf && r->place != EVENT ? JSON_MEMBER_MAX : JSON_EVENT_MAX;
    if (len > most || b->len + len > most) {
        r->too_big = true;
        return -EBADMSG;
    }
    return buf_put(b, data, len);
}

static int put_piece(struct reader *r, struct piece *piece, const void *data, size_t len) {
    /* The buffer exists even when the text is empty: a piece is an offset into it. */
    if (!buf_room(&r->buf, 1)) return -ENOMEM;
    *piece = (struct piece){true, r->buf.len, len};
    return put(r, &r->buf, data, len);
}

static struct json_text text_of(const struct reader *r, const struct piece *p) {
    return p->set ? (struct json_text){r->buf.data + p->at, p->len} : (struct json_text){0};
}

/* yajl's count of consumed bytes advances with every token: in a callback it gives the end of that token in the chunk. */
static size_t chunk_pos(const struct reader *r) { return yajl_get_bytes_consumed(r->yajl); }

/* back: bytes before the current position. */
static void capture_begin(const struct reader *r, struct capture *c, size_t back) {
    c->on = true;
    c->from = chunk_pos(r) - back;
    c->buf.len = 0;
}

static int capture_end(struct reader *r, struct capture *c) {
    c->on = false;
    return put(r, &c->buf, r->chunk + c->from, chunk_pos(r) - c->from);
}

/* The chunk ends inside the captured part. */
static int capture_chunk(struct reader *r, struct capture *c, size_t len) {
    int rc = c->on ? put(r, &c->buf, r->chunk + c->from, len - c->from) : 0;
    c->from = 0;
    return rc;
}

static struct json_text captured(const struct capture *c) {
    struct json_text text = {c->buf.data, c->buf.len};
    while (text.len && (*text.text == ':' || *text.text <= ' ')) text.text++, text.len--;
    return text;
}

/* ---- numbers ---- */

bool json_us_to_ns(struct json_text number, uint64_t *ns) {
    const char *p = number.text, *end = p + number.len;
    if (!p || p == end) return false;
    bool negative = *p == '-';
    if (negative) p++;
    uint64_t whole = 0, part = 0;
    unsigned digits = 0;
    const char *from = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        whole = whole * 10 + (uint64_t)(*p - '0');
        if (whole > JSON_TIME_MAX / 1000) return false;
    }
    if (p == from) return false;
    bool up = false;
    if (p < end && *p == '.')
        for (p++; p < end && *p >= '0' && *p <= '9'; p++, digits++) {
            if (digits < 3) part = part * 10 + (uint64_t)(*p - '0');
            if (digits == 3) up = *p >= '5';
        }
    if (p < end) { /* exponents are rare */
        char copy[64], *stop;
        if (number.len >= sizeof copy) return false;
        memcpy(copy, number.text, number.len);
        copy[number.len] = 0;
        double us = strtod(copy, &stop);
        if (*stop || !(us < (double)JSON_TIME_MAX / 1000)) return false;
        *ns = us > 0 ? (uint64_t)(us * 1000 + 0.5) : 0;
        return true;
    }
    for (; digits < 3; digits++) part *= 10;
    *ns = negative ? 0 : whole * 1000 + part + up;
    return true;
}

static uint64_t small_number(const char *text, size_t len) {
    uint64_t v = 0;
    for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9' && v < UINT64_MAX / 16; i++)
        v = v * 10 + (uint64_t)(text[i] - '0');
    return v;
}

/* ---- events ---- */

static void event_begin(struct reader *r) {
    static const struct piece none;
    r->event = (struct json_event){0};
    r->pid = r->tid = r->name = r->cat = r->id = r->args_name = r->args_count = none;
    r->has_args = false;
    r->buf.len = 0;
    r->field = F_NONE;
}

static int event_end(struct reader *r) {
    struct json_event *e = &r->event;
    e->pid = text_of(r, &r->pid);
    e->tid = text_of(r, &r->tid);
    e->name = text_of(r, &r->name);
    e->cat = text_of(r, &r->cat);
    e->id = text_of(r, &r->id);
    if (r->has_args) e->args = captured(&r->value);
    if (r->handler->member) e->whole = captured(&r->whole);
    e->args_name = text_of(r, &r->args_name);
    e->args_count = text_of(r, &r->args_count);
    return r->handler->event ? r->handler->event(r->ctx, e) : 0;
}

static enum field field_of(const unsigned char *key, size_t len) {
    static const struct {
        const char *key;
        enum field field;
    } fields[] = {{"ph", F_PH},     {"s", F_SCOPE}, {"ts", F_TS},   {"dur", F_DUR}, {"pid", F_PID},  {"tid", F_TID},
                  {"name", F_NAME}, {"bp", F_BIND}, {"cat", F_CAT}, {"id", F_ID},   {"args", F_ARGS}};
    for (size_t i = 0; i < VT_ARRAY_LEN(fields); i++)
        if (len == strlen(fields[i].key) && !memcmp(key, fields[i].key, len)) return fields[i].field;
    return F_NONE;
}

/* What of "args" has a meaning beyond the call's arguments. */
static enum field arg_of(const unsigned char *key, size_t len) {
    static const struct {
        const char *key;
        enum field field;
    } fields[] = {{"name", F_NAME},       {"labels", F_NAME},        {"count", F_COUNT}, {"unfinished", F_UNFINISHED},
                  {"resumed", F_RESUMED}, {"suspended", F_SUSPENDED}};
    for (size_t i = 0; i < VT_ARRAY_LEN(fields); i++)
        if (len == strlen(fields[i].key) && !memcmp(key, fields[i].key, len)) return fields[i].field;
    return F_NONE;
}

static int event_number(struct reader *r, const char *text, size_t len) {
    struct json_text number = {text, len};
    switch (r->field) {
    case F_TS: r->event.has_ts = json_us_to_ns(number, &r->event.ts_ns); return 0;
    case F_DUR: r->event.has_dur = json_us_to_ns(number, &r->event.dur_ns); return 0;
    case F_PID: return put_piece(r, &r->pid, text, len);
    case F_TID: return put_piece(r, &r->tid, text, len);
    case F_ID: return put_piece(r, &r->id, text, len);
    default: return 0;
    }
}

static int event_string(struct reader *r, const void *text, size_t len) {
    const char *s = text;
    switch (r->field) {
    case F_PH: r->event.ph = len == 1 ? s[0] : 0; return 0;
    case F_SCOPE: r->event.scope = len ? s[0] : 0; return 0;
    case F_BIND: r->event.bind = len ? s[0] : 0; return 0;
    case F_TS:
    case F_DUR: return event_number(r, text, len); /* some writers put times into strings */
    case F_PID: return put_piece(r, &r->pid, text, len);
    case F_TID: return put_piece(r, &r->tid, text, len);
    case F_NAME: return put_piece(r, &r->name, text, len);
    case F_CAT: return put_piece(r, &r->cat, text, len);
    case F_ID: return put_piece(r, &r->id, text, len);
    default: return 0;
    }
}

/* ---- callbacks of yajl: 1 = go on ---- */

static int done(struct reader *r, int rc) {
    if (rc) r->rc = rc;
    return !rc;
}

static void leave_out(struct reader *r, enum left_out_cause cause, const void *name, size_t len) {
    if (r->handler->left_out) left_out_add(r->handler->left_out, cause, name, len);
}

/* A value begins at this place that nobody reads. */
static void note_unread(struct reader *r) {
    if (r->place == EVENTS) leave_out(r, LEFT_OUT_NO_OBJECT, NULL, 0);
    struct json_text key = text_of(r, &r->key);
    if (r->place == ROOT) leave_out(r, LEFT_OUT_MEMBERS, key.text, key.len);
}

/* A value of an event, or an element of a file, has been read. */
static int value_end(struct reader *r) {
    if (r->skip) return 1;
    if (r->place == EVENT && r->value.on) {
        r->has_args = true;
        return done(r, capture_end(r, &r->value));
    }
    if (r->place == ONE_FILE) {
        int rc = r->nth == 0 ? capture_end(r, &r->value) : 0;
        r->has_text |= r->nth == 0;
        r->nth++;
        return done(r, rc);
    }
    return 1;
}

static int meta_value(struct reader *r, const char *text, size_t len) {
    struct json_text value = {text, len};
    return r->handler->meta ? r->handler->meta(r->ctx, text_of(r, &r->key), value) : 0;
}

static int on_scalar(struct reader *r, const char *text, size_t len) {
    r->tokens++;
    if (r->skip) return 1;
    note_unread(r);
    if (r->place == META && !done(r, meta_value(r, text, len))) return 0;
    return value_end(r);
}
static int on_null(void *ctx) { return on_scalar(ctx, "null", 4); }
static int on_boolean(void *ctx, int value) {
    struct reader *r = ctx;
    bool *mark = r->skip || r->place != ARGS ? NULL
                 : r->arg == F_UNFINISHED    ? &r->event.unfinished
                 : r->arg == F_RESUMED       ? &r->event.resumed
                 : r->arg == F_SUSPENDED     ? &r->event.suspended
                                             : NULL;
    if (mark) *mark = value != 0;
    return on_scalar(r, value ? "true" : "false", value ? 4 : 5);
}

static int on_number(void *ctx, const char *text, size_t len) {
    struct reader *r = ctx;
    int rc = 0;
    if (r->skip)
        ;
    else if (r->place == EVENT)
        rc = event_number(r, text, len);
    else if (r->place == ARGS && r->arg == F_COUNT)
        rc = put_piece(r, &r->args_count, text, len);
    else if (r->place == ONE_FILE && r->nth == 1)
        r->lines = small_number(text, len);
    return done(r, rc) ? on_scalar(r, text, len) : 0;
}

static int on_string(void *ctx, const unsigned char *text, size_t len) {
    struct reader *r = ctx;
    int rc = 0;
    r->tokens++;
    if (r->skip) return 1;
    note_unread(r);
    if (r->place == EVENT) rc = event_string(r, text, len);
    if (r->place == META && len) rc = meta_value(r, (const char *)text, len);
    if (r->place == ARGS && r->arg == F_NAME) rc = put_piece(r, &r->args_name, text, len);
    return done(r, rc) ? value_end(r) : 0;
}

static int on_key(void *ctx, const unsigned char *key, size_t len) {
    struct reader *r = ctx;
    int rc = 0;
    r->tokens++;
    if (r->skip) return 1;
    switch (r->place) {
    case ROOT:
    case META:
    case INFO:
    case FILES:
        r->buf.len = 0;
        rc = put_piece(r, &r->key, key, len);
        break;
    case EVENT:
        r->field = field_of(key, len);
        if (r->field == F_NONE) leave_out(r, LEFT_OUT_FIELDS, key, len);
        if (r->field == F_ARGS) capture_begin(r, &r->value, 0);
        break;
    case ARGS: r->arg = arg_of(key, len); break;
    default: break;
    }
    return done(r, rc);
}

static bool key_is(const struct reader *r, const char *key) {
    return r->key.set && r->key.len == strlen(key) && !memcmp(r->buf.data + r->key.at, key, r->key.len);
}

/* The place that an object or array which begins here leads to; false = its content is skipped. */
static bool enter(struct reader *r, bool map) {
    enum place to = OUTSIDE;
    switch (r->place) {
    case OUTSIDE: to = map ? ROOT : EVENTS; break;
    case ROOT:
        to = key_is(r, "traceEvents") && !map         ? EVENTS
             : key_is(r, "viztracer_metadata") && map ? META
             : key_is(r, "file_info") && map          ? INFO
                                                      : OUTSIDE;
        break;
    case EVENTS: to = map ? EVENT : OUTSIDE; break;
    case EVENT: to = r->field == F_ARGS && map ? ARGS : OUTSIDE; break;
    case INFO: to = key_is(r, "files") && map ? FILES : OUTSIDE; break;
    case FILES: to = map ? OUTSIDE : ONE_FILE; break;
    default: break;
    }
    if (to == OUTSIDE) {
        note_unread(r);
        return false;
    }
    if (to == EVENTS) r->events_parent = r->place;
    r->is_trace |= (to == EVENTS && r->place == ROOT) || to == EVENT; /* an array of anything else is no trace */
    if (to == EVENT) event_begin(r);
    if (to == ARGS) r->arg = F_NONE;
    if (to == ONE_FILE) {
        r->nth = r->lines = 0;
        r->has_text = false;
        capture_begin(r, &r->value, 0);
    }
    if (r->handler->member && (to == EVENT || to == META || to == INFO)) capture_begin(r, &r->whole, 1); /* with the bracket */
    r->place = to;
    return true;
}

static int on_start(struct reader *r, bool map) {
    r->tokens++;
    r->too_deep = ++r->depth > JSON_DEPTH_MAX;
    if (r->too_deep) return done(r, -EBADMSG);
    if (!r->skip && !enter(r, map)) r->skip = r->depth;
    return 1;
}
static int on_start_map(void *ctx) { return on_start(ctx, true); }
static int on_start_array(void *ctx) { return on_start(ctx, false); }

static int file_end(struct reader *r) {
    struct json_text text = captured(&r->value);
    r->value.on = false;
    if (!r->has_text || !text.len || text.text[0] != '"' || !r->handler->file) return 0;
    return r->handler->file(r->ctx, text_of(r, &r->key), text, r->lines);
}

static int member_end(struct reader *r, const char *key) {
    struct json_text name = {key, strlen(key)};
    return r->handler->member ? r->handler->member(r->ctx, name, captured(&r->whole)) : 0;
}

static int on_end(void *ctx) {
    struct reader *r = ctx;
    int rc = 0;
    r->tokens++;
    r->depth--;
    if (r->skip) {
        if (r->depth >= r->skip) return 1;
        r->skip = 0;
        return value_end(r);
    }
    if (r->whole.on && (r->place == EVENT || r->place == META || r->place == INFO) && !done(r, capture_end(r, &r->whole)))
        return 0;
    switch (r->place) {
    case ARGS: r->place = EVENT; return value_end(r);
    case EVENT:
        r->place = EVENTS;
        rc = event_end(r);
        break;
    case EVENTS: r->place = r->events_parent; break;
    case ONE_FILE:
        r->place = FILES;
        rc = file_end(r);
        break;
    case FILES: r->place = INFO; break;
    case INFO:
    case META:
        rc = member_end(r, r->place == INFO ? "file_info" : "viztracer_metadata");
        r->place = ROOT;
        break;
    default: r->place = OUTSIDE; break;
    }
    return done(r, rc);
}

static const yajl_callbacks callbacks = {.yajl_null = on_null,
                                         .yajl_boolean = on_boolean,
                                         .yajl_number = on_number,
                                         .yajl_string = on_string,
                                         .yajl_start_map = on_start_map,
                                         .yajl_map_key = on_key,
                                         .yajl_end_map = on_end,
                                         .yajl_start_array = on_start_array,
                                         .yajl_end_array = on_end};

/* ---- file ---- */

/* Feeds a piece of the text: 0, or why reading ends here (damage is filled when the text is to blame). */
static int feed(struct reader *r, const char *chunk, size_t len, uint64_t before, struct vt_err *damage) {
    r->chunk = chunk;
    yajl_status status = yajl_parse(r->yajl, (const unsigned char *)chunk, len);
    if (status == yajl_status_ok) {
        int rc = capture_chunk(r, &r->value, len);
        if (!rc) rc = capture_chunk(r, &r->whole, len);
        if (!rc) return 0;
        r->rc = rc;
    }
    unsigned long long at = before + yajl_get_bytes_consumed(r->yajl);
    if (r->too_big) return vt_err_set(damage, -EBADMSG, "damaged at byte %llu: an event of more than 64 MiB", at);
    if (r->too_deep) return vt_err_set(damage, -EBADMSG, "damaged at byte %llu: too deep", at);
    if (status != yajl_status_error) return r->rc;
    unsigned char *why = yajl_get_error(r->yajl, 0, NULL, 0);
    int why_len = why ? (int)strcspn((const char *)why, "\n") : 0;
    vt_err_set(damage, -EBADMSG, "damaged at byte %llu: %.*s", at, why_len, why ? (const char *)why : "");
    if (why) yajl_free_error(r->yajl, why);
    return -EBADMSG;
}

/* Feeds a chunk. What is no JSON but is understood is replaced on the way. Some bytes at its end may be left for the next
 * one: *used. */
static int feed_chunk(struct reader *r, const char *chunk, size_t len, bool last, uint64_t before, size_t *used,
                      struct vt_err *damage) {
    int rc = 0;
    for (size_t at = 0; !rc && at < len; *used = at) {
        const char *word;
        size_t word_len, plain = json_words_next(&r->words, chunk + at, len - at, last, &word, &word_len);
        if (plain) rc = feed(r, chunk + at, plain, before + at, damage);
        at += plain;
        if (!rc && word) rc = feed(r, word, word_len + 2, before + at, damage); /* with its quotes */
        at += word ? word_len : 0;
        if (!word && !plain) break;
    }
    return rc;
}

static int read_all(struct reader *r, struct input *in, const char *path, char *chunk, struct vt_err *damage,
                    struct vt_err *err) {
    uint64_t before = 0, reported = 0, quiet = 0;
    size_t kept = 0; /* bytes at the start of the chunk, from the last one */
    for (bool last = false; !last;) {
        size_t len, from = 0, used = 0;
        uint64_t tokens = r->tokens;
        int rc = input_read(in, chunk + kept, CHUNK - kept, &len);
        if (rc) return input_cannot(path, rc, err);
        last = len < CHUNK - kept;
        len += kept;
        if (!before && len >= 3 && !memcmp(chunk, "\xef\xbb\xbf", 3)) before = from = 3; /* byte order mark */
        rc = feed_chunk(r, chunk + from, len - from, last, before, &used, damage);
        if (rc) return rc;
        before += used;
        quiet = r->tokens == tokens ? quiet + used : 0;
        kept = len - from - used;
        memmove(chunk, chunk + from + used, kept);
        if (quiet > JSON_EVENT_MAX)
            return vt_err_set(damage, -EBADMSG, "damaged at byte %llu: a text of more than 64 MiB", (unsigned long long)before);
        if (r->handler->stop && *r->handler->stop) return vt_err_set(err, -EINTR, "interrupted");
        if (r->handler->progress && before - reported >= PROGRESS_STEP) {
            reported = before;
            r->handler->progress(r->handler->progress_arg, input_done(in), input_size(in));
        }
    }
    if (input_damage(in)) return vt_err_set(damage, -EBADMSG, "%s", input_damage(in));
    if (input_checksum_is_wrong(in) && r->handler->left_out) r->handler->left_out->wrong_checksum = true;
    if (yajl_complete_parse(r->yajl) != yajl_status_ok && !r->rc) vt_err_set(damage, -EBADMSG, "the file ends in the middle");
    return r->rc;
}

int json_events_read(const char *path, const struct json_handler *handler, void *ctx, struct vt_err *damage, struct vt_err *err) {
    struct reader r = {.handler = handler, .ctx = ctx};
    struct input *in;
    int rc = input_open(path, &in, err);
    if (rc) return rc;
    char *chunk = memory_alloc(CHUNK);
    r.yajl = yajl_alloc(&callbacks, NULL, &r);
    if (!chunk || !r.yajl)
        rc = vt_err_set(err, -ENOMEM, "out of memory");
    else
        rc = read_all(&r, in, path, chunk, damage, err);
    if (rc == -EBADMSG && damage->code) rc = 0;
    if (rc == -ENOMEM) vt_err_set(err, rc, "out of memory");
    if (!rc && !r.is_trace) {
        rc = vt_err_set(err, -EBADMSG, "%s: no trace that viztracer can read: JSON without traceEvents%s%s; name another file",
                        path, damage->code ? "; " : "", damage->code ? damage->msg : "");
    }
    if (r.yajl) yajl_free(r.yajl);
    memory_free(chunk);
    memory_free(r.buf.data);
    memory_free(r.value.buf.data);
    memory_free(r.whole.buf.data);
    input_close(in);
    return rc;
}
