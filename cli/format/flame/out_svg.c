/* Owns .svg: a flame graph in one file that any browser opens: callers above callees, width is time, the heaviest on the left.
 * It is as wide as its window: frames have their width in percent, and each is an element of its own that cuts its name, so no
 * script has to lay it out. Without script it is a picture with hover texts; its own script (flame_script.h) adds zoom, search
 * and a line of details. Frames narrower than 1/20,000 of the whole are left out. No text of a trace is ever markup. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/base/memory.h"
#include "cli/format/flame/flame.h"
#include "cli/format/flame/flame_script.h"

#define SIDE "0.8%%" /* left of the frames, of the window; parts of formats */
#define INNER "98.4%%"
#define RIGHT "99.2%%"
#define TOP 62.0
#define ROW 17.0
#define NARROWEST (100.0 / 20000) /* percent of all */
#define NAMED (100.0 * 16 / 4000) /* percent: a narrower frame has no room for a name on any screen, unless it is zoomed */
#define DEPTH_MAX 250u            /* deeper frames are not drawn */

struct svg {
    struct flame *f;
    double *x;       /* left edge by node, in ns of the root */
    uint32_t *level; /* by node */
    double scale;    /* percent per ns */
    double down;     /* pixels that all is moved down, for one more line in the head */
    uint32_t deepest;
};

static void put(struct svg *s, const char *text) { output_write(s->f->out, text, strlen(text)); }
static void putf(struct svg *s, const char *fmt, ...) VT_PRINTF(2, 3);
static void putf(struct svg *s, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    put(s, text);
}

/* Writes clean text as the content of an element. */
static void put_text(struct svg *s, const char *clean, size_t len) {
    for (size_t i = 0; i < len; i++) {
        switch (clean[i]) {
        case '&': put(s, "&amp;"); break;
        case '<': put(s, "&lt;"); break;
        case '>': put(s, "&gt;"); break;
        case '"': put(s, "&quot;"); break;
        case '\'': put(s, "&#39;"); break;
        default: output_write(s->f->out, &clean[i], 1);
        }
    }
}

/* Python has warm colours, C cool ones. A file has the same colour in every picture. */
static void colour_of(const struct flame *f, const struct stacks_node *n, char *to, size_t size) {
    if (n->fn >= STACKS_ROOT) {
        snprintf(to, size, "#bbb");
        return;
    }
    const struct trace_name *fn = f->walk.functions[n->fn];
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < fn->file_len; i++) h = (h ^ (uint8_t)fn->file[i]) * 16777619u;
    unsigned hue = fn->kind ? 180 + h % 60 : h % 55, light = 62 + (h >> 8) % 16;
    snprintf(to, size, "hsl(%u,%u%%,%u%%)", hue, fn->kind ? 45 : 80, light);
}

static void put_frame(struct svg *s, uint32_t node) {
    const struct stacks_node *n = &s->f->stacks.nodes[node];
    const struct stacks_node *root = s->f->stacks.nodes;
    char name[FLAME_NAME], colour[32], total[16], self[16];
    double width = (double)n->total_ns * s->scale;
    flame_node_name(s->f, n, name);
    colour_of(s->f, n, colour, sizeof colour);
    putf(s, "<svg x=\"%.4f%%\" y=\"%.0f\" width=\"%.4f%%\" height=\"%.0f\"><title>", s->x[node] * s->scale, s->level[node] * ROW,
         width, ROW - 1);
    put_text(s, name, strlen(name));
    putf(s, "&#10;%s, %.2f %%, own %s", format_duration(total, n->total_ns),
         root->total_ns ? 100 * (double)n->total_ns / (double)root->total_ns : 100, format_duration(self, n->self_ns));
    if (n->calls) putf(s, ", %llu call%s", (unsigned long long)n->calls, n->calls == 1 ? "" : "s");
    putf(s, "</title><rect width=\"100%%\" height=\"100%%\" fill=\"%s\"/><text x=\"3\" y=\"%.0f\">", colour, ROW - 5);
    if (width >= NAMED || !node) put_text(s, name, strlen(name));
    put(s, "</text></svg>\n");
}

/* Computes the place of every node and the depth of the picture. */
static void lay_out(struct svg *s) {
    const struct stacks_node *nodes = s->f->stacks.nodes;
    for (uint32_t n = 0; (n = flame_next(s->f, n));) s->level[n] = s->level[nodes[n].parent] + 1;
    for (uint32_t n = 0, first = 1; first || n; n = flame_next(s->f, n)) {
        double x = s->x[n];
        first = 0;
        for (uint32_t c = nodes[n].first_child; c; c = nodes[c].next) {
            s->x[c] = x;
            x += (double)nodes[c].total_ns;
        }
        if ((double)nodes[n].total_ns * s->scale >= NARROWEST && s->level[n] > s->deepest) s->deepest = s->level[n];
    }
}

