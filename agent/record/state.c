/* Owns the state of the agent, and what it shows of itself to other processes. */
#include "agent/record/state.h"

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)
#ifndef VT_AGENT_BUILD
#define VT_AGENT_BUILD VT_VERSION " " STRINGIFY(VT_ABI_MAJOR) "." STRINGIFY(VT_ABI_MINOR)
#endif

EXPORT struct vt_agent_info vt_agent_info = {
    .magic = VT_AGENT_INFO_MAGIC, .abi_major = VT_ABI_MAJOR, .abi_minor = VT_ABI_MINOR, .build = VT_AGENT_BUILD};
struct agent agent = {.extra_index = -1};
