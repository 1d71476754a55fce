#include "agent/detail.h"
#include "agent/emit.h"
void detail_python(void *code, uint32_t type, void *value, void *frame) { (void)value; (void)frame; emit_any_clock(code_id(code, layout.co_extra) | type); }
void detail_c(void *callable, void *definition, uint32_t type) { emit_any_clock(function_id(callable, definition) | type); }
uint64_t detail_code_flags(const char *file) { (void)file; return 0; }
bool detail_ignores(void *code) { (void)code; return false; }
bool detail_wanted(const struct vt_ctl *ctl) { return ctl->clock != VT_CLOCK_TSC; }
