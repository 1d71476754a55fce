/* Owns reading tables of lines (lines.h). Three forms: co_lnotab (up to 3.9), pairs of 3.10 (Objects/lnotab_notes.txt), and the
 * location table of 3.11 and later (Objects/locations.md of CPython). */
#include "outside/lines.h"

#include <errno.h>
#include <stdlib.h>

#define END_OF_CODE UINT32_MAX

enum { LINE_LIMIT = 1 << 30, NO_LINE = -128, INSTRUCTION = 2 };

struct table {
    const uint8_t *at, *end;
    struct line_start *starts;
    uint32_t n;
    uint32_t address;
    int64_t line;
};

/* The line of what follows, up to the next entry; two neighbours differ. Room was made for as many entries as the table has
 * bytes. */
static void put(struct table *t, uint32_t line) {
    if (t->n && t->starts[t->n - 1].at == t->address) t->n--; /* an empty range */
    if (t->n && t->starts[t->n - 1].line == line) return;
    t->starts[t->n++] = (struct line_start){t->address, line};
}

static void start(struct table *t, bool has_line) {
    put(t, has_line && t->line > 0 && t->line < LINE_LIMIT ? (uint32_t)t->line : 0);
}

static void read_lnotab(struct table *t) {
    start(t, true);
    for (; t->end - t->at >= 2; t->at += 2) {
        t->address += t->at[0];
        t->line += (int8_t)t->at[1];
        start(t, true);
    }
}

static void read_pairs(struct table *t) {
    for (; t->end - t->at >= 2; t->at += 2) {
        int8_t delta = (int8_t)t->at[1];
        if (delta != NO_LINE) t->line += delta;
        start(t, delta != NO_LINE);
        t->address += t->at[0];
    }
    put(t, END_OF_CODE);
}

/* Groups of 6 bits, the least significant first. */
static uint32_t read_number(struct table *t) {
    uint32_t value = 0;
    for (unsigned shift = 0; t->at < t->end; shift += 6) {
        uint8_t byte = *t->at++;
        if (shift < 32) value |= (uint32_t)(byte & 63) << shift;
        if (!(byte & 64)) break;
    }
    return value;
}

static int64_t read_signed(struct table *t) {
    uint32_t value = read_number(t);
    return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

static void skip(struct table *t, size_t n) { t->at += (size_t)(t->end - t->at) < n ? (size_t)(t->end - t->at) : n; }

static void read_locations(struct table *t) {
    enum { ONE_LINE_0 = 10, ONE_LINE_2 = 12, NO_COLUMNS = 13, LONG = 14, NONE = 15 };
    while (t->at < t->end) {
        uint8_t head = *t->at++;
        unsigned kind = head >> 3 & 15, length = (head & 7u) + 1;
        if (kind == LONG || kind == NO_COLUMNS) t->line += read_signed(t);
        if (kind == LONG)
            for (int i = 0; i < 3; i++) read_number(t); /* end line, columns */
        if (kind >= ONE_LINE_0 && kind <= ONE_LINE_2) t->line += kind - ONE_LINE_0;
        if (kind <= ONE_LINE_2) skip(t, kind < ONE_LINE_0 ? 1 : 2);
        start(t, kind != NONE);
        t->address += length * INSTRUCTION;
    }
    put(t, END_OF_CODE);
}

int lines_read(int minor, const uint8_t *table, size_t len, uint32_t first, struct line_start **starts, uint32_t *n) {
    struct table t = {.at = table, .end = table + len, .line = first};
    *starts = NULL;
    *n = 0;
    t.starts = malloc((len + 2) * sizeof(*t.starts));
    if (!t.starts) return -ENOMEM;
    if (minor < 10)
        read_lnotab(&t);
    else if (minor == 10)
        read_pairs(&t);
    else
        read_locations(&t);
    struct line_start *fitted = realloc(t.starts, (t.n + 1) * sizeof(*t.starts));
    *starts = fitted ? fitted : t.starts;
    *n = t.n;
    return 0;
}

uint32_t lines_find(const struct line_start *starts, uint32_t n, uint32_t at) {
    uint32_t low = 0, high = n;
    while (low < high) { /* the first one that begins above `at` */
        uint32_t middle = low + (high - low) / 2;
        if (starts[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t line = low ? starts[low - 1].line : 0;
    if (!line && low > 1) line = starts[low - 2].line; /* an instruction that the compiler added: it belongs to what is before */
    return line == END_OF_CODE ? 0 : line;
}
