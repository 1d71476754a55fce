/* Owns the answer to "is it Python, and which": found by what the mapped files export, never by the
 * name of the executable, and without running anything in the target.
 *
 *   3.13+      _PyRuntime starts with _Py_DebugOffsets: "xdebugpy", version, free_threaded
 *   3.11+      exports the number Py_Version
 *   3.8-3.10   told apart by the functions that each minor version added to the C API
 *   below      named only to be refused by name */
#include "attach/attach_priv.h"

#include <errno.h>
#include <string.h>

#define DEBUG_COOKIE "xdebugpy"

/* Newest first: the first exported symbol decides. All are public API, so every build of that version exports them. */
static const struct {
    const char *symbol;
    int major, minor;
} added_in[] = {
    {"PyModule_AddObjectRef", 3, 10},
    {"PyFrame_GetBack", 3, 9},
    {"Py_InitializeFromConfig", 3, 8},
    {"_PyRuntime", 3, 7},
    {"PyOS_FSPath", 3, 6},
    {"PyUnicode_FromString", 3, 0},
    {"PyString_FromString", 2, 7},
    {"PyUnicodeUCS2_FromString", 2, 7},
};

static const char *const trace_refs_symbols[] = {"_Py_GetObjects", "_Py_PrintReferences", "_Py_AddToAllObjects",
                                                 "_Py_PrintReferenceAddresses"};

static uint64_t exported(const struct elf *e, uint64_t bias, const char *name) {
    uint64_t vaddr = elf_symbol(e, name);
    return vaddr ? vaddr + bias : 0;
}

/* The exported data symbol, else the section. A stripped static embedder has neither. */
static uint64_t find_runtime(const struct elf *e, uint64_t bias) {
    uint64_t addr = exported(e, bias, "_PyRuntime"), vaddr, size;
    if (!addr && !elf_section(e, ".PyRuntime", &vaddr, &size) && vaddr) addr = vaddr + bias;
    return addr;
}

static void set_version(struct py_runtime *out, uint64_t hex) {
    out->major = (int)(hex >> 24 & 0xff);
    out->minor = (int)(hex >> 16 & 0xff);
}

