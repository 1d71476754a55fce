/* Owns the code objects of a target (codes.h). Each is told apart from others that may come to the same
 * address by where its name, its file and its table of lines are. */
#include "outside/codes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outside/layout.h"
#include "outside/lines.h"
#include "outside/table.h"
#include "outside/text.h"

enum { CODES_MAX = 1 << 18, TABLE_MAX = 1 << 20, TYPE_NAME_MAX = 16 };
#define BYTES_MAX (256ull << 20) /* of all names and tables */

struct code {
    struct outside_code told; /* first, so that the one is found from the other */
    uint64_t address, name_at, file_at, lines_at;
    uint64_t round; /* in which it was checked */
    struct line_start *lines;
    uint32_t nlines;
    struct code *next; /* of all */
};

struct codes {
    struct remote *remote;
    const struct py_layout *layout;
    struct table table;
    struct code *all;
    size_t n;
    uint64_t round, bytes;
    uint64_t type; /* address of the type of code objects, once one was seen */
};

int codes_new(struct codes **out, struct remote *remote, const struct py_layout *layout) {
    struct codes *c = calloc(1, sizeof(*c));
    *out = c;
    if (!c) return -ENOMEM;
    *c = (struct codes){.remote = remote, .layout = layout, .round = 1};
    return 0;
}

static void code_free(struct code *code) {
    free((char *)(uintptr_t)code->told.name);
    free((char *)(uintptr_t)code->told.file);
    free(code->lines);
    free(code);
}

void codes_free(struct codes *c) {
    if (!c) return;
    for (struct code *code = c->all, *next; code; code = next) {
        next = code->next;
        code_free(code);
    }
    table_free(&c->table);
    free(c);
}

void codes_doubt(struct codes *c) { c->round++; }

/* The head of the object is of a code object. */
static bool is_code(struct codes *c, const uint8_t *head) {
    char name[TYPE_NAME_MAX];
    uint64_t type = remote_word(head, OBJECT_TYPE), at;
    if (c->type) return type == c->type;
    if (!remote_is_object(type) || remote_u64(c->remote, type + TYPE_NAME, &at)) return false;
    if (remote_read(c->remote, at, name, sizeof("code")) || memcmp(name, "code", sizeof("code"))) return false;
    c->type = type;
    return true;
}

static int read_text(struct codes *c, uint64_t at, const char **text) {
    char bytes[TEXT_MAX];
    int rc = text_read(c->remote, c->layout, at, bytes, sizeof(bytes));
    if (rc) return rc;
    *text = strdup(bytes);
    c->bytes += strlen(bytes) + 1;
    return *text ? 0 : -ENOMEM;
}

/* Without its table a code object has no lines, and all else. */
static int read_lines(struct codes *c, struct code *code) {
    uint64_t size;
    if (!remote_is_object(code->lines_at) || remote_u64(c->remote, code->lines_at + BYTES_SIZE, &size) || size > TABLE_MAX)
        return 0;
    uint8_t *table = malloc(size + 1);
    int rc = table ? 0 : -ENOMEM;
    if (!rc && !remote_read(c->remote, code->lines_at + BYTES_DATA, table, size))
        rc = lines_read((int)(c->layout->python & 0xff), table, size, code->told.first_line, &code->lines, &code->nlines);
    c->bytes += code->nlines * sizeof(*code->lines);
    free(table);
    return rc;
}

static struct code *read_code(struct codes *c, uint64_t address, const uint8_t *head) {
    if (c->n >= CODES_MAX || c->bytes >= BYTES_MAX) return NULL;
    struct code *code = calloc(1, sizeof(*code));
    if (!code) return NULL;
    code->address = address;
    code->name_at = remote_word(head, c->layout->co_name);
    code->file_at = remote_word(head, c->layout->co_filename);
    code->lines_at = remote_word(head, c->layout->co_lines);
    code->told.first_line = remote_half(head, c->layout->co_firstlineno);
    int rc = read_text(c, code->name_at, &code->told.name);
    if (!rc) rc = read_text(c, code->file_at, &code->told.file);
    if (!rc) rc = read_lines(c, code);
    if (!rc) return code;
    code_free(code);
    return NULL;
}

const struct outside_code *codes_get(struct codes *c, uint64_t address) {
    uint8_t head[CODE_SIZE];
    struct code *code = table_get(&c->table, address);
    if (code && code->round == c->round) return &code->told;
    if (!remote_is_object(address) || remote_read(c->remote, address, head, sizeof(head)) || !is_code(c, head)) return NULL;
    if (!code || code->name_at != remote_word(head, c->layout->co_name) ||
        code->file_at != remote_word(head, c->layout->co_filename) || code->lines_at != remote_word(head, c->layout->co_lines)) {
        code = read_code(c, address, head);
        if (!code) return NULL;
        code->next = c->all;
        c->all = code;
        c->n++;
        if (table_set(&c->table, address, code)) return NULL; /* it is found no more, but freed at the end */
    }
    code->round = c->round;
    return &code->told;
}

uint32_t codes_line(const struct codes *c, const struct outside_code *told, uint64_t instr) {
    const struct code *code = (const struct code *)told;
    uint64_t at = instr;
    if (c->layout->co_code) at = instr - (code->address + c->layout->co_code);
    if (c->layout->python == 0x30a) at *= 2;
    /* a frame that was just made is before its first instruction */
    if (at > INT32_MAX) return code->told.first_line;
    uint32_t line = lines_find(code->lines, code->nlines, (uint32_t)at);
    return line ? line : code->told.first_line; /* a generator's first instruction has none on 3.10 */
}
