/* Owns which functions are left out: the only place that decides. Asked once per function and session, when
 * it gets its id; the answer stays beside the id.
 *
 *   files, frozen       VizTracer's options, VizTracer's rule: a function that is left out takes everything
 *                       that it calls with it; calls that were open at the start silence nothing
 *   functions, modules  the function alone is left out; what it calls is judged by itself
 *   C functions         follow the Python function that calls them; besides, the exclude lists count
 *
 * A function is left out when it is on an exclude list, or on no list where include lists are given. Which calls
 * are below one that is left out is found in two ways with the same result. Where every event of it is seen,
 * they are counted (detail.c). On 3.12+ nothing of it is seen, because its events are switched off: then a
 * function that is entered looks at who called it. One look is enough: had a caller further up been left out, the
 * calls between it and us would be counted as silenced. */
#include "agent/hooks/detail.h"
#include "agent/limit/governor.h"
#include "agent/record/emit.h"

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

/* [abc], [a-z], [!a]; *p at '[', left behind the ']'. A '[' without end means itself. */
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

/* A pattern without a dot is compared with the plain name, so that it means the same on versions that know qualified
 * names (3.11+) and on those that do not; there, the last part of a pattern with dots counts. */
static bool function_fits(const char *pattern, const char *name) {
    if (!has_dot(pattern)) return glob(pattern, last_part(name));
    if (layout.python < 0x30b && !has_dot(name)) return glob(last_part(pattern), name);
    return glob(pattern, name);
}

/* The module or a package that it is in. */
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

/* Where a thread state points to its current frame; 0 = not asked yet, -1 = not known. The same for all threads. */
static int32_t frame_at;

void filter_start(void) {
    const struct vt_ctl *ctl = agent.ctl;
    uint32_t at = 0;
    include_files = list_take(&at, ctl->include_bytes);
    exclude_files = list_take(&at, ctl->exclude_bytes);
    for (uint32_t i = 0; i < VT_GLOBS; i++) globs[i] = list_take(&at, ctl->glob_bytes[i]);
    any_filter = at || agent.flags & VT_F_IGNORE_FROZEN;
    frame_at = 0;
}

/* ---- decisions ---- */

bool filter_has_subtrees(void) { return include_files.bytes || exclude_files.bytes || agent.flags & VT_F_IGNORE_FROZEN; }

bool filter_is_set(void) { return any_filter; }

bool filter_needs_modules(void) { return globs[VT_GLOB_INCLUDE_MODULES].bytes || globs[VT_GLOB_EXCLUDE_MODULES].bytes; }

