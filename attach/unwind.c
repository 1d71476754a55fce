/* Owns remote unwinding (unwind.h). Target memory is cached during one walk.
 *
 * Deep stacks. Before 3.11 each Python call is three C frames, so 15,000 calls deep is 45,000 frames: 35 ms by libunwind,
 * during which a thread is stopped. So after the first frames we use rules of our own, one per code address; a
 * walk needs a few dozen of them. To learn a rule we let libunwind step once over *marked* registers (values that are not
 * addresses): the result shows where the caller's registers are. Two different markings must give the same rule. libunwind
 * steps all frames without such a simple rule, on the real registers. */
#include "attach/unwind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libunwind.h>

/* libunwind exports it for its own ptrace and core-file accessors. No header declares it. */
#undef dwarf_search_unwind_table
extern int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di, unw_proc_info_t *pi,
                                              int need_unwind_info, void *arg);

#define PAGE 4096u
#define READ_AHEAD 8u /* pages; the walk goes towards higher addresses */
#define CACHE_PAGES 1024u
#define RULES 4096u
#define DEPTH_MAX 4000000u
#define DEADLINE_EVERY 256u
#define SLOW_FRAMES 96u /* frames that libunwind steps before learning rules pays */
#define LEARNED_RULES 1024u
#define WINDOW (256u << 10) /* part of the stack that is read at once */

/* Marked registers: the tag in the top 16 bits makes the values invalid addresses. */
#define MARK_SHIFT 48
#define MARK_SP 0x5a01ull
#define MARK_MEMORY 0x5a02ull
#define MARK_SAVED 0x5a10ull /* + index in arch_unwind_saved */
#define MARK(tag, low) ((tag) << MARK_SHIFT | (low))
#define MARK_TAG(v) ((v) >> MARK_SHIFT)
#define IS_MARK(v) ((v) >> (MARK_SHIFT + 8) == 0x5a)

enum rule_kind { RULE_NONE = 0, RULE_SIMPLE, RULE_HARD, RULE_END, RULE_NO_TABLE };
struct rule { /* the places of the caller's registers, for an address inside a call instruction */
    uint64_t lookup;
    uint8_t kind;  /* enum rule_kind */
    bool from_fp;  /* the CFA is relative to the frame pointer, else to sp */
    uint8_t saved; /* bits: which registers of arch_unwind_saved are in memory */
    int32_t cfa;
    int32_t at[ARCH_SAVED_REGS]; /* relative to the CFA */
};

struct state { /* registers of a frame */
    uint64_t ip, lookup, sp;
    uint64_t saved[ARCH_SAVED_REGS];
};

#define FILE_PARTS 64u
struct file_part { /* part of a module's file, as it is mapped */
    uint64_t start, end;
    const uint8_t *bytes;
};

