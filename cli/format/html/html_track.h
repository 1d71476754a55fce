/* The calls of a .html page while they are collected: one track per thread, and rows for asyncio tasks and for threads of a pool.
 * 32 bytes a call. */
#ifndef VT_CLI_HTML_TRACK_H
#define VT_CLI_HTML_TRACK_H

#include <stddef.h>
#include <stdint.h>

#include "cli/trace/trace_info.h"

enum { HTML_OPEN = 1, HTML_FROM_ATTACH = 2, HTML_RAISED = 4, HTML_RESUMED = 8, HTML_SUSPENDED = 16 };

struct html_slice {
    uint64_t start, end; /* ns */
    uint32_t name;       /* number as written */
    uint32_t detail;     /* 1 + number of its detail, 0 = none */
    uint32_t fold;       /* 1 + number of its fold, 0 = none */
    uint32_t seq : 27, flags : 5;
};
#define HTML_SLICES_MAX (1u << 27)

/* As written, but for times: ns in 8 bytes. */
struct html_bytes {
    uint8_t *data;
    size_t len, room;
};

struct html_run { /* a task or a thread in a row: its calls are those from start on, up to the next run */
    uint64_t start;
    struct trace_task *task; /* NULL: the thread's own calls */
    const struct trace_thread *thread;
};

struct html_track {
    const struct trace_thread *thread;
    struct trace_task *task; /* NULL = the thread's own */
    struct html_slice *slices;
    size_t n, room;
    uint64_t first, last;  /* ns */
    struct html_run *runs; /* after html_tracks_pack; of rows that are shared, and of all rows of tasks */
    size_t nruns, runs_room;
    struct html_bytes gaps, marks, counters;
    size_t ngaps, nmarks, ncounters;
};

struct html_tracks {
    struct html_track **list;
    size_t n, room;
    struct html_track **by_thread;
    struct html_track **hash; /* of tasks: open addressing, at most half full */
    size_t hash_room, hash_n;
};

VT_MUST_CHECK int html_tracks_init(struct html_tracks *t, uint32_t nthreads);
void html_tracks_free(struct html_tracks *t);
/* task: NULL = the thread's own track. */
VT_MUST_CHECK int html_track_get(struct html_tracks *t, const struct trace_thread *thread, struct trace_task *task,
                                 struct html_track **out);
VT_MUST_CHECK int html_track_add(struct html_track *t, const struct html_slice *slice);
/* A gap, mark or counter of the track stands at this time. */
void html_track_see(struct html_track *t, uint64_t ns);
/* Tasks of a thread that are not alive at the same time share a row; so do threads without tasks whose names differ in numbers
 * only. To be called once, when all calls are there. */
VT_MUST_CHECK int html_tracks_pack(struct html_tracks *t, uint32_t nthreads);
/* By start, the outer one first. */
void html_track_sort(struct html_track *t);

VT_MUST_CHECK int html_bytes_add(struct html_bytes *b, const void *data, size_t len);
VT_MUST_CHECK int html_bytes_varint(struct html_bytes *b, uint64_t v);
/* Led by its length. */
VT_MUST_CHECK int html_bytes_text(struct html_bytes *b, const void *text, size_t len);
/* Room for one more element in *array (a pointer to malloc'd elements). */
VT_MUST_CHECK int html_grow(void *array, size_t n, size_t *room, size_t element);

#endif
