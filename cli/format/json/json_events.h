/* Reads Chrome JSON event by event: {"traceEvents":[...], ...} or a plain array of events, also gzipped. Nothing is kept
 * beyond the event at hand. Everything in the file is hostile.
 * Python's json writes NaN, Infinity and -Infinity where JSON has no such numbers. They are read as the strings "NaN",
 * "Infinity" and "-Infinity", as the JSON form of Protobuf has them, also in the texts that are handed over as in the file. */
#ifndef VT_CLI_JSON_EVENTS_H
#define VT_CLI_JSON_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/trace/left_out.h"
#include "proto/base.h"

#define JSON_EVENT_MAX (64u << 20)   /* bytes of one event, of one source text: more is no trace */
#define JSON_MEMBER_MAX (512u << 20) /* bytes of a member that is wanted as a whole */
#define JSON_DEPTH_MAX 100000u       /* objects and arrays in one another */
#define JSON_TIME_MAX (1ull << 62)   /* ns; later times are ignored */

struct json_text {
    const char *text; /* not terminated; NULL = not there */
    size_t len;
};

struct json_event {
    char ph; /* 0 = none */
    bool has_ts, has_dur;
    bool unfinished, resumed, suspended; /* true in args */
    char scope;                          /* first letter of "s"; 0 = none */
    char bind;                           /* first letter of "bp"; 0 = none */
    uint64_t ts_ns, dur_ns;              /* rounded; negative ones are 0 */
    struct json_text pid, tid;           /* the number's text, or the string */
    struct json_text name, cat;          /* decoded */
    struct json_text id;                 /* decoded */
    struct json_text args;               /* as in the file */
    struct json_text args_name;          /* "name" in args, or "labels", decoded */
    struct json_text args_count;         /* "count" in args: the number's text */
    struct json_text whole;              /* the event as in the file, if the handler has `member` */
};

/* What is met; each may be NULL. All texts are valid during the call only. Not 0 = stop reading with that. */
struct json_handler {
    int (*event)(void *ctx, const struct json_event *event);
    int (*meta)(void *ctx, struct json_text key,
                struct json_text value); /* of viztracer_metadata: numbers, true, false, strings (decoded, not empty) */
    int (*file)(void *ctx, struct json_text path, struct json_text text, uint64_t lines); /* of file_info; text: with quotes */
    /* viztracer_metadata and file_info as in the file, when they are objects. */
    int (*member)(void *ctx, struct json_text key, struct json_text value);
    void (*progress)(void *arg, uint64_t done, uint64_t size);
    void *progress_arg;
    const volatile int *stop;
    struct left_out *left_out; /* counts here what is not handed over; may be NULL */
};

/* 0: read whole, or up to a place that damage names (code != 0: not whole). -EBADMSG: no Chrome trace at all; other
 * -errno: not readable, stopped (-EINTR), or what a handler returned; err says which, but not for a handler's. */
VT_MUST_CHECK int json_events_read(const char *path, const struct json_handler *handler, void *ctx, struct vt_err *damage,
                                   struct vt_err *err);
/* Microseconds in a JSON number to ns; false when it is no such number or above JSON_TIME_MAX. */
bool json_us_to_ns(struct json_text number, uint64_t *ns);

#endif
