/* Owns the words for what was left out of a trace (left_out.h). */
#include "cli/trace/left_out.h"

#include <stdio.h>
#include <string.h>

#include "proto/base.h"

static const struct {
    const char *word, *one, *many, *names; /* names: what stands before the list of them; NULL = there is none */
} causes[LEFT_OUT_CAUSES] = {
    [LEFT_OUT_NO_OBJECT] = {"no_object", "element that is no event", "elements that are no events", NULL},
    [LEFT_OUT_NO_KIND] = {"no_kind", "event without a kind (ph)", "events without a kind (ph)", NULL},
    [LEFT_OUT_KIND] = {"unknown_kind", "event of a kind that is not read", "events of kinds that are not read", "ph: "},
    [LEFT_OUT_NO_TIME] = {"no_time", "event without a time (ts)", "events without a time (ts)", NULL},
    [LEFT_OUT_NO_BEGIN] = {"no_begin", "end (E) without a begin (B)", "ends (E) without a begin (B)", NULL},
    [LEFT_OUT_METADATA] = {"metadata", "event of metadata", "events of metadata", ""},
    [LEFT_OUT_FIELDS] = {"fields", "field of an event", "fields of events", ""},
    [LEFT_OUT_MEMBERS] = {"members", "member of the file", "members of the file", ""},
};

static bool has_name(const char *list, const char *name, size_t len) {
    for (const char *at = list; *at; at += strspn(at, ", ")) {
        size_t n = strcspn(at, ",");
        if (n == len && !memcmp(at, name, len)) return true;
        at += n;
    }
    return false;
}

/* Longer names, and names with a comma or with characters that are no text, are not listed. */
static bool is_plain(const char *name, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (name[i] < ' ' || name[i] > '~' || name[i] == ',') return false;
    return len > 0 && len <= 32;
}

void left_out_add(struct left_out *l, enum left_out_cause cause, const char *name, size_t len) {
    char *list = l->names[cause];
    size_t used = strlen(list), room = LEFT_OUT_NAMES - used;
    l->n[cause]++;
    if (!name || room < len + sizeof ", ..." + 2 || !is_plain(name, len) || has_name(list, name, len)) return;
    snprintf(list + used, room, "%s%.*s", used ? ", " : "", (int)len, name);
}

const char *left_out_word(enum left_out_cause cause) { return causes[cause].word; }

static const char *list(const struct left_out *l, int from, int to, char text[LEFT_OUT_TEXT]) {
    size_t len = 0;
    text[0] = 0;
    for (int i = from; i < to; i++) {
        bool names = causes[i].names && l->names[i][0];
        if (!l->n[i] || len >= LEFT_OUT_TEXT) continue;
        len += (size_t)snprintf(text + len, LEFT_OUT_TEXT - len, "%s%llu %s%s%s%s%s", len ? ", " : "",
                                (unsigned long long)l->n[i], l->n[i] == 1 ? causes[i].one : causes[i].many, names ? " (" : "",
                                names ? causes[i].names : "", names ? l->names[i] : "", names ? ")" : "");
    }
    return text;
}

const char *left_out_events(const struct left_out *l, char text[LEFT_OUT_TEXT]) { return list(l, 0, LEFT_OUT_EVENTS_END, text); }

const char *left_out_parts(const struct left_out *l, char text[LEFT_OUT_TEXT]) {
    return list(l, LEFT_OUT_EVENTS_END, LEFT_OUT_CAUSES, text);
}
