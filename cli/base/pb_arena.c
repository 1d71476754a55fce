/* Owns the pieces of memory behind unpacked messages (pb_arena.h). */
#include "cli/base/pb_arena.h"

#include <stdlib.h>

#include "cli/base/memory.h"

#define PIECE (256u << 10) /* bytes, usually */
#define ALIGN 16u

struct pb_arena_piece {
    struct pb_arena_piece *next;
    size_t at, room;
    _Alignas(ALIGN) unsigned char data[];
};

static void *take(void *arg, size_t size) {
    struct pb_arena *a = arg;
    struct pb_arena_piece *p = a->pieces;
    if (size > a->most - a->used) return NULL;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (!p || size > p->room - p->at) {
        size_t room = size > PIECE ? size : PIECE;
        p = memory_alloc(sizeof *p + room);
        if (!p) return NULL;
        p->next = a->pieces;
        p->at = 0;
        p->room = room;
        a->pieces = p;
    }
    void *got = p->data + p->at;
    p->at += size;
    a->used = size < a->most - a->used ? a->used + size : a->most;
    return got;
}

static void give_back(void *arg, void *pointer) {
    (void)arg;
    (void)pointer;
}

ProtobufCAllocator pb_arena_allocator(struct pb_arena *arena) {
    return (ProtobufCAllocator){.alloc = take, .free = give_back, .allocator_data = arena};
}

void pb_arena_reset(struct pb_arena *arena) {
    struct pb_arena_piece *kept = NULL;
    while (arena->pieces) {
        struct pb_arena_piece *p = arena->pieces;
        arena->pieces = p->next;
        if (kept || p->room != PIECE)
            memory_free(p);
        else
            kept = p;
    }
    if (kept) {
        kept->next = NULL;
        kept->at = 0;
    }
    arena->pieces = kept;
    arena->used = 0;
}

void pb_arena_free(struct pb_arena *arena) {
    pb_arena_reset(arena);
    memory_free(arena->pieces);
    arena->pieces = NULL;
}
