/* The text of a str as UTF-8. With the GIL; runs no code of the target. */
#ifndef VT_AGENT_TEXT_H
#define VT_AGENT_TEXT_H

#include "agent/cpython/base.h"

struct text {
    const char *bytes; /* NUL-terminated; belongs to the str or to `owner` */
    int64_t len;       /* bytes */
    void *owner;       /* object that holds the bytes; NULL = the str itself */
};
/* `unicode` is borrowed and must outlive the text; for NULL and for objects of other types the text is "". An exception that was
 * pending is lost. */
void text_of_unicode(struct text *text, void *unicode);
void text_done(struct text *text);

#endif
