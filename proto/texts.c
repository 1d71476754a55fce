/* Owns the texts for end reasons and session states. */
#include "proto/texts.h"

#include "proto/base.h"
#include "viztracerd.pb-c.h"

const char *vt_session_state_text(uint32_t state) {
    static const char *const texts[] = {
        [VT__SESSION_STATE__STARTING] = "starting", [VT__SESSION_STATE__PENDING] = "waiting for the GIL",
        [VT__SESSION_STATE__TRACING] = "tracing",   [VT__SESSION_STATE__STOPPING] = "stopping",
        [VT__SESSION_STATE__DRAINED] = "draining",  [VT__SESSION_STATE__ENDED] = "saving",
    };
    return state < VT_ARRAY_LEN(texts) ? texts[state] : "?";
}

const char *vt_end_reason_text(uint32_t reason) {
    static const char *const texts[] = {
        [VT__END_REASON__TARGET_EXIT] = "The target ended",
        [VT__END_REASON__EXEC] = "The target called exec",
        [VT__END_REASON__LEASE] =
            "viztracerd lost touch with the target: it did not get the CPU or the disk for too long, and the hooks left",
        [VT__END_REASON__SPOOL_FULL] = "No room for more",
        [VT__END_REASON__AGENT] = "Tracing ended early",
        [VT__END_REASON__GIL] = "The GIL did not come",
        [VT__END_REASON__DAEMON] = "viztracerd was told to end",
    };
    return reason < VT_ARRAY_LEN(texts) ? texts[reason] : NULL;
}
