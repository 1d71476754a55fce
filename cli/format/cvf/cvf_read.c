/* Owns the way from .cvf files back to Chrome JSON (cvf.h). The file is hostile: each length is checked first, and JSON in it
 * is parsed before it is copied into ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>
#include <zlib.h>

#include "cli/base/input.h"
#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/format/cvf/cvf.h"

#define UNZIPPED_MAX (1u << 30)
#define TIME_MAX ((int64_t)1 << 58) /* units; the sign is free */

struct text {
    char *data; /* malloc'd */
    size_t len;
};

struct unpacker {
    const uint8_t *data;
    size_t len, at;
    struct output *out;
    const volatile int *stop;
    bool any; /* an event has been written */
    uint64_t events;
    struct text file_info, metadata;
};

/* ---- bytes ---- */

static int get(struct unpacker *u, void *to, size_t len) {
    if (len > u->len - u->at) return -EBADMSG;
    memcpy(to, u->data + u->at, len);
    u->at += len;
    return 0;
}
static int get_u64(struct unpacker *u, uint64_t *v) { return get(u, v, sizeof *v); }

static int get_string(struct unpacker *u, const char **text, size_t *len) {
    const uint8_t *start = u->data + u->at, *nul = memchr(start, 0, u->len - u->at);
    if (!nul) return -EBADMSG;
    *text = (const char *)start;
    *len = (size_t)(nul - start);
    u->at += *len + 1;
    return 0;
}

static int get_varint(struct unpacker *u, uint64_t *v) {
    *v = 0;
    if (u->at == u->len) return -EBADMSG;
    int rc = get(u, v, (size_t)1 << (u->data[u->at] & 3));
    *v >>= 2;
    return rc;
}

/* ---- JSON inside the file ---- */

static bool is_json(const struct text *t) {
    yajl_handle h = yajl_alloc(NULL, NULL, NULL);
    bool ok =
        h && yajl_parse(h, (const unsigned char *)t->data, t->len) == yajl_status_ok && yajl_complete_parse(h) == yajl_status_ok;
    if (h) yajl_free(h);
    return ok;
}

/* kind: '[' or '{', the type that the text must have. */
static int get_zipped(struct unpacker *u, char kind, struct text *out) {
    uint64_t len, packed_len;
    int rc = get_u64(u, &len);
    if (!rc) rc = get_u64(u, &packed_len);
    if (rc || packed_len > u->len - u->at || len > UNZIPPED_MAX || len / 1032 > packed_len) return -EBADMSG;
    uLongf got = len;
    out->data = memory_alloc(len + 1);
    if (!out->data) return -ENOMEM;
    if (uncompress((Bytef *)out->data, &got, u->data + u->at, packed_len) != Z_OK || got != len) return -EBADMSG;
    u->at += packed_len;
    out->len = len;
    return len && out->data[0] == kind && is_json(out) ? 0 : -EBADMSG;
}

/* The next element of a list, which is valid JSON; *at starts behind its bracket. False at the end. */
static bool next_element(const char **at, const char *end, const char **element, size_t *len) {
    const char *p = *at;
    size_t depth = 0;
    bool in_string = false;
    while (p < end && (*p == ',' || (uint8_t)*p <= ' ')) p++;
    if (p >= end || *p == ']') return false;
    *element = p;
    for (; p < end; p++) {
        if (in_string) {
            if (*p == '\\')
                p++;
            else if (*p == '"')
                in_string = false;
        } else if (*p == '"') {
            in_string = true;
        } else if (*p == '[' || *p == '{') {
            depth++;
        } else if (*p == ']' || *p == '}') {
            if (!depth) break;
            depth--;
        } else if (*p == ',' && !depth) {
            break;
        }
    }
    *len = (size_t)(p - *element);
    *at = p;
    return true;
}

/* ---- events ---- */

static void literal(struct unpacker *u, const char *text) { output_write(u->out, text, strlen(text)); }

static void string(struct unpacker *u, const char *text, size_t len) {
    const size_t step = 32u << 10;
    literal(u, "\"");
    while (len) {
        size_t n = len < step ? len : step;
        while (n < len && n > step - 4 && ((uint8_t)text[n] & 0xc0) == 0x80) n--; /* do not cut a character */
        output_put(u->out, json_put_text(output_room(u->out, JSON_TEXT_MAX(n)), text, n));
        text += n;
        len -= n;
    }
    literal(u, "\"");
}

