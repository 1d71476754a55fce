/* Owns reading Chrome JSON for tests: yajl events into an array, independent of the product's own writers. */
#include "tests/lib/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>
#include <zlib.h>

/* ---- interned text ---- */

struct text {
    struct text *next;
    char value[];
};

struct trace_names {
    struct text *bucket[65536];
};

static const char *intern(struct trace *t, const char *s, size_t len) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)s[i]) * 16777619u;
    struct text **slot = &t->names->bucket[(hash ^ (hash >> 16)) & 65535];
    for (struct text *x = *slot; x; x = x->next)
        if (!strncmp(x->value, s, len) && !x->value[len]) return x->value;
    struct text *x = malloc(sizeof *x + len + 1);
    if (!x) abort();
    memcpy(x->value, s, len);
    x->value[len] = 0;
    x->next = *slot;
    *slot = x;
    return x->value;
}

/* ---- parser state: a path of keys, and the event being filled ---- */

#define MAX_DEPTH 24

struct reader {
    struct trace *t;
    int depth; /* of maps and arrays */
    const char *key[MAX_DEPTH];
    struct trace_event now;
    size_t room;
    char args[65536];
    size_t args_len;
    unsigned file_part;
    const char *bad;
};

static bool at(const struct reader *r, int depth, const char *a, const char *b) {
    return r->depth == depth && (!a || (r->key[1] && !strcmp(r->key[1], a))) && (!b || (r->key[2] && !strcmp(r->key[2], b)));
}

static bool in_event(const struct reader *r) { return r->depth >= 3 && r->key[1] && !strcmp(r->key[1], "traceEvents"); }

static void add_arg(struct reader *r, const char *value, size_t len) {
    char line[16384];
    size_t n = 0;
    for (int d = 4; d <= r->depth; d++)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s%s", d > 4 ? "." : "", r->key[d] ? r->key[d] : "[]");
    if (n + len + 3 > sizeof line || r->args_len + n + len + 3 > sizeof r->args) return;
    line[n++] = '=';
    memcpy(line + n, value, len);
    n += len;
    line[n++] = ';';
    memcpy(r->args + r->args_len, line, n);
    r->args_len += n;
}

static int on_string(void *ctx, const unsigned char *text, size_t len) {
    struct reader *r = ctx;
    const char *s = (const char *)text, *key = r->depth < MAX_DEPTH ? r->key[r->depth] : NULL;
    if (in_event(r) && r->depth == 3) {
        if (!strcmp(key, "ph"))
            r->now.ph = len == 1 ? s[0] : '?';
        else if (!strcmp(key, "name"))
            r->now.name = intern(r->t, s, len);
        else if (!strcmp(key, "cat"))
            r->now.cat = intern(r->t, s, len);
        else if (!strcmp(key, "ts") || !strcmp(key, "dur") || !strcmp(key, "tid"))
            r->bad = "a number is written as text";
    } else if (in_event(r)) {
        add_arg(r, s, len);
    } else if (at(r, 2, "viztracer_metadata", "version")) {
        snprintf(r->t->version, sizeof r->t->version, "%.*s", (int)len, s);
    } else if (r->depth >= 4 && r->key[1] && !strcmp(r->key[1], "file_info") && !strcmp(r->key[2], "files")) {
        r->t->sources += len;
    }
    return 1;
}

static int on_number(void *ctx, const char *text, size_t len) {
    struct reader *r = ctx;
    char number[64];
    if (len >= sizeof number) {
        r->bad = "a number is too long";
        return 1;
    }
    memcpy(number, text, len);
    number[len] = 0;
    const char *key = r->depth < MAX_DEPTH ? r->key[r->depth] : NULL;
    if (in_event(r) && r->depth == 3) {
        if (!strcmp(key, "pid"))
            r->now.pid = atoi(number);
        else if (!strcmp(key, "tid"))
            r->now.tid = atoi(number);
        else if (!strcmp(key, "ts"))
            r->now.ts = (int64_t)(strtold(number, NULL) * 1000.0L + 0.5L);
        else if (!strcmp(key, "dur"))
            r->now.dur = (int64_t)(strtold(number, NULL) * 1000.0L + (number[0] == '-' ? -0.5L : 0.5L));
    } else if (in_event(r)) {
        add_arg(r, number, len);
    } else if (at(r, 2, "viztracer_metadata", "baseTimeNanoseconds")) {
        r->t->base_ns = strtoull(number, NULL, 10);
    }
    return 1;
}

