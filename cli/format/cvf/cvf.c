/* Owns making .cvf files from Chrome JSON (cvf.h): groups calls by thread and function, compresses the rest. */
#include "cli/format/cvf/cvf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "cli/base/buf.h"
#include "cli/base/memory.h"
#include "cli/base/text_map.h"
#include "cli/format/cvf/cvf_nest.h"
#include "cli/format/json/json_events.h"

#define VARINT_MAX ((1ull << 62) - 1)

struct call {
    uint64_t start, length; /* in units */
    uint64_t seq;           /* in the order of the JSON */
};

/* The calls of one record. */
struct group {
    uint64_t pid, tid;
    char *name;
    struct call *calls;
    size_t ncalls, room;
    bool sorted;
    struct buf args; /* texts, each followed by a NUL; empty: no call has arguments */
};

struct counter {
    uint64_t pid, tid;
    char *name;
    struct buf keys;    /* each followed by a NUL */
    struct buf samples; /* in the layout of the file */
    uint64_t nkeys, nsamples;
};

struct packer {
    struct text_map groups, counters; /* by their texts; the lists keep the order */
    struct group **group_list;
    struct counter **counter_list;
    size_t ngroups, groups_room, ncounters, counters_room;
    struct buf names; /* records of processes and threads, in the layout of the file */
    struct buf other; /* a JSON list without its closing bracket */
    struct buf file_info;
    uint64_t events, ncalls;
    struct output *out;
    uint64_t pos; /* in the output */
};

/* ---- memory ---- */

static int append_u64(struct buf *b, uint64_t v) { return buf_put(b, &v, sizeof v); } /* little endian, as this machine is */

static int push(void ***list, size_t n, size_t *room, void *item) {
    if (n == *room) {
        size_t more = *room ? *room * 2 : 64;
        void **grown = memory_realloc(*list, more * sizeof(void *));
        if (!grown) return -ENOMEM;
        *list = grown;
        *room = more;
    }
    (*list)[n] = item;
    return 0;
}

static void free_packer(struct packer *p) {
    for (size_t i = 0; i < p->ngroups; i++) {
        memory_free(p->group_list[i]->name);
        memory_free(p->group_list[i]->calls);
        memory_free(p->group_list[i]->args.data);
        memory_free(p->group_list[i]);
    }
    for (size_t i = 0; i < p->ncounters; i++) {
        memory_free(p->counter_list[i]->name);
        memory_free(p->counter_list[i]->keys.data);
        memory_free(p->counter_list[i]->samples.data);
        memory_free(p->counter_list[i]);
    }
    memory_free(p->group_list);
    memory_free(p->counter_list);
    text_map_free(&p->groups);
    text_map_free(&p->counters);
    memory_free(p->names.data);
    memory_free(p->other.data);
    memory_free(p->file_info.data);
}

/* ---- events ---- */

static bool to_u64(struct json_text t, uint64_t *v) {
    *v = 0;
    if (!t.text || !t.len || t.len > 18) return false;
    for (size_t i = 0; i < t.len; i++) {
        if (t.text[i] < '0' || t.text[i] > '9') return false;
        *v = *v * 10 + (uint64_t)(t.text[i] - '0');
    }
    return true;
}

static bool is(struct json_text t, const char *text) { return t.text && t.len == strlen(text) && !memcmp(t.text, text, t.len); }
static bool cstring(struct json_text t) { return t.text && !memchr(t.text, 0, t.len); }

static int add_other(struct packer *p, struct json_text event) {
    int rc = buf_put(&p->other, p->other.len ? "," : "[", 1);
    return rc ? rc : buf_put(&p->other, event.text, event.len);
}

static char *key_of(char kind, uint64_t pid, uint64_t tid, struct json_text name, const struct buf *more, size_t *len) {
    size_t more_len = more ? more->len : 0;
    *len = 17 + name.len + 1 + more_len;
    char *key = memory_alloc(*len);
    if (!key) return NULL;
    key[0] = kind;
    memcpy(key + 1, &pid, 8);
    memcpy(key + 9, &tid, 8);
    if (name.len) memcpy(key + 17, name.text, name.len);
    key[17 + name.len] = 0;
    if (more_len) memcpy(key + 18 + name.len, more->data, more_len);
    return key;
}

