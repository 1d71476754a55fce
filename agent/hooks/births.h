/* Thread states of the main interpreter that were made unseen, on 3.11. With the GIL. */
#ifndef VT_AGENT_BIRTHS_H
#define VT_AGENT_BIRTHS_H

#include "agent/cpython/base.h"

/* In a thread of the main interpreter. */
void births_start(void);
/* One was made that we know of: by a call that starts a thread, or for a thread that the daemon sent in. */
void births_known(void);
/* Have others been made since the last call? */
bool births_missed(void);

#endif
