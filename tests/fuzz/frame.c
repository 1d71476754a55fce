/* A byte stream cut into pieces of any size gives frames or an error. */
#include <stdlib.h>

#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vt_frame_buf b = {0};
    const uint8_t *payload;
    uint32_t type, len, sum = 0;
    int rc = 0;
    while (size && rc >= 0) {
        size_t piece = 1u + data[0];
        if (piece > size) piece = size;
        rc = vt_frame_buf_add(&b, data, piece);
        data += piece;
        size -= piece;
        while (rc >= 0 && (rc = vt_frame_buf_next(&b, &type, &payload, &len)) == 1)
            for (uint32_t i = 0; i < len; i++) sum += payload[i];
    }
    vt_frame_buf_free(&b);
    return sum == UINT32_MAX ? -1 : 0; /* the sum keeps the reads */
}
