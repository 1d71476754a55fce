/* What people read for the numbers of the protocol. The texts are constant; unknown numbers are allowed. Any thread. */
#ifndef VT_PROTO_TEXTS_H
#define VT_PROTO_TEXTS_H

#include <stdint.h>

/* A state of `enum SessionState`; "?" when unknown. */
const char *vt_session_state_text(uint32_t state);
/* A reason of `enum EndReason` as the beginning of a sentence; NULL when the session ended as its client asked, or unknown. */
const char *vt_end_reason_text(uint32_t reason);

#endif
