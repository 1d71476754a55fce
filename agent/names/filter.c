/* Owns which functions are left out. Asked once per function and session, when the function gets its id; the answer is
 * kept beside the id.
 *
 *   exclude_files       leaving out a function leaves out all that it calls, as in VizTracer
 *   include_files,      the same below the first function of a stack that is recorded. Above it nothing is hidden:
 *   frozen              the functions that start a thread or serve a request are seldom on an include list
 *                       A call that was open at the start hides nothing
 *   functions, modules  only the function is left out; the functions that it calls are judged by themselves
 *   C functions         are left out with the Python function that calls them, or by an exclude list
 *
 * A function is left out when an exclude list has it, or when there are include lists and none has it.
 *
 * Two ways find the calls below a function that is left out, with the same result. Where its events are seen,
 * the calls are counted (hooks/depth.h). On 3.12+ its events are switched off; there a function that is entered looks
 * at its caller (hooks/callers.c). The nearest caller with a say is enough: if a caller further up was left out, the calls
 * below it are already counted as silenced. */
#include "agent/names/filter.h"

#include "agent/cpython/frames.h"
#include "agent/cpython/layout.h"
#include "agent/cpython/text.h"
#include "agent/names/ids.h"
#include "agent/record/state.h"

enum { PATTERN_MAX = 512, CLASS_END = ']' };

/* ---- lists: NUL-terminated texts in the daemon's memory, so every step is bounded ---- */

static bool starts_with(const char *text, const char *prefix) {
    while (*prefix && *text == *prefix) text++, prefix++;
    return !*prefix;
}

static bool any_prefix(const char *file, const char *list, uint32_t bytes) {
    for (uint32_t at = 0; at < bytes;) {
        uint32_t end = at;
        while (end < bytes && list[end]) end++;
        if (end == bytes) return false;
        if (end > at && starts_with(file, list + at)) return true;
        at = end + 1;
    }
    return false;
}

/* [abc], [a-z], [!a]. *p is at the '[', and is moved behind the ']'. A '[' without a ']' matches itself. */
static bool class_matches(const char **p, char c) {
    const char *at = *p + 1;
    bool negated = *at == '!', hit = false;
    if (negated) at++;
    const char *first = at;
    while (*at && (*at != CLASS_END || at == first)) {
        if (at[1] == '-' && at[2] && at[2] != CLASS_END) {
            hit |= (uint8_t)*at <= (uint8_t)c && (uint8_t)c <= (uint8_t)at[2];
            at += 3;
        } else {
            hit |= *at++ == c;
        }
    }
    if (!*at) {
        *p += 1;
        return c == '[';
    }
    *p = at + 1;
    return hit != negated;
}

