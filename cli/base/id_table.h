/* Pointers by number (name ids, thread serials): two levels, so that one wild number costs one page, not an array. */
#ifndef VT_CLI_ID_TABLE_H
#define VT_CLI_ID_TABLE_H

#include <stdint.h>
#include <stdlib.h>

#include "cli/base/memory.h"

#define ID_TABLE_PAGE 4096u
#define ID_TABLE_PAGES 16384u
#define ID_TABLE_MAX (ID_TABLE_PAGE * ID_TABLE_PAGES - 1) /* largest number: 26 bits */

struct id_table {
    void **pages[ID_TABLE_PAGES];
};

static inline void *id_table_get(const struct id_table *t, uint32_t id) {
    if (id > ID_TABLE_MAX) return NULL;
    void **page = t->pages[id / ID_TABLE_PAGE];
    return page ? page[id % ID_TABLE_PAGE] : NULL;
}
/* The slot for the pointer of id; NULL = out of memory or id too large. */
static inline void **id_table_slot(struct id_table *t, uint32_t id) {
    if (id > ID_TABLE_MAX) return NULL;
    void ***page = &t->pages[id / ID_TABLE_PAGE];
    if (!*page && !(*page = memory_calloc(ID_TABLE_PAGE, sizeof **page))) return NULL;
    return &(*page)[id % ID_TABLE_PAGE];
}
/* Frees the table's pages, not what they point to. */
static inline void id_table_free(struct id_table *t) {
    for (uint32_t i = 0; i < ID_TABLE_PAGES; i++) memory_free(t->pages[i]);
}

#endif
