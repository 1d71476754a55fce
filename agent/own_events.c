/* Owns events of the program's own: spans, and marks (instants, counters, objects). A span is recorded like the call of a C
 * function with the span's name, a mark is a payload. */
#include "agent/own.h"
#include "agent/session/session.h"
#include "agent/session/slow.h"

enum { BY_ADDRESS = 1024, BY_TEXT = 4096, FEW_WORDS = 32 };

/* A constant name is the same object each time. The reference keeps its address from being used again. */
static struct {
    void *str; /* owned; NULL = free */
    uint32_t id;
} by_address[BY_ADDRESS];

/* Names that are made anew each time, but are equal. */
static struct {
    uint64_t hash;
    uint32_t id;
} by_text[BY_TEXT];

static uint64_t hash_of(const char *bytes, int64_t len) {
    uint64_t hash = 0xcbf29ce484222325ull;
    for (int64_t i = 0; i < len; i++) hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3ull;
    return hash;
}

static uint32_t find_by_text(void *str) {
    struct text text;
    text_of_unicode(&text, str);
    uint64_t hash = hash_of(text.bytes, text.len), at = hash % BY_TEXT;
    bool known = by_text[at].hash == hash && by_text[at].id >= agent.base_id && by_text[at].id;
    uint32_t id = known ? by_text[at].id : name_text(&text);
    by_text[at].hash = hash;
    by_text[at].id = id;
    text_done(&text);
    return id;
}

uint32_t own_name(void *str) {
    uint64_t at = ((uint64_t)str >> 4) % BY_ADDRESS;
    if (LIKELY(by_address[at].str == str && by_address[at].id >= agent.base_id)) return by_address[at].id;
    uint32_t id = find_by_text(str);
    void *before = by_address[at].str;
    py.Py_IncRef(str);
    by_address[at].str = str;
    by_address[at].id = id;
    drop_ref(before);
    return id;
}

void own_forget_names(void) {
    for (uint32_t i = 0; i < BY_ADDRESS; i++) {
        drop_ref(by_address[i].str);
        by_address[i].str = NULL;
    }
}

void own_span(uint32_t id, bool begin) { emit_any_clock(id | (begin ? VT_REC_C_CALL : VT_REC_C_RETURN)); }

void own_span_args(const char *payload, uint32_t bytes) {
    uint8_t *to = bytes ? payload_reserve(bytes) : NULL;
    if (!to) return;
    memcpy(to, payload, bytes);
    payload_commit(VT_PL_ARGS, bytes);
}

static void put_mark(uint8_t *to, const struct vt_pl_mark *head, const struct text *name, const struct text *id,
                     const struct text *args) {
    memcpy(to, head, sizeof *head);
    to += sizeof *head;
    memcpy(to, name->bytes, head->name_len);
    to += head->name_len;
    if (head->id_len) memcpy(to, id->bytes, head->id_len);
    if (head->args_len) memcpy(to + head->id_len, args->bytes, head->args_len);
}

bool own_mark(char ph, char scope, const struct text *name, const struct text *id, const struct text *args) {
    uint64_t id_len = id ? (uint64_t)id->len : 0, args_len = args ? (uint64_t)args->len : 0;
    uint64_t bytes = sizeof(struct vt_pl_mark) + (uint64_t)name->len + id_len + args_len;
    if ((uint64_t)name->len > UINT16_MAX || id_len > UINT16_MAX || bytes > VT_PAYLOAD_MAX) return false;
    struct vt_pl_mark head = {.ticks = clock_full(),
                              .args_len = (uint32_t)args_len,
                              .name_len = (uint16_t)name->len,
                              .id_len = (uint16_t)id_len,
                              .ph = (uint8_t)ph,
                              .scope = (uint8_t)scope};
    uint64_t few[FEW_WORDS];
    if (bytes <= sizeof few) {
        few[(bytes - 1) / 8] = 0;
        put_mark((uint8_t *)few, &head, name, id, args);
        if (emit_payload(VT_PL_MARK, few, (uint32_t)bytes)) return true;
    }
    uint8_t *to = session_visit() ? payload_reserve((uint32_t)bytes) : NULL;
    if (!to) return true; /* the session has ended, or there is no room: a gap is counted where events are */
    put_mark(to, &head, name, id, args);
    payload_commit(VT_PL_MARK, (uint32_t)bytes);
    return true;
}

bool own_note(const struct text *name, const struct text *json) {
    uint16_t name_len = (uint16_t)name->len;
    uint64_t bytes = sizeof name_len + (uint64_t)name->len + (uint64_t)json->len;
    if ((uint64_t)name->len > UINT16_MAX || bytes > VT_PAYLOAD_MAX) return false;
    uint8_t *to = session_visit() ? payload_reserve((uint32_t)bytes) : NULL;
    if (!to) return true; /* as a mark */
    memcpy(to, &name_len, sizeof name_len);
    memcpy(to + sizeof name_len, name->bytes, name_len);
    memcpy(to + sizeof name_len + name_len, json->bytes, (uint64_t)json->len);
    payload_commit(VT_PL_NOTE, (uint32_t)bytes);
    return true;
}

bool own_step(const struct text *step) {
    if ((uint64_t)step->len > VT_PAYLOAD_MAX) return false;
    uint8_t *to = session_visit() ? payload_reserve((uint32_t)step->len) : NULL;
    if (!to) return true;
    memcpy(to, step->bytes, (uint64_t)step->len);
    payload_commit(VT_PL_STEP, (uint32_t)step->len);
    return true;
}
