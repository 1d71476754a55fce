/* Owns telling which C function a thread is in (c_calls.h).
 *
 * Two stacks have to agree. The callable lies among the values of the Python function that called it: on its evaluation stack,
 * whose depth is known from 3.14 on only. Below that it may also be left from an earlier call. And the native stack has a return
 * address in the callable's own C function. The tables for exceptions (.eh_frame_hdr) tell where a function begins, also in a
 * stripped file. */
#include "outside/c_calls.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "outside/objects.h"
#include "outside/text.h"

enum {
    SLOTS_MAX = 128, /* variables and values of one frame */
    FUNCTIONS_MAX = 32,
    STACK_BYTES = 256 << 10,    /* select.select alone needs 73 KB */
    FUNCTION_BYTES = 256 << 10, /* of a C function, and to one that it jumps to */
    SEGMENTS_MAX = 64,
    BASES_MAX = 16,
    METHODS_MAX = 1024,
    NAME_BYTES = 64
};

struct function {
    uint64_t callable, definition, start;
    bool is_method; /* a descriptor of a type */
};

struct search {
    struct remote *r;
    const struct py_layout *l;
    const struct maps *maps;
    struct function functions[FUNCTIONS_MAX];
    uint32_t n;
};

/* ---- values of a frame ---- */

/* The types of C functions, which have the same fields on all versions. */
static const struct {
    const char *type;
    bool is_method;
} types[] = {{"builtin_function_or_method", false},
             {"builtin_method", false},
             {"method_descriptor", true},
             {"classmethod_descriptor", true}};

static void take(struct search *s, uint64_t object) {
    char name[NAME_BYTES];
    uint64_t type, flags;
    if (object_type(s->r, object, &type, &flags, name, sizeof(name))) return;
    for (size_t i = 0; i < VT_ARRAY_LEN(types); i++) {
        struct function f = {.callable = object, .is_method = types[i].is_method};
        if (strcmp(name, types[i].type) != 0) continue;
        if (remote_u64(s->r, object + (f.is_method ? DESCR_DEF : CFUNCTION_DEF), &f.definition) ||
            !remote_is_object(f.definition) || remote_u64(s->r, f.definition + DEF_FUNCTION, &f.start))
            return;
        for (uint32_t k = 0; k < s->n; k++)
            if (s->functions[k].definition == f.definition) return;
        if (s->n < FUNCTIONS_MAX) s->functions[s->n++] = f;
    }
}

static uint32_t slots_of(struct search *s, uint64_t frame) {
    uint64_t top, first = frame + s->l->frame_locals;
    if (s->l->python < 0x30e || remote_u64(s->r, frame + FRAME_STACK_TOP, &top)) return SLOTS_MAX;
    if (top < first || top > first + SLOTS_MAX * 8ull) return SLOTS_MAX; /* it runs */
    return (uint32_t)((top - first) / 8);
}

static void take_values(struct search *s, uint64_t frame, uint32_t *work) {
    for (uint32_t i = 0, n = slots_of(s, frame); i < n && *work; i++) {
        uint64_t value;
        if (remote_u64(s->r, frame + s->l->frame_locals + i * 8ull, &value)) return;
        value &= ~(uint64_t)s->l->reference_tags;
        if (!remote_is_object(value)) continue;
        (*work)--;
        take(s, value);
    }
}

/* ---- native stack ---- */

/* The search table of a module: pairs of 4 bytes, relative to its header; the first of each is where a function begins. */
struct table {
    uint64_t at, base;
    uint32_t n;
};

static int read_table(struct remote *r, uint64_t header, struct table *t) {
    enum { SIZE = 12, VERSION = 1, UDATA4 = 0x03, DATAREL_SDATA4 = 0x3b, PCREL_SDATA4 = 0x1b };
    uint8_t head[SIZE];
    int rc = remote_read(r, header, head, sizeof(head));
    if (rc) return rc;
    if (head[0] != VERSION || head[1] != PCREL_SDATA4 || head[2] != UDATA4 || head[3] != DATAREL_SDATA4) return -ENOTSUP;
    *t = (struct table){header + SIZE, header, remote_half(head, 8)};
    return 0;
}

