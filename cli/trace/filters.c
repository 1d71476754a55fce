/* Owns the choice of the options that leave calls out (filters.h). */
#include "cli/trace/filters.h"

#include <stdio.h>
#include <string.h>

/* --sampled is no option: `viztracer sample` leaves it in what it writes.
 * begin: what every spelling and abbreviation of the options begins with; values: how many words follow at most. */
static const struct filter {
    const char *begin;
    unsigned values;
} filters[] = {{"--inc", UINT32_MAX}, {"--exc", UINT32_MAX}, {"--ignore", 0}, {"--max_st", 1}, {"--min_d", 1}, {"--sampled", 1}};

static bool begins_with(const char *word, size_t len, const char *begin) {
    for (size_t i = 0; begin[i]; i++)
        if (i >= len || (i > 1 && word[i] == '-' ? '_' : word[i]) != begin[i]) return false;
    return true;
}

static const struct filter *filter_of(const char *word, size_t len) {
    for (size_t i = 0; i < VT_ARRAY_LEN(filters); i++)
        if (begins_with(word, len, filters[i].begin)) return &filters[i];
    return NULL;
}

void filters_take(struct trace_info *info, const char *text, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < sizeof info->filters; i++)
        if (text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\') info->filters[n++] = text[i];
    info->filters[n] = 0;
}

void filters_describe(struct trace_info *info) {
    const char *word = info->header ? info->header->options : "";
    char text[sizeof info->filters];
    size_t n = 0;
    unsigned values = 0;
    for (size_t len; word[0]; word += len) {
        word += strspn(word, " ");
        len = strcspn(word, " ");
        if (!len) break;
        if (word[0] == '-' && len > 1) {
            const struct filter *f = filter_of(word, len);
            if (!f) {
                values = 0;
                continue;
            }
            values = memchr(word, '=', len) ? 0 : f->values;
        } else if (!values) {
            continue;
        } else if (values != UINT32_MAX) {
            values--;
        }
        int wrote = snprintf(text + n, sizeof text - n, "%s%.*s", n ? " " : "", (int)len, word);
        if (wrote < 0 || (size_t)wrote >= sizeof text - n) {
            static const char more[] = " ...";
            if (n + sizeof more <= sizeof text) memcpy(text + n, more, sizeof more), n += sizeof more - 1;
            break;
        }
        n += (size_t)wrote;
    }
    filters_take(info, text, n);
}
