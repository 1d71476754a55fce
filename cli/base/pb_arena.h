/* Memory for messages that protobuf-c unpacks one after the other: taken from a few large pieces, given back all at once, and
 * never more than a limit. Not for several threads. */
#ifndef VT_CLI_PB_ARENA_H
#define VT_CLI_PB_ARENA_H

#include <protobuf-c/protobuf-c.h>

struct pb_arena { /* zeroed but for `most`; pb_arena_free at the end */
    size_t most;  /* bytes in all; beyond that an allocation fails */
    size_t used;  /* bytes handed out, with rounding */
    struct pb_arena_piece *pieces;
};

/* An allocator for protobuf_c_message_unpack. What it hands out stays valid until pb_arena_reset; its free does nothing. */
ProtobufCAllocator pb_arena_allocator(struct pb_arena *arena);
/* Takes everything back. Keeps one piece of the usual size. */
void pb_arena_reset(struct pb_arena *arena);
void pb_arena_free(struct pb_arena *arena);

#endif
