/* Owns the text of a fold (fold_text.h). */
#include "cli/trace/fold_text.h"

#include <stdlib.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/trace/names.h"

struct trace_fold_function fold_others(const struct trace_fold *fold) {
    struct trace_fold_function others = {0};
    for (uint32_t i = fold->listed; i < fold->nfunctions; i++) {
        others.calls += fold->functions[i].calls;
        others.self_ns += fold->functions[i].self_ns;
    }
    return others;
}

static char *put(char *p, const char *text) {
    size_t len = strlen(text);
    memcpy(p, text, len);
    return p + len;
}

static char *put_sums(char *p, uint64_t calls, const char *what, uint64_t ns) {
    p = json_put_u64(put(p, "\"calls\":"), calls);
    return json_put_us(put(p, what), ns);
}

char *fold_json(const struct trace_fold *fold, size_t *len) {
    size_t room = 512;
    for (uint32_t i = 0; i < fold->listed; i++) room += JSON_TEXT_MAX(name_text_max(fold->functions[i].name)) + 128;
    char *text = memory_alloc(room), *p = text;
    if (!text) return NULL;
    p = put_sums(put(p, "{"), fold->calls, ",\"total_us\":", fold->total_ns);
    p = put(p, ",\"functions\":[");
    for (uint32_t i = 0; i < fold->listed; i++) {
        p = put(p, i ? ",{\"name\":\"" : "{\"name\":\"");
        p = put(name_put_json(p, fold->functions[i].name), "\",");
        p = put_sums(p, fold->functions[i].calls, ",\"self_us\":", fold->functions[i].self_ns);
        p = put(p, "}");
    }
    p = put(p, "]");
    struct trace_fold_function others = fold_others(fold);
    if (fold->listed < fold->nfunctions) {
        p = json_put_u64(put(p, ",\"others\":{\"functions\":"), fold->nfunctions - fold->listed);
        p = put(put_sums(put(p, ","), others.calls, ",\"self_us\":", others.self_ns), "}");
    }
    p = put(p, "}");
    *len = (size_t)(p - text);
    return text;
}