struct unwinder {
    const struct image *img;
    struct mem *mem;
    unw_addr_space_t space;
    const struct arch_regs *regs;
    const struct image_module *last; /* most frames are in the same module as the frame before */
    struct file_part parts[FILE_PARTS];
    bool no_table; /* this walk: libunwind had to guess */
    bool marked;   /* registers are marks: a rule is being learned */
    uint64_t mark_low, mark_ip;
    uint64_t marked_reads[16]; /* marked addresses that were read, in order */
    unsigned nmarked_reads;
    struct rule rules[LEARNED_RULES];
    uint64_t window_at, window_len;
    uint8_t window[WINDOW];
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

static int marked_read(struct unwinder *u, uint64_t addr, unw_word_t *value) {
    if (u->nmarked_reads >= VT_ARRAY_LEN(u->marked_reads)) return -UNW_EINVAL;
    *value = MARK(MARK_MEMORY, u->nmarked_reads);
    u->marked_reads[u->nmarked_reads++] = addr;
    return 0;
}

/* Tables and code are read from our mapping of the file, which needs no system call while a thread is stopped. */
static const uint8_t *file_bytes(struct unwinder *u, uint64_t addr, size_t len) {
    struct file_part *part = &u->parts[addr >> 21 & (FILE_PARTS - 1)];
    if (addr < part->start || addr >= part->end) {
        const struct map_line *line = maps_find_line(&u->img->maps, addr);
        const struct image_module *m = line ? image_at(u->img, addr) : NULL;
        if (!line || line->w || !m || !m->open || line->offset >= m->elf.len) return NULL;
        uint64_t there = m->elf.len - line->offset, mapped = line->end - line->start;
        *part = (struct file_part){line->start, line->start + (there < mapped ? there : mapped), m->elf.img + line->offset};
    }
    if (addr < part->start || addr >= part->end || part->end - addr < len) return NULL;
    return part->bytes + (addr - part->start);
}

static int access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *value, int write, void *arg) {
    struct unwinder *u = arg;
    (void)as;
    if (write) return -UNW_EINVAL;
    if (u->marked && IS_MARK(addr)) return marked_read(u, addr, value);
    uint8_t *to = (uint8_t *)value;
    const uint8_t *known = file_bytes(u, addr, sizeof(*value));
    if (known) {
        memcpy(to, known, sizeof(*value));
        return 0;
    }
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

/* Gives each register a mark of its own, far apart, so that a sum shows which one it came from. */
static int marked_reg(const struct unwinder *u, int reg, unw_word_t *value) {
    *value = MARK(MARK_SAVED + ARCH_SAVED_REGS, u->mark_low);
    if (reg == arch_unwind_ip) *value = u->mark_ip;
    if (reg == arch_unwind_sp) *value = MARK(MARK_SP, u->mark_low);
    for (unsigned i = 0; i < ARCH_SAVED_REGS; i++)
        if (reg == arch_unwind_saved[i]) *value = MARK(MARK_SAVED + i, u->mark_low);
    return 0;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write, void *arg) {
    struct unwinder *u = arg;
    uint64_t v;
    (void)as;
    if (write) return -UNW_EREADONLYREG;
    if (u->marked) return marked_reg(u, reg, value);
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

/* -- rules -- */

/* One step over marked registers. */
static void probe(struct unwinder *u, uint64_t lookup, uint64_t low, struct rule *rule) {
    unw_cursor_t cursor;
    unw_word_t cfa, ip;
    *rule = (struct rule){.lookup = lookup, .kind = RULE_HARD};
    u->mark_ip = lookup;
    u->mark_low = low;
    u->nmarked_reads = 0;
    if (unw_init_remote(&cursor, u->space, u)) return;
    int rc = unw_step(&cursor);
    if (u->no_table)
        rule->kind = RULE_NO_TABLE;
    else if (rc == 0)
        rule->kind = RULE_END;
    if (rc <= 0 || u->no_table || unw_get_reg(&cursor, UNW_REG_SP, &cfa) || unw_get_reg(&cursor, UNW_REG_IP, &ip)) return;

    rule->from_fp = MARK_TAG(cfa) == MARK_SAVED + ARCH_SAVED_FP;
    if (!rule->from_fp && MARK_TAG(cfa) != MARK_SP) return;
    rule->cfa = (int32_t)(cfa - MARK(MARK_TAG(cfa), low));
    if (MARK_TAG(ip) != MARK_MEMORY || u->marked_reads[ip - MARK(MARK_MEMORY, 0)] != cfa + (uint64_t)ARCH_RETURN_OFFSET) return;
    for (unsigned i = 0; i < ARCH_SAVED_REGS; i++) {
        unw_save_loc_t where;
        if (unw_get_save_loc(&cursor, arch_unwind_saved[i], &where)) return;
        if (where.type == UNW_SLT_REG && where.u.regnum == arch_unwind_saved[i]) continue; /* the register is unchanged */
        if (where.type != UNW_SLT_MEMORY || MARK_TAG(where.u.addr) != MARK_TAG(cfa)) return;
        rule->saved |= (uint8_t)(1u << i);
        rule->at[i] = (int32_t)(where.u.addr - cfa);
    }
    rule->kind = RULE_SIMPLE;
}

static const struct rule *rule_of(struct unwinder *u, uint64_t lookup) {
    struct rule *rule = &u->rules[(lookup ^ lookup >> 12) % LEARNED_RULES], again;
    if (rule->kind != RULE_NONE && rule->lookup == lookup) return rule;
    bool no_table = u->no_table;
    u->marked = true;
    probe(u, lookup, 0x10000000, rule);
    probe(u, lookup, 0x23456780, &again);
    u->marked = false;
    u->no_table = no_table;
    if (memcmp(rule, &again, sizeof(again))) rule->kind = RULE_HARD;
    return rule;
}

/* -- walking -- */
static bool window_covers(const struct unwinder *u, uint64_t from, uint64_t to) {
    return from >= u->window_at && to <= u->window_at + u->window_len;
}

/* Reads the frame's part of the stack; frames are visited towards higher addresses. */
static bool need_window(struct unwinder *u, uint64_t from, uint64_t to) {
    if (window_covers(u, from, to)) return true;
    u->window_at = from & ~(uint64_t)(PAGE - 1);
    for (u->window_len = WINDOW; u->window_len >= PAGE; u->window_len /= 2)
        if (!u->mem->read(u->mem, u->window_at, u->window, u->window_len)) break;
    if (u->window_len < PAGE) u->window_len = 0;
    return window_covers(u, from, to);
}

static uint64_t in_window(const struct unwinder *u, uint64_t addr) {
    uint64_t v;
    memcpy(&v, u->window + (addr - u->window_at), sizeof(v));
    return v;
}

static int get_state(unw_cursor_t *cursor, bool after_signal, struct state *s) {
    unw_word_t v;
    if (unw_get_reg(cursor, UNW_REG_IP, &v)) return -ENODATA;
    s->ip = v;
    s->lookup = after_signal ? v : v - 1;
    if (unw_get_reg(cursor, UNW_REG_SP, &v)) return -ENODATA;
    s->sp = v;
    for (unsigned i = 0; i < ARCH_SAVED_REGS; i++) {
        if (unw_get_reg(cursor, arch_unwind_saved[i], &v)) return -ENODATA;
        s->saved[i] = v;
    }
    return 0;
}

static int set_regs(const struct state *s, uint64_t ip, struct arch_regs *regs) {
    int rc = arch_unwind_set(regs, arch_unwind_ip, ip) | arch_unwind_set(regs, arch_unwind_sp, s->sp);
    for (unsigned i = 0; i < ARCH_SAVED_REGS; i++) rc |= arch_unwind_set(regs, arch_unwind_saved[i], s->saved[i]);
    return rc ? -ENODATA : 0;
}

static bool is_signal_frame(struct unwinder *u, const struct state *s) {
    unw_cursor_t cursor;
    struct arch_regs regs = *u->regs;
    const struct arch_regs *real = u->regs;
    bool is = !set_regs(s, s->ip, &regs);
    u->regs = &regs;
    is = is && !unw_init_remote(&cursor, u->space, u) && unw_is_signal_frame(&cursor) > 0;
    u->regs = real;
    return is;
}

/* A step by libunwind. > 0 done, 0 end, -ENODATA. */
static int hard_step(struct unwinder *u, struct state *s, bool signal) {
    unw_cursor_t cursor;
    struct arch_regs regs = *u->regs;
    const struct arch_regs *real = u->regs;
    int rc = set_regs(s, signal ? s->ip : s->lookup, &regs);
    u->regs = &regs;
    if (!rc && unw_init_remote(&cursor, u->space, u)) rc = -ENODATA;
    if (!rc) {
        rc = unw_step(&cursor);
        if (rc < 0 || u->no_table) rc = -ENODATA;
        if (rc > 0 && get_state(&cursor, signal, s)) rc = -ENODATA;
    }
    u->regs = real;
    return rc;
}

/* A step by a rule if there is one. > 0 done, 0 end, -ENODATA. */
static int step(struct unwinder *u, struct state *s) {
    const struct rule *rule = rule_of(u, s->lookup);
    if (rule->kind == RULE_END) return 0;
    if (rule->kind == RULE_NO_TABLE) return -ENODATA;
    if (rule->kind != RULE_SIMPLE) return hard_step(u, s, false);
    uint64_t cfa = (rule->from_fp ? s->saved[ARCH_SAVED_FP] : s->sp) + (uint64_t)(int64_t)rule->cfa;
    if (cfa <= s->sp || cfa - s->sp > WINDOW - PAGE || !need_window(u, s->sp, cfa)) return hard_step(u, s, false);
    for (unsigned i = 0; i < ARCH_SAVED_REGS; i++) {
        if (!(rule->saved & 1u << i)) continue;
        uint64_t at = cfa + (uint64_t)(int64_t)rule->at[i];
        if (at < s->sp || at >= cfa) return -ENODATA;
        s->saved[i] = in_window(u, at);
    }
    s->sp = cfa;
    s->ip = in_window(u, cfa + (uint64_t)ARCH_RETURN_OFFSET);
    s->lookup = s->ip - 1;
    return s->ip ? 1 : -ENODATA;
}

typedef int (*visitor)(void *ctx, const struct unwind_frame *frame);

static bool late(unsigned depth, uint64_t deadline_ns) {
    return depth >= DEPTH_MAX || (depth % DEADLINE_EVERY == DEADLINE_EVERY - 1 && vt_mono_ns() > deadline_ns);
}

/* libunwind steps all frames of libc: signal frames are among them, and the safety rules need those. */
static bool may_be_signal(const struct image_module *m) { return !m || m->kind == MAP_LIBC || m->kind == MAP_VDSO; }

static int walk_on(struct unwinder *u, struct state *s, unsigned depth, uint64_t deadline_ns, visitor visit, void *ctx) {
    u->window_len = 0;
    for (;; depth++) {
        struct unwind_frame f = {depth, s->ip, s->lookup, s->sp, module_at(u, s->lookup), false};
        bool careful = may_be_signal(f.module);
        f.signal = careful && is_signal_frame(u, s);
        int rc = visit(ctx, &f);
        if (rc) return rc;
        rc = careful ? hard_step(u, s, f.signal) : step(u, s);
        if (rc <= 0) return rc;
        if (late(depth, deadline_ns)) return -ETIME;
    }
}

int unwinder_walk(struct unwinder *u, const struct arch_regs *regs, uint64_t deadline_ns, visitor visit, void *ctx) {
    unw_cursor_t cursor;
    struct state s;
    bool after_signal = true; /* the innermost ip is not a return address, either */
    u->regs = regs;
    u->no_table = false;
    u->walk++;
    if (unw_init_remote(&cursor, u->space, u)) return -ENODATA;
    for (unsigned depth = 0;; depth++) {
        if (depth >= SLOW_FRAMES && !after_signal) {
            int rc = get_state(&cursor, false, &s);
            return rc ? rc : walk_on(u, &s, depth, deadline_ns, visit, ctx);
        }
        struct unwind_frame f = {.depth = depth};
        unw_word_t ip, sp;
        if (unw_get_reg(&cursor, UNW_REG_IP, &ip) || unw_get_reg(&cursor, UNW_REG_SP, &sp)) return -ENODATA;
        f.ip = ip;
        f.sp = sp;
        f.lookup = after_signal ? ip : ip - 1;
        f.module = module_at(u, f.lookup);
        f.signal = may_be_signal(f.module) && unw_is_signal_frame(&cursor) > 0;
        int rc = visit(ctx, &f);
        if (rc) return rc;
        after_signal = f.signal;
        rc = unw_step(&cursor);
        if (u->no_table || rc < 0) return -ENODATA;
        if (rc == 0) return 0;
        if (late(depth, deadline_ns)) return -ETIME;
    }
}
