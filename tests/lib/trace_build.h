/* Makes small .vzt files for tests, frame by frame. One tick is one ns, and tick 0 is ns 0, unless a test sets another clock.
 * Every function aborts the test on an error. */
#ifndef VT_TESTS_TRACE_BUILD_H
#define VT_TESTS_TRACE_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "proto/block.h"
#include "proto/msg.h"

struct trace_build {
    char path[64];
    int fd;
    struct vt_block_enc *enc;
};

/* A new file in the temporary folder with magic, header (pid 100, monotonic clock) and first clock frame. */
void trace_build_open(struct trace_build *b);
void trace_build_open_as(struct trace_build *b, uint32_t pid);
/* The same of a process with a command line. */
void trace_build_open_of(struct trace_build *b, const char *cmdline);
/* The same of a trace that was made with these options of attach. */
void trace_build_open_with(struct trace_build *b, const char *options);
/* The same with only the magic: the test writes header and clock. */
void trace_build_open_bare(struct trace_build *b);
void trace_build_close(struct trace_build *b);  /* keeps the file */
void trace_build_remove(struct trace_build *b); /* closes and removes it */

void trace_build_frame(struct trace_build *b, uint32_t type, const ProtobufCMessage *msg);
void trace_build_name(struct trace_build *b, uint32_t id, uint32_t kind, const char *name, const char *file, uint32_t line);
void trace_build_thread(struct trace_build *b, uint64_t ident, uint32_t tid, uint32_t serial_plus_1, const char *name);
void trace_build_stack(struct trace_build *b, uint64_t ident, uint64_t ticks, size_t n, const uint32_t *ids);
void trace_build_stack_at(struct trace_build *b, uint64_t ident, uint64_t ticks, size_t n, const uint32_t *ids,
                          const uint32_t *lines);
/* The events of one block, PAYLOAD and GAP included (they have the time of the event before). */
void trace_build_block(struct trace_build *b, uint32_t serial, uint64_t ident, uint32_t tid, const struct vt_event *ev, size_t n);
/* Names a to i: ids 1 to 9, functions of x.py at lines 1 to 9. */
void trace_build_letters(struct trace_build *b);
/* One block (tid 7) from text, an event per tick step: "(a" call of a, "a)" return; "[a" C call, "a]" C return; "{a" resume, "a}"
 * yield;
 * "<a" throw; "a!" unwind, "a#" C raise; "~" a gap of 3 events, at the time of the event before. At most 64. */
void trace_build_calls(struct trace_build *b, uint32_t serial, uint64_t ident, uint64_t ticks, uint64_t step, const char *text);
/* Without a moment at which the hooks went out: tracing ended with the last event. */
void trace_build_end(struct trace_build *b, uint64_t hooks_on, uint64_t dropped);
void trace_build_end_at(struct trace_build *b, uint64_t hooks_on, uint64_t hooks_off, uint64_t dropped);

/* The whole file, NUL-terminated; *len may be NULL. The caller frees it. */
char *trace_build_slurp(const char *path, size_t *len);

#endif
