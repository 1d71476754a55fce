/* Owns the way from Perfetto's annotations to JSON text (perfetto_json.h). */
#include "cli/format/perfetto/perfetto_json.h"

#include <errno.h>
#include <stdio.h>

#include "cli/base/memory.h"

enum kind { NO_VALUE, VALUE_BOOL, VALUE_UINT, VALUE_INT, VALUE_DOUBLE, VALUE_TEXT, VALUE_DICT, VALUE_ARRAY };

struct annotation {
    ProtobufCBinaryData name, text; /* the annotation's own, or those of its iids */
    enum kind kind;
    const Pf__Annotation *in; /* points into the file's message */
};

int perfetto_texts_add(struct text_map *map, uint64_t id, ProtobufCBinaryData text) {
    void **slot = text_map_slot(map, &id, sizeof id);
    if (slot && *slot) return 0;
    struct perfetto_text *copy = slot ? memory_alloc(sizeof *copy + text.len) : NULL;
    if (!copy) return -ENOMEM;
    copy->len = text.len;
    if (text.len) memcpy(copy->data, text.data, text.len);
    *slot = copy;
    return 0;
}

static void free_texts(struct text_map *map) {
    for (size_t i = 0; i < map->slots; i++) memory_free(map->entries[i].value);
    text_map_free(map);
}
void perfetto_texts_free(struct perfetto_texts *texts) {
    free_texts(&texts->names);
    free_texts(&texts->strings);
}

static int get_text(const struct text_map *map, uint64_t id, ProtobufCBinaryData *text) {
    const struct perfetto_text *found = text_map_get(map, &id, sizeof id);
    if (!found) return -EBADMSG;
    *text = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)found->data, .len = found->len};
    return 0;
}

static int get_annotation(const Pf__Annotation *in, const struct perfetto_texts *texts, struct annotation *a) {
    int rc = 0;
    *a = (struct annotation){.name = in->name, .text = in->string_value, .in = in};
    if (in->has_name_iid) rc = get_text(&texts->names, in->name_iid, &a->name);
    if (!rc && in->has_string_iid) rc = get_text(&texts->strings, in->string_iid, &a->text);
    a->kind = in->n_array                                  ? VALUE_ARRAY
              : in->n_dict                                 ? VALUE_DICT
              : in->has_string_iid || in->has_string_value ? VALUE_TEXT
              : in->has_double_value                       ? VALUE_DOUBLE
              : in->has_int_value                          ? VALUE_INT
              : in->has_uint_value                         ? VALUE_UINT
              : in->has_bool_value                         ? VALUE_BOOL
                                                           : NO_VALUE;
    return rc;
}

/* Writes the shortest digits that give the same number, as Python's repr and JSON do. */
static void put_double(struct buf *json, double v) {
    char text[40];
    if (!(v - v == 0)) {
        buf_literal(json, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    if (!strpbrk(text, ".e")) strcat(text, ".0");
    buf_literal(json, text);
}

static void put_scalar(struct buf *json, const struct annotation *a, bool repr) {
    char number[24];
    if (a->kind == VALUE_TEXT) {
        buf_json_string(json, a->text.data, a->text.len);
        return;
    }
    if (repr) buf_literal(json, "\"");
    switch (a->kind) {
    case VALUE_BOOL:
        buf_literal(json, repr ? (a->in->bool_value ? "True" : "False") : a->in->bool_value ? "true" : "false");
        break;
    case VALUE_DOUBLE: put_double(json, a->in->double_value); break;
    case VALUE_UINT:
        snprintf(number, sizeof number, "%llu", (unsigned long long)a->in->uint_value);
        buf_literal(json, number);
        break;
    case VALUE_INT:
        snprintf(number, sizeof number, "%lld", (long long)a->in->int_value);
        buf_literal(json, number);
        break;
    default: buf_literal(json, "null"); break;
    }
    if (repr) buf_literal(json, "\"");
}

/* Recurses at most PFTRACE_DEPTH_MAX deep: the packet was checked. */
static int put_value(struct buf *json, const struct perfetto_texts *texts, const struct annotation *a, bool repr) {
    bool dict = a->kind == VALUE_DICT;
    size_t n = dict ? a->in->n_dict : a->in->n_array;
    Pf__Annotation *const *list = dict ? a->in->dict : a->in->array;
    int rc = 0;
    if (!dict && a->kind != VALUE_ARRAY) {
        put_scalar(json, a, repr);
        return 0;
    }
    buf_literal(json, dict ? "{" : "[");
    for (size_t i = 0; i < n && !rc; i++) {
        struct annotation member;
        rc = get_annotation(list[i], texts, &member);
        if (i) buf_literal(json, ",");
        if (dict) {
            buf_json_string(json, member.name.data, member.name.len);
            buf_literal(json, ":");
        }
        if (!rc) rc = put_value(json, texts, &member, repr);
    }
    buf_literal(json, dict ? "}" : "]");
    return rc ? rc : json->failed ? -ENOMEM : 0;
}

static bool named(const struct annotation *a, const char *name) {
    return a->name.len == strlen(name) && !memcmp(a->name.data, name, a->name.len);
}

static bool take_note(const struct annotation *a, bool is_call, struct perfetto_notes *notes) {
    if (is_call && a->kind == VALUE_BOOL && named(a, "from_attach")) return notes->from_attach = true;
    if (is_call && a->kind == VALUE_BOOL && named(a, "raised")) return notes->raised = true;
    if (is_call && a->kind == VALUE_BOOL && named(a, "unfinished")) return notes->unfinished = true;
    if (is_call && a->kind == VALUE_BOOL && named(a, "resumed")) return notes->resumed = true;
    if (is_call && a->kind == VALUE_BOOL && named(a, "suspended")) return notes->suspended = true;
    if (is_call) return false;
    ProtobufCBinaryData *text = a->kind != VALUE_TEXT ? NULL
                                : named(a, "object")  ? &notes->object
                                : named(a, "id")      ? &notes->id
                                                      : NULL;
    if (text) {
        *text = a->text;
        return true;
    }
    if ((a->kind == VALUE_UINT || a->kind == VALUE_INT) && named(a, "count")) {
        notes->has_count = true;
        notes->count = a->kind == VALUE_UINT ? a->in->uint_value : (uint64_t)a->in->int_value;
    }
    return false;
}

int perfetto_json_member(struct buf *json, const struct perfetto_texts *texts, const Pf__Annotation *annotation, bool is_call,
                         struct perfetto_notes *notes) {
    struct annotation a;
    int rc = get_annotation(annotation, texts, &a);
    if (rc || take_note(&a, is_call, notes)) return rc;
    buf_literal(json, json->len ? "," : "{");
    buf_json_string(json, a.name.data, a.name.len);
    buf_literal(json, ":");
    if (is_call && !a.kind && named(&a, "func_args")) { /* of a function that has no arguments */
        buf_literal(json, "{}");
        return 0;
    }
    return put_value(json, texts, &a, is_call && (named(&a, "func_args") || named(&a, "return_value")));
}
