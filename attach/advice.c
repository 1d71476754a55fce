/* Owns what a refusal advises for an error number. */
#include <errno.h>

#include "attach/advice.h"

const char *attach_advice(int code) {
    switch (code < 0 ? -code : code) {
    case EACCES:
    case EPERM: return "; attach as its user, or use sudo (CAP_SYS_PTRACE)";
    case ESRCH: return "; it has ended, there is nothing to do";
    case ENOMEM:
    case ENOSPC:
    case EAGAIN: return "; free some memory, or raise its limits, then try again";
    default: return "; try again";
    }
}