static void number(struct unpacker *u, uint64_t v) { output_put(u->out, json_put_u64(output_room(u->out, JSON_NUMBER_MAX), v)); }

static void microseconds(struct unpacker *u, int64_t ns) {
    if (ns < 0) literal(u, "-");
    output_put(u->out, json_put_us(output_room(u->out, JSON_NUMBER_MAX + 4), ns < 0 ? (uint64_t)-ns : (uint64_t)ns));
}

static void begin_event(struct unpacker *u, const char *ph, uint64_t pid, uint64_t tid) {
    literal(u, u->any ? ",\n" : "");
    literal(u, "{\"pid\":");
    number(u, pid);
    literal(u, ",\"tid\":");
    number(u, tid);
    literal(u, ph);
    u->any = true;
    u->events++;
}

/* A short file can expand to a long one. 0, or the error that ends the work. */
static int go_on(const struct unpacker *u) { return u->stop && *u->stop ? -EINTR : output_error(u->out); }

struct head {
    uint64_t pid, tid;
    const char *name;
    size_t name_len;
};

static int get_head(struct unpacker *u, struct head *h) {
    int rc = get_u64(u, &h->pid);
    if (!rc) rc = get_u64(u, &h->tid);
    return rc ? rc : get_string(u, &h->name, &h->name_len);
}

static int put_calls(struct unpacker *u, const struct head *h, uint64_t n, uint64_t first, const char *args, size_t args_len) {
    const char *element, *end = args ? args + args_len : NULL;
    size_t element_len;
    int64_t start = (int64_t)first;
    if (args) args++;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t since = 0, length;
        int rc = i ? get_varint(u, &since) : 0;
        if (!rc) rc = get_varint(u, &length);
        if (rc || since > (uint64_t)TIME_MAX || length > (uint64_t)TIME_MAX) return -EBADMSG;
        start += (int64_t)since;
        if (start > TIME_MAX || start < -TIME_MAX) return -EBADMSG;
        begin_event(u, ",\"ts\":", h->pid, h->tid);
        microseconds(u, start * (int)CVF_UNIT_NS);
        literal(u, ",\"ph\":\"X\",\"dur\":");
        microseconds(u, (int64_t)length * (int)CVF_UNIT_NS);
        literal(u, ",\"name\":");
        string(u, h->name, h->name_len);
        if (args) {
            if (!next_element(&args, end, &element, &element_len)) return -EBADMSG;
            literal(u, ",\"args\":");
            output_write(u->out, element, element_len);
        }
        literal(u, ",\"cat\":\"FEE\"}");
        if ((rc = go_on(u))) return rc;
    }
    return args && next_element(&args, end, &element, &element_len) ? -EBADMSG : 0;
}

static int take_calls(struct unpacker *u) {
    struct head h;
    struct text args = {0};
    uint64_t n, where, first;
    int rc = get_head(u, &h);
    if (!rc) rc = get_u64(u, &n);
    if (!rc) rc = get_u64(u, &where);
    if (!rc) rc = get_u64(u, &first);
    if (rc) return rc;
    /* A call takes at least one byte, so the length of the file bounds the work, whatever n says. */
    if (!n || n > u->len - u->at || (where && (where < u->at || where > u->len))) return -EBADMSG;
    size_t times = u->at, behind = u->at;
    if (where) {
        u->at = where;
        rc = get_zipped(u, '[', &args);
        behind = u->at;
        u->at = times;
    }
    if (!rc) rc = put_calls(u, &h, n, first, args.data, args.len);
    if (!rc && where && u->at != where) rc = -EBADMSG;
    if (where) u->at = behind;
    memory_free(args.data);
    return rc;
}

static int take_name(struct unpacker *u, const char *what) {
    struct head h;
    int rc = get_head(u, &h);
    if (rc) return rc;
    begin_event(u, ",\"ph\":\"M\",\"name\":\"", h.pid, h.tid);
    literal(u, what);
    literal(u, "\",\"args\":{\"name\":");
    string(u, h.name, h.name_len);
    literal(u, "}}");
    return 0;
}

