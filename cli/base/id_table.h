/* Pointers by number (name ids, thread serials): two levels, so that one wild number costs half a megabyte, not an array of all.
 * An empty table costs nothing: a trace may have very many of them. */
#ifndef VT_CLI_ID_TABLE_H
#define VT_CLI_ID_TABLE_H

#include <stdint.h>
#include <stdlib.h>

#include "cli/base/memory.h"

#define ID_TABLE_PAGE 1024u
#define ID_TABLE_MAX ((1u << 26) - 1) /* largest number: 26 bits */

struct id_table { /* all zero = empty */
    void ***pages;
    uint32_t npages;
};

static inline void *id_table_get(const struct id_table *t, uint32_t id) {
    if (id / ID_TABLE_PAGE >= t->npages) return NULL;
    void **page = t->pages[id / ID_TABLE_PAGE];
    return page ? page[id % ID_TABLE_PAGE] : NULL;
}
/* The slot for the pointer of id; NULL = out of memory or id too large. */
static inline void **id_table_slot(struct id_table *t, uint32_t id) {
    uint32_t at = id / ID_TABLE_PAGE, n = t->npages ? t->npages : 1;
    if (id > ID_TABLE_MAX) return NULL;
    if (at >= t->npages) {
        while (n <= at) n *= 2;
        void ***pages = (void ***)memory_realloc(t->pages, n * sizeof *pages);
        if (!pages) return NULL;
        for (uint32_t i = t->npages; i < n; i++) pages[i] = NULL;
        t->pages = pages;
        t->npages = n;
    }
    void ***page = &t->pages[at];
    if (!*page && !(*page = memory_calloc(ID_TABLE_PAGE, sizeof **page))) return NULL;
    return &(*page)[id % ID_TABLE_PAGE];
}
/* Frees the table, not what the pointers point to. */
static inline void id_table_free(struct id_table *t) {
    for (uint32_t i = 0; i < t->npages; i++) memory_free(t->pages[i]);
    memory_free(t->pages);
    *t = (struct id_table){NULL, 0};
}

#endif
