/* Any bytes as a payload, a repr and JSON become Perfetto's annotations: the message is complete, its annotations have at most
 * one value and respect the depth limit. */
#include <stdlib.h>
#include <string.h>

#include "cli/base/json_walk.h"
#include "cli/format/perfetto/perfetto_args.h"
#include "tests/fuzz/fuzz.h"

static uint64_t varint(const uint8_t **p, const uint8_t *end) {
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (*p == end || shift > 63) abort();
        v |= (uint64_t)(**p & 127) << shift;
        if (!(*(*p)++ & 128)) return v;
    }
}

/* An Annotation, or the event that holds some (depth 0). */
static void walk(const uint8_t *p, const uint8_t *end, unsigned depth) {
    unsigned values = 0, lists = 0;
    if (depth > 70) abort();
    while (p < end) {
        uint64_t tag = varint(&p, end), field = tag >> 3, len = 0;
        if ((tag & 7) == PB_VARINT)
            varint(&p, end);
        else if ((tag & 7) == PB_64)
            len = 8;
        else if ((tag & 7) == PB_BYTES)
            len = varint(&p, end);
        else
            abort();
        if (len > (size_t)(end - p)) abort();
        bool nested = (tag & 7) == PB_BYTES && (depth ? field == 11 || field == 12 : field == 4);
        if (!nested && !depth) abort();
        if (nested) walk(p, p + len, depth + 1);
        lists |= nested && depth ? 1u << (field - 11) : 0;
        values += field >= 2 && field <= 6;
        p += len;
    }
    if (depth && values + (lists & 1) + (lists >> 1) > 1) abort();
}

static void take(void *arg, const char *key, size_t key_len, double value) {
    (void)value;
    for (size_t i = 0; i < key_len; i++) *(volatile char *)arg ^= key[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf b = {0};
    char sink = 0;
    perfetto_arg_func_args(&b, &(struct trace_call){.args = data, .args_len = (uint32_t)size});
    perfetto_arg_repr(&b, "return_value", data, size);
    perfetto_args_json(&b, (const char *)data, size);
    json_numbers((const char *)data, size, take, &sink);
    if (!b.failed) walk(b.bytes, b.bytes + b.len, 0);
    buf_free(&b);
    return 0;
}