int pyruntime_probe(struct mem *mem, const struct elf *e, uint64_t bias, struct py_runtime *out) {
    *out = (struct py_runtime){0};
    uint64_t version_addr = exported(e, bias, "Py_Version");
    bool api = elf_symbol(e, "Py_GetVersion") != 0;
    out->runtime = find_runtime(e, bias);
    if (!api && !out->runtime) return 0;
    out->has_api = api && elf_symbol(e, "PyGILState_Ensure") && elf_symbol(e, "PyEval_SetProfile");
    out->debug_build = elf_symbol(e, "_Py_NegativeRefcount") != 0;
    out->free_threaded = elf_symbol(e, "_Py_MergeZeroLocalRefcount") != 0;
    for (size_t i = 0; i < VT_ARRAY_LEN(trace_refs_symbols); i++)
        if (elf_symbol(e, trace_refs_symbols[i])) out->trace_refs = true;

    struct {
        char cookie[8];
        uint64_t version, free_threaded;
    } head;
    if (out->runtime) {
        int rc = mem->read(mem, out->runtime, &head, sizeof(head));
        if (rc == -ESRCH || rc == -EPERM) return rc;
        if (!rc && !memcmp(head.cookie, DEBUG_COOKIE, sizeof(head.cookie)) && head.version <= UINT32_MAX) {
            out->has_offsets = true;
            set_version(out, head.version);
            if (head.free_threaded) out->free_threaded = true;
            return 0;
        }
    }
    uint32_t version;
    if (version_addr && !mem_read_u32(mem, version_addr, &version)) {
        set_version(out, version);
        return 0;
    }
    for (size_t i = 0; i < VT_ARRAY_LEN(added_in) && !out->major; i++)
        if (elf_symbol(e, added_in[i].symbol)) {
            out->major = added_in[i].major;
            out->minor = added_in[i].minor;
        }
    return 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Probing order: the executable (its symbols win over a libpython beside it), then modules called libpython, then all others
 * with code. */
static int rank(const struct map_module *mod, const char *exe) {
    if (mod->kind != MAP_OTHER || !mod->first_end || mod->path[0] != '/') return -1;
    if (exe && !strcmp(mod->path, exe)) return 0;
    return !strncmp(base_name(mod->path), "libpython", 9) ? 1 : 2;
}

static bool has_code(const struct maps *maps, const struct map_module *mod) {
    for (const struct map_line *line = maps_find_line(maps, mod->start); line && line < maps->lines + maps->nlines; line++) {
        if (line->start >= mod->end) break;
        if (line->x) return true;
    }
    return false;
}

static bool libc_can_load(struct mem *mem, const struct maps *maps, bool *musl) {
    bool create = false, load = false;
    for (size_t i = 0; i < maps->nmods; i++) {
        const struct map_module *mod = &maps->mods[i];
        struct elf e;
        if (mod->kind != MAP_LIBC) continue;
        const char *name = base_name(mod->path);
        if (!strncmp(name, "ld-musl", 7) || !strncmp(name, "libc.musl", 9)) *musl = true;
        if (module_open(mem, maps, mod, &e)) continue;
        create |= elf_symbol(&e, "pthread_create") != 0;
        load |= elf_symbol(&e, "dlopen") || elf_symbol(&e, "__libc_dlopen_mode");
        elf_close(&e);
    }
    return create && load;
}

int pyruntime_find(struct mem *mem, const struct maps *maps, const char *exe, struct py_runtime *out) {
    *out = (struct py_runtime){0};
    struct py_runtime best = {0}, hidden = {0}; /* hidden: an interpreter whose functions are not exported */
    for (int pass = 0; pass <= 2 && !best.major; pass++) {
        for (size_t i = 0; i < maps->nmods && !best.major; i++) {
            const struct map_module *mod = &maps->mods[i];
            struct elf e;
            if (rank(mod, exe) != pass || !has_code(maps, mod) || module_open(mem, maps, mod, &e)) continue;
            int rc = pyruntime_probe(mem, &e, module_bias(mod, &e), &best);
            elf_close(&e);
            if (rc) return rc;
            best.module = mod;
            if (!best.major && best.runtime) hidden = best;
        }
    }
    if (!best.major) best = hidden;
    best.has_dlopen = libc_can_load(mem, maps, &best.musl);
    *out = best;
    return 0;
}

static const char *next_string(const char *s, const char *end) {
    const char *nul = memchr(s, '\0', (size_t)(end - s));
    return nul ? nul + 1 : end;
}

bool pyruntime_env_opt_out(const char *env, size_t len) {
    static const char name[] = "PYTHON_DISABLE_REMOTE_DEBUG=";
    size_t n = sizeof(name) - 1;
    for (const char *s = env, *end = env + len; s < end; s = next_string(s, end))
        if ((size_t)(end - s) >= n && !memcmp(s, name, n)) return true; /* an empty value counts as set, as in CPython */
    return false;
}

static bool is_opt_out(const char *value, const char *end) {
    static const char name[] = "disable-remote-debug";
    size_t n = sizeof(name) - 1;
    return (size_t)(end - value) >= n && !memcmp(value, name, n) && (value + n == end || value[n] == '\0' || value[n] == '=');
}

bool pyruntime_args_opt_out(const char *args, size_t len) {
    const char *end = args + len;
    for (const char *s = next_string(args, end); s < end; s = next_string(s, end)) {
        if (*s != '-' || s + 1 == end || !s[1]) return false; /* the script, or "-" */
        if (s[1] == '-') {
            static const char hash[] = "--check-hash-based-pycs";
            if ((size_t)(end - s) >= sizeof(hash) && !memcmp(s, hash, sizeof(hash))) s = next_string(s, end);
            if (s >= end) return false;
            continue;
        }
        for (const char *c = s + 1; c < end && *c; c++) {
            if (*c == 'c' || *c == 'm') return false; /* the other arguments belong to the program */
            if (*c != 'X' && *c != 'W') continue;
            bool x = *c == 'X';
            const char *value = c + 1;
            if (value < end && !*value) value = s = next_string(s, end);
            if (value >= end) return false;
            if (x && is_opt_out(value, end)) return true;
            break;
        }
    }
    return false;
}
