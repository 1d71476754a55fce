/* Owns .speedscope.json: one profile per thread, for speedscope.app. With up to EVENTED_MAX calls in the trace each call is
 * shown at its time ("evented"). With more, each thread is shown as its merged call tree ("sampled": one sample per stack,
 * weighted with the innermost function's own time, heaviest first). Times are in ns from the start of the trace. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/format/flame/flame.h"
#include "cli/trace/names.h"

#define EVENTED_MAX 500000u
#define FRAME_OTHER(f) ((f)->walk.nfunctions)

struct call {
    uint64_t start_ns, end_ns;
    uint32_t thread, fn, depth, order;
};
struct calls {
    uint32_t n, room;
    bool too_many;
    struct call call[];
};

static int note_call(struct flame *f, const struct walk_thread *t, const struct walk_frame *frame, const struct walk_end *end) {
    struct calls *calls = f->state;
    if (calls && calls->too_many) return 0;
    if (!calls || calls->n == calls->room) {
        uint32_t room = calls ? calls->room * 2 : 1024;
        struct calls *grown = memory_realloc(calls, sizeof *calls + room * sizeof calls->call[0]);
        if (!grown) return -ENOMEM;
        if (!calls) grown->n = 0, grown->too_many = false;
        f->state = calls = grown;
        calls->room = room;
    }
    if (calls->n == EVENTED_MAX) {
        calls->too_many = true;
        return 0;
    }
    calls->call[calls->n] = (struct call){.start_ns = frame->start_ns,
                                          .end_ns = end->end_ns,
                                          .thread = t->thread->index,
                                          .fn = frame->fn,
                                          .depth = t->depth,
                                          .order = calls->n};
    calls->n++;
    return 0;
}

static void put(struct flame *f, const char *text) { output_write(f->out, text, strlen(text)); }
static void put_number(struct flame *f, const char *before, uint64_t n) {
    char number[JSON_NUMBER_MAX];
    put(f, before);
    output_write(f->out, number, (size_t)(json_put_u64(number, n) - number));
}
static int put_string(struct flame *f, const void *text, size_t len) {
    char *buf = memory_alloc(JSON_TEXT_MAX(len) + 2);
    if (!buf) return -ENOMEM;
    output_write(f->out, buf, (size_t)(json_put_string(buf, text, len) - buf));
    memory_free(buf);
    return 0;
}

static int put_frames(struct flame *f) {
    int rc = 0;
    put(f, "\"shared\":{\"frames\":[\n");
    for (uint32_t i = 0; i < f->walk.nfunctions && !rc; i++) {
        const struct trace_name *fn = f->walk.functions[i];
        char name[CLEAN_TEXT_MAX];
        put(f, "{\"name\":");
        if (fn->kind) {
            name_short(name, fn);
            rc = put_string(f, name, strlen(name));
        } else {
            rc = put_string(f, fn->name, fn->name_len);
            put(f, ",\"file\":");
            if (!rc) rc = put_string(f, fn->file, fn->file_len);
            put_number(f, ",\"line\":", fn->line);
        }
        put(f, "},\n");
    }
    put(f, "{\"name\":\"(other)\"}]},\n");
    return rc;
}

static int put_head(struct flame *f, const struct trace_thread *t, bool first, const char *type, uint64_t start, uint64_t end) {
    char name[FLAME_NAME];
    flame_node_name(f, &(struct stacks_node){.fn = STACKS_THREAD, .which = t->index}, name);
    put(f, first ? "{\"type\":\"" : ",\n{\"type\":\"");
    put(f, type);
    put(f, "\",\"name\":");
    int rc = put_string(f, name, strlen(name));
    put_number(f, ",\"unit\":\"nanoseconds\",\"startValue\":", start);
    put_number(f, ",\"endValue\":", end);
    return rc;
}

/* ---- evented ---- */

