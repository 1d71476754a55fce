/* Owns a small interpreter in a buffer (world.h). */
#include "tests/lib/world.h"

#include <string.h>

#include "proto/abi/py_layout.h"

enum {
    /* Python 3.11, as in proto/abi/py_layouts.h */
    RT_INTERPRETERS = 40,
    RT_GIL = 360,
    IS_ID = 48,
    IS_THREADS = 16,
    TS_INTERP = 16,
    TS_CFRAME = 56,
    TS_IDENT = 152,
    TS_NATIVE = 160,
    CFRAME_FRAME = 8,
    FRAME_CODE = 32,
    FRAME_BACK = 48,
    FRAME_INSTR = 56,
    CO_FILENAME = 112,
    CO_NAME = 128,
    CO_FIRST = 72,
    CO_LINES = 136,
    CO_CODE = 184,
    FRAME_IS_ENTRY = 68,
    STR_ASCII_1 = 1 << 2 | 1 << 5 | 1 << 6, /* kind 1, compact, ASCII */
    STR_DATA = 48
};

void world_put(uint8_t memory[WORLD_SIZE], size_t at, uint64_t value) { memcpy(memory + at, &value, sizeof(value)); }

static size_t put_str(uint8_t *memory, size_t *next, const char *text) {
    size_t at = *next;
    *next += WORLD_TEXT;
    world_put(memory, at + STR_LENGTH, strlen(text));
    world_put(memory, at + STR_STATE, STR_ASCII_1);
    memcpy(memory + at + STR_DATA, text, strlen(text) + 1);
    return world_at(at);
}

static size_t put_bytes(uint8_t *memory, size_t *next, const void *bytes, size_t len) {
    size_t at = *next;
    *next += WORLD_TEXT;
    world_put(memory, at + BYTES_SIZE, len);
    memcpy(memory + at + BYTES_DATA, bytes, len);
    return world_at(at);
}

void world_make(uint8_t memory[WORLD_SIZE]) {
    static const char *const names[WORLD_NFRAMES] = {"Inner.work", "middle", "<module>"};
    /* an instruction without a line, one in the first line, then two of them three lines on (entries without columns) */
    static const uint8_t lines[] = {0x80 | 15 << 3, 0x80 | 13 << 3, 0, 0x80 | 13 << 3 | 1, 3 << 1};
    size_t next = WORLD_TEXTS;
    memset(memory, 0, WORLD_SIZE);
    world_put(memory, WORLD_RUNTIME + RT_INTERPRETERS, world_at(WORLD_INTERPRETER));
    world_put(memory, WORLD_RUNTIME + RT_GIL + GIL_LAST_HOLDER, world_at(WORLD_GIL_HOLDER));
    world_put(memory, WORLD_RUNTIME + RT_GIL + GIL_LOCKED, 1);
    world_put(memory, WORLD_INTERPRETER + IS_ID, 0);
    world_put(memory, WORLD_INTERPRETER + IS_THREADS, world_at(WORLD_THREAD));
    world_put(memory, WORLD_THREAD + TS_INTERP, world_at(WORLD_INTERPRETER));
    world_put(memory, WORLD_THREAD + TS_CFRAME, world_at(WORLD_CFRAME));
    world_put(memory, WORLD_THREAD + TS_IDENT, 0x7777);
    world_put(memory, WORLD_THREAD + TS_NATIVE, 4711);
    world_put(memory, WORLD_CFRAME + CFRAME_FRAME, world_at(WORLD_FRAMES));
    world_put(memory, WORLD_CFRAME + CFRAME_FRAME + 8, world_at(WORLD_CFRAME + 32)); /* of the thread itself: without a frame */
    memory[WORLD_FRAMES + (WORLD_NFRAMES - 1) * WORLD_FRAME + FRAME_IS_ENTRY] = 1;
    size_t type_name = next;
    strcpy((char *)memory + type_name, "code");
    next += WORLD_TEXT;
    world_put(memory, WORLD_TYPE + TYPE_NAME, world_at(type_name));
    for (size_t i = 0; i < WORLD_NFRAMES; i++) {
        size_t frame = WORLD_FRAMES + i * WORLD_FRAME, code = WORLD_CODES + i * WORLD_CODE;
        world_put(memory, frame + FRAME_CODE, world_at(code));
        world_put(memory, frame + FRAME_BACK, i + 1 < WORLD_NFRAMES ? world_at(frame + WORLD_FRAME) : 0);
        world_put(memory, frame + FRAME_INSTR, world_at(code + CO_CODE + 4)); /* in the last entry */
        world_put(memory, code + OBJECT_TYPE, world_at(WORLD_TYPE));
        world_put(memory, code + CO_FIRST, 10 * (i + 1));
        world_put(memory, code + CO_NAME, put_str(memory, &next, names[i]));
        world_put(memory, code + CO_FILENAME, put_str(memory, &next, "app.py"));
        world_put(memory, code + CO_LINES, put_bytes(memory, &next, lines, sizeof lines));
    }
}
