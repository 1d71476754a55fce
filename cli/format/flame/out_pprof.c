/* Owns .pprof: a gzipped protobuf profile (profile.proto), which `pprof` and similar tools read. One sample per stack, with
 * two values: calls/count, and time/nanoseconds, the innermost function's own time. The root of a thread or process becomes a
 * label. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/memory.h"
#include "cli/base/pb_put.h"
#include "cli/format/flame/flame.h"
#include "cli/trace/names.h"

enum { /* strings that every profile has, in this order */
       STR_EMPTY,
       STR_CALLS,
       STR_COUNT,
       STR_TIME,
       STR_NANOSECONDS,
       STR_THREAD,
       STR_PROCESS,
       STR_OTHER,
       STRINGS
};
static const char *const strings[STRINGS] = {"", "calls", "count", "time", "nanoseconds", "thread", "process", "(other)"};

enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_LOCATION = 4,
    PROFILE_FUNCTION = 5,
    PROFILE_STRING = 6,
    PROFILE_TIME = 9,
    PROFILE_DURATION = 10,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_COMMENT = 13,
    PROFILE_DEFAULT_TYPE = 14
};

struct pprof {
    struct flame *f;
    struct buf fields; /* fields of the profile before they are written; their order does not matter */
    uint64_t nstrings;
};

#define FIELDS_ROOM 65536u
static void flush(struct pprof *p, size_t least) {
    if (p->fields.failed || p->fields.len < least) return;
    output_write(p->f->out, p->fields.data, p->fields.len);
    p->fields.len = 0;
}

static uint64_t give_string(struct pprof *p, const char *text) {
    pb_text(&p->fields, PROFILE_STRING, text, strlen(text));
    flush(p, FIELDS_ROOM);
    return p->nstrings++;
}

static void give_type(struct pprof *p, uint32_t field, uint64_t type, uint64_t unit) {
    size_t message = pb_open(&p->fields, field);
    pb_u64(&p->fields, 1, type);
    pb_u64(&p->fields, 2, unit);
    pb_close(&p->fields, message);
}

/* A function and its only location; both have the number id. */
static void give_function(struct pprof *p, uint64_t id, uint64_t name, uint64_t file, uint64_t line) {
    struct buf *b = &p->fields;
    size_t message = pb_open(b, PROFILE_FUNCTION);
    pb_u64(b, 1, id);
    pb_u64(b, 2, name);
    pb_u64(b, 3, name);
    pb_u64(b, 4, file);
    pb_u64(b, 5, line);
    pb_close(b, message);
    message = pb_open(b, PROFILE_LOCATION);
    pb_u64(b, 1, id);
    size_t inner = pb_open(b, 4);
    pb_u64(b, 1, id);
    pb_u64(b, 2, line);
    pb_close(b, inner);
    pb_close(b, message);
    flush(p, FIELDS_ROOM);
}

static uint64_t location_of(const struct flame *f, const struct stacks_node *n) {
    return n->fn == STACKS_OTHER ? f->walk.nfunctions + 1u : n->fn + 1u;
}

static void give_functions(struct pprof *p, const bool *used) {
    const struct trace_writer *w = &p->f->walk;
    for (uint32_t i = 0; i < w->nfunctions; i++) {
        if (!used[i]) continue;
        char name[CLEAN_TEXT_MAX], file[CLEAN_TEXT_MAX];
        const struct trace_name *fn = w->functions[i];
        clean_text(file, fn->file, fn->file_len);
        name_short(name, fn);
        uint64_t name_at = give_string(p, name), file_at = fn->kind ? STR_EMPTY : give_string(p, file);
        give_function(p, i + 1u, name_at, file_at, fn->line);
    }
    if (p->f->stacks.other_calls) give_function(p, w->nfunctions + 1u, STR_OTHER, STR_EMPTY, 0);
}

/* Appends a number of a packed list. */
static void pb_packed(struct buf *b, uint64_t v) {
    uint8_t *p = pb_room(b, PB_VARINT_MAX);
    if (p) b->len = (size_t)(pb_put_varint(p, v) - b->bytes);
}