static int on_boolean(void *ctx, int value) {
    struct reader *r = ctx;
    if (at(r, 2, "viztracer_metadata", "overflow")) r->t->overflow = value;
    if (in_event(r) && r->depth == 4 && !strcmp(r->key[4], "unfinished")) r->now.unfinished = value;
    if (in_event(r) && r->depth == 4 && !strcmp(r->key[4], "resumed")) r->now.resumed = value;
    if (in_event(r) && r->depth == 4 && !strcmp(r->key[4], "suspended")) r->now.suspended = value;
    return 1;
}

static int on_null(void *ctx) {
    (void)ctx;
    return 1;
}

static void store(struct reader *r) {
    struct trace *t = r->t;
    if (t->n == r->room) {
        r->room = r->room ? r->room * 2 : 4096;
        t->events = realloc(t->events, r->room * sizeof *t->events);
        if (!t->events) abort();
    }
    if (r->args_len) r->now.args = intern(t, r->args, r->args_len);
    t->events[t->n++] = r->now;
}

static int on_open(void *ctx) {
    struct reader *r = ctx;
    if (++r->depth >= MAX_DEPTH) {
        r->bad = "nested too deep";
        return 0;
    }
    r->key[r->depth] = NULL;
    if (in_event(r) && r->depth == 3) {
        memset(&r->now, 0, sizeof r->now);
        r->now.ts = INT64_MIN;
        r->now.dur = INT64_MIN;
        r->args_len = 0;
    }
    return 1;
}

static int on_close(void *ctx) {
    struct reader *r = ctx;
    if (in_event(r) && r->depth == 3) store(r);
    r->depth--;
    return 1;
}

static int on_key(void *ctx, const unsigned char *text, size_t len) {
    struct reader *r = ctx;
    r->key[r->depth] = intern(r->t, (const char *)text, len);
    if (at(r, 1, "viztracer_metadata", NULL)) r->t->has_metadata = true;
    if (at(r, 1, "file_info", NULL)) r->t->has_files = true;
    if (r->depth == 3 && !strcmp(r->key[1], "file_info")) {
        if (!strcmp(r->key[2], "functions")) r->t->functions++;
        if (!strcmp(r->key[2], "files")) r->t->files++;
    }
    return 1;
}

int trace_load(struct trace *t, const char *path) {
    static const yajl_callbacks callbacks = {on_null, on_boolean, NULL,     NULL,    on_number, on_string,
                                             on_open, on_key,     on_close, on_open, on_close};
    struct reader *r = calloc(1, sizeof *r);
    memset(t, 0, sizeof *t);
    t->names = calloc(1, sizeof *t->names);
    if (!r || !t->names) abort();
    r->t = t;
    gzFile f = gzopen(path, "rb");
    yajl_handle y = yajl_alloc(&callbacks, NULL, r);
    unsigned char buf[65536];
    int rc = f && y ? 0 : -ENOENT, n = 0;
    while (!rc && (n = gzread(f, buf, sizeof buf)) > 0)
        if (yajl_parse(y, buf, (size_t)n) != yajl_status_ok) rc = -EPROTO;
    if (!rc && n < 0) rc = -EIO;
    if (!rc && yajl_complete_parse(y) != yajl_status_ok) rc = -EPROTO;
    if (!rc && r->bad) rc = -EPROTO;
    if (rc == -EPROTO) {
        unsigned char *why = yajl_get_error(y, 1, buf, n > 0 ? (size_t)n : 0);
        fprintf(stderr, "%s: %s\n", path, r->bad ? r->bad : (const char *)why);
        yajl_free_error(y, why);
    } else if (rc) {
        fprintf(stderr, "%s: %s\n", path, strerror(-rc));
    }
    if (y) yajl_free(y);
    if (f) gzclose(f);
    free(r);
    return rc;
}

