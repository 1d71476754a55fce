/* Any bytes as a core file: it is refused, or its memory is read, and nothing outside the file and the files that it names. The
 * program is always this one: it is no Python, so few inputs get as far as its memory; outside.c begins there. */
#include <unistd.h>

#include "outside/outside.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_path("core");
    struct outside *o;
    struct vt_err err = {0};
    fuzz_write(path, data, size);
    int rc = outside_open_core(&o, path, "/proc/self/exe", &err);
    if (!rc) {
        rc = outside_read(o, &err);
        outside_read_states(o);
        outside_close(o);
    }
    unlink(path);
    return rc && !err.msg[0] ? -1 : 0;
}
