/* Parts of the text of a value, for value*.c and repr.c. None of these runs code of the target, makes an object that the garbage
 * collector knows, or raises; references stay borrowed. With the GIL of the value's interpreter. */
#ifndef VT_AGENT_VALUE_PUT_H
#define VT_AGENT_VALUE_PUT_H

#include "agent/cpython/out.h"

/* value_plain.c. put_plain: false = it is none, and nothing has been written. put_int and put_str take subclasses, too. */
bool put_plain(struct out *out, void *value);
void put_int(struct out *out, void *value);
void put_str(struct out *out, void *value);
void put_chars(struct out *out, void *str); /* without quotes */
/* array: as a bytearray below 3.15 tells it, which escapes each single quote. */
void put_bytes(struct out *out, const uint8_t *bytes, int64_t n, bool array);
/* An int as 128 bits, upper word first; false: it is negative or larger. */
bool int_words(const void *value, uint64_t words[2]);
bool value_str_is(const void *str, const char *text);

/* value_containers.c. A value of the very type; false: it is of another kind. */
bool value_put_builtin(struct out *out, void *value);
/* The same for a value of a type that is derived from one of them, after a space. */
bool value_put_base(struct out *out, void *value);
void value_put_items(struct out *out, void *const *items, int64_t n);

/* value_types.c: types of C code, told by their fields or by a repr that is C code only; false: it is none of them. */
bool value_put_known(struct out *out, void *value);

/* value_instance.c: objects of classes. */
void value_put_instance(struct out *out, void *value);
/* `module.Type` */
void value_put_type(struct out *out, const void *type);

/* value_fields.c: what an instance has in its dict and its slots, in no promised order. */
enum { FIELDS_MAX = 24 };
struct value_field {
    void *key;        /* str; or NULL: `name` */
    const char *name; /* NUL-terminated */
    void *value;
};
uint32_t value_fields(void *instance, struct value_field fields[FIELDS_MAX]);
void *value_field_named(const struct value_field *fields, uint32_t n, const char *name);

/* value_class.c: what a class itself defines; NULL = not there. */
enum class_entry { CLASS_MODULE, CLASS_DATA_FIELDS, CLASS_TUPLE_FIELDS, CLASS_ENTRIES };
void *value_class_entry(const void *type, enum class_entry which);

#endif
