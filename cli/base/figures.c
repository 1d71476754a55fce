/* Owns the way numbers are shown to people (figures.h). */
#include "cli/base/figures.h"

#include <stdio.h>
#include <string.h>

#include "proto/base.h"

char *format_duration(char *buf, uint64_t ns) {
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}};
    for (size_t i = 0; i < VT_ARRAY_LEN(units); i++) {
        double v = (double)ns / units[i].unit;
        if (v < 0.99995) continue;
        snprintf(buf, 16, v < 9.9995 ? "%.3f %s" : v < 99.995 ? "%.2f %s" : v < 999.95 ? "%.1f %s" : "%.0f %s", v, units[i].name);
        return buf;
    }
    snprintf(buf, 16, "%u ns", (unsigned)ns);
    return buf;
}

char *format_count(char *buf, size_t size, uint64_t n) {
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    size_t at = 0;
    for (int i = 0; i < len && at + 2 < size; i++) {
        if (i && (len - i) % 3 == 0) buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = 0;
    return buf;
}

char *format_things(char *buf, size_t size, uint64_t n, const char *noun) {
    char count[32];
    size_t len = strlen(noun);
    const char *ending = n == 1 ? "" : len && noun[len - 1] == 's' ? "es" : "s";
    snprintf(buf, size, "%s %s%s", format_count(count, sizeof count, n), noun, ending);
    return buf;
}

char *format_bytes(char *buf, size_t size, uint64_t n) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double v = (double)n;
    size_t i = 0;
    while (v >= (i ? 999.95 : 1000) && i + 1 < VT_ARRAY_LEN(units)) v /= 1000, i++;
    snprintf(buf, size, i ? "%.1f %s" : "%.0f %s", v, units[i]);
    return buf;
}

char *format_ns(char *buf, size_t size, uint64_t ns) {
    if (ns < 995000)
        snprintf(buf, size, "%.2f ms", (double)ns / 1e6);
    else if (ns < 999950000)
        snprintf(buf, size, "%.1f ms", (double)ns / 1e6);
    else
        snprintf(buf, size, "%.1f s", (double)ns / 1e9);
    return buf;
}
