/* Walks through a JSON text that is in memory. */
#ifndef VT_CLI_JSON_WALK_H
#define VT_CLI_JSON_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <yajl/yajl_parse.h>

#include "cli/base/buf.h"

/* Parses the text with yajl's callbacks; strings may hold any bytes. False when it is not JSON, when a callback returned 0, or
 * when there is no memory. */
bool json_walk(const char *json, size_t len, const yajl_callbacks *callbacks, void *arg);
/* Hands out every number that is a direct member of a JSON object, up to the first fault in the text. */
void json_numbers(const char *json, size_t len, void (*take)(void *arg, const char *key, size_t key_len, double value),
                  void *arg);
/* Adds to `out` a JSON object without its members of these keys (NULL ends them). False: nothing else was in it, and nothing was
 * added. What is no object is added as it is. Whether there was memory, `out` tells. */
bool json_without_members(struct buf *out, const char *json, size_t len, const char *const *keys);

#endif