static void put_head(struct svg *s) {
    const struct stacks *stacks = &s->f->stacks;
    double height = TOP + s->down + (s->deepest + 1) * ROW + 10;
    char time[16];
    putf(s,
         "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"100%%\" "
         "height=\"%.0f\" role=\"img\" aria-labelledby=\"title\">\n",
         height);
    put(s,
        "<style>:root{background:#fff}text{font:11px "
        "monospace;fill:#000}.head{fill:#1f2430}.paper{fill:#fff}.limit{fill:#c00}#frames "
        "rect{stroke:#fff;stroke-width:.4}.b{cursor:pointer;text-decoration:underline}"
        "#frames svg{cursor:pointer}#frames svg:hover rect,#frames svg:focus rect{stroke:#000;stroke-width:2}.above{opacity:.5}"
        ".hit "
        "rect{fill:#e0f}@media(prefers-color-scheme:dark){:root{background:#16191f}.head{fill:#e4e7ed}.paper{fill:#16191f}.limit{"
        "fill:#ff6b70}#frames "
        "rect{stroke:#16191f}}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n");
    putf(s,
         "<text id=\"title\" class=\"head\" x=\"" SIDE
         "\" y=\"20\" style=\"font-size:15px\">Flame graph: %s of thread time%s</text>\n",
         format_duration(time, stacks->nodes[0].total_ns), stacks->opts.per_thread ? ", by thread" : "");
    putf(s,
         "<text class=\"head\" x=\"" SIDE
         "\" y=\"36\">Callers above, width is time (waiting too); frames below 1/20,000 of all are left "
         "out%s.</text>\n",
         stacks->other_calls ? "; (other): more stacks than are kept" : "");
    if (s->f->walk.info->limit[0]) {
        putf(s, "<text class=\"limit\" x=\"" SIDE "\" y=\"52\">--max_overhead was on: ");
        put_text(s, s->f->walk.info->limit, strlen(s->f->walk.info->limit));
        put(s, "</text>\n");
    }
    putf(s, "<text id=\"details\" class=\"head\" x=\"" SIDE "\" y=\"%.0f\"> </text>\n", 54 + s->down);
    putf(s, "<text id=\"found\" class=\"head\" x=\"" RIGHT "\" dx=\"-140\" y=\"20\" text-anchor=\"end\"> </text>\n"
            "<text id=\"reset\" class=\"b head\" x=\"" RIGHT
            "\" dx=\"-55\" y=\"20\" text-anchor=\"end\" visibility=\"hidden\">Reset "
            "zoom</text>\n"
            "<text id=\"search\" class=\"b head\" x=\"" RIGHT
            "\" y=\"20\" text-anchor=\"end\" visibility=\"hidden\">Search</text>\n");
    putf(s, "<svg id=\"frames\" x=\"" SIDE "\" y=\"%.0f\" width=\"" INNER "\" height=\"%.0f\">\n", TOP + s->down,
         (s->deepest + 1) * ROW);
}

static int svg_write(struct flame *f) {
    const struct stacks_node *nodes = f->stacks.nodes;
    struct svg s = {.f = f, .down = f->walk.info->limit[0] ? ROW : 0};
    s.scale = nodes[0].total_ns ? 100 / (double)nodes[0].total_ns : 0;
    s.x = memory_calloc(f->stacks.nnodes, sizeof *s.x);
    s.level = memory_calloc(f->stacks.nnodes, sizeof *s.level);
    int rc = s.x && s.level ? 0 : -ENOMEM;
    if (!rc) {
        lay_out(&s);
        put_head(&s);
        put_frame(&s, 0);
        for (uint32_t n = 0; (n = flame_next(f, n));)
            if ((double)nodes[n].total_ns * s.scale >= NARROWEST) put_frame(&s, n);
        put(&s, "</svg>\n<script><![CDATA[\n");
        put(&s, flame_script);
        put(&s, "]]></script>\n</svg>\n");
    }
    memory_free(s.x);
    memory_free(s.level);
    return rc;
}

static const struct flame_ops svg = {.write = svg_write, .max_depth = DEPTH_MAX};
static struct trace_writer *svg_open(struct output *out, struct trace_info *info, const struct writer_opts *opts) {
    return flame_open(out, info, opts, &svg);
}
static const struct trace_writer_ops out_svg = {.open = svg_open, FLAME_WRITER_OPS};

const struct trace_format format_svg = {
    .name = "svg",
    .help = "flame graph for any browser",
    .suffixes = {{.text = ".svg"}},
    .writer = &out_svg,
    .part = FORMAT_FLAME_PART,
    .next_step = "Open it in a browser: ",
};
