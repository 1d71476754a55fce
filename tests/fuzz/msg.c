/* First byte: frame type; the rest: payload. A message that unpacks also packs again. */
#include <stdlib.h>

#include "proto/msg.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ProtobufCMessage *msg;
    uint8_t *frame;
    size_t len;
    if (size < 1 || vt_msg_unpack(data[0], data + 1, (uint32_t)(size - 1), &msg)) return 0;
    if (vt_msg_pack(data[0], msg, &frame, &len) == 0) free(frame);
    vt_msg_free(msg);
    return 0;
}
