/* Owns switching the garbage collector off and on. 3.8 and 3.9 have no function for that, and calling gc.disable() would make
 * objects. There the state of the collector is found by a pointer in it, which points into the state itself:
 *
 *   struct _gc_runtime_state    trash_delete_later   8 bytes
 *                               trash_delete_nesting, enabled, debug, padding: 4 each
 *                               generations          3 of 24 bytes
 *                               generation0          points to generations
 *
 * It is in _PyRuntime (3.8) or in the interpreter (3.9). */
#include "agent/cpython/collector.h"

#include "agent/cpython/layout.h"
#include "agent/cpython/py_api.h"

enum { WORDS = 512, GENERATIONS_BYTES = 72, ENABLED_BEFORE = 12 /* of generations */ };

/* NULL = not where it is expected. */
static uint32_t *enabled_here(void) {
    const uint64_t *words = layout.python == 0x308   ? py._PyRuntime
                            : layout.python == 0x309 ? field(py.PyThreadState_Get(), layout.ts_interp)
                                                     : NULL;
    for (uint32_t i = (GENERATIONS_BYTES + 24) / 8; words && i < WORDS; i++) {
        if (words[i] != (uint64_t)&words[i] - GENERATIONS_BYTES) continue;
        uint32_t *enabled = (uint32_t *)(words[i] - ENABLED_BEFORE);
        return *enabled <= 1 ? enabled : NULL;
    }
    return NULL;
}

bool collector_off(void) {
    if (py.PyGC_Disable && py.PyGC_Enable) return py.PyGC_Disable() == 1;
    uint32_t *enabled = enabled_here();
    bool was_on = enabled && *enabled;
    if (was_on) *enabled = 0;
    return was_on;
}

void collector_on(void) {
    if (py.PyGC_Disable && py.PyGC_Enable) {
        py.PyGC_Enable();
        return;
    }
    uint32_t *enabled = enabled_here();
    if (enabled) *enabled = 1;
}
