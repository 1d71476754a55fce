/* JSON text from any bytes and numbers, written straight into a buffer. The caller has made room. */
#ifndef VT_CLI_JSON_H
#define VT_CLI_JSON_H

#include <stddef.h>
#include <stdint.h>

#define JSON_NUMBER_MAX 24u
/* Most bytes that len bytes of text can become, quotes not included. */
#define JSON_TEXT_MAX(len) (6 * (size_t)(len))

/* Length of the valid UTF-8 sequence at s, 0 when there is none (RFC 3629: no surrogates, no overlong forms). */
size_t json_utf8_len(const uint8_t *s, size_t n);
/* The others return the end of what they wrote. */
char *json_put_u64(char *p, uint64_t v);
/* Microseconds with three decimals. */
char *json_put_us(char *p, uint64_t ns);
/* The inside of a string: escapes what JSON wants escaped; bytes that are no UTF-8 (lone surrogates of Python
 * names too) become U+FFFD, so that every reader takes it. */
char *json_put_text(char *p, const void *text, size_t len);
/* "text" with quotes; needs JSON_TEXT_MAX(len) + 2. */
char *json_put_string(char *p, const void *text, size_t len);

/* The bytes as they are, with U+FFFD in place of bytes that are not UTF-8; needs UTF8_MAX(len). */
#define UTF8_MAX(len) (3 * (size_t)(len))
char *utf8_put(char *p, const void *text, size_t len);

#endif
