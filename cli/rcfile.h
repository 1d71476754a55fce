/* VizTracer's file of default options: an .ini file with a section [default]. */
#ifndef VT_CLI_RCFILE_H
#define VT_CLI_RCFILE_H

#include "options/options.h"

#define RCFILE ".viztracerrc"

/* Makes words of a command line of it: "name = a b" becomes --name a b; a flag is on whatever its value is. *words (calloc'd; the
 * first one is no option) point into *text (malloc'd); both are the caller's. 0, or -errno and err. */
VT_MUST_CHECK int rcfile_read(const char *path, const struct options_command *c, char ***words, int *nwords, char **text,
                              struct vt_err *err);

#endif
