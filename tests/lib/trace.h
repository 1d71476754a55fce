/* A saved Chrome JSON trace (plain or gzip) as a small model, and checks that hold for every such trace. */
#ifndef VT_TESTS_TRACE_H
#define VT_TESTS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct trace_event {
    char ph;                             /* X M i C … */
    bool unfinished, resumed, suspended; /* says so in its args */
    pid_t pid, tid;
    int64_t ts, dur;  /* ns */
    const char *name; /* interned: equal names are equal pointers */
    const char *cat;
    const char *args; /* "func_args.x=1;return_value=4;" or NULL */
};

struct trace {
    struct trace_event *events;
    size_t n;
    bool overflow;
    bool has_metadata, has_files;
    char version[32];
    uint64_t base_ns;
    size_t functions; /* entries of file_info.functions */
    size_t files;
    size_t sources; /* bytes of source text */
    struct trace_names *names;
};

/* 0; -EPROTO and a line on stderr when it is not valid JSON of this form. Free it in any case. */
int trace_load(struct trace *t, const char *path);
void trace_free(struct trace *t);

/* Each returns NULL when all is well, else the fault (static text). */
const char *trace_check_shape(const struct trace *t);   /* fields, dialect, thread names */
const char *trace_check_nesting(const struct trace *t); /* slices nest per thread */

/* Slices (X) whose name is `name`, or begins with `name` up to " (" when it holds no location. 0 = any thread. */
size_t trace_count(const struct trace *t, const char *name, pid_t tid);
/* The same without later pieces of generators and coroutines. */
size_t trace_calls(const struct trace *t, const char *name, pid_t tid);
/* Slices of a thread. */
size_t trace_slices(const struct trace *t, pid_t tid);
bool trace_has_thread(const struct trace *t, pid_t tid);
/* Distinct thread ids of all events, ascending. */
int trace_threads(const struct trace *t, pid_t *ids, int max);
/* Name given to a thread, or NULL. */
const char *trace_thread_name(const struct trace *t, pid_t tid);
/* First slice of that name, or NULL; `after` continues a search. */
const struct trace_event *trace_find(const struct trace *t, const char *name, const struct trace_event *after);
/* Direct children of `parent` in its thread, in the order of time. Fills at most max, returns how many there are. */
size_t trace_children(const struct trace *t, const struct trace_event *parent, const struct trace_event **out, size_t max);
bool trace_name_is(const char *event_name, const char *name);
/* Earliest start and latest end of all slices, ns. */
void trace_span(const struct trace *t, int64_t *first, int64_t *last);

#endif
