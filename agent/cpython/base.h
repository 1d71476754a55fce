/* What every file of the agent may use: compiler attributes, error numbers, and the few functions that stand in for a C
 * library, because the agent imports nothing (libc.c). Any thread, with or without the GIL. */
#ifndef VT_AGENT_BASE_H
#define VT_AGENT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
/* Visible in the dynamic symbol table; agent.map lists the same names. */
#define EXPORT __attribute__((visibility("default")))
/* Data that callbacks read: addressed directly instead of through the global offset table. */
#define HIDDEN __attribute__((visibility("hidden")))

enum { VT_ENOENT = 2, VT_ENOMEM = 12, VT_EBUSY = 16, VT_EINVAL = 22, VT_ENOTSUP = 95, VT_ECANCELED = 125 };

/* The compiler may emit calls of these by itself. */
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

bool text_equal(const char *a, const char *b);
/* Appends to a NUL-terminated text in a buffer of `size` bytes; cuts what does not fit. */
void text_append(char *text, size_t size, const char *more);
void text_append_number(char *text, size_t size, int64_t number);

#endif
