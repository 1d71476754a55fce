/* Owns finding the variables of a frame (variables.h). From 3.11 on a code object has one tuple with the names of all of them,
 * and a byte for each with its kind. Before that there are three tuples: of local variables, of those that inner functions use,
 * and of those of outer functions. The last two kinds lie in cells. */
#include "outside/variables.h"

#include <errno.h>
#include <string.h>

#include "outside/objects.h"
#include "outside/text.h"
#include "outside/values.h"

enum {
    SLOTS_MAX = 256, /* variables of one frame */
    NAME_MAX_BYTES = 128,
    TUPLE_SIZE = 16,
    TUPLE_ITEMS_MAX = 64,
    KIND_IN_CELL = 0x40 | 0x80,
    TAGGED_INT = 3,
    FREE_VARIABLES = 80 /* below 3.11: a tuple of names */
};

struct frame {
    struct remote *r;
    const struct py_layout *l;
    uint64_t slots; /* address of the first one */
    uint64_t *work;
    variable_fn *fn;
    void *ctx;
};

struct names {
    uint64_t items; /* address */
    uint64_t n;
};

static struct names read_names(struct remote *r, uint64_t tuple) {
    struct names names = {0};
    char name[8];
    uint64_t type, flags, items, n;
    if (object_type(r, tuple, &type, &flags, name, sizeof(name)) || strcmp(name, "tuple") != 0) return names;
    if (remote_u64(r, type + TYPE_SIZEOF, &items) || items > TUPLE_ITEMS_MAX || remote_u64(r, tuple + TUPLE_SIZE, &n))
        return names;
    return (struct names){tuple + items, n < SLOTS_MAX ? n : SLOTS_MAX};
}

/* What is in the cell; false: the value is none. */
static bool open_cell(struct remote *r, uint64_t *value) {
    char name[8];
    uint64_t type, flags;
    if (object_type(r, *value, &type, &flags, name, sizeof(name)) || strcmp(name, "cell") != 0) return false;
    return !remote_u64(r, *value + CELL_VALUE, value);
}

static int tell(struct frame *f, uint64_t name_at, uint64_t slot, bool in_cell) {
    char name[NAME_MAX_BYTES], text[VALUE_MAX];
    uint64_t value, name_object;
    if (remote_u64(f->r, f->slots + slot * 8, &value)) return 0;
    if (f->l->reference_tags && (value & f->l->reference_tags) == TAGGED_INT) return 0;
    value &= ~(uint64_t)f->l->reference_tags;
    if (value && in_cell) open_cell(f->r, &value); /* at its very beginning a function has no cells yet */
    if (!value) return 0;                          /* it has no value now */
    if (remote_u64(f->r, name_at, &name_object) || text_read(f->r, f->l, name_object, name, sizeof(name))) return 0;
    value_read(f->r, f->l, value, text, f->work);
    return f->fn(f->ctx, name, text);
}

static int tell_all_308(struct frame *f, uint64_t code) {
    uint64_t tuples[3];
    uint32_t first[3] = {0}, count;
    int rc = 0;
    if (remote_u64(f->r, code + f->l->co_varnames, &tuples[0]) || remote_u64(f->r, code + f->l->co_cellvars, &tuples[1]) ||
        remote_u64(f->r, code + FREE_VARIABLES, &tuples[2]) || remote_u32(f->r, code + f->l->co_nlocals, &count))
        return 0;
    struct names cells = read_names(f->r, tuples[1]);
    first[1] = count;
    first[2] = count + (uint32_t)cells.n;
    for (unsigned k = 0; k < 3; k++) {
        struct names names = k == 1 ? cells : read_names(f->r, tuples[k]);
        for (uint64_t i = 0; !rc && i < names.n && first[k] + i < SLOTS_MAX; i++)
            rc = tell(f, names.items + 8 * i, first[k] + i, k > 0);
    }
    return rc;
}

static int tell_all_311(struct frame *f, uint64_t code) {
    uint64_t tuple, bytes;
    uint8_t kinds[SLOTS_MAX];
    int rc = 0;
    if (remote_u64(f->r, code + f->l->co_varnames, &tuple) || remote_u64(f->r, code + f->l->co_kinds, &bytes)) return 0;
    struct names names = read_names(f->r, tuple);
    if (!names.n || !remote_is_object(bytes) || remote_read(f->r, bytes + BYTES_DATA, kinds, (size_t)names.n)) return 0;
    for (uint64_t i = 0; !rc && i < names.n; i++) rc = tell(f, names.items + 8 * i, i, kinds[i] & KIND_IN_CELL);
    return rc;
}

int variables_each(struct remote *r, const struct py_layout *l, uint64_t code, uint64_t frame, uint64_t *work, variable_fn *fn,
                   void *ctx) {
    struct frame f = {.r = r, .l = l, .slots = frame + l->frame_locals, .work = work, .fn = fn, .ctx = ctx};
    if (!remote_is_object(code) || !remote_is_object(frame)) return 0;
    return l->python < 0x30b ? tell_all_308(&f, code) : tell_all_311(&f, code);
}