static int in_time(const void *x, const void *y) {
    const struct call *a = x, *b = y;
    if (a->thread != b->thread) return a->thread < b->thread ? -1 : 1;
    if (a->start_ns != b->start_ns) return a->start_ns < b->start_ns ? -1 : 1;
    if (a->depth != b->depth) return a->depth < b->depth ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

struct events {
    struct flame *f;
    uint64_t last_ns; /* `at` of the events must not decrease */
    bool any;
};
static void put_event(struct events *e, char type, uint32_t fn, uint64_t ns) {
    char head[] = ",\n{\"type\":\"O\",\"frame\":";
    head[11] = type;
    uint64_t at = ns - e->f->walk.start_ns;
    if (at < e->last_ns) at = e->last_ns;
    e->last_ns = at;
    put_number(e->f, head + (e->any ? 0 : 1), fn);
    put_number(e->f, ",\"at\":", at);
    put(e->f, "}");
    e->any = true;
}

/* Writes the calls of one thread, starting at *at. stack: room for all of them. */
static int put_evented(struct flame *f, const struct calls *calls, uint32_t *at, const struct call **stack, bool first) {
    struct events e = {.f = f};
    const uint32_t thread = calls->call[*at].thread;
    uint32_t depth = 0;
    int rc = put_head(f, f->walk.info->threads[thread], first, "evented", 0, f->walk.end_ns - f->walk.start_ns);
    put(f, ",\"events\":[");
    for (; !rc && *at < calls->n && calls->call[*at].thread == thread; ++*at) {
        const struct call *c = &calls->call[*at];
        for (; depth && (stack[depth - 1]->end_ns <= c->start_ns || stack[depth - 1]->depth >= c->depth); depth--)
            put_event(&e, 'C', stack[depth - 1]->fn, stack[depth - 1]->end_ns);
        put_event(&e, 'O', c->fn, c->start_ns);
        stack[depth++] = c;
    }
    for (; depth; depth--) put_event(&e, 'C', stack[depth - 1]->fn, stack[depth - 1]->end_ns);
    put(f, "]}");
    return rc;
}

static int put_all_evented(struct flame *f, struct calls *calls) {
    const struct call **stack = memory_calloc(calls->n + 1u, sizeof *stack);
    int rc = stack ? 0 : -ENOMEM;
    if (!rc) qsort(calls->call, calls->n, sizeof calls->call[0], in_time);
    for (uint32_t at = 0; at < calls->n && !rc;) rc = put_evented(f, calls, &at, stack, at == 0);
    memory_free(stack);
    return rc;
}

/* ---- sampled ---- */

static uint32_t next_within(const struct flame *f, uint32_t root, uint32_t node) {
    const struct stacks_node *nodes = f->stacks.nodes;
    if (nodes[node].first_child) return nodes[node].first_child;
    while (node != root && !nodes[node].next) node = nodes[node].parent;
    return node == root ? 0 : nodes[node].next;
}

static void put_stack(struct flame *f, uint32_t node, uint32_t *stack) {
    const struct stacks_node *nodes = f->stacks.nodes;
    uint32_t depth = 0;
    for (; nodes[node].fn < STACKS_ROOT || nodes[node].fn == STACKS_OTHER; node = nodes[node].parent)
        stack[depth++] = nodes[node].fn == STACKS_OTHER ? FRAME_OTHER(f) : nodes[node].fn;
    for (put(f, "["); depth; depth--) put_number(f, "", stack[depth - 1]), put(f, depth > 1 ? "," : "]");
}

static int put_sampled(struct flame *f, uint32_t root, uint32_t *stack, bool first) {
    const struct stacks_node *nodes = f->stacks.nodes;
    int rc = put_head(f, f->walk.info->threads[nodes[root].which], first, "sampled", 0, nodes[root].total_ns);
    bool any = false;
    put(f, ",\"samples\":[");
    for (uint32_t n = root; (n = next_within(f, root, n));) {
        if (!nodes[n].self_ns) continue;
        put(f, any ? ",\n" : "");
        put_stack(f, n, stack);
        any = true;
    }
    any = false;
    put(f, "],\"weights\":[");
    for (uint32_t n = root; (n = next_within(f, root, n));) {
        if (!nodes[n].self_ns) continue;
        put_number(f, any ? "," : "", nodes[n].self_ns);
        any = true;
    }
    put(f, "]}");
    return rc;
}

static int put_all_sampled(struct flame *f) {
    uint32_t *stack = memory_calloc(f->stacks.opts.max_depth + 8u, sizeof *stack);
    int rc = stack ? 0 : -ENOMEM;
    for (uint32_t n = f->stacks.nodes[0].first_child; n && !rc; n = f->stacks.nodes[n].next)
        rc = put_sampled(f, n, stack, n == f->stacks.nodes[0].first_child);
    memory_free(stack);
    return rc;
}

static int speedscope_write(struct flame *f) {
    struct calls *calls = f->state;
    put(f, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"viztracerd " VT_VERSION "\",\n");
    const char *limit = f->walk.info->limit;
    int rc = 0;
    if (limit[0]) {
        put(f, "\"name\":");
        rc = put_string(f, limit, strlen(limit));
        put(f, ",\n");
    }
    if (!rc) rc = put_frames(f);
    put(f, "\"profiles\":[");
    if (!rc && calls) rc = calls->too_many ? put_all_sampled(f) : put_all_evented(f, calls);
    put(f, "]}\n");
    return rc;
}

static const struct flame_ops speedscope = {.write = speedscope_write, .call = note_call, .per_thread = true};
static struct trace_writer *speedscope_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    return flame_open(out, info, opts, &speedscope);
}
static const struct trace_writer_ops out_speedscope = {.open = speedscope_open, FLAME_WRITER_OPS};

const struct trace_format format_speedscope = {
    .name = "speedscope",
    .help = "flame graph for speedscope",
    .suffixes = {{.text = ".speedscope.json"}},
    .writer = &out_speedscope,
};