struct value {
    uint8_t kind; /* CVF_INT, CVF_DOUBLE; CVF_ABSENT: the sample has no such key */
    union {
        int64_t whole;
        double part;
    };
};

static int get_value(struct unpacker *u, struct value *v) {
    uint8_t kind;
    int rc = get(u, &kind, 1);
    if (rc) return rc;
    if (kind == CVF_SAME) return 0;
    if (kind != CVF_INT && kind != CVF_DOUBLE && kind != CVF_ABSENT) return -EBADMSG;
    v->kind = kind;
    return kind == CVF_ABSENT ? 0 : get(u, &v->whole, 8);
}

static void put_value(struct unpacker *u, const struct value *v) {
    char text[40];
    if (v->kind == CVF_INT)
        snprintf(text, sizeof text, "%lld", (long long)v->whole);
    else if (v->part - v->part == 0)
        snprintf(text, sizeof text, "%.17g", v->part);
    else
        strcpy(text, "null"); /* JSON cannot write infinity */
    literal(u, text);
}

static int put_sample(struct unpacker *u, const struct head *h, size_t keys, uint64_t nkeys, struct value *values) {
    const char *key, *comma = "";
    size_t key_len;
    int64_t ns;
    int rc = get(u, &ns, 8);
    for (uint64_t k = 0; k < nkeys && !rc; k++) rc = get_value(u, &values[k]);
    if (rc || ns > TIME_MAX || ns < -TIME_MAX) return -EBADMSG;
    begin_event(u, ",\"ts\":", h->pid, h->tid);
    microseconds(u, ns);
    literal(u, ",\"ph\":\"C\",\"name\":");
    string(u, h->name, h->name_len);
    literal(u, ",\"args\":{");
    size_t behind = u->at;
    u->at = keys;
    for (uint64_t k = 0; k < nkeys && !rc; k++) {
        rc = get_string(u, &key, &key_len);
        if (rc || values[k].kind == CVF_ABSENT) continue;
        literal(u, comma);
        comma = ",";
        string(u, key, key_len);
        literal(u, ":");
        put_value(u, &values[k]);
    }
    u->at = behind;
    literal(u, "}}");
    return rc ? rc : go_on(u);
}

static int take_counter(struct unpacker *u) {
    struct head h;
    uint64_t nkeys, n;
    int rc = get_head(u, &h);
    if (!rc) rc = get_u64(u, &nkeys);
    if (rc || nkeys > u->len - u->at) return -EBADMSG;
    size_t keys = u->at;
    const char *key;
    size_t key_len;
    for (uint64_t i = 0; i < nkeys && !rc; i++) rc = get_string(u, &key, &key_len);
    if (!rc) rc = get_u64(u, &n);
    if (rc || n > (u->len - u->at) / (8 + nkeys)) return -EBADMSG;
    struct value *values = memory_calloc(nkeys + 1, sizeof *values);
    if (!values) return -ENOMEM;
    for (uint64_t i = 0; i < nkeys; i++) values[i].kind = CVF_ABSENT;
    for (uint64_t i = 0; i < n && !rc; i++) rc = put_sample(u, &h, keys, nkeys, values);
    memory_free(values);
    return rc;
}

/* The metadata that cvf_compress stored as an event. */
static bool take_metadata(struct unpacker *u, const char *event, size_t len) {
    static const char start[] = "{\"ph\":\"M\",\"pid\":0,\"tid\":0,\"name\":\"" CVF_METADATA "\",\"args\":";
    if (len < sizeof start || memcmp(event, start, sizeof start - 1)) return false;
    const char *value = event + sizeof start - 1;
    size_t value_len = len - sizeof start; /* without the closing bracket */
    char *copy = value_len && *value == '{' ? memory_alloc(value_len) : NULL;
    if (!copy) return false;
    memcpy(copy, value, value_len);
    memory_free(u->metadata.data);
    u->metadata = (struct text){copy, value_len};
    if (is_json(&u->metadata)) return true;
    memory_free(copy); /* a similar event of another program */
    u->metadata = (struct text){0};
    return false;
}