static int find_table(struct remote *r, uint64_t start, struct table *t) {
    Elf64_Ehdr file;
    uint64_t first = UINT64_MAX, header = 0;
    int rc = remote_read(r, start, &file, sizeof(file));
    if (rc) return rc;
    if (memcmp(file.e_ident, ELFMAG, SELFMAG) != 0 || file.e_phentsize != sizeof(Elf64_Phdr)) return -EINVAL;
    for (uint32_t i = 0; i < file.e_phnum && i < SEGMENTS_MAX; i++) {
        Elf64_Phdr part;
        rc = remote_read(r, start + file.e_phoff + i * sizeof(part), &part, sizeof(part));
        if (rc) return rc;
        if (part.p_type == PT_LOAD && first == UINT64_MAX) first = part.p_vaddr - part.p_offset;
        if (part.p_type == PT_GNU_EH_FRAME) header = part.p_vaddr;
    }
    return first == UINT64_MAX || !header ? -ENOENT : read_table(r, start - first + header, t);
}

static int entry(struct remote *r, const struct table *t, uint32_t i, uint64_t *begins) {
    uint32_t relative;
    int rc = remote_u32(r, t->at + i * 8ull, &relative);
    *begins = t->base + (uint64_t)(int64_t)(int32_t)relative;
    return rc;
}

struct range {
    uint64_t begins, ends;
};

/* The function that has the instruction at `address`; it ends where the next one begins, at the latest. */
static int function_at(struct search *s, uint64_t address, struct range *f) {
    const struct map_module *m = maps_find(s->maps, address);
    struct table t;
    int rc = m ? find_table(s->r, m->first_start, &t) : -ENOENT;
    if (!rc && !t.n) rc = -ENOENT;
    if (rc) return rc;
    uint32_t low = 0, high = t.n;
    while (!rc && high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        rc = entry(s->r, &t, middle, &f->begins);
        if (!rc && f->begins <= address)
            low = middle;
        else
            high = middle;
    }
    f->ends = m->end;
    if (!rc) rc = entry(s->r, &t, low, &f->begins);
    if (!rc && high < t.n) rc = entry(s->r, &t, high, &f->ends);
    return rc;
}

/* Whether a C function ends with a jump to another one, which then has its place on the stack: select_select ->
 * select_select_impl. x86-64: E9 and the distance. It may be found in the middle of another instruction; then it leads elsewhere.
 */
static bool jumps_to(struct search *s, uint64_t start, uint64_t target) {
    enum { JUMP = 0xe9, JUMP_SIZE = 5, CODE_MAX = 1024 };
    uint8_t code[CODE_MAX];
    struct range f;
    if (function_at(s, start, &f) || f.begins != start || f.ends <= start) return false;
    size_t n = f.ends - start < CODE_MAX ? (size_t)(f.ends - start) : CODE_MAX;
    if (remote_read(s->r, start, code, n)) return false;
    for (size_t i = 0; i + JUMP_SIZE <= n; i++) {
        int32_t distance;
        memcpy(&distance, code + i + 1, sizeof(distance));
        if (code[i] == JUMP && start + i + JUMP_SIZE + (uint64_t)(int64_t)distance == target) return true;
    }
    return false;
}

/* Whether a word of the stack is a return address in the function. */
static bool is_in(struct search *s, const struct function *f, uint64_t word) {
    struct range found;
    uint64_t distance = word > f->start ? word - f->start : f->start - word;
    if (distance > FUNCTION_BYTES || function_at(s, word - 1, &found))
        return false; /* - 1: the call may be its last instruction */
    return found.begins == f->start || jumps_to(s, f->start, found.begins);
}

