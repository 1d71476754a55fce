/* Folders of one user below /tmp and /var/tmp, where others may have taken the wanted name before: /tmp/viztracerd-1000, else
 * /tmp/viztracerd-1000-XXXXXX. Any thread. */
#ifndef VT_PROTO_OWNDIR_H
#define VT_PROTO_OWNDIR_H

#include "proto/base.h"

#define OWNDIR_PRIVATE 077u /* nobody else may do anything there */
#define OWNDIR_SHARED 022u  /* nobody else may write there */

/* True for a folder, no link, that belongs to uid and grants none of the bits of `forbidden` (OWNDIR_*). */
bool owndir_is_safe(const char *dir, uid_t uid, mode_t forbidden);
/* Writes the name of a safe folder of ours to dir, which is made when there is none: stem itself, unless somebody else has put
 * something there. 0 or -errno. */
VT_MUST_CHECK int owndir_prepare(const char *stem, mode_t mode, mode_t forbidden, char *dir, size_t size);
/* Calls fn for each safe folder of uid with that stem. fn returns non-zero to end the walk; that value is returned. */
int owndir_each(const char *stem, uid_t uid, mode_t forbidden, int (*fn)(void *ctx, const char *dir), void *ctx);

#endif
