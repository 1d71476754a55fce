/* What the reader of a trace that others wrote left out, by cause, and what else is to be said about the file. Counted when
 * the trace is opened, told by report, diff and convert. */
#ifndef VT_CLI_LEFT_OUT_H
#define VT_CLI_LEFT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum left_out_cause {
    /* events that are in no figure */
    LEFT_OUT_NO_OBJECT,  /* an element of the list of events that is no object */
    LEFT_OUT_NO_KIND,    /* without "ph" */
    LEFT_OUT_KIND,       /* of a "ph" that is not shown */
    LEFT_OUT_NO_TIME,    /* without a "ts" that is a number */
    LEFT_OUT_NO_BEGIN,   /* "E" without its "B" */
    LEFT_OUT_EVENTS_END, /* this many causes are events */
    /* parts of the file that a converted one does not have */
    LEFT_OUT_METADATA = LEFT_OUT_EVENTS_END, /* "M" other than the names of processes and threads */
    LEFT_OUT_FIELDS,                         /* events with a field that is not read */
    LEFT_OUT_MEMBERS,                        /* of the file, beside its list of events */
    LEFT_OUT_CAUSES,
};

#define LEFT_OUT_NAMES 96u
#define LEFT_OUT_TEXT 640u
#define LEFT_OUT_WRONG_CHECKSUM "the gzip checksum is wrong: all data was read, but some of it may have changed"

struct left_out { /* all zero = nothing */
    uint64_t n[LEFT_OUT_CAUSES];
    char names[LEFT_OUT_CAUSES][LEFT_OUT_NAMES]; /* the first different ones: "cname, tts, ..." */
    bool wrong_checksum;                         /* of a gzip file: all of its data was read */
};

/* Counts one. name (may be NULL): what it is called in the file; not terminated, any bytes. */
void left_out_add(struct left_out *l, enum left_out_cause cause, const char *name, size_t len);
/* "12 events without a time (ts), 1 event of an unknown kind (ph: v)": the events; "" = none were left out. Returns text. */
const char *left_out_events(const struct left_out *l, char text[LEFT_OUT_TEXT]);
/* The same of the parts of the file that a converted one does not have. */
const char *left_out_parts(const struct left_out *l, char text[LEFT_OUT_TEXT]);
/* A fixed word for programs: "no_time". */
const char *left_out_word(enum left_out_cause cause);

#endif
