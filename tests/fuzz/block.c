/* Blocks in two ways: bytes as a compressed block, and bytes as records, which must come back unchanged. An odd first byte
 * chooses the compressed block. */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "proto/block.h"
#include "tests/fuzz/fuzz.h"

static struct vt_block_enc *enc;
static struct vt_block_dec *dec;

static void decode_raw(const uint8_t *raw, size_t len) {
    static uint8_t packed[1u << 16];
    const struct vt_event *ev;
    size_t n;
    uint32_t tokens = 0;
    if (len >= 4) memcpy(&tokens, raw, 4);
    size_t packed_len = ZSTD_compress(packed, sizeof packed, raw, len, 1);
    if (ZSTD_isError(packed_len)) return;
    if (vt_block_decode(dec, 7, packed, packed_len, (uint32_t)len, tokens, &ev, &n)) return;
    for (size_t i = 0; i < n; i++)
        if (ev[i].type < VT_REC_CALL || ev[i].type > VT_REC_GAP || ev[i].id > VT_ID_MAX || (i && ev[i].ticks < ev[i - 1].ticks))
            abort();
}

static void round_trip(const uint8_t *data, size_t size) {
    static uint64_t rec[8192];
    size_t count = size / 8 < 8192 ? size / 8 : 8192, n, len;
    const struct vt_event *ev;
    const uint8_t *packed;
    uint64_t now = 0;
    uint32_t raw_len;
    if (count) memcpy(rec, data, count * 8);
    vt_block_begin(enc, 0);
    size_t took = 0, calls = 0;
    for (size_t step = 1; step; took += step) step = vt_block_put(enc, rec + took, count - took, &now);
    if (took < count && !vt_block_full(enc) && VT_REC_IS_PLAIN(vt_rec_type(rec[took]))) abort();
    for (size_t i = 0; i < took; i++) calls += VT_REC_IS_CALL(vt_rec_type(rec[i]));
    if (calls != vt_block_calls(enc)) abort();
    if (vt_block_finish(enc, &packed, &len, &raw_len)) abort();
    if (vt_block_decode(dec, 0, packed, len, raw_len, (uint32_t)took, &ev, &n) || n != took) abort();
    for (size_t i = 0; i < n; i++)
        if (ev[i].type != vt_rec_type(rec[i]) || ev[i].id != vt_rec_id(rec[i])) abort();
    if (n && ev[n - 1].ticks != now) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!enc) enc = vt_block_enc_new();
    if (!dec) dec = vt_block_dec_new();
    if (!enc || !dec || size < 1) return 0;
    if (data[0] & 1)
        decode_raw(data + 1, size - 1 < 32768 ? size - 1 : 32768);
    else
        round_trip(data + 1, size - 1);
    return 0;
}