/* The only function of s that the native stack is in. */
static int find_on_stack(struct search *s, uint64_t sp, const struct function **found) {
    const struct map_line *line = maps_find_line(s->maps, sp);
    uint64_t end = line ? line->end : sp; /* a stack that has grown since the maps were read has no line */
    if (end - sp > STACK_BYTES) end = sp + STACK_BYTES;
    *found = NULL;
    for (uint64_t at = sp & ~7ull; at < end; at += 8) {
        uint64_t word;
        if (remote_u64(s->r, at, &word)) break;
        for (uint32_t i = 0; i < s->n; i++) {
            const struct function *f = &s->functions[i];
            if (f == *found || !is_in(s, f, word)) continue;
            if (*found) return -ENOENT;
            *found = f;
        }
    }
    return *found ? 0 : -ENOENT;
}

/* ---- names, as the agent gives them (agent/names/names.c) ---- */

static bool defines(struct search *s, uint64_t type, uint64_t definition) {
    uint64_t at, name;
    if (remote_u64(s->r, type + TYPE_METHODS, &at) || !at) return false;
    for (uint32_t i = 0; i < METHODS_MAX; i++, at += DEF_SIZE) {
        if (at == definition) return true;
        if (remote_u64(s->r, at + DEF_NAME, &name) || !name) return false;
    }
    return false;
}

static uint64_t defining_type(struct search *s, uint64_t type, uint64_t definition) {
    for (uint32_t i = 0; remote_is_object(type) && i < BASES_MAX; i++) {
        if (defines(s, type, definition)) return type;
        if (remote_u64(s->r, type + TYPE_BASE, &type)) break;
    }
    return 0;
}

/* The type that has the method; *module: or the text of the module of the function. */
static uint64_t owner_of(struct search *s, const struct function *f, char *module, size_t size) {
    uint64_t type = 0, self, name, own;
    module[0] = 0;
    if (f->is_method) return remote_u64(s->r, f->callable + DESCR_TYPE, &type) ? 0 : type;
    if (!remote_u64(s->r, f->callable + CFUNCTION_MODULE, &name) && name && !text_read(s->r, s->l, name, module, size)) return 0;
    module[0] = 0;
    if (remote_u64(s->r, f->callable + CFUNCTION_SELF, &self) || !remote_is_object(self)) return 0;
    if (remote_u64(s->r, self + OBJECT_TYPE, &own)) return 0;
    type = defining_type(s, self, f->definition); /* of a class method self is a type */
    return type ? type : defining_type(s, own, f->definition);
}

static int read_text(struct remote *r, uint64_t at, char *to, size_t size) {
    int rc = remote_read(r, at, to, size - 1);
    to[rc ? 0 : size - 1] = 0;
    return rc;
}

static int tell(struct search *s, const struct function *f, char *text, size_t size) {
    char owner[NAME_BYTES], name[NAME_BYTES];
    uint64_t at, type = owner_of(s, f, owner, sizeof(owner));
    int rc = type ? remote_u64(s->r, type + TYPE_NAME, &at) : 0;
    if (!rc && type) rc = read_text(s->r, at, owner, sizeof(owner));
    if (!rc) rc = remote_u64(s->r, f->definition + DEF_NAME, &at);
    if (!rc) rc = read_text(s->r, at, name, sizeof(name));
    if (!rc && !name[0]) rc = -ENOENT;
    if (!rc) snprintf(text, size, "%s%s%s", owner, owner[0] ? "." : "", name);
    return rc;
}

int c_calls_find(struct remote *r, const struct py_layout *l, const struct maps *maps, uint64_t frame, uint64_t sp,
                 uint32_t *work, char *text, size_t size) {
    struct search s = {.r = r, .l = l, .maps = maps};
    const struct function *found;
    if (!remote_is_object(frame)) return -ENOENT;
    take_values(&s, frame, work);
    int rc = find_on_stack(&s, sp, &found);
    return rc ? rc : tell(&s, found, text, size);
}
