/* The table of messages: every frame type, the protobuf message it carries and the longest payload it may have.
 * The lowest part of the protocol: framing (frame.h) and packing (msg.h) ask it, it asks nobody. Constant data, any thread. */
#ifndef VT_PROTO_MSG_TABLE_H
#define VT_PROTO_MSG_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "viztracerd.pb-c.h" /* generated into the build directory */

#define VT_FRAME_MAX (4u << 20)           /* bytes of payload, whatever the type */
#define VT_NAMES_BATCH 256u               /* names that our writers put into one NAMES frame at most */
#define VT_THROTTLED_FUNCTIONS_MAX 16384u /* in one THROTTLED frame */
#define VT_SECTIONS_MAX 131072u           /* processes in one file */

enum vt_frame_type {
    VT_FRAME_HEADER = 1,
    VT_FRAME_CLOCK = 2,
    VT_FRAME_NAMES = 3,
    VT_FRAME_THREAD = 4,
    VT_FRAME_STACK = 5,
    VT_FRAME_BLOCK = 6,
    VT_FRAME_TASK = 7,
    VT_FRAME_DROPS = 8,
    VT_FRAME_STATS = 9,
    VT_FRAME_END = 10,
    VT_FRAME_THROTTLED = 11,
    VT_FRAME_CPU_TIMES = 12,
    VT_FRAME_SECTION = 13,
    VT_FRAME_PROCESS = 14,
    VT_CTL_HELLO = 64,
    VT_CTL_ATTACH = 65,
    VT_CTL_ATTACHED = 66,
    VT_CTL_ERROR = 67,
    VT_CTL_STOP = 68,   /* PidReq: end this connection's session */
    VT_CTL_DETACH = 69, /* PidReq: end anybody's session on pid, if its owner is this user, or this user is root */
    VT_CTL_DETACHED = 70,
    VT_CTL_STATUS = 71, /* empty */
    VT_CTL_STATUS_REP = 72,
    VT_CTL_UNINSTALL = 73, /* PidReq */
    VT_CTL_OK = 74,
    VT_CTL_SAVED = 75, /* empty, from the client: the trace is saved, the daemon may remove its copy */
    VT_CTL_LAUNCH = 76,
    VT_CTL_LAUNCHED = 77,
    VT_CTL_FIRST_ENDED = 78, /* PidReq, from the daemon: the first process of a launch has ended, others may run */
};

/* Name.kind */
enum vt_name_kind { VT_NAME_PYTHON = 0, VT_NAME_C = 1, VT_NAME_INSIDE = 2 };

struct vt_msg_desc {
    uint32_t type; /* enum vt_frame_type */
    const char *name;
    const ProtobufCMessageDescriptor *pb; /* NULL: no payload */
    uint32_t max_len;                     /* of the payload, bytes */
    uint8_t trace;                        /* may occur in a .vzt file */
    uint32_t elements;                    /* short ones, of its list, that can be unpacked whatever its length; 0 = not many */
    /* What the fields have to keep to besides: asked when a message is packed and when one was unpacked. NULL = nothing. */
    bool (*is_valid)(const ProtobufCMessage *msg);
};
/* NULL: unknown type. */
const struct vt_msg_desc *vt_msg_desc(uint32_t type);

#endif
