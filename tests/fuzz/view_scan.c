/* The member of a JSON text: for any bytes the result is the same however they are cut, and never larger than allowed. */
#include <stdlib.h>
#include <string.h>

#include "cli/view/view.h"
#include "tests/fuzz/fuzz.h"

#define MOST 256u

static int scan(const uint8_t *data, size_t size, size_t step, struct view_scan **s) {
    int rc = view_scan_new("file_info", MOST, s);
    if (rc) abort();
    for (size_t i = 0; i < size && !rc; i += step)
        rc = view_scan_feed(*s, (const char *)data + i, size - i < step ? size - i : step);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view_scan *whole, *cut;
    size_t whole_len, cut_len;
    int rc = scan(data, size, size + 1, &whole);
    if (scan(data, size, size ? 1 + data[0] % 13 : 1, &cut) != rc) abort();
    const char *a = view_scan_value(whole, &whole_len), *b = view_scan_value(cut, &cut_len);
    if (!a != !b || whole_len != cut_len || whole_len > MOST) abort();
    if (a && memcmp(a, b, whole_len)) abort();
    view_scan_free(whole);
    view_scan_free(cut);
    return 0;
}
