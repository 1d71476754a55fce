/* Owns how the texts of options become values: numbers with units, choices, integers of any size. */
#include "options/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

/* A number with a unit of the table; -EINVAL for anything else, including negative numbers and overflow. */
static int number(const char *text, const struct unit *units, size_t n, uint64_t *out) {
    char *end;
    if (!(*text >= '0' && *text <= '9') && *text != '.') return -EINVAL;
    double v = strtod(text, &end);
    if (end == text || text[1] == 'x' || text[1] == 'X') return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(end, units[i].name)) continue;
        v = v * units[i].factor + 0.5;
        if (!(v >= 0 && v < 9e18)) return -EINVAL;
        *out = (uint64_t)v;
        return 0;
    }
    return -EINVAL;
}

int options_duration(const char *text, uint64_t *ns) {
    static const struct unit units[] = {{"", 1e3}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
    return number(text, units, VT_ARRAY_LEN(units), ns);
}
int options_size(const char *text, uint64_t *bytes) {
    static const struct unit units[] = {{"", 1},        {"k", 1024},       {"K", 1024},
                                        {"M", 1048576}, {"G", 1073741824}, {"T", 1099511627776.0}};
    return number(text, units, VT_ARRAY_LEN(units), bytes);
}
int options_count(const char *text, uint64_t *count) {
    static const struct unit units[] = {{"", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}};
    return number(text, units, VT_ARRAY_LEN(units), count);
}
int options_share(const char *text, uint64_t *share) {
    static const struct unit units[] = {{"", 10000}, {"%", 100}};
    uint64_t v;
    int rc = number(text, units, VT_ARRAY_LEN(units), &v);
    if (rc || v < 1 || v > 10000) return -EINVAL;
    *share = v;
    return 0;
}

static int seconds(const char *text, uint64_t *ns) {
    static const struct unit units[] = {{"", 1e9}};
    int rc = number(text + (text[0] == '-'), units, 1, ns);
    if (!rc && text[0] == '-') *ns = 0;
    return rc;
}

static int integer(const char *text, int64_t min, int64_t max, int64_t *out) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < min || v > max) return -EINVAL;
    *out = v;
    return 0;
}

void value_store(const struct option_row *row, void *to, uint64_t v) {
    char *at = (char *)to + row->at;
    switch (row->size) {
    case 1: *(uint8_t *)at = (uint8_t)v; break;
    case 2: *(uint16_t *)(void *)at = (uint16_t)v; break;
    case 4: *(uint32_t *)(void *)at = (uint32_t)v; break;
    default: *(uint64_t *)(void *)at = v; break;
    }
}

static uint64_t value_load(const struct option_row *row, const void *to) {
    const char *at = (const char *)to + row->at;
    switch (row->size) {
    case 1: return *(const uint8_t *)at;
    case 2: return *(const uint16_t *)(const void *)at;
    case 4: return *(const uint32_t *)(const void *)at;
    default: return *(const uint64_t *)(const void *)at;
    }
}

void value_store_bit(const struct option_row *row, void *to) {
    uint64_t v = value_load(row, to);
    value_store(row, to, row->value < 0 ? v & ~(uint64_t)-row->value : v | (uint64_t)row->value);
}

/* The index of text among names separated by blanks, or -EINVAL. */
static int choice(const char *names, const char *text, uint64_t *index) {
    size_t len = strlen(text);
    *index = 0;
    for (const char *p = names; *p; (*index)++) {
        size_t n = strcspn(p, " ");
        if (n == len && !memcmp(p, text, n)) return 0;
        p += n + (p[n] == ' ');
    }
    return -EINVAL;
}

/* "a, b, c" */
static const char *listed(const char *names, char *buf, size_t size) {
    size_t n = 0;
    for (; *names && n + 3 < size; names++) {
        if (*names == ' ') buf[n++] = ',';
        buf[n++] = *names;
    }
    buf[n] = 0;
    return buf;
}

int value_take(const struct option_row *row, void *to, const char *text, const char *who, struct vt_err *err) {
    void *at = (char *)to + row->at;
    int64_t max = row->max ? row->max : INT32_MAX, n;
    char names[128];
    uint64_t v = 0;

    switch (row->kind) {
    case OPTION_TEXT:
        if (!text[0]) return vt_err_set(err, -EINVAL, "%s: an empty name", who);
        *(const char **)at = text;
        return 0;
    case OPTION_LAST: *(const char **)at = text; return 0;
    case OPTION_INT:
        if (integer(text, row->min, max, &n)) {
            if (row->max)
                return vt_err_set(err, -EINVAL, "%s: %s is not a number from %lld to %lld", who, text, (long long)row->min,
                                  (long long)row->max);
            return vt_err_set(err, -EINVAL, "%s: %s is not a number from %lld on", who, text, (long long)row->min);
        }
        v = (uint64_t)n;
        break;
    case OPTION_PID:
        if (integer(text, 1, INT32_MAX, &n)) return vt_err_set(err, -EINVAL, "%s: %s is not a process id", who, text);
        v = (uint64_t)n;
        break;
    case OPTION_SECONDS:
        if (seconds(text, &v)) return vt_err_set(err, -EINVAL, "%s: %s is not a number of seconds", who, text);
        break;
    case OPTION_DURATION:
        if (options_duration(text, &v))
            return vt_err_set(err, -EINVAL, "%s: can't convert %s to time; the format is 0.3ms or 13us", who, text);
        break;
    case OPTION_SIZE:
        if (options_size(text, &v)) return vt_err_set(err, -EINVAL, "%s: %s is not a size like 500M or 2G", who, text);
        break;
    case OPTION_COUNT:
        if (options_count(text, &v) || !v)
            return vt_err_set(err, -EINVAL, "%s: %s is not a number of calls like 500k or 5M", who, text);
        break;
    case OPTION_SHARE:
        if (options_share(text, &v)) return vt_err_set(err, -EINVAL, "%s: %s is no limit like 5%% or 0.05", who, text);
        break;
    case OPTION_CHOICE:
        if (choice(row->choices, text, &v) || (row->take && row->take(at, text)))
            return vt_err_set(err, -EINVAL, "%s: %s is none of %s", who, text, listed(row->choices, names, sizeof(names)));
        if (row->take) return 0;
        break;
    case OPTION_CUSTOM: return row->take(at, text) ? vt_err_set(err, -EINVAL, "%s: %s is not %s", who, text, row->wants) : 0;
    default: return -EINVAL;
    }
    value_store(row, to, v);
    return 0;
}