static int take_other(struct unpacker *u) {
    struct text list = {0};
    int rc = get_zipped(u, '[', &list);
    const char *at = rc ? NULL : list.data + 1, *end = rc ? NULL : list.data + list.len, *event;
    size_t len;
    while (!rc && next_element(&at, end, &event, &len)) {
        if (take_metadata(u, event, len)) continue;
        literal(u, u->any ? ",\n" : "");
        output_write(u->out, event, len);
        u->any = true;
        u->events++;
        rc = go_on(u);
    }
    memory_free(list.data);
    return rc;
}

static int take_file_info(struct unpacker *u) {
    memory_free(u->file_info.data);
    u->file_info = (struct text){0};
    return get_zipped(u, '{', &u->file_info);
}

static int take_record(struct unpacker *u) {
    uint8_t kind;
    int rc = get(u, &kind, 1);
    if (rc) return rc;
    switch (kind) {
    case CVF_CALLS: return take_calls(u);
    case CVF_PROCESS: return take_name(u, "process_name");
    case CVF_THREAD: return take_name(u, "thread_name");
    case CVF_COUNTER: return take_counter(u);
    case CVF_OTHER: return take_other(u);
    case CVF_FILE_INFO: return take_file_info(u);
    default: return -EBADMSG;
    }
}

/* ---- files ---- */

static int read_input(const char *path, uint8_t **data, size_t *len, struct vt_err *err) {
    struct stat st;
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    *data = NULL;
    if (fd < 0 || fstat(fd, &st) < 0)
        rc = -errno;
    else if (!S_ISREG(st.st_mode))
        rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    else if (!(*data = memory_alloc((size_t)st.st_size + 1)))
        rc = -ENOMEM;
    else
        rc = vt_read_full(fd, *data, *len = (size_t)st.st_size);
    vt_close(&fd);
    return rc ? input_cannot(path, rc, err) : 0;
}

static int write_json(struct unpacker *u, const struct cvf_opts *opts, struct vt_err *err) {
    int rc = 0;
    size_t at = 0;
    literal(u, "{\"traceEvents\":[\n");
    while (!rc && u->at < u->len && !output_error(u->out)) {
        at = u->at;
        rc = take_record(u);
    }
    if (rc == -EBADMSG) return vt_err_set(err, rc, "%s: damaged: the record at byte %zu makes no sense", opts->input, at);
    if (rc) return vt_err_set(err, rc, "%s", rc == -EINTR ? "interrupted" : strerror(-rc));
    literal(u, "\n]");
    if (u->metadata.len) {
        literal(u, ",\n\"viztracer_metadata\":");
        output_write(u->out, u->metadata.data, u->metadata.len);
    }
    if (u->file_info.len) {
        literal(u, ",\n\"file_info\":");
        output_write(u->out, u->file_info.data, u->file_info.len);
    }
    literal(u, "}\n");
    return 0;
}

/* out: NULL = open opts->output, and commit it. */
static int unpack(const struct cvf_opts *opts, struct output *out, struct cvf_result *result, struct vt_err *err) {
    struct unpacker u = {.stop = opts->stop, .out = out};
    uint64_t version;
    uint8_t *data;
    memset(result, 0, sizeof *result);
    int rc = read_input(opts->input, &data, &u.len, err);
    u.data = data;
    if (!rc && (get_u64(&u, &version) || version != CVF_VERSION))
        rc = vt_err_set(err, -EBADMSG, "%s: no .cvf of VizTracer", opts->input);
    if (!rc && !out) {
        size_t n = strlen(opts->output);
        rc = output_open(opts->output, n > 3 && !strcmp(opts->output + n - 3, ".gz"), &u.out, err);
    }
    if (!rc) {
        rc = write_json(&u, opts, err);
        if (rc && !out)
            output_abort(u.out);
        else if (!out)
            rc = output_commit(u.out, &result->bytes, err);
    }
    result->events = u.events;
    memory_free(u.file_info.data);
    memory_free(u.metadata.data);
    memory_free(data);
    return rc;
}

int cvf_decompress(const struct cvf_opts *opts, struct cvf_result *result, struct vt_err *err) {
    return unpack(opts, NULL, result, err);
}
int cvf_unpack(const struct cvf_opts *opts, struct output *out, struct cvf_result *result, struct vt_err *err) {
    return unpack(opts, out, result, err);
}
