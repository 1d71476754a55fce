/* What a refusal advises for an error number. */
#ifndef VT_ATTACH_ADVICE_H
#define VT_ATTACH_ADVICE_H

/* "; try again" or the like, behind the line that says what failed. code: an errno, or its negative. */
const char *attach_advice(int code);

#endif
