/* Remote unwinding (unwind.h). Rules for an address are cached by libunwind for the life of an unwinder;
 * memory is cached for one walk. */
#include "attach/unwind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libunwind.h>

/* Exported by libunwind for its own ptrace and core-file accessors, and declared in none of its headers. */
#undef dwarf_search_unwind_table
extern int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di, unw_proc_info_t *pi,
                                              int need_unwind_info, void *arg);

#define PAGE 4096u
#define READ_AHEAD 8u /* pages; the walk goes upwards */
#define CACHE_PAGES 1024u
#define RULES 4096u
#define DEPTH_MAX 4000000u
#define DEADLINE_EVERY 256u

struct unwinder {
    const struct image *img;
    struct mem *mem;
    unw_addr_space_t space;
    const struct arch_regs *regs;
    const struct image_module *last; /* most frames are in the module of the frame before */
    bool no_table;                   /* of this walk: libunwind had to guess */
    unsigned walk;
    uint64_t page[CACHE_PAGES]; /* page number */
    unsigned page_walk[CACHE_PAGES];
    uint8_t data[CACHE_PAGES][PAGE];
};

static const struct image_module *module_at(struct unwinder *u, uint64_t addr) {
    if (!u->last || addr < u->last->start || addr >= u->last->end) u->last = image_at(u->img, addr);
    return u->last;
}

/* -- memory -- */
static void remember(struct unwinder *u, uint64_t page, const uint8_t *data) {
    size_t slot = page % CACHE_PAGES;
    u->page[slot] = page;
    u->page_walk[slot] = u->walk;
    memcpy(u->data[slot], data, PAGE);
}

static const uint8_t *page_data(struct unwinder *u, uint64_t page) {
    size_t slot = page % CACHE_PAGES;
    if (u->page[slot] == page && u->page_walk[slot] == u->walk) return u->data[slot];
    uint8_t ahead[READ_AHEAD * PAGE];
    unsigned n = READ_AHEAD;
    while (n && u->mem->read(u->mem, page * PAGE, ahead, n * PAGE)) n /= 2;
    for (unsigned i = 0; i < n; i++) remember(u, page + i, ahead + i * PAGE);
    return n ? u->data[slot] : NULL;
}

static int access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *value, int write, void *arg) {
    struct unwinder *u = arg;
    (void)as;
    if (write) return -UNW_EINVAL;
    uint8_t *to = (uint8_t *)value;
    for (size_t got = 0; got < sizeof(*value);) {
        uint64_t at = addr + got;
        const uint8_t *data = page_data(u, at / PAGE);
        if (!data) return -UNW_EINVAL;
        size_t n = PAGE - at % PAGE;
        if (n > sizeof(*value) - got) n = sizeof(*value) - got;
        memcpy(to + got, data + at % PAGE, n);
        got += n;
    }
    return 0;
}

/* -- tables -- */
static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need_unwind_info, void *arg) {
    static const uint8_t binary_search_table[4] = {1, 0x1b, 0x03, 0x3b}; /* version; pcrel sdata4, udata4, datarel sdata4 */
    struct unwinder *u = arg;
    const struct image_module *m = module_at(u, ip);
    unw_word_t head, count;
    if (!m || !m->open || !m->elf.eh_frame_hdr) goto none;
    uint64_t header = m->bias + m->elf.eh_frame_hdr;
    if (access_mem(as, header, &head, 0, arg) || access_mem(as, header + 8, &count, 0, arg)) goto none;
    if (memcmp(&head, binary_search_table, sizeof(binary_search_table))) goto none;
    unw_dyn_info_t di = {.format = UNW_INFO_FORMAT_REMOTE_TABLE, .start_ip = m->start, .end_ip = m->end};
    di.u.rti.segbase = header;
    di.u.rti.table_data = header + 12;
    di.u.rti.table_len = (uint32_t)count; /* entries of 8 bytes, in words */
    int rc = UNW_OBJ(dwarf_search_unwind_table)(as, ip, &di, pi, need_unwind_info, arg);
    if (!rc) return 0;
none:
    u->no_table = true;
    return -UNW_ENOINFO;
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg) {
    (void)as, (void)arg;
    free(pi->unwind_info);
    pi->unwind_info = NULL;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write, void *arg) {
    struct unwinder *u = arg;
    uint64_t v;
    (void)as;
    if (write) return -UNW_EREADONLYREG;
    if (arch_unwind_reg(u->regs, reg, &v)) return -UNW_EBADREG;
    *value = v;
    return 0;
}

