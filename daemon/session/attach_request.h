/* From a client's request to the helper's. */
#ifndef VT_DAEMON_REQUEST_H
#define VT_DAEMON_REQUEST_H

#include "daemon/session/session.h"

/* Fills *h, which is all zero, and the session's own copies; they stay the session's also on error (-E2BIG, -ENOMEM). */
VT_MUST_CHECK int request_fill(struct session *s, const Vt__AttachReq *req, struct helper_req *h, struct vt_err *err);

#endif
