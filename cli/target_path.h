/* Where an attach saves: names, folders, the raw trace beside the output. */
#ifndef VT_CLI_TARGET_PATH_H
#define VT_CLI_TARGET_PATH_H

#include <limits.h>

#include "cli/attach_options.h"
#include "cli/output_place.h"

struct target_path {
    char output[PATH_MAX]; /* what the user gets */
    char raw[PATH_MAX];    /* .vzt while it arrives */
    char kept[PATH_MAX];   /* where target_path_keep_raw left it */
    char left[PATH_MAX];   /* a raw trace of the same output that a killed viztracer left behind; "" = there is none */
    int raw_fd;
    char native[PATH_MAX]; /* the name of a .vzt instead of output, when the user gave no name; else "" */
};
/* Works out the names, makes missing folders (*place tells which) and the raw file: everything that can fail fails before the
 * attach. 0 or -errno and err. */
VT_MUST_CHECK int target_path_open(struct target_path *t, struct output_place *place, const struct attach_options *o,
                                   struct vt_err *err);
/* Writes the line that tells of the left trace; false when there is none. */
bool target_path_tell_left(const struct target_path *t, char *line, size_t size);
/* The output gets its name in native. */
void target_path_make_native(struct target_path *t);
/* Removes the raw file, if it is still there. */
void target_path_discard(struct target_path *t);
/* The raw trace stays for the user: as <output>.vzt, or with its own name where that is taken or cannot be given. Returns its
 * name, valid as long as t. */
const char *target_path_keep_raw(struct target_path *t);

#endif