void trace_free(struct trace *t) {
    for (size_t i = 0; t->names && i < 65536; i++) {
        for (struct text *x = t->names->bucket[i], *next; x; x = next) {
            next = x->next;
            free(x);
        }
    }
    free(t->names);
    free(t->events);
    memset(t, 0, sizeof *t);
}

/* ---- questions ---- */

static bool is_slice(const struct trace_event *e) { return e->ph == 'X'; }

bool trace_name_is(const char *event_name, const char *name) {
    size_t n = strlen(name);
    return !strncmp(event_name, name, n) && (!event_name[n] || !strncmp(event_name + n, " (", 2));
}

static bool counts_as(const struct trace_event *e, const char *name, pid_t tid) {
    return is_slice(e) && (!tid || e->tid == tid) && e->name && trace_name_is(e->name, name);
}

size_t trace_count(const struct trace *t, const char *name, pid_t tid) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += counts_as(&t->events[i], name, tid);
    return n;
}

size_t trace_calls(const struct trace *t, const char *name, pid_t tid) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += counts_as(&t->events[i], name, tid) && !t->events[i].resumed;
    return n;
}

size_t trace_slices(const struct trace *t, pid_t tid) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += is_slice(&t->events[i]) && t->events[i].tid == tid;
    return n;
}

bool trace_has_thread(const struct trace *t, pid_t tid) {
    for (size_t i = 0; i < t->n; i++)
        if (t->events[i].tid == tid) return true;
    return false;
}

int trace_threads(const struct trace *t, pid_t *ids, int max) {
    int n = 0;
    for (size_t i = 0; i < t->n; i++) {
        int k = 0;
        while (k < n && ids[k] < t->events[i].tid) k++;
        if ((k < n && ids[k] == t->events[i].tid) || n == max) continue;
        memmove(ids + k + 1, ids + k, (size_t)(n - k) * sizeof *ids);
        ids[k] = t->events[i].tid;
        n++;
    }
    return n;
}

const char *trace_thread_name(const struct trace *t, pid_t tid) {
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *e = &t->events[i];
        if (e->ph != 'M' || e->tid != tid || !e->name || strcmp(e->name, "thread_name") || !e->args) continue;
        static char name[256];
        const char *value = strchr(e->args, '=');
        snprintf(name, sizeof name, "%.*s", (int)strcspn(value + 1, ";"), value + 1);
        return name;
    }
    return NULL;
}

const struct trace_event *trace_find(const struct trace *t, const char *name, const struct trace_event *after) {
    for (size_t i = after ? (size_t)(after - t->events) + 1 : 0; i < t->n; i++)
        if (is_slice(&t->events[i]) && t->events[i].name && trace_name_is(t->events[i].name, name)) return &t->events[i];
    return NULL;
}

static int64_t end_of(const struct trace_event *e) { return e->ts + e->dur; }

static int by_thread_time(const void *a, const void *b) {
    const struct trace_event *x = *(const struct trace_event *const *)a, *y = *(const struct trace_event *const *)b;
    if (x->tid != y->tid) return x->tid < y->tid ? -1 : 1;
    if (x->ts != y->ts) return x->ts < y->ts ? -1 : 1;
    if (end_of(x) != end_of(y)) return end_of(x) > end_of(y) ? -1 : 1;
    /* the same extent: the file is in completion order, so that the later one is the outer one */
    return x > y ? -1 : 1;
}

static const struct trace_event **sorted_slices(const struct trace *t, size_t *n) {
    const struct trace_event **list = malloc((t->n + 1) * sizeof *list);
    if (!list) abort();
    *n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (is_slice(&t->events[i])) list[(*n)++] = &t->events[i];
    qsort(list, *n, sizeof *list, by_thread_time);
    return list;
}