static int find_group(struct packer *p, const struct json_event *e, uint64_t pid, uint64_t tid, struct group **out) {
    size_t len;
    char *key = key_of(e->args.text ? 'a' : '-', pid, tid, e->name, NULL, &len);
    void **slot = key ? text_map_slot(&p->groups, key, len) : NULL;
    memory_free(key);
    if (!slot) return -ENOMEM;
    if ((*out = *slot)) return 0;
    struct group *g = memory_calloc(1, sizeof *g);
    if (!g || !(g->name = memory_strndup(e->name.text, e->name.len)) ||
        push((void ***)&p->group_list, p->ngroups, &p->groups_room, g)) {
        if (g) memory_free(g->name);
        memory_free(g);
        return -ENOMEM;
    }
    p->ngroups++;
    g->pid = pid;
    g->tid = tid;
    g->sorted = true;
    *slot = *out = g;
    return 0;
}

static int add_call(struct packer *p, const struct json_event *e, uint64_t pid, uint64_t tid) {
    struct group *g;
    int rc = find_group(p, e, pid, tid, &g);
    if (rc) return rc;
    if (g->ncalls == g->room) {
        size_t room = g->room ? g->room * 2 : 8;
        struct call *grown = memory_realloc(g->calls, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        g->calls = grown;
        g->room = room;
    }
    /* start and end are each rounded down, so calls still nest */
    uint64_t start = e->ts_ns / CVF_UNIT_NS, end = (e->ts_ns + e->dur_ns) / CVF_UNIT_NS;
    if (g->ncalls && g->calls[g->ncalls - 1].start > start) g->sorted = false;
    g->calls[g->ncalls++] = (struct call){start, end - start, p->ncalls++};
    if (!e->args.text) return 0;
    rc = buf_put(&g->args, e->args.text, e->args.len);
    return rc ? rc : buf_put(&g->args, "", 1);
}

/* Reads one key and number of {"a":1,"b":2.5}; *at moves on. False at the end, and at anything else: then *at is NULL. yajl
 * has parsed the text, so it is valid JSON. */
static bool next_count(const char **at, const char *end, struct buf *keys, struct buf *values, int *rc) {
    const char *p = *at, *key, *number;
#define SKIP()                                                                                                                   \
    while (p < end && (*p <= ' ' || *p == ',' || *p == ':')) p++
    SKIP();
    if (p < end && *p == '}') return false;
    *at = NULL;
    if (p >= end || *p++ != '"') return false;
    for (key = p; p < end && *p != '"' && *p != '\\'; p++) continue;
    if (p >= end || *p != '"') return false; /* an escape is rare: the counter is kept as another event */
    size_t key_len = (size_t)(p++ - key);
    SKIP();
#undef SKIP
    for (number = p; p < end && strchr("+-.0123456789eE", *p); p++) continue;
    char copy[64], *stop;
    size_t len = (size_t)(p - number);
    if (!len || len >= sizeof copy) return false;
    memcpy(copy, number, len);
    copy[len] = 0;
    errno = 0;
    long long whole = strtoll(copy, &stop, 10);
    bool is_int = !*stop && !errno;
    double part = is_int ? 0 : strtod(copy, NULL);
    char kind = is_int ? CVF_INT : CVF_DOUBLE;
    if (!is_int && !(part >= -1e308 && part <= 1e308)) return false;
    *rc = buf_put(keys, key, key_len);
    if (!*rc) *rc = buf_put(keys, "", 1);
    if (!*rc) *rc = buf_put(values, &kind, 1);
    if (!*rc) *rc = is_int ? buf_put(values, &whole, 8) : buf_put(values, &part, 8);
    *at = p;
    return !*rc;
}

/* 1 = the format cannot hold this counter. */
static int add_counter(struct packer *p, const struct json_event *e, uint64_t pid, uint64_t tid) {
    struct buf keys = {0}, values = {0};
    uint64_t nkeys = 0;
    int rc = 0;
    if (!e->args.text || e->args.text[0] != '{') return 1;
    const char *at = e->args.text + 1;
    while (next_count(&at, e->args.text + e->args.len, &keys, &values, &rc)) nkeys++;
    if (!rc && (!at || !nkeys)) rc = 1;
    size_t len = 0;
    char *key = rc ? NULL : key_of('C', pid, tid, e->name, &keys, &len);
    void **slot = key ? text_map_slot(&p->counters, key, len) : NULL;
    struct counter *c = slot ? *slot : NULL;
    if (!rc && !slot) rc = -ENOMEM;
    if (!rc && !c) {
        c = memory_calloc(1, sizeof *c);
        if (!c || !(c->name = memory_strndup(e->name.text, e->name.len)) ||
            push((void ***)&p->counter_list, p->ncounters, &p->counters_room, c)) {
            if (c) memory_free(c->name);
            memory_free(c);
            rc = -ENOMEM;
        } else {
            p->ncounters++;
            c->pid = pid;
            c->tid = tid;
            c->nkeys = nkeys;
            c->keys = keys;
            keys = (struct buf){0};
            *slot = c;
        }
    }
    if (!rc) rc = append_u64(&c->samples, e->ts_ns);
    if (!rc) rc = buf_put(&c->samples, values.data, values.len);
    if (!rc) c->nsamples++;
    memory_free(key);
    memory_free(keys.data);
    memory_free(values.data);
    return rc;
}

static int add_name(struct packer *p, char kind, uint64_t pid, uint64_t tid, struct json_text name) {
    int rc = buf_put(&p->names, &kind, 1);
    if (!rc) rc = append_u64(&p->names, pid);
    if (!rc) rc = append_u64(&p->names, tid);
    if (!rc) rc = buf_put(&p->names, name.text, name.len);
    return rc ? rc : buf_put(&p->names, "", 1);
}

static int on_event(void *ctx, const struct json_event *e) {
    struct packer *p = ctx;
    uint64_t pid, tid;
    p->events++;
    if (to_u64(e->pid, &pid) && to_u64(e->tid, &tid) && cstring(e->name)) {
        bool plain = !e->cat.text || is(e->cat, "FEE") || is(e->cat, "fee");
        if (e->ph == 'X' && plain && e->has_ts && e->has_dur && e->name.len && !e->id.text) return add_call(p, e, pid, tid);
        if (e->ph == 'C' && e->has_ts && !e->cat.text && !e->id.text) {
            int rc = add_counter(p, e, pid, tid);
            if (rc <= 0) return rc;
        }
        if (e->ph == 'M' && is(e->name, "process_name") && cstring(e->args_name))
            return add_name(p, CVF_PROCESS, pid, tid, e->args_name);
        if (e->ph == 'M' && is(e->name, "thread_name") && cstring(e->args_name))
            return add_name(p, CVF_THREAD, pid, tid, e->args_name);
    }
    return add_other(p, e->whole);
}

static int on_member(void *ctx, struct json_text key, struct json_text value) {
    static const char before[] = "{\"ph\":\"M\",\"pid\":0,\"tid\":0,\"name\":\"" CVF_METADATA "\",\"args\":";
    struct packer *p = ctx;
    if (is(key, "file_info")) {
        p->file_info.len = 0;
        return buf_put(&p->file_info, value.text, value.len);
    }
    int rc = add_other(p, (struct json_text){before, sizeof before - 1});
    if (!rc) rc = buf_put(&p->other, value.text, value.len);
    return rc ? rc : buf_put(&p->other, "}", 1);
}

/* ---- output ---- */

static void put(struct packer *p, const void *data, size_t len) {
    output_write(p->out, data, len);
    p->pos += len;
}
static void put_u8(struct packer *p, uint8_t v) { put(p, &v, 1); }
static void put_u64(struct packer *p, uint64_t v) { put(p, &v, sizeof v); }

static size_t varint(uint8_t to[8], uint64_t v) {
    unsigned size = v < 1u << 6 ? 0 : v < 1u << 14 ? 1 : v < 1u << 30 ? 2 : 3;
    if (v > VARINT_MAX) v = VARINT_MAX;
    v = v << 2 | size;
    memcpy(to, &v, sizeof v);
    return (size_t)1 << size;
}

static int put_zipped(struct packer *p, const void *data, size_t len) {
    uLongf packed_len = compressBound(len);
    void *packed = memory_alloc(packed_len);
    if (!packed) return -ENOMEM;
    if (compress2(packed, &packed_len, data, len, Z_DEFAULT_COMPRESSION) != Z_OK) {
        memory_free(packed);
        return -ENOMEM;
    }
    put_u64(p, len);
    put_u64(p, packed_len);
    put(p, packed, packed_len);
    memory_free(packed);
    return 0;
}

struct sorted_call {
    struct call call;
    size_t nth;
    const char *args;
};

static int compare_calls(const void *a, const void *b) {
    const struct sorted_call *x = a, *y = b;
    if (x->call.start != y->call.start) return x->call.start < y->call.start ? -1 : 1;
    return x->nth < y->nth ? -1 : x->nth > y->nth;
}

/* Sorts by start, as the format requires; arguments move with their calls. */
static int sort_group(struct group *g) {
    struct sorted_call *list = g->sorted ? NULL : memory_alloc(g->ncalls * sizeof *list);
    struct buf args = {0};
    const char *at = g->args.data;
    int rc = 0;
    if (g->sorted) return 0;
    if (!list) return -ENOMEM;
    for (size_t i = 0; i < g->ncalls; i++) {
        list[i] = (struct sorted_call){g->calls[i], i, at};
        if (at) at += strlen(at) + 1;
    }
    qsort(list, g->ncalls, sizeof *list, compare_calls);
    for (size_t i = 0; i < g->ncalls && !rc; i++) {
        g->calls[i] = list[i].call;
        if (list[i].args) rc = buf_put(&args, list[i].args, strlen(list[i].args) + 1);
    }
    memory_free(list);
    if (args.data) {
        memory_free(g->args.data);
        g->args = args;
    }
    return rc;
}

static size_t times_len(const struct group *g) {
    uint8_t buf[8];
    size_t len = 8;
    for (size_t i = 0; i < g->ncalls; i++) {
        if (i) len += varint(buf, g->calls[i].start - g->calls[i - 1].start);
        len += varint(buf, g->calls[i].length);
    }
    return len;
}

static int put_group(struct packer *p, struct group *g) {
    uint8_t buf[8];
    int rc = sort_group(g);
    if (rc) return rc;
    put_u8(p, CVF_CALLS);
    put_u64(p, g->pid);
    put_u64(p, g->tid);
    put(p, g->name, strlen(g->name) + 1);
    put_u64(p, g->ncalls);
    put_u64(p, g->args.len ? p->pos + 8 + times_len(g) : 0);
    put_u64(p, g->calls[0].start);
    for (size_t i = 0; i < g->ncalls; i++) {
        if (i) put(p, buf, varint(buf, g->calls[i].start - g->calls[i - 1].start));
        put(p, buf, varint(buf, g->calls[i].length));
    }
    if (!g->args.len) return 0;
    /* The NULs between the texts become commas. JSON text contains no NUL. */
    struct buf list = {0};
    rc = buf_put(&list, "[", 1);
    for (size_t i = 0; i + 1 < g->args.len; i++)
        if (!g->args.data[i]) g->args.data[i] = ',';
    if (!rc) rc = buf_put(&list, g->args.data, g->args.len - 1);
    if (!rc) rc = buf_put(&list, "]", 1);
    if (!rc) rc = put_zipped(p, list.data, list.len);
    memory_free(list.data);
    return rc;
}

static void put_counter(struct packer *p, const struct counter *c) {
    put_u8(p, CVF_COUNTER);
    put_u64(p, c->pid);
    put_u64(p, c->tid);
    put(p, c->name, strlen(c->name) + 1);
    put_u64(p, c->nkeys);
    put(p, c->keys.data, c->keys.len);
    put_u64(p, c->nsamples);
    put(p, c->samples.data, c->samples.len);
}

static int nest(struct packer *p) {
    struct cvf_span *spans = memory_alloc(p->ncalls * sizeof *spans + 1);
    size_t n = 0;
    if (!spans) return -ENOMEM;
    for (size_t i = 0; i < p->ngroups; i++)
        for (size_t k = 0; k < p->group_list[i]->ncalls; k++) {
            const struct group *g = p->group_list[i];
            const struct call *c = &g->calls[k];
            spans[n++] = (struct cvf_span){.pid = g->pid,
                                           .tid = g->tid,
                                           .start = c->start,
                                           .end = c->start + c->length,
                                           .seq = c->seq,
                                           .group = i,
                                           .nth = k};
        }
    int rc = cvf_nest(spans, n);
    for (size_t i = 0; i < n && !rc; i++) {
        struct group *g = p->group_list[spans[i].group];
        if (!spans[i].moved) continue;
        g->calls[spans[i].nth].start = spans[i].start;
        g->calls[spans[i].nth].length = spans[i].end - spans[i].start;
        g->sorted = false;
    }
    memory_free(spans);
    return rc;
}

static int put_all(struct packer *p, const struct cvf_opts *opts, struct vt_err *err) {
    int rc = nest(p);
    if (rc) return rc;
    put_u64(p, CVF_VERSION);
    put(p, p->names.data, p->names.len);
    for (size_t i = 0; i < p->ngroups && !rc; i++) {
        rc = put_group(p, p->group_list[i]);
        if (!rc && opts->stop && *opts->stop) rc = vt_err_set(err, -EINTR, "interrupted");
    }
    for (size_t i = 0; i < p->ncounters && !rc; i++) put_counter(p, p->counter_list[i]);
    if (!rc) rc = buf_put(&p->other, p->other.len ? "]" : "[]", p->other.len ? 1 : 2);
    put_u8(p, CVF_OTHER); /* written even when empty: readers expect it */
    if (!rc) rc = put_zipped(p, p->other.data, p->other.len);
    if (!rc && p->file_info.len) {
        put_u8(p, CVF_FILE_INFO);
        rc = put_zipped(p, p->file_info.data, p->file_info.len);
    }
    return rc;
}

static int read_json(struct packer *p, const struct cvf_opts *opts, struct vt_err *damage, struct vt_err *err) {
    struct json_handler handler = {.event = on_event, .member = on_member, .stop = opts->stop};
    int rc = json_events_read(opts->input, &handler, p, damage, err);
    if (!rc && damage->code && !p->events)
        rc = vt_err_set(err, -EBADMSG, "%s: %s; there is nothing before that place", opts->input, damage->msg);
    return rc;
}

static int pack_done(struct packer *p, int rc, const struct vt_err *damage, struct cvf_result *result, struct vt_err *err) {
    if (rc == -ENOMEM) vt_err_set(err, rc, "out of memory");
    result->events = p->events;
    memcpy(result->damage, damage->msg, sizeof result->damage);
    free_packer(p);
    return rc;
}

int cvf_pack(const struct cvf_opts *opts, struct output *out, struct cvf_result *result, struct vt_err *err) {
    struct packer p = {.out = out};
    struct vt_err damage = {0};
    memset(result, 0, sizeof *result);
    int rc = read_json(&p, opts, &damage, err);
    if (!rc) rc = put_all(&p, opts, err);
    return pack_done(&p, rc, &damage, result, err);
}

int cvf_compress(const struct cvf_opts *opts, struct cvf_result *result, struct vt_err *err) {
    struct packer p = {0};
    struct vt_err damage = {0};
    memset(result, 0, sizeof *result);
    int rc = read_json(&p, opts, &damage, err);
    if (!rc) rc = output_open(opts->output, false, &p.out, err);
    if (!rc) {
        rc = put_all(&p, opts, err);
        if (rc)
            output_abort(p.out);
        else
            rc = output_commit(p.out, &result->bytes, err);
    }
    return pack_done(&p, rc, &damage, result, err);
}
