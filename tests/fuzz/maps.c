/* Any text as /proc/PID/maps: accepted lines are sorted, and every address is found in its line. */
#include "attach/maps.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct maps m;
    if (maps_parse((const char *)data, size, &m)) return 0;
    for (size_t i = 0; i < m.nlines; i++) {
        const struct map_line *line = &m.lines[i];
        if (line->start >= line->end || (i && line->start < m.lines[i - 1].end)) abort();
        if (maps_find_line(&m, line->start) != line || maps_find_line(&m, line->end - 1) != line) abort();
    }
    for (size_t i = 0; i < m.nmods; i++) {
        const struct map_module *mod = &m.mods[i];
        if (mod->start >= mod->end || (i && mod->start < m.mods[i - 1].end)) abort();
        if (maps_find(&m, mod->start) != mod || maps_find(&m, mod->end - 1) != mod) abort();
    }
    maps_free(&m);
    return 0;
}
