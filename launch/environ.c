/* Owns the client's two variables: reading them, taking them out, putting them in again for a program that is started. */
#include "launch/launch.h"

#define PRELOAD "LD_PRELOAD="
#define VARIABLE VT_LAUNCH_VARIABLE "="
#define ON_STACK_MAX (16u << 10) /* bytes; a thread may have a small stack (PTHREAD_STACK_MIN is 16 KiB, plus its own use) */

bool text_begins(const char *text, const char *with) {
    for (; *with; text++, with++)
        if (*text != *with) return false;
    return true;
}

static const char *find(char *const *environment, const char *name) {
    for (; environment && *environment; environment++)
        if (text_begins(*environment, name)) return *environment + strlen(name);
    return NULL;
}

static bool is_separator(char c) { return c == ':' || c == ' '; }

/* The entry of LD_PRELOAD that is this library: its start, and in *len its length. NULL = there is none. */
static const char *own_entry(const char *list, size_t *len) {
    static const char library[] = VT_LAUNCH_LIBRARY;
    const size_t name = sizeof library - 1;
    while (list && *list) {
        while (is_separator(*list)) list++;
        size_t n = 0;
        while (list[n] && !is_separator(list[n])) n++;
        bool slash = n > name && list[n - name - 1] == '/';
        if (slash && !memcmp(list + n - name, library, name)) {
            *len = n;
            return list;
        }
        list += n;
    }
    return NULL;
}

bool environ_read(char *const *environment) {
    const char *value = find(environment, VARIABLE), *list = find(environment, PRELOAD);
    size_t len = 0;
    const char *path = own_entry(list, &len);
    if (!value || strlen(value) != VT_LAUNCH_VALUE || !path || len >= sizeof own.path) return false;
    memcpy(own.value, value, VT_LAUNCH_VALUE);
    memcpy(own.path, path, len);
    return true;
}

/* Takes our entry, and the separator behind it, out of LD_PRELOAD. False: nothing is left of the variable. */
static bool cut_entry(char *variable) {
    size_t len = 0;
    char *entry = (char *)own_entry(variable + sizeof PRELOAD - 1, &len);
    if (!entry) return true;
    bool last = !entry[len], first = entry == variable + sizeof PRELOAD - 1;
    if (last && first) return false;
    if (last)
        entry[-1] = 0;
    else
        memmove(entry, entry + len + 1, strlen(entry + len + 1) + 1);
    return true;
}

void environ_clean(char **environment) {
    char **to = environment;
    for (char **from = environment; *from; from++) {
        if (text_begins(*from, VARIABLE)) continue;
        if (text_begins(*from, PRELOAD) && !cut_entry(*from)) continue;
        *to++ = *from;
    }
    *to = NULL;
}

/* ---- for a program that is started ---- */

size_t environ_room(char *const *environment) {
    size_t n = 0;
    while (environment && environment[n]) n++;
    return n + 3;
}

size_t environ_text(char *const *environment) {
    const char *list = find(environment, PRELOAD);
    return sizeof PRELOAD + sizeof own.path + sizeof VARIABLE + sizeof own.value + (list ? strlen(list) : 0) + 2;
}

bool environ_fits(char *const *environment) {
    unsigned preloads = 0, variables = 0;
    for (char *const *at = environment; at && *at; at++) {
        preloads += text_begins(*at, PRELOAD);
        variables += text_begins(*at, VARIABLE);
    }
    return preloads <= 1 && variables <= 1 &&
           environ_room(environment) * sizeof(char *) + environ_text(environment) <= ON_STACK_MAX;
}

static char *copy(char *to, const char *from) {
    size_t n = strlen(from);
    memcpy(to, from, n + 1);
    return to + n;
}

/* Writes LD_PRELOAD with our entry first, or without it. False: nothing is left of it. */
static bool write_preload(char *text, const char *list, bool wanted) {
    size_t len = 0;
    char *end = copy(text, PRELOAD);
    if (wanted && !own_entry(list, &len)) {
        end = copy(end, own.path);
        if (list) *end++ = ':';
    }
    copy(end, list ? list : "");
    return wanted || cut_entry(text);
}

void environ_with(char *const *environment, bool wanted, char **to, char *text) {
    char *variable = copy(copy(text, VARIABLE), own.value) + 1;
    bool preload = false, had = false;
    variable[-1] = 0;
    if (wanted) origin_write(text + sizeof VARIABLE - 1);
    for (; environment && *environment; environment++) {
        bool is_preload = text_begins(*environment, PRELOAD), is_ours = text_begins(*environment, VARIABLE);
        if (is_preload) {
            preload = true;
            if (write_preload(variable, *environment + sizeof PRELOAD - 1, wanted)) *to++ = variable;
        } else if (is_ours) {
            had = true;
            if (wanted) *to++ = text;
        } else {
            *to++ = *environment;
        }
    }
    if (wanted && !had) *to++ = text;
    if (wanted && !preload && write_preload(variable, NULL, true)) *to++ = variable;
    *to = NULL;
}
