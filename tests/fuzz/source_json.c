/* Any bytes as a JSON trace: into Chrome JSON, whole or in part, and into .pftrace or .vzt and back. */
#include "cli/base/buf.h"
#include "cli/format/json/json_words.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

/* The text with its words replaced, when it comes in pieces of `step` bytes. */
static void replace_words(const uint8_t *data, size_t size, size_t step, struct buf *to) {
    struct json_words w = {0};
    for (size_t at = 0, end = 0; at < size;) {
        const char *word;
        size_t n;
        if (end < size) end = size - end < step ? size : end + step;
        while (at < end) {
            size_t plain = json_words_next(&w, (const char *)data + at, end - at, end == size, &word, &n);
            if (buf_put(to, data + at, plain) || (word && buf_put(to, word, n + 2))) abort();
            at += plain + n;
            if (!plain && !word) break;
        }
    }
}

/* Where a text is cut makes no difference. */
static void check_words(const uint8_t *data, size_t size) {
    struct buf whole = {0}, pieces = {0};
    if (!size) return;
    replace_words(data, size, size, &whole);
    replace_words(data, size, 1 + data[0] % 16u, &pieces);
    if (whole.len != pieces.len || memcmp(whole.data, pieces.data, whole.len) != 0) abort();
    buf_free(&whole);
    buf_free(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *in, *out, *packets, *native;
    if (!in) {
        in = fuzz_path("in.json");
        out = fuzz_path("out.json");
        packets = fuzz_path("out.pftrace");
        native = fuzz_path("out.vzt");
    }
    check_words(data, size);
    fuzz_write(in, data, size);
    struct convert_opts opts = {.input = in, .output = out};
    if (size % 3 == 1) opts.select = (struct trace_select){.from_ns = 1000, .to_ns = 100000, .globs = {"*f*"}, .nglobs = 1};
    if (size % 3 < 2) {
        fuzz_convert(&opts);
    } else {
        struct convert_result result;
        struct vt_err err = {0};
        const char *between = size % 2 ? packets : native;
        opts = (struct convert_opts){.input = in, .output = between, .budget = size % 2 ? 3 : 0};
        if (convert_trace(&opts, &result, &err) == 0) {
            opts = (struct convert_opts){.input = between, .output = out, .no_file_info = true};
            fuzz_convert(&opts);
            unlink(between);
        }
    }
    unlink(in);
    return 0;
}