size_t trace_children(const struct trace *t, const struct trace_event *parent, const struct trace_event **out, size_t max) {
    size_t n, found = 0, i = 0;
    const struct trace_event **list = sorted_slices(t, &n);
    while (i < n && list[i] != parent) i++;
    int64_t covered = parent->ts;
    const struct trace_event *last = NULL;
    for (i++; i < n && list[i]->tid == parent->tid && list[i]->ts < end_of(parent); i++) {
        if (last && (list[i]->ts < covered || end_of(list[i]) <= covered)) continue;
        if (end_of(list[i]) > end_of(parent)) continue;
        last = list[i];
        covered = end_of(last);
        if (found < max) out[found] = last;
        found++;
    }
    free(list);
    return found;
}

void trace_span(const struct trace *t, int64_t *first, int64_t *last) {
    *first = INT64_MAX;
    *last = INT64_MIN;
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *e = &t->events[i];
        if (!is_slice(e)) continue;
        int64_t end = end_of(e);
        if (e->ts < *first) *first = e->ts;
        if (end > *last) *last = end;
    }
}

/* ---- what holds for every trace ---- */

static char verdict[1024];

const char *trace_check_shape(const struct trace *t) {
    size_t names = 0, processes = 0;
    if (!t->has_metadata) return "no viztracer_metadata";
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_event *e = &t->events[i];
        const char *wrong = NULL;
        if (!e->name)
            wrong = "no name";
        else if (!e->pid || !e->tid)
            wrong = "no pid or tid";
        else if (e->ph != 'M' && e->ts == INT64_MIN)
            wrong = "no ts";
        else if (e->ph == 'X' && e->dur == INT64_MIN)
            wrong = "no dur";
        else if (e->ph == 'X' && e->dur < 0)
            wrong = "negative dur";
        else if (e->ph == 'B')
            wrong = "an unfinished call that does not say until when";
        else if (is_slice(e) && (!e->cat || strcmp(e->cat, "FEE")))
            wrong = "cat is not FEE";
        else if (!strchr("XBMiCNODstfben", e->ph))
            wrong = "unknown ph";
        if (wrong) {
            snprintf(verdict, sizeof verdict, "event %zu (%c %s): %s", i, e->ph ? e->ph : '?', e->name ? e->name : "", wrong);
            return verdict;
        }
        names += e->ph == 'M' && !strcmp(e->name, "thread_name");
        processes += e->ph == 'M' && !strcmp(e->name, "process_name");
    }
    if (!names) return "no thread has a name record";
    if (!processes) return "no process name record";
    return NULL;
}

const char *trace_check_nesting(const struct trace *t) {
    enum { DEPTH = 200000 };
    const struct trace_event **stack = malloc(DEPTH * sizeof *stack);
    if (!stack) abort();
    size_t n, depth = 0;
    const struct trace_event **list = sorted_slices(t, &n);
    const char *bad = NULL;
    for (size_t i = 0; i < n && !bad; i++) {
        const struct trace_event *e = list[i];
        while (depth && (stack[depth - 1]->tid != e->tid || end_of(stack[depth - 1]) <= e->ts)) depth--;
        if (depth && end_of(e) > end_of(stack[depth - 1])) {
            const struct trace_event *outer = stack[depth - 1];
            if (end_of(e) > end_of(outer) + 1) {
                snprintf(verdict, sizeof verdict, "thread %d: %s [%lld +%lld] overlaps the end of %s [%lld +%lld]", (int)e->tid,
                         e->name, (long long)e->ts, (long long)e->dur, outer->name, (long long)outer->ts, (long long)outer->dur);
                bad = verdict;
            }
        }
        if (depth == DEPTH)
            bad = "deeper than the checker goes";
        else
            stack[depth++] = e;
    }
    free(list);
    free(stack);
    return bad;
}
