/* _Py_DebugOffsets, a table of 64-bit offsets at the start of _PyRuntime, from 3.13 on: which number of it is which field. The
 * order differs between versions and the table does not describe it (Include/internal/pycore_debug_offsets.h of each version). */
#ifndef VT_ABI_PY_DEBUG_OFFSETS_H
#define VT_ABI_PY_DEBUG_OFFSETS_H

#include <stdint.h>

enum { PY_DEBUG_OLDEST = 13 /* of Python 3 */, PY_DEBUG_VERSIONS = 3 };

enum py_debug_field {
    PY_DEBUG_INTERPRETERS,
    PY_DEBUG_IS_ID,
    PY_DEBUG_IS_NEXT,
    PY_DEBUG_IS_THREADS,
    PY_DEBUG_IS_MAIN_THREAD,
    PY_DEBUG_IS_GIL,
    PY_DEBUG_TS_NEXT,
    PY_DEBUG_TS_INTERP,
    PY_DEBUG_TS_CURRENT_FRAME,
    PY_DEBUG_TS_THREAD_ID,
    PY_DEBUG_TS_NATIVE_ID,
    PY_DEBUG_FRAME_BACK,
    PY_DEBUG_FRAME_CODE,
    PY_DEBUG_FRAME_INSTR,
    PY_DEBUG_FRAME_LOCALS,
    PY_DEBUG_FRAME_OWNER,
    PY_DEBUG_CO_FILENAME,
    PY_DEBUG_CO_NAME,
    PY_DEBUG_CO_LINES,
    PY_DEBUG_CO_FIRSTLINENO,
    PY_DEBUG_CO_VARNAMES,
    PY_DEBUG_CO_KINDS,
    PY_DEBUG_CO_CODE,
    PY_DEBUG_SUPPORT, /* the first of six fields of PEP 768 */
    PY_DEBUG_FIELDS
};

/* Of 3.13, 3.14, 3.15. 0 = that version has no such field. */
static const uint8_t py_debug_words[PY_DEBUG_FIELDS][PY_DEBUG_VERSIONS] = {
    [PY_DEBUG_INTERPRETERS] = {5, 5, 5},
    [PY_DEBUG_IS_ID] = {7, 7, 7},
    [PY_DEBUG_IS_NEXT] = {8, 8, 8},
    [PY_DEBUG_IS_THREADS] = {9, 9, 9},
    [PY_DEBUG_IS_MAIN_THREAD] = {0, 10, 10},
    [PY_DEBUG_IS_GIL] = {14, 15, 15},
    [PY_DEBUG_TS_NEXT] = {21, 24, 24},
    [PY_DEBUG_TS_INTERP] = {22, 25, 25},
    [PY_DEBUG_TS_CURRENT_FRAME] = {23, 26, 26},
    [PY_DEBUG_TS_THREAD_ID] = {24, 27, 30},
    [PY_DEBUG_TS_NATIVE_ID] = {25, 28, 31},
    [PY_DEBUG_FRAME_BACK] = {29, 32, 40},
    [PY_DEBUG_FRAME_CODE] = {30, 33, 41},
    [PY_DEBUG_FRAME_INSTR] = {31, 34, 42},
    [PY_DEBUG_FRAME_LOCALS] = {32, 35, 43},
    [PY_DEBUG_FRAME_OWNER] = {33, 36, 44},
    [PY_DEBUG_CO_FILENAME] = {35, 40, 48},
    [PY_DEBUG_CO_NAME] = {37, 42, 50},
    [PY_DEBUG_CO_LINES] = {38, 43, 51},
    [PY_DEBUG_CO_FIRSTLINENO] = {39, 44, 52},
    [PY_DEBUG_CO_VARNAMES] = {41, 46, 54},
    [PY_DEBUG_CO_KINDS] = {42, 47, 55},
    [PY_DEBUG_CO_CODE] = {43, 48, 56},
    [PY_DEBUG_SUPPORT] = {0, 89, 105},
};

#endif
