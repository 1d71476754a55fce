/* Is a path safe to write to in a folder that other users write to, too? In a sticky folder such as /tmp another user may have
 * put a link, a FIFO or a file under the wanted name before. Linux refuses to follow those with fs.protected_* = 1 or 2; this
 * does the same where it is 0, so that a root who saves in /tmp writes nothing elsewhere. */
#ifndef VT_CLI_SAFE_PATH_H
#define VT_CLI_SAFE_PATH_H

#include <stdbool.h>

#include "proto/base.h"

/* 0 when each folder on the way to path's last part may be followed; -EACCES when one of them is another user's link in a
 * sticky folder that all may write to. Parts that do not exist are safe. */
VT_MUST_CHECK int safe_path_folders(const char *path);
/* Is path's last part, whatever it is, another user's in a sticky folder that all may write to? Then it must be neither followed
 * nor opened; a new file may take its place. */
bool safe_path_is_foreign(const char *path);

#endif
