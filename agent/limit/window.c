/* Owns --max_overhead below Python 3.12: when the account is in debt, the hooks are taken out of every thread, and put in again
 * when the CPU time since then has paid for it. No hook stays in to watch the time, because on 3.11 even an empty hook costs more
 * than most limits allow. Instead the daemon waits until the process has used wake_cpu_ns, and sends a thread.
 *
 * The time with hooks is a window. No recorded call reaches from one window into another: before a thread's first event in a
 * window a WINDOW payload lists its open frames. Readers end the calls that they took to be open, and begin these anew. */
#include "agent/limit/window.h"

#include "agent/limit/account.h"
#include "agent/limit/cpu_time.h"
#include "agent/limit/governor.h"
#include "agent/names/ids.h"
#include "agent/record/thread.h"
#include "agent/session/session.h"

enum { FRAMES_MAX = 1024, SAVINGS_MS = 800, WAKE_COST_US = 2000, EARLY_NS = 10000000 };

static uint32_t window; /* number of the present one, from 1 */

void window_start(void) { window = 1; }

/* ---- in ---- */

void window_tell(struct thread *thread, bool entered, uint32_t cause) {
    uint32_t ids[FRAMES_MAX], n = 0;
    /* the frame evaluation function would never see these return */
    if (agent.hooks->kind != VT_HOOK_EVAL) n = stack_ids(py.PyThreadState_Get(), ids, FRAMES_MAX, entered);
    struct vt_pl_window head = {.nframes = n, .cause = cause};
    uint32_t bytes = (uint32_t)sizeof head + n * 4;
    uint8_t *to = payload_reserve(bytes);
    if (!to) return;
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, ids, n * 4);
    payload_commit(VT_PL_WINDOW, bytes);
    thread->window = window;
}

void window_event(void *frame, bool enter) {
    struct thread *thread = this_thread;
    if (LIKELY(thread->window == window) || (window == 1 && !thread->window)) {
        thread->window = window;
        return;
    }
    struct pending_error error;
    error_save(&error);
    if (session_visit()) window_tell(this_thread, frame && enter, VT_WINDOW_LIMIT);
    error_restore(&error);
}

static void open_again(uint64_t now) {
    account.off = false;
    account.tick_last = now;
    account.tick_at = now + agent.ticks_per_ms / 2;
    account.debt += (int64_t)(WAKE_COST_US * agent.ticks_per_ms / 1000); /* the daemon stopped one thread of the program for it */
    agent.ctl->off_ticks += now - agent.ctl->off_since;
    agent.ctl->off_since = 0;
    window++;
    agent.hooks->resume();
}

/* CPU time that the program must use until a new window is paid for; 0 = it is paid for. */
static uint64_t unpaid_ns(void) {
    int64_t second = account_allowed(1000 * agent.ticks_per_ms), owed = account.debt + second * SAVINGS_MS / 1000;
    return owed > 0 ? (uint64_t)((double)owed / (double)(second > 0 ? second : 1) * 1e9) : 0;
}

static void wake_after(uint64_t cpu_ns) { vt_store_release(&agent.ctl->wake_cpu_ns, cpu_ns ? process_cpu_ns() + cpu_ns : 0); }

void window_look(uint64_t now) {
    account_paid(now);
    uint64_t left = unpaid_ns();
    if (agent.flags & VT_F_CPU_TOLD && left < EARLY_NS)
        left = 0; /* it is an estimate, and the next thread comes a second later */
    wake_after(left);
    if (!left) open_again(now);
}

/* ---- out ---- */

void window_close(void) {
    account.off = true;
    agent.ctl->off_since = account.tick_last;
    agent.ctl->windows++;
    agent.hooks->pause();
    wake_after(unpaid_ns());
}
