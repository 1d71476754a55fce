/* Owns turning a client's request into the control area of the agent and into the session's own settings. */
#include "daemon/session/attach_request.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SPAN_NS 20000000ull
#define REARM_MS 100
#define OPTIONS_TEXT_MAX 16384u /* bytes; a longer text is cut, because it is only for people to read */

/* Appends to the filters, which are `*used` bytes long. */
static int add_filters(struct vt_ctl *ctl, uint32_t *used, char *const *list, size_t n, uint32_t *bytes, struct vt_err *err) {
    uint32_t at = *used;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(list[i]) + 1;
        if (len == 1) continue;
        if (len > VT_FILTER_BYTES - at)
            return vt_err_set(
                err, -E2BIG,
                "the lists of --include_* and --exclude_* are longer than %u bytes together; name folders instead of files",
                VT_FILTER_BYTES);
        memcpy(ctl->filters + at, list[i], len);
        at += (uint32_t)len;
    }
    *bytes = at - *used;
    *used = at;
    return 0;
}

/* The code of ours that instruments the program's is left out of the trace, and what it calls. */
static int add_own_file(struct vt_ctl *ctl, uint32_t *used, struct vt_err *err) {
    char name[] = "<viztracer>", *const list[] = {name};
    uint32_t bytes;
    int rc = add_filters(ctl, used, list, 1, &bytes, err);
    if (!rc) ctl->exclude_bytes += bytes;
    return rc;
}

int request_fill(struct session *s, const Vt__AttachReq *req, struct helper_req *h, struct vt_err *err) {
    static const Vt__Options none = VT__OPTIONS__INIT;
    const Vt__Options *o = req->options ? req->options : &none;
    struct vt_ctl *ctl = &h->ctl;

    h->op = HELPER_ATTACH;
    h->method = req->method;
    h->force = req->force;
    h->lease_ticks = clock_ns_to_ticks(&s->host->clock, LEASE_FOR_NS);
    ctl->clock = s->host->clock.kind;
    ctl->flags = o->flags | VT_F_CPU_TOLD;
    ctl->max_stack_depth = req->options ? o->max_stack_depth : -1;
    ctl->repr_limit = o->repr_limit ? o->repr_limit : 256;
    ctl->rearm_ms = REARM_MS;
    ctl->span = clock_ns_to_ticks(&s->host->clock, SPAN_NS);
    ctl->session_start = s->start_real_ns;
    ctl->owner_pid = (uint32_t)s->creds.pid;
    ctl->owner_uid = s->creds.uid;
    snprintf(ctl->owner_name, sizeof(ctl->owner_name), "%s", s->owner_name);
    ctl->max_overhead = o->max_overhead;
    s->min_duration_ns = o->min_duration_ns;
    s->max_overhead = o->max_overhead;
    const struct {
        char *const *list;
        size_t n;
        uint32_t *bytes;
    } filters[] = {{o->include_files, o->n_include_files, &ctl->include_bytes},
                   {o->exclude_files, o->n_exclude_files, &ctl->exclude_bytes},
                   {o->include_functions, o->n_include_functions, &ctl->glob_bytes[VT_GLOB_INCLUDE_FUNCTIONS]},
                   {o->exclude_functions, o->n_exclude_functions, &ctl->glob_bytes[VT_GLOB_EXCLUDE_FUNCTIONS]},
                   {o->include_modules, o->n_include_modules, &ctl->glob_bytes[VT_GLOB_INCLUDE_MODULES]},
                   {o->exclude_modules, o->n_exclude_modules, &ctl->glob_bytes[VT_GLOB_EXCLUDE_MODULES]},
                   {o->instrument, o->n_instrument, &ctl->instrument_bytes}};
    uint32_t used = 0;
    int rc = 0;
    for (size_t i = 0; i < VT_ARRAY_LEN(filters) && !rc; i++) {
        rc = add_filters(ctl, &used, filters[i].list, filters[i].n, filters[i].bytes, err);
        if (!rc && filters[i].bytes == &ctl->exclude_bytes && o->n_instrument) rc = add_own_file(ctl, &used, err);
    }
    if (!rc && req->output && strlen(req->output) >= PATH_MAX)
        rc = vt_err_set(err, -ENAMETOOLONG, "the name of the output is longer than %u bytes", PATH_MAX - 1);
    s->options_text = strndup(o->text ? o->text : "", OPTIONS_TEXT_MAX);
    s->output = strdup(req->output ? req->output : "");
    if (!s->options_text || !s->output) return vt_err_set(err, -ENOMEM, "out of memory");
    return rc;
}
