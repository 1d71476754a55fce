/* The memory of a process that runs Python 3.11, made by hand: one interpreter, one thread, three frames, and code objects with
 * names, files and lines. For tests and fuzzers of the reader. */
#ifndef VT_TESTS_WORLD_H
#define VT_TESTS_WORLD_H

#include <stddef.h>
#include <stdint.h>

#define WORLD_BASE 0x10000ull
#define WORLD_SIZE 8192u
#define WORLD_PYTHON 11
/* Offsets in it. */
enum {
    WORLD_RUNTIME = 0,
    WORLD_INTERPRETER = 0x400,
    WORLD_THREAD = 0x480,
    WORLD_CFRAME = 0x700,
    WORLD_FRAMES = 0x800, /* innermost first, WORLD_FRAME bytes each */
    WORLD_FRAME = 0x80,
    WORLD_NFRAMES = 3,
    WORLD_CODES = 0xa00, /* of each frame, WORLD_CODE bytes each */
    WORLD_CODE = 0x100,
    WORLD_TYPE = 0xe00,
    WORLD_TEXTS = 0x1000,
    WORLD_TEXT = 0x80,
    WORLD_GIL_HOLDER = WORLD_THREAD
};

void world_make(uint8_t memory[WORLD_SIZE]);
void world_put(uint8_t memory[WORLD_SIZE], size_t at, uint64_t value);
/* The address of what is at this offset. */
static inline uint64_t world_at(size_t offset) { return WORLD_BASE + offset; }

#endif
