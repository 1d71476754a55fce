/* The interpreters that a test program runs on. */
#ifndef VT_TESTS_INTERP_H
#define VT_TESTS_INTERP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct interp {
    char version[16];    /* "3.12.1" */
    int minor;           /* 12 */
    char path[PATH_MAX]; /* path inside root */
    char root[PATH_MAX]; /* "" = no chroot */
};

/* From VT_PYTHONS (lines as tests/setup/interpreters.sh prints them), else by running that script. Loaded once; the program
 * exits with a message when there are no interpreters. */
const struct interp *interp_list(size_t *n);
/* Debian's own interpreter (/usr/bin/python3), or NULL. */
const struct interp *interp_debian(void);

/* Folders: of the built programs (".../build/bin"), of the source tree. */
const char *tree_bin(void);
const char *tree_root(void);

#endif
