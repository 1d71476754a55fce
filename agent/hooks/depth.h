/* How deep a thread is: below functions that are left out with all that they call, and for --max_stack_depth. Of the current
 * thread's block, with the GIL of its interpreter. */
#ifndef VT_AGENT_DEPTH_H
#define VT_AGENT_DEPTH_H

#include "agent/hooks/callers.h"
#include "agent/names/filter.h"
#include "agent/record/state.h"
#include "agent/record/thread.h"

/* Below 3.12: frames of functions that are left out give no events (switch.c), so that nothing is counted for them. */
extern HIDDEN bool depth_switched;

/* False below --max_stack_depth. Events of functions that are left out must not come here. */
ALWAYS_INLINE bool depth_fits(struct thread *thread, bool enter) {
    int32_t max = agent.max_stack_depth;
    if (max < 0) return true;
    if (enter) return thread->depth++ < max;
    return thread->depth > 0 ? --thread->depth < max : true; /* at 0: a frame that was open at the start */
}
/* Counts an event of a Python function; true = record it. `flags`: of `code` (filter.h), which runs now. */
ALWAYS_INLINE bool depth_passes(struct thread *thread, void *code, bool enter, uint64_t flags) {
    if (depth_switched) {
        if (flags & FILTER_LEFT_OUT || thread->ignored) return false;
    } else if (flags & FILTER_LEFT_OUT) {
        if (!(flags & FILTER_SUBTREE) || (callers_known(code) && !(flags & FILTER_WAS_OPEN))) return false;
        if (enter)
            thread->ignored += thread->ignored || flags & FILTER_SILENCES || callers_recorded();
        else if (thread->ignored)
            thread->ignored--;
        return false;
    }
    if (thread->ignored) {
        thread->ignored += enter ? 1 : -1;
        return false;
    }
    if (enter && callers_known(code) && callers_silence()) {
        thread->ignored = 1;
        return false;
    }
    return depth_fits(thread, enter);
}
/* Is no event of this function wanted, not even to keep the depth? `code` runs now. */
bool depth_is_unwanted(void *code, uint64_t flags);
/* depth_is_kept: does the current thread count depths now? If so, tell depth_entered_unseen of open calls whose begin was not
 * seen, because their ends will be. */
bool depth_is_kept(void);
void depth_entered_unseen(uint32_t calls);

#endif
