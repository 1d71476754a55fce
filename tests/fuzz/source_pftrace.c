/* Any packets as a .pftrace: into Chrome JSON. */
#include "cli/base/pb_put.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

/* Packets in the input are {length u8, bytes}, so that mutations stay packets; the first one is ours, half of
 * the time. */
static void put_packets(struct buf *to, const uint8_t *data, size_t size) {
    static const uint8_t ours[] = {0x0a, 28,   0x32, 12,   0x0a, 4,    0x08, 3, 0x10, 0, 0x0a, 4, 0x08, 64, 0x10,
                                   0,    0x50, 1,    0x68, 1,    0xda, 3,    7, 0x5a, 2, 0x58, 1, 0xd0, 3,  64};
    if (size && data[0] & 1) {
        uint8_t *p = pb_room(to, sizeof ours);
        memcpy(p, ours, sizeof ours);
        to->len += sizeof ours;
    }
    if (size) data++, size--;
    while (size) {
        size_t len = data[0];
        data++;
        size--;
        if (len > size) len = size;
        size_t start = pb_open(to, 1);
        uint8_t *p = pb_room(to, len + 1);
        if (p && len) memcpy(p, data, len);
        to->len += len;
        pb_close(to, start);
        data += len;
        size -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *in, *out;
    if (!in) {
        in = fuzz_path("in.pftrace");
        out = fuzz_path("out.json");
    }
    struct buf file = {0};
    if (size && data[0] & 2) {
        fuzz_write(in, data + 1, size - 1);
    } else {
        put_packets(&file, data, size);
        fuzz_write(in, file.data, file.len);
    }
    buf_free(&file);
    struct convert_opts opts = {.input = in, .output = out, .no_file_info = true, .log_async = true};
    fuzz_convert(&opts);
    unlink(in);
    return 0;
}
