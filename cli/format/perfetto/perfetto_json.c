/* Owns the way from Perfetto's annotations to JSON text (perfetto_json.h). */
#include "cli/format/perfetto/perfetto_json.h"

#include <errno.h>
#include <stdio.h>

#define DEPTH_MAX 200u /* deeper annotations are damage: our writer nests less */

enum {
    NAME_ID = 1,
    VALUE_BOOL = 2,
    VALUE_UINT = 3,
    VALUE_INT = 4,
    VALUE_DOUBLE = 5,
    VALUE_TEXT = 6,
    NAME = 10,
    DICT = 11,
    ARRAY = 12,
    STRING_ID = 17
};

struct annotation {
    struct pb_bytes name, text;
    struct pb_bytes members; /* all fields, of a dict or array */
    uint32_t kind;           /* number of the value's field; 0 = none */
    uint64_t value;
};

int perfetto_texts_add(struct text_map *map, uint64_t id, struct pb_bytes text) {
    void **slot = text_map_slot(map, &id, sizeof id);
    if (slot && *slot) return 0;
    struct perfetto_text *copy = slot ? malloc(sizeof *copy + text.len) : NULL;
    if (!copy) return -ENOMEM;
    copy->len = text.len;
    if (text.len) memcpy(copy->data, text.data, text.len);
    *slot = copy;
    return 0;
}

static void free_texts(struct text_map *map) {
    for (size_t i = 0; i < map->slots; i++) free(map->entries[i].value);
    text_map_free(map);
}
void perfetto_texts_free(struct perfetto_texts *texts) {
    free_texts(&texts->names);
    free_texts(&texts->strings);
}

static int get_text(const struct text_map *map, uint64_t id, struct pb_bytes *text) {
    const struct perfetto_text *found = text_map_get(map, &id, sizeof id);
    if (!found) return -EBADMSG;
    *text = (struct pb_bytes){found->data, found->len};
    return 0;
}

static int get_annotation(struct pb_bytes in, const struct perfetto_texts *texts, struct annotation *a) {
    struct pb_field f;
    int rc, bad = 0;
    *a = (struct annotation){.members = in};
    while ((rc = pb_next(&in, &f)) == 1 && !bad) {
        if (f.number == NAME && f.wire == 2) a->name = f.bytes;
        if (f.number == NAME_ID) bad = get_text(&texts->names, f.value, &a->name);
        if (f.number == VALUE_TEXT && f.wire == 2) a->text = f.bytes;
        if ((f.number >= VALUE_BOOL && f.number <= VALUE_TEXT) || f.number == DICT || f.number == ARRAY) a->kind = f.number;
        if (f.number >= VALUE_BOOL && f.number <= VALUE_DOUBLE) a->value = f.value;
        if (f.number != STRING_ID) continue;
        a->kind = VALUE_TEXT;
        bad = get_text(&texts->strings, f.value, &a->text);
    }
    return rc || bad ? -EBADMSG : 0;
}

/* As Python's repr and as JSON: the shortest digits that are the same number. */
static void put_double(struct text_buf *json, uint64_t bits) {
    char text[40];
    double v;
    memcpy(&v, &bits, sizeof v);
    if (!(v - v == 0)) {
        text_literal(json, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    if (!strpbrk(text, ".e")) strcat(text, ".0");
    text_literal(json, text);
}

static void put_scalar(struct text_buf *json, const struct annotation *a, bool repr) {
    char number[24];
    if (a->kind == VALUE_TEXT) {
        text_string(json, a->text.data, a->text.len);
        return;
    }
    if (repr) text_literal(json, "\"");
    switch (a->kind) {
    case VALUE_BOOL: text_literal(json, repr ? (a->value ? "True" : "False") : a->value ? "true" : "false"); break;
    case VALUE_DOUBLE: put_double(json, a->value); break;
    case VALUE_UINT:
        snprintf(number, sizeof number, "%llu", (unsigned long long)a->value);
        text_literal(json, number);
        break;
    case VALUE_INT:
        snprintf(number, sizeof number, "%lld", (long long)a->value);
        text_literal(json, number);
        break;
    default: text_literal(json, "null"); break;
    }
    if (repr) text_literal(json, "\"");
}

static int put_value(struct text_buf *json, const struct perfetto_texts *texts, const struct annotation *a, bool repr,
                     unsigned depth) {
    struct pb_bytes in = a->members;
    struct pb_field f;
    const char *comma = "";
    int rc = 0;
    if (a->kind != DICT && a->kind != ARRAY) {
        put_scalar(json, a, repr);
        return 0;
    }
    if (depth == DEPTH_MAX) return -EBADMSG;
    text_literal(json, a->kind == DICT ? "{" : "[");
    while (!rc && pb_next(&in, &f) == 1) {
        struct annotation member;
        if (f.number != a->kind || f.wire != 2) continue;
        rc = get_annotation(f.bytes, texts, &member);
        text_literal(json, comma);
        comma = ",";
        if (a->kind == DICT) {
            text_string(json, member.name.data, member.name.len);
            text_literal(json, ":");
        }
        if (!rc) rc = put_value(json, texts, &member, repr, depth + 1);
    }
    text_literal(json, a->kind == DICT ? "}" : "]");
    return rc ? rc : json->failed ? -ENOMEM : 0;
}

static bool named(const struct annotation *a, const char *name) {
    return a->name.len == strlen(name) && !memcmp(a->name.data, name, a->name.len);
}

static bool take_note(const struct annotation *a, bool is_call, struct perfetto_notes *notes) {
    if (is_call && a->kind == VALUE_BOOL && named(a, "from_attach")) return notes->from_attach = true;
    if (is_call && a->kind == VALUE_BOOL && named(a, "raised")) return notes->raised = true;
    if (is_call) return false;
    struct pb_bytes *text = a->kind != VALUE_TEXT ? NULL
                            : named(a, "object")  ? &notes->object
                            : named(a, "id")      ? &notes->id
                                                  : NULL;
    if (text) {
        *text = a->text;
        return true;
    }
    if ((a->kind == VALUE_UINT || a->kind == VALUE_INT) && named(a, "count")) {
        notes->has_count = true;
        notes->count = a->value;
    }
    return false;
}

int perfetto_json_member(struct text_buf *json, const struct perfetto_texts *texts, struct pb_bytes annotation, bool is_call,
                         struct perfetto_notes *notes) {
    struct annotation a;
    int rc = get_annotation(annotation, texts, &a);
    if (rc || take_note(&a, is_call, notes)) return rc;
    text_literal(json, json->len ? "," : "{");
    text_string(json, a.name.data, a.name.len);
    text_literal(json, ":");
    if (is_call && !a.kind && named(&a, "func_args")) { /* of a function without any */
        text_literal(json, "{}");
        return 0;
    }
    return put_value(json, texts, &a, is_call && (named(&a, "func_args") || named(&a, "return_value")), 0);
}
