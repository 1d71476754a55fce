/* Any text as /proc/PID/status and stat, environment and arguments. */
#include <stdlib.h>
#include <string.h>

#include "attach/attach_priv.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct target_status st;
    char *text = malloc(size + 1);
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    if (!target_status_parse(text, text, &st) && strlen(st.comm) >= sizeof(st.comm)) abort();
    free(text);
    /* exactly as long: nothing ends with NUL for sure */
    static volatile bool sink; /* keeps the reads */
    sink = pyruntime_env_opt_out((const char *)data, size);
    sink = pyruntime_args_opt_out((const char *)data, size);
    return 0;
}