static void give_sample(struct pprof *p, const struct stacks_node *n, bool *used, const uint64_t *roots) {
    const struct stacks *s = &p->f->stacks;
    const struct stacks_node *at = n;
    struct buf *b = &p->fields;
    size_t message = pb_open(b, PROFILE_SAMPLE), inner = pb_open(b, 1);
    for (; at->fn < STACKS_ROOT || at->fn == STACKS_OTHER; at = &s->nodes[at->parent]) { /* the innermost function first */
        if (at->fn != STACKS_OTHER) used[at->fn] = true;
        pb_packed(b, location_of(p->f, at));
    }
    pb_close(b, inner);
    inner = pb_open(b, 2);
    pb_packed(b, n->calls);
    pb_packed(b, n->self_ns);
    pb_close(b, inner);
    if (at != s->nodes) {
        inner = pb_open(b, 3);
        pb_u64(b, 1, at->fn == STACKS_THREAD ? STR_THREAD : STR_PROCESS);
        pb_u64(b, 2, roots[at->which]);
        pb_close(b, inner);
    }
    pb_close(b, message);
    flush(p, FIELDS_ROOM);
}

static int pprof_write(struct flame *f) {
    struct pprof p = {.f = f};
    const struct stacks *s = &f->stacks;
    const struct trace_info *info = f->walk.info;
    char name[FLAME_NAME];
    bool *used = memory_calloc(f->walk.nfunctions + 1u, sizeof *used);
    uint64_t *roots = memory_calloc(info->nthreads + info->nprocesses + 1u, sizeof *roots);
    int rc = used && roots ? 0 : -ENOMEM;
    for (size_t i = 0; i < STRINGS && !rc; i++) give_string(&p, strings[i]);
    if (!rc) {
        give_type(&p, PROFILE_SAMPLE_TYPE, STR_CALLS, STR_COUNT);
        give_type(&p, PROFILE_SAMPLE_TYPE, STR_TIME, STR_NANOSECONDS);
    }
    for (uint32_t n = s->nodes[0].first_child; n && !rc; n = s->nodes[n].next)
        if (s->nodes[n].fn == STACKS_THREAD || s->nodes[n].fn == STACKS_PROCESS)
            roots[s->nodes[n].which] = give_string(&p, flame_node_name(f, &s->nodes[n], name));
    for (uint32_t n = 0; !rc && (n = flame_next(f, n));) {
        if (s->nodes[n].pieces) give_sample(&p, &s->nodes[n], used, roots);
        rc = p.fields.failed ? -ENOMEM : output_error(f->out);
    }
    if (!rc) {
        give_functions(&p, used);
        pb_u64(&p.fields, PROFILE_TIME, f->walk.start_ns + info->real_minus_mono);
        pb_u64(&p.fields, PROFILE_DURATION, f->walk.end_ns - f->walk.start_ns);
        give_type(&p, PROFILE_PERIOD_TYPE, STR_TIME, STR_NANOSECONDS);
        pb_u64(&p.fields, PROFILE_PERIOD, 1);
        pb_u64(&p.fields, PROFILE_DEFAULT_TYPE, STR_TIME);
        if (info->limit[0]) pb_u64(&p.fields, PROFILE_COMMENT, give_string(&p, info->limit));
        flush(&p, 0);
        if (p.fields.failed) rc = -ENOMEM;
    }
    buf_free(&p.fields);
    memory_free(used);
    memory_free(roots);
    return rc;
}

static const struct flame_ops pprof = {.write = pprof_write};
static struct trace_writer *pprof_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    return flame_open(out, info, opts, &pprof);
}
static const struct trace_writer_ops out_pprof = {.open = pprof_open, FLAME_WRITER_OPS};

const struct trace_format format_pprof = {
    .name = "pprof",
    .help = "profile for go tool pprof",
    .suffixes = {{.text = ".pprof", .gzip = true}},
    .writer = &out_pprof,
};
