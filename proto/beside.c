/* Owns the way from this program to the files that are installed with it. */
#include "proto/beside.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VERSION_MAX 40

int beside_folder(char *folder, size_t size) {
    ssize_t n = readlink("/proc/self/exe", folder, size - 1);
    if (n < 0) return -errno;
    folder[n] = 0;
    char *slash = strrchr(folder, '/');
    if (slash) slash[1] = 0;
    return 0;
}

int beside_each(const char *pattern, int (*fn)(void *ctx, const char *path), void *ctx) {
    char folder[PATH_MAX], whole[2 * PATH_MAX + 256];
    glob_t match = {0};
    size_t n = 0;
    int rc = 0;
    if (beside_folder(folder, sizeof folder)) return 0;
    for (const char *c = folder; *c; c++) { /* a folder may have characters that mean something in a pattern */
        if (strchr("*?[\\", *c)) whole[n++] = '\\';
        whole[n++] = *c;
    }
    snprintf(whole + n, sizeof whole - n, "%s", pattern);
    if (!glob(whole, 0, NULL, &match))
        for (size_t i = 0; i < match.gl_pathc && !rc; i++) rc = fn(ctx, match.gl_pathv[i]);
    globfree(&match);
    return rc;
}

/* ".../viztracer-1.1.1.dist-info" */
static int take_version(void *ctx, const char *path) {
    const char *slash = strrchr(path, '/'), *dash = slash ? strchr(slash, '-') : NULL;
    const char *end = dash ? strstr(dash, ".dist-info") : NULL;
    if (!end) return 0;
    vt_clean_line(ctx, VERSION_MAX, dash + 1, (size_t)(end - dash - 1));
    return 1;
}

void beside_print_viztracer(void) {
    static const char *const patterns[] = {"../lib*/python3*/*-packages/viztracer-*.dist-info", "../viztracer-*.dist-info"};
    char version[VERSION_MAX];
    for (size_t i = 0; i < VT_ARRAY_LEN(patterns); i++) {
        if (!beside_each(patterns[i], take_version, version)) continue;
        printf(
            "VizTracer %s is installed in this environment, too. Both have commands viztracer and vizviewer and a package "
            "viztracer, "
            "and the one that was installed last has these names; uninstall both with pip, then install the one that you want\n",
            version);
        return;
    }
}
