/* For fuzz targets that need files: one input, one output, in memory where that works, and the checks of an output. */
#ifndef VT_TESTS_FUZZ_FILE_H
#define VT_TESTS_FUZZ_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>

#include "cli/convert/convert.h"

static inline const char *fuzz_path(const char *what) {
    static char paths[4][80];
    static int n;
    char *path = paths[n++ % 4];
    const char *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof paths[0], "%s/fuzz-%d-%s", dir, (int)getpid(), what);
    return path;
}

static inline void fuzz_write(const char *path, const void *data, size_t len) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f)) abort();
}

/* Strict JSON, every byte of it. */
static inline void fuzz_check_json(const char *path) {
    static char chunk[1u << 16];
    FILE *f = fopen(path, "rb");
    yajl_handle h = yajl_alloc(NULL, NULL, NULL);
    size_t n;
    if (!f || !h) abort();
    while ((n = fread(chunk, 1, sizeof chunk, f)))
        if (yajl_parse(h, (unsigned char *)chunk, n) != yajl_status_ok) abort();
    if (yajl_complete_parse(h) != yajl_status_ok) abort();
    yajl_free(h);
    fclose(f);
    unlink(path);
}

/* Converts; an error says why and leaves nothing, anything else is JSON. */
static inline void fuzz_convert(const struct convert_opts *opts) {
    struct convert_result result;
    struct vt_err err = {0};
    if (convert_trace(opts, &result, &err) == 0)
        fuzz_check_json(opts->output);
    else if (!err.msg[0] || access(opts->output, F_OK) == 0)
        abort();
}

#endif
