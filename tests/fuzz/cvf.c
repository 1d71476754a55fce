/* Any bytes as a .cvf: it becomes JSON or an error, unpacked and converted. Any bytes as JSON become a .cvf that can be read. */
#include "cli/format/cvf/cvf.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *in, *out, *packed;
    struct cvf_result result;
    struct vt_err err = {0};
    if (!in) {
        in = fuzz_path("in");
        out = fuzz_path("out.json");
        packed = fuzz_path("out.cvf");
    }
    fuzz_write(in, data, size);
    struct cvf_opts opts = {.input = in, .output = out};
    if (cvf_decompress(&opts, &result, &err) == 0)
        fuzz_check_json(out);
    else if (!err.msg[0] || access(out, F_OK) == 0)
        abort();
    fuzz_convert(&(struct convert_opts){.input = in, .output = out}); /* as a trace like any other */
    opts.output = packed;
    err = (struct vt_err){0};
    if (cvf_compress(&opts, &result, &err) == 0) {
        opts = (struct cvf_opts){.input = packed, .output = out};
        if (cvf_decompress(&opts, &result, &err)) abort();
        fuzz_check_json(out);
        unlink(packed);
    } else if (!err.msg[0] || access(packed, F_OK) == 0) {
        abort();
    }
    unlink(in);
    return 0;
}
