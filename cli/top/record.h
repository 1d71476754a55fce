/* The samples that `top` has taken, kept in a file without a name, to be saved as a trace or picture at any time. */
#ifndef VT_CLI_TOP_RECORD_H
#define VT_CLI_TOP_RECORD_H

#include "cli/sample/sampler.h"

struct top_record;

/* 0 or -errno and err. */
VT_MUST_CHECK int top_record_new(struct top_record **out, const struct attach_info *process, struct vt_err *err);
void top_record_free(struct top_record *r);
/* Adds the sample that was taken last. When the file has TOP_RECORD_MAX bytes it begins anew. 0 or -errno. */
#define TOP_RECORD_MAX (256u << 20)
VT_MUST_CHECK int top_record_take(struct top_record *r, const struct sampler *s);
/* No sample follows for a while: all calls end here. */
void top_record_pause(struct top_record *r);
/* Writes what there is to path, whose ending chooses the format, and goes on. *bytes: of the output. *seconds: that it covers. */
VT_MUST_CHECK int top_record_save(struct top_record *r, const char *path, uint64_t *bytes, double *seconds, struct vt_err *err);

#endif
