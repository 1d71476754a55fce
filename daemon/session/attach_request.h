/* Turns a client's request into the request for the helper process. */
#ifndef VT_DAEMON_REQUEST_H
#define VT_DAEMON_REQUEST_H

#include "daemon/session/session.h"

/* Fills *h, which must be all zero, and the session's own copies, which the session frees, also after an error (-E2BIG,
 * -ENOMEM). */
VT_MUST_CHECK int request_fill(struct session *s, const Vt__AttachReq *req, struct helper_req *h, struct vt_err *err);

#endif
