/* Owns what a session with options does per event: which functions are left out (VizTracer's rules: a
 * function that is left out takes everything it calls with it), how deep to look, tasks, arguments and
 * return values. Lean sessions never come here. */
#include "agent/detail.h"
#include "agent/emit.h"

#define CODE_IS_COROUTINE 0x280u /* CO_COROUTINE, CO_ASYNC_GENERATOR */

bool detail_wanted(const struct vt_ctl *ctl) {
    const uint32_t flags = VT_F_ARGS | VT_F_RETVAL | VT_F_ASYNC | VT_F_IGNORE_FROZEN;
    return ctl->clock != VT_CLOCK_TSC || ctl->flags & flags || ctl->max_stack_depth >= 0 || ctl->include_bytes ||
           ctl->exclude_bytes;
}

/* ---- filters ---- */

static bool starts_with(const char *text, const char *prefix) {
    while (*prefix && *text == *prefix) text++, prefix++;
    return !*prefix;
}

/* `list`: NUL-terminated prefixes, `bytes` in all; the memory is the daemon's, so every step is bounded */
static bool any_prefix(const char *file, const char *list, uint32_t bytes) {
    for (uint32_t at = 0; at < bytes;) {
        uint32_t end = at;
        while (end < bytes && list[end]) end++;
        if (end == bytes) return false;
        if (end > at && starts_with(file, list + at)) return true;
        at = end + 1;
    }
    return false;
}

/* Asked once per code object and session, when it gets its id. */
uint64_t detail_code_flags(const char *file) {
    const struct vt_ctl *ctl = agent.ctl;
    uint32_t include = ctl->include_bytes, exclude = ctl->exclude_bytes;
    if (include > VT_FILTER_BYTES) include = VT_FILTER_BYTES;
    if (exclude > VT_FILTER_BYTES - include) exclude = VT_FILTER_BYTES - include;
    if (agent.flags & VT_F_IGNORE_FROZEN && starts_with(file, "<frozen")) return DETAIL_IGNORED;
    if (include && !any_prefix(file, ctl->filters, include)) return DETAIL_IGNORED;
    if (exclude && any_prefix(file, ctl->filters + include, exclude)) return DETAIL_IGNORED;
    return 0;
}

/* Of a code object that has its id. */
bool detail_ignores(void *code) {
    const struct co_extra *extra = agent.full ? field(code, layout.co_extra) : NULL;
    return extra && extra->size > agent.extra_index && extra->value[agent.extra_index] & DETAIL_IGNORED;
}

/* This thread's block, or NULL when nothing is to be recorded on it now. */
static struct thread *detail_thread(void) {
    struct thread *thread = this_thread;
    if (UNLIKELY(!thread->cursor)) {
        if (!session_visit()) return NULL;
        thread = this_thread;
    }
    return thread->paused ? NULL : thread;
}

/* Keeps the depths; true = record the event. */
static bool passes(struct thread *thread, bool enter, bool ignored_function) {
    int32_t max = agent.max_stack_depth;
    if (thread->ignored) {
        thread->ignored += enter ? 1 : -1;
        return false;
    }
    if (ignored_function) {
        if (enter) thread->ignored = 1;
        return false;
    }
    if (max < 0) return true;
    if (enter) return thread->depth++ < max;
    return thread->depth > 0 ? --thread->depth < max : true; /* at 0: a frame that was open at the start */
}

/* ---- events ---- */

void detail_python(void *code, uint32_t type, void *value, void *frame) {
    struct thread *thread = detail_thread();
    bool enter = VT_REC_IS_ENTER(type);
    if (!thread) return;
    uint32_t id = code_id(code, layout.co_extra);
    bool coroutine = agent.flags & VT_F_ASYNC && field32(code, layout.co_flags) & CODE_IS_COROUTINE;
    if (coroutine && enter) task_enter();
    thread = detail_thread();
    if (thread && passes(thread, enter, detail_ignores(code))) {
        if (type == VT_REC_CALL && agent.flags & VT_F_ARGS) values_tell_arguments(code, frame);
        if (value && (type == VT_REC_RETURN || type == VT_REC_YIELD) && agent.flags & VT_F_RETVAL) values_tell_result(value);
        /* repr ran code of the target: this session may be over, another one may be on */
        if (id == 0 || id >= agent.base_id) emit_any_clock(id | type);
    }
    if (coroutine && !enter) task_leave();
}

void detail_c(void *callable, void *definition, uint32_t type) {
    struct thread *thread = detail_thread();
    if (!thread || !passes(thread, VT_REC_IS_ENTER(type), false)) return;
    emit_any_clock(function_id(callable, definition) | type);
}