/* As in a shell, on bytes: * ? [ ]. */
static bool glob(const char *pattern, const char *text) {
    const char *star = NULL, *resume = NULL;
    while (*text) {
        const char *next = pattern;
        bool fits;
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
            continue;
        }
        if (*pattern == '[') {
            fits = class_matches(&next, *text);
        } else {
            fits = *pattern && (*pattern == '?' || *pattern == *text);
            next++;
        }
        if (fits) {
            pattern = next;
            text++;
        } else if (star) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

static const char *last_part(const char *name) {
    const char *part = name;
    for (; *name; name++)
        if (*name == '.' && name[1]) part = name + 1;
    return part;
}

static bool has_dot(const char *text) {
    while (*text && *text != '.') text++;
    return *text;
}

/* A pattern without a dot is compared with the plain name, so that it means the same with and without qualified names
 * (3.11+). Without them, only the last part of a pattern with dots is compared. */
static bool function_fits(const char *pattern, const char *name) {
    if (!has_dot(pattern)) return glob(pattern, last_part(name));
    if (layout.python < 0x30b && !has_dot(name)) return glob(last_part(pattern), name);
    return glob(pattern, name);
}

/* Matches the module, or a package that contains it. */
static bool module_fits(const char *pattern, const char *name) {
    char part[PATTERN_MAX];
    if (glob(pattern, name)) return true;
    for (uint32_t n = 0; name[n] && n + 1 < sizeof part; n++) {
        part[n] = 0;
        if (name[n] == '.' && n && glob(pattern, part)) return true;
        part[n] = name[n];
    }
    return false;
}

struct list {
    uint32_t at, bytes; /* in vt_ctl.filters */
};
static struct list include_files, exclude_files, globs[VT_GLOBS];
static bool any_filter;

static bool any_glob(uint32_t list, const char *name, bool (*fits)(const char *pattern, const char *name)) {
    const char *from = agent.ctl->filters + globs[list].at;
    char pattern[PATTERN_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < globs[list].bytes; i++) {
        if (from[i]) {
            if (n < sizeof pattern - 1) pattern[n++] = from[i];
            continue;
        }
        pattern[n] = 0;
        if (n && fits(pattern, name)) return true;
        n = 0;
    }
    return false;
}

static struct list list_take(uint32_t *at, uint32_t bytes) {
    uint32_t left = VT_FILTER_BYTES - *at;
    struct list list = {*at, bytes < left ? bytes : left};
    *at += list.bytes;
    return list;
}

void filter_start(void) {
    const struct vt_ctl *ctl = agent.ctl;
    uint32_t at = 0;
    include_files = list_take(&at, ctl->include_bytes);
    exclude_files = list_take(&at, ctl->exclude_bytes);
    for (uint32_t i = 0; i < VT_GLOBS; i++) globs[i] = list_take(&at, ctl->glob_bytes[i]);
    any_filter = at || agent.flags & VT_F_IGNORE_FROZEN;
}

/* ---- decisions ---- */

bool filter_has_subtrees(void) { return include_files.bytes || exclude_files.bytes || agent.flags & VT_F_IGNORE_FROZEN; }

bool filter_is_set(void) { return any_filter; }

bool filter_needs_modules(void) { return globs[VT_GLOB_INCLUDE_MODULES].bytes || globs[VT_GLOB_EXCLUDE_MODULES].bytes; }

static uint64_t file_flags(const char *file) {
    const char *filters = agent.ctl->filters;
    if (exclude_files.bytes && any_prefix(file, filters + exclude_files.at, exclude_files.bytes))
        return FILTER_LEFT_OUT | FILTER_SILENCES;
    if (agent.flags & VT_F_IGNORE_FROZEN && starts_with(file, "<frozen")) return FILTER_LEFT_OUT | FILTER_OUTSIDE;
    if (include_files.bytes && !any_prefix(file, filters + include_files.at, include_files.bytes))
        return FILTER_LEFT_OUT | FILTER_OUTSIDE;
    return 0;
}

static bool on_lists(uint32_t include, const char *name, bool (*fits)(const char *, const char *)) {
    if (globs[include].bytes && !any_glob(include, name, fits)) return false;
    return !(globs[include + 1].bytes && any_glob(include + 1, name, fits));
}

static bool is_module_name(void *key) {
    static const char wanted[] = "__name__";
    const size_t len = sizeof wanted - 1;
    struct text text;
    if (type_of(key) != py.PyUnicode_Type || (uint64_t)field(key, STR_LENGTH) != len) return false;
    text_of_unicode(&text, key);
    bool is = (uint64_t)text.len == len && !memcmp(text.bytes, wanted, len);
    text_done(&text);
    return is;
}

/* Borrowed, or NULL. The keys are compared one by one, because a dict look-up may call __eq__ of a class of the target. The
 * wanted key is usually the first. */
static void *module_name(void *globals) {
    int64_t at = 0;
    void *key, *value;
    if (!globals || type_of(globals) != py.PyDict_Type) return NULL;
    while (py.PyDict_Next(globals, &at, &key, &value))
        if (is_module_name(key)) return value;
    return NULL;
}

uint64_t filter_code_flags(const char *name, const char *file, void *globals) {
    if (!any_filter) return 0;
    uint64_t flags = file_flags(file);
    if (flags) return flags;
    if (!on_lists(VT_GLOB_INCLUDE_FUNCTIONS, name, function_fits)) return FILTER_LEFT_OUT;
    if (!filter_needs_modules()) return 0;
    struct text module;
    text_of_unicode(&module, module_name(globals ? globals : py.PyEval_GetGlobals()));
    bool in = on_lists(VT_GLOB_INCLUDE_MODULES, module.bytes, module_fits);
    text_done(&module);
    return in ? 0 : FILTER_LEFT_OUT;
}

bool filter_leaves_out_function(const char *owner, const char *name) {
    char full[PATTERN_MAX] = "";
    if (!any_filter) return false;
    text_append(full, sizeof full, owner);
    if (*owner) text_append(full, sizeof full, ".");
    text_append(full, sizeof full, name);
    return (globs[VT_GLOB_EXCLUDE_FUNCTIONS].bytes && any_glob(VT_GLOB_EXCLUDE_FUNCTIONS, full, function_fits)) ||
           (globs[VT_GLOB_EXCLUDE_MODULES].bytes && any_glob(VT_GLOB_EXCLUDE_MODULES, owner, module_fits));
}

/* ---- flags of code objects ---- */

uint64_t filter_flags_of(void *code) {
    const struct co_extra *extra = field(code, layout.co_extra);
    if (!extra || extra->size <= agent.extra_index || code_word_id(extra->value[agent.extra_index]) < agent.base_id) return 0;
    return extra->value[agent.extra_index] & (FILTER_LEFT_OUT | FILTER_SUBTREE | FILTER_WAS_OPEN);
}

void filter_was_open(void *code, void *frame) {
    struct co_extra *extra = field(code, layout.co_extra);
    if (filter_flags_of(code) & FILTER_SUBTREE && !frames_mark(frame)) extra->value[agent.extra_index] |= FILTER_WAS_OPEN;
}
