/* Owns .folded: one line per stack, "outermost;...;innermost NANOSECONDS", with the innermost function's own time.
 * flamegraph.pl and similar tools read it. The unit is nanoseconds, so that the lines add up to exactly the traced time. Names
 * cannot break a line: ';' in them becomes ':', a control character '?'. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/format/flame/flame.h"

struct line {
    char *text;
    size_t len, room;
};

static bool add_frame(struct line *line, char *name) {
    size_t len = strlen(name);
    if (line->len + len + 1 > line->room) {
        size_t room = 2 * (line->len + len + 1);
        char *grown = memory_realloc(line->text, room);
        if (!grown) return false;
        line->text = grown;
        line->room = room;
    }
    for (char *c = name; (c = strchr(c, ';'));) *c = ':';
    if (line->len) line->text[line->len++] = ';';
    memcpy(line->text + line->len, name, len);
    line->len += len;
    return true;
}

static int folded_write(struct flame *f) {
    struct line line = {0};
    char name[FLAME_NAME], number[JSON_NUMBER_MAX + 2];
    const struct stacks_node *nodes = f->stacks.nodes;
    size_t *ends = memory_calloc(f->stacks.opts.max_depth + 8u, sizeof *ends); /* ends of the names in the line, by level */
    uint32_t *level = memory_calloc(f->stacks.nnodes, sizeof *level);
    int rc = ends && level ? 0 : -ENOMEM;
    for (uint32_t n = 0; !rc && (n = flame_next(f, n));) {
        level[n] = level[nodes[n].parent] + 1;
        line.len = ends[level[n] - 1];
        if (!add_frame(&line, flame_node_name(f, &nodes[n], name))) rc = -ENOMEM;
        ends[level[n]] = line.len;
        if (rc || !nodes[n].self_ns) continue;
        output_write(f->out, line.text, line.len);
        number[0] = ' ';
        char *end = json_put_u64(number + 1, nodes[n].self_ns);
        *end++ = '\n';
        output_write(f->out, number, (size_t)(end - number));
    }
    memory_free(ends);
    memory_free(level);
    memory_free(line.text);
    return rc;
}

static const struct flame_ops folded = {.write = folded_write};
static struct trace_writer *folded_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    return flame_open(out, info, opts, &folded);
}
static const struct trace_writer_ops out_folded = {.open = folded_open, FLAME_WRITER_OPS};

const struct trace_format format_folded = {
    .name = "folded",
    .help = "flame graph: stacks as text",
    .suffixes = {{.text = ".folded"}},
    .writer = &out_folded,
};