static int no_dyn_info(unw_addr_space_t as, unw_word_t *list, void *arg) {
    (void)as, (void)list, (void)arg;
    return -UNW_ENOINFO;
}
static int no_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *value, int write, void *arg) {
    (void)as, (void)reg, (void)value, (void)write, (void)arg;
    return -UNW_EBADREG;
}
static int no_resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg) {
    (void)as, (void)cursor, (void)arg;
    return -UNW_EINVAL;
}
static int no_proc_name(unw_addr_space_t as, unw_word_t addr, char *buf, size_t len, unw_word_t *offset, void *arg) {
    (void)as, (void)addr, (void)buf, (void)len, (void)offset, (void)arg;
    return -UNW_ENOINFO;
}

int unwinder_open(struct unwinder **out, const struct image *img, struct mem *mem) {
    static unw_accessors_t accessors = {
        .find_proc_info = find_proc_info,
        .put_unwind_info = put_unwind_info,
        .get_dyn_info_list_addr = no_dyn_info,
        .access_mem = access_mem,
        .access_reg = access_reg,
        .access_fpreg = no_fpreg,
        .resume = no_resume,
        .get_proc_name = no_proc_name,
    };
    struct unwinder *u = calloc(1, sizeof(*u));
    if (!u) return -ENOMEM;
    u->img = img;
    u->mem = mem;
    u->space = unw_create_addr_space(&accessors, 0);
    if (!u->space) {
        free(u);
        return -ENOMEM;
    }
    unw_set_caching_policy(u->space, UNW_CACHE_GLOBAL);
    unw_set_cache_size(u->space, RULES, 0);
    *out = u;
    return 0;
}

void unwinder_close(struct unwinder *u) {
    if (!u) return;
    unw_destroy_addr_space(u->space);
    free(u);
}

uint64_t unwinder_function(struct unwinder *u, uint64_t lookup) {
    unw_proc_info_t pi = {0};
    bool no_table = u->no_table;
    int rc = find_proc_info(u->space, lookup, &pi, 0, u);
    u->no_table = no_table;
    return rc ? 0 : pi.start_ip;
}

int unwinder_walk(struct unwinder *u, const struct arch_regs *regs, uint64_t deadline_ns,
                  int (*visit)(void *ctx, const struct unwind_frame *frame), void *ctx) {
    unw_cursor_t cursor;
    bool after_signal = true; /* the innermost ip is not a return address either */
    u->regs = regs;
    u->no_table = false;
    u->walk++;
    if (unw_init_remote(&cursor, u->space, u)) return -ENODATA;
    for (unsigned depth = 0;; depth++) {
        struct unwind_frame f = {.depth = depth};
        unw_word_t ip, sp;
        if (unw_get_reg(&cursor, UNW_REG_IP, &ip) || unw_get_reg(&cursor, UNW_REG_SP, &sp)) return -ENODATA;
        f.ip = ip;
        f.sp = sp;
        f.lookup = after_signal ? ip : ip - 1;
        f.module = module_at(u, f.lookup);
        enum map_kind kind = f.module ? f.module->kind : MAP_LIBC;
        f.signal = (kind == MAP_LIBC || kind == MAP_VDSO) && unw_is_signal_frame(&cursor) > 0;
        int rc = visit(ctx, &f);
        if (rc) return rc;
        after_signal = f.signal;
        rc = unw_step(&cursor);
        if (u->no_table || rc < 0) return -ENODATA;
        if (rc == 0) return 0;
        if (depth >= DEPTH_MAX || (depth % DEADLINE_EVERY == DEADLINE_EVERY - 1 && vt_mono_ns() > deadline_ns)) return -ETIME;
    }
}