static bool file_left_out(const char *file) {
    const char *filters = agent.ctl->filters;
    if (agent.flags & VT_F_IGNORE_FROZEN && starts_with(file, "<frozen")) return true;
    if (include_files.bytes && !any_prefix(file, filters + include_files.at, include_files.bytes)) return true;
    return exclude_files.bytes && any_prefix(file, filters + exclude_files.at, exclude_files.bytes);
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

/* Borrowed, or NULL. Key by key, and mostly the first one is it: a look-up may call __eq__ of a class of the target's. */
static void *module_name(void *globals) {
    int64_t at = 0;
    void *key, *value;
    if (!globals || type_of(globals) != py.PyDict_Type) return NULL;
    while (py.PyDict_Next(globals, &at, &key, &value))
        if (is_module_name(key)) return value;
    return NULL;
}

/* Of a Python function. `globals`: its namespace, borrowed, or NULL: that of the frame that runs. */
uint64_t filter_code_flags(const char *name, const char *file, void *globals) {
    if (!any_filter) return 0;
    if (file_left_out(file)) return FILTER_LEFT_OUT | FILTER_SILENCES;
    if (!on_lists(VT_GLOB_INCLUDE_FUNCTIONS, name, function_fits)) return FILTER_LEFT_OUT;
    if (!filter_needs_modules()) return 0;
    struct text module;
    text_of_unicode(&module, module_name(globals ? globals : py.PyEval_GetGlobals()));
    bool in = on_lists(VT_GLOB_INCLUDE_MODULES, module.bytes, module_fits);
    text_done(&module);
    return in ? 0 : FILTER_LEFT_OUT;
}

/* `owner`: what is shown before the dot: the module, or the type of a method. */
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

/* Of a code object that has its id of the session; 0 otherwise. */
uint64_t filter_flags_of(void *code) {
    const struct co_extra *extra = field(code, layout.co_extra);
    if (!extra || extra->size <= agent.extra_index || (uint32_t)extra->value[agent.extra_index] < agent.base_id) return 0;
    return extra->value[agent.extra_index] & (FILTER_LEFT_OUT | FILTER_SILENCES | FILTER_WAS_OPEN);
}

/* It has an open frame at the start: its events must stay on, and be counted. */
void filter_was_open(void *code) {
    struct co_extra *extra = field(code, layout.co_extra);
    if (filter_flags_of(code) & FILTER_SILENCES) extra->value[agent.extra_index] |= FILTER_WAS_OPEN;
}

/* ---- who called, 3.12+ ---- */

/* struct _PyInterpreterFrame begins with the code object and the frame before it on every version from 3.12 on; a frame
 * object points to it as on 3.11. All of it is checked against what the interpreter says before it is relied on. */
enum { FRAME_OBJECT_FRAME = 24, FRAME_CODE = 0, FRAME_PREVIOUS = 8, TS_CFRAME_312 = 56, TS_FROM = 64, TS_TO = 112 };
enum { SHIMS_MAX = 4, FRAMES_MAX = 256, TSTATE_SIZE = 256 };
#define REFERENCE_TAGS 3ull /* 3.14+: _PyStackRef */
#define STACK_REACH (64ull << 20)

static void *code_of_frame(const void *frame) { return (void *)((uint64_t)field(frame, FRAME_CODE) & ~REFERENCE_TAGS); }

/* 3.12: the current frame is found through a structure on the C stack or in the thread state. */
static const void *frame_pointer(const char *tstate, int32_t at) {
    if (layout.python > 0x30c) return tstate + at;
    const char *cframe = field(tstate, (size_t)at);
    uint64_t here = (uint64_t)&cframe, there = (uint64_t)cframe;
    bool in_tstate = cframe >= tstate && cframe < tstate + 8 * TSTATE_SIZE;
    bool on_stack = there > here ? there - here < STACK_REACH : here - there < STACK_REACH;
    return (in_tstate || on_stack) && there % 8 == 0 ? cframe : NULL;
}

static int32_t find_frame_pointer(void *code) {
    const char *tstate = py.PyThreadState_Get();
    void *object = py.PyEval_GetFrame(); /* borrowed */
    void *frame = object ? field(object, FRAME_OBJECT_FRAME) : NULL;
    int32_t from = layout.python == 0x30c ? TS_CFRAME_312 : TS_FROM, to = layout.python == 0x30c ? TS_CFRAME_312 : TS_TO;
    if (!frame || code_of_frame(frame) != code) return -1;
    for (int32_t at = from; at <= to; at += 8) {
        const void *pointer = frame_pointer(tstate, at);
        if (pointer && field(pointer, 0) == frame) return at;
    }
    return -1;
}

/* Whether events of functions that are left out may be switched off. `code` runs now. */
bool filter_by_caller(void *code) {
    int32_t at = vt_load_relaxed(&frame_at);
    if (LIKELY(at)) return at > 0;
    at = layout.python < 0x30c ? -1 : find_frame_pointer(code);
    vt_store_relaxed(&frame_at, at);
    return at > 0;
}

/* Is the Python function that called the one that was just entered left out with all it calls? Frames between two calls
 * of the interpreter hold no function that has an id. */
bool filter_caller_silences(void) {
    const char *tstate = py.PyThreadState_Get();
    const void *pointer = frame_pointer(tstate, frame_at), *frame = pointer ? field(pointer, 0) : NULL;
    uint32_t walked = 0;
    for (int i = 0; frame && i < SHIMS_MAX; i++) {
        frame = field(frame, FRAME_PREVIOUS);
        void *code = frame ? code_of_frame(frame) : NULL;
        if (!code || type_of(code) != py.PyCode_Type) continue;
        const struct co_extra *extra = field(code, layout.co_extra);
        if (!extra || extra->size <= agent.extra_index || (uint32_t)extra->value[agent.extra_index] < agent.base_id) continue;
        uint64_t flags = extra->value[agent.extra_index];
        if (agent.governed && walked < FRAMES_MAX && throttle_is_transparent((uint32_t)flags)) {
            i = -1; /* one that is not seen: who called it? */
            walked++;
            continue;
        }
        return flags & FILTER_SILENCES && !(flags & FILTER_WAS_OPEN);
    }
    return false;
}
