/* Arguments and return values as payloads of the current thread. With the GIL of the current interpreter. True: code of the
 * target may have run, which may have ended the session. */
#ifndef VT_AGENT_VALUES_H
#define VT_AGENT_VALUES_H

#include "agent/hooks/detail.h"

/* `frame`: the frame object of the call; may be NULL on 3.12+. */
bool values_tell_arguments(void *code, void *frame, enum detail_way way);
bool values_tell_result(void *value, enum detail_way way);

#endif
