/* Owns how deep a thread is below functions that are left out, and below --max_stack_depth. */
#include "agent/hooks/depth.h"

bool depth_switched;

bool depth_is_kept(void) { return agent.full && (this_thread->ignored || this_thread->depth); }

void depth_entered_unseen(uint32_t calls) {
    struct thread *thread = this_thread;
    if (thread->ignored)
        thread->ignored += (int32_t)calls;
    else if (thread->depth)
        thread->depth += (int32_t)calls;
}

bool depth_is_unwanted(void *code, uint64_t flags) {
    if (!(flags & FILTER_LEFT_OUT) || flags & FILTER_WAS_OPEN) return false;
    return !(flags & FILTER_SUBTREE) || callers_known(code);
}
