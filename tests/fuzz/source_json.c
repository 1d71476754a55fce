/* Any bytes as a JSON trace: into Chrome JSON, whole or a part of it, or into .pftrace or .vzt and back. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *in, *out, *packets, *native;
    if (!in) {
        in = fuzz_path("in.json");
        out = fuzz_path("out.json");
        packets = fuzz_path("out.pftrace");
        native = fuzz_path("out.vzt");
    }
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
