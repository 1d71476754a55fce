/* Owns the text of what a call is told while it runs (call_notes.h). */
#include "cli/format/vzt/call_notes.h"

#include <errno.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/json_walk.h"
#include "cli/base/memory.h"

#define NOTES_MAX (64u << 10) /* bytes of one call; more are left out */
#define STEPS_BEGIN "{\"exec_steps\":["
#define STEPS_END "]}"

struct text {
    char *bytes; /* malloc'd or NULL */
    size_t len, room;
};

struct call_notes {
    struct text steps;   /* {"exec_steps":["(3) x = 1","..." */
    struct text members; /* {"name":value,"name":value */
    struct text both;    /* made from the two when it is asked for */
};

static int nothing_in_it(void *arg) {
    (void)arg;
    return 1;
}

bool call_notes_is_json(const char *json, size_t len) {
    static const yajl_callbacks callbacks = {.yajl_null = nothing_in_it};
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)json[i] >= 0x80) return false;
    return len && json_walk(json, len, &callbacks, NULL);
}

size_t call_notes_bytes(const struct call_notes *notes) {
    return notes ? sizeof *notes + notes->steps.room + notes->members.room + notes->both.room : 0;
}

void call_notes_free(struct call_notes *notes) {
    if (!notes) return;
    memory_free(notes->steps.bytes);
    memory_free(notes->members.bytes);
    memory_free(notes->both.bytes);
    memory_free(notes);
}

/* Room for `more` bytes behind the text, which begins with `begin`. 0, -ENOMEM or -E2BIG. */
static int make_room(struct text *text, const char *begin, size_t more, size_t most) {
    size_t need = (text->len ? text->len : strlen(begin)) + more;
    if (need > most) return -E2BIG;
    if (need > text->room) {
        char *bytes = memory_realloc(text->bytes, 2 * need);
        if (!bytes) return -ENOMEM;
        text->bytes = bytes;
        text->room = 2 * need;
    }
    if (!text->len) {
        text->len = strlen(begin);
        memcpy(text->bytes, begin, text->len);
    }
    return 0;
}

static void add(struct text *text, const char *bytes, size_t len) {
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

static void add_string(struct text *text, const uint8_t *bytes, size_t len) {
    text->len = (size_t)(json_put_string(text->bytes + text->len, bytes, len) - text->bytes);
}

static struct call_notes *made(struct call_notes **notes) {
    if (*notes) return *notes;
    *notes = memory_alloc(sizeof **notes);
    if (*notes) **notes = (struct call_notes){0};
    return *notes;
}

static size_t least(size_t most) { return most < NOTES_MAX ? most : NOTES_MAX; }

int call_notes_step(struct call_notes **notes, const uint8_t *text, uint32_t len, size_t most) {
    struct call_notes *n = made(notes);
    if (!n) return -ENOMEM;
    int rc = make_room(&n->steps, STEPS_BEGIN, JSON_TEXT_MAX(len) + 3 + sizeof STEPS_END, least(most));
    if (rc) return rc == -E2BIG ? 0 : rc;
    if (n->steps.bytes[n->steps.len - 1] != '[') add(&n->steps, ",", 1);
    add_string(&n->steps, text, len);
    return 0;
}

/* A VT_PL_NOTE: u16 length of the name, name, JSON text of the value */
int call_notes_member(struct call_notes **notes, const uint8_t *payload, uint32_t len, size_t most) {
    uint16_t name_len;
    if (len < sizeof name_len) return 0;
    memcpy(&name_len, payload, sizeof name_len);
    const uint8_t *name = payload + sizeof name_len;
    if (len - sizeof name_len < name_len) return 0;
    const char *json = (const char *)name + name_len;
    size_t json_len = len - sizeof name_len - name_len;
    if (!call_notes_is_json(json, json_len)) return 0;
    struct call_notes *n = made(notes);
    if (!n) return -ENOMEM;
    int rc = make_room(&n->members, "{", JSON_TEXT_MAX(name_len) + json_len + sizeof ",\"\":}" - 1, least(most));
    if (rc) return rc == -E2BIG ? 0 : rc;
    if (n->members.len > 1) add(&n->members, ",", 1);
    add_string(&n->members, name, name_len);
    add(&n->members, ":", 1);
    add(&n->members, json, json_len);
    return 0;
}

/* The text with its end, which is not counted: more may follow. */
static const char *ended(struct text *text, const char *end, size_t *len) {
    memcpy(text->bytes + text->len, end, strlen(end));
    *len = text->len + strlen(end);
    return text->bytes;
}

const char *call_notes_json(struct call_notes *n, size_t *len) {
    static const char nothing[] = "{}";
    *len = sizeof nothing - 1;
    if (!n->members.len) return n->steps.len ? ended(&n->steps, STEPS_END, len) : nothing;
    if (!n->steps.len) return ended(&n->members, "}", len);
    n->both.len = 0;
    if (make_room(&n->both, "", n->members.len + n->steps.len + sizeof STEPS_END, SIZE_MAX)) return ended(&n->members, "}", len);
    add(&n->both, n->members.bytes, n->members.len);
    add(&n->both, ",", 1);
    add(&n->both, n->steps.bytes + 1, n->steps.len - 1);
    return ended(&n->both, STEPS_END, len);
}
