/* Owns the first pass over a trace (trace_info.h). */
#include "cli/trace/trace_info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/trace/awaits.h"
#include "cli/trace/filters.h"
#include "cli/trace/limit.h"
#include "cli/trace/names.h"

#define SAME_IDENT_MAX 4096u    /* threads that one ident is looked for in */
#define MADE_UP_TID 0x40000000u /* tids that we make up start here, above every real one */

/* State needed only while reading. */
struct loader {
    struct trace_info *info;
    struct vt_clock_point first, last;
    bool have_clock;
    uint64_t last_ticks; /* of the events */
    uint32_t threads_room;
    struct trace_thread **by_ident; /* hash table, open addressing: the thread with the lowest serial of each ident */
    uint32_t ident_slots;           /* a power of two, more than twice the number of threads */
    struct text_map cpu;            /* struct cpu by tid */
    bool cpu_begun, cpu_whole;
    bool tasks; /* there are some */
    struct vt_err *err;
};

/* CPU times of one tid. */
struct cpu {
    uint64_t first_ns, last_ns;
    bool at_end;                /* in the frame that is last */
    bool known;                 /* first_ns is from the begin of tracing, or of the thread */
    struct trace_thread *owner; /* the first thread with this tid */
};

static struct trace_thread **ident_slot(const struct loader *l, uint64_t ident) {
    uint32_t at = (uint32_t)((ident * 0x9e3779b97f4a7c15ull) >> 32) & (l->ident_slots - 1);
    while (l->by_ident[at] && l->by_ident[at]->ident != ident) at = (at + 1) & (l->ident_slots - 1);
    return &l->by_ident[at];
}

static int grow_threads(struct loader *l) {
    uint32_t room = l->threads_room ? l->threads_room * 2 : 64;
    struct trace_thread **grown = memory_realloc(l->info->threads, room * sizeof(struct trace_thread *));
    if (!grown) return -ENOMEM;
    l->info->threads = grown;
    struct trace_thread **old = l->by_ident, **slots = memory_calloc(room * 4, sizeof(struct trace_thread *));
    if (!slots) return -ENOMEM;
    uint32_t old_slots = l->ident_slots;
    l->by_ident = slots;
    l->ident_slots = room * 4;
    for (uint32_t i = 0; i < old_slots; i++)
        if (old[i]) *ident_slot(l, old[i]->ident) = old[i];
    memory_free(old);
    l->threads_room = room;
    return 0;
}

static struct trace_thread *new_thread(struct loader *l, uint64_t ident, uint32_t serial) {
    struct trace_info *info = l->info;
    if (info->nthreads == l->threads_room && grow_threads(l)) return NULL;
    struct trace_thread *thread = memory_calloc(1, sizeof *thread);
    if (!thread) return NULL;
    thread->process = info->processes[0];
    thread->ident = ident;
    thread->serial = serial;
    thread->index = info->nthreads;
    info->threads[info->nthreads++] = thread;
    struct trace_thread **slot = ident_slot(l, ident);
    if (*slot && serial >= (*slot)->serial) {
        thread->same_ident = (*slot)->same_ident;
        (*slot)->same_ident = thread;
    } else {
        thread->same_ident = *slot;
        *slot = thread;
    }
    return thread;
}

/* The thread of a stream. A thread found at the attach (same ident, no stream yet) takes the first stream of its ident. Later
 * streams of that ident are other threads, because idents are reused. */
static struct trace_thread *thread_by_serial(struct loader *l, uint32_t serial, uint64_t ident) {
    void **slot = id_table_slot(&l->info->by_serial, serial);
    if (!slot || *slot) return slot ? *slot : NULL;
    struct trace_thread *thread = l->ident_slots ? *ident_slot(l, ident) : NULL;
    if (!thread || thread->serial != TRACE_NO_SERIAL) thread = new_thread(l, ident, serial);
    if (!thread) return NULL;
    thread->serial = serial;
    *slot = thread;
    return thread;
}

/* The thread that had this ident at attach: the one with the lowest serial. */
static struct trace_thread *thread_by_ident(struct loader *l, uint64_t ident) {
    struct trace_thread *thread = l->ident_slots ? *ident_slot(l, ident) : NULL;
    return thread ? thread : new_thread(l, ident, TRACE_NO_SERIAL);
}

/* The thread of that ident that has this native id: idents are used again, and what is told of a thread that lives must not go to
 * one that has ended. NULL: no such thread is known, or there are too many to look through. */
static struct trace_thread *thread_by_tid(struct loader *l, uint64_t ident, uint32_t tid, int *rc) {
    struct trace_thread *thread = thread_by_ident(l, ident);
    if (!thread) *rc = -ENOMEM;
    for (unsigned i = 0; thread && tid && thread->tid && thread->tid != tid; i++)
        thread = i < SAME_IDENT_MAX ? thread->same_ident : NULL;
    return thread;
}

static int set_text(char **text, uint32_t *text_len, const void *data, size_t len) {
    char *copy = memory_alloc(len ? len : 1);
    if (!copy) return -ENOMEM;
    if (len) memcpy(copy, data, len);
    memory_free(*text);
    *text = copy;
    *text_len = (uint32_t)len;
    return 0;
}

static int take_header(struct loader *l, ProtobufCMessage **msg) {
    if (l->info->header) return 0; /* the first one counts */
    Vt__TraceHeader *h = (Vt__TraceHeader *)(void *)*msg;
    struct trace_process *process = l->info->processes[0];
    l->info->header = h;
    *msg = NULL;
    process->pid = h->pid;
    process->parent_pid = h->parent_pid;
    process->born_ns = h->born_ns;
    if (h->origin_pid != h->pid) process->origin_pid = h->origin_pid; /* else it became another program */
    process->origin_ident = h->origin_ident;
    process->origin_ns = h->origin_ns;
    l->info->uid = h->uid;
    int rc = h->process_name ? set_text(&process->name, &process->name_len, h->process_name, strlen(h->process_name)) : 0;
    if (!rc && h->cmdline && *h->cmdline) rc = set_text(&process->cmdline, &process->cmdline_len, h->cmdline, strlen(h->cmdline));
    return rc;
}

static int take_process(struct loader *l, ProtobufCMessage **msg) {
    const Vt__Process *from = (const void *)*msg;
    struct trace_process *process = l->info->processes[0];
    return from->name.len ? set_text(&process->name, &process->name_len, from->name.data, from->name.len) : 0;
}

static int take_clock(struct loader *l, ProtobufCMessage **msg) {
    const Vt__Clock *clock = (const void *)*msg;
    l->last = (struct vt_clock_point){clock->ticks, clock->mono_ns, clock->real_ns, clock->hz};
    if (!l->have_clock) l->first = l->last;
    l->have_clock = true;
    return 0;
}

static int take_names(struct loader *l, ProtobufCMessage **msg) {
    const Vt__Names *names = (const void *)*msg;
    for (size_t i = 0; i < names->n_names; i++) {
        const Vt__Name *from = names->names[i];
        void **slot = id_table_slot(&l->info->names, from->id);
        if (!slot) {
            if (from->id > ID_TABLE_MAX) continue;
            return -ENOMEM;
        }
        if (*slot) continue; /* each id is given once */
        struct trace_name *to = memory_alloc(sizeof *to + from->name.len + from->file.len);
        if (!to) return -ENOMEM;
        char *text = (char *)(to + 1);
        *to = (struct trace_name){
            .index = l->info->nnames++,
            .line = from->line,
            .name_len = (uint32_t)from->name.len,
            .file_len = (uint32_t)from->file.len,
            .kind = from->kind != VT_NAME_PYTHON,
            .inside = from->kind == VT_NAME_INSIDE,
            .name = text,
            .file = text + from->name.len,
        };
        if (from->name.len) memcpy(text, from->name.data, from->name.len);
        if (from->file.len) memcpy(text + from->name.len, from->file.data, from->file.len);
        *slot = to;
    }
    return 0;
}

static int take_thread(struct loader *l, ProtobufCMessage **msg) {
    const Vt__Thread *from = (const void *)*msg;
    uint32_t tid = from->tid ? from->tid : from->ns_tid;
    int rc = 0;
    struct trace_thread *to =
        from->serial ? thread_by_serial(l, from->serial - 1, from->ident) : thread_by_tid(l, from->ident, tid, &rc);
    if (!to && !from->serial) return rc;
    if (!to) return from->serial > ID_TABLE_MAX ? 0 : -ENOMEM;
    struct trace_thread *of = from->greenlet_of ? id_table_get(&l->info->by_serial, from->greenlet_of - 1) : NULL;
    if (of && of != to && !of->greenlet_of && !to->ngreenlets && !to->greenlet_of) {
        to->greenlet_of = of;
        of->ngreenlets++;
    }
    if (from->end_ticks) to->end_ticks = from->end_ticks;
    if (from->end_ticks > l->last_ticks) l->last_ticks = from->end_ticks;
    if (tid) to->tid = tid;
    return from->name.len ? set_text(&to->name, &to->name_len, from->name.data, from->name.len) : 0;
}

static struct trace_line *lines_of(const Vt__Stack *from) {
    struct trace_line *lines = memory_calloc(from->n_ids + 1, sizeof *lines);
    for (size_t i = 0; lines && i < from->n_ids && i < from->n_lines; i++) {
        lines[i].line = from->lines[i];
        if (lines[i].line) snprintf(lines[i].json, sizeof lines[i].json, "{\"at_line\":%u}", lines[i].line);
    }
    return lines;
}

static int take_stack(struct loader *l, ProtobufCMessage **msg) {
    const Vt__Stack *from = (const void *)*msg;
    struct trace_thread *to = thread_by_ident(l, from->ident);
    if (!to) return -ENOMEM;
    uint32_t *ids = memory_alloc(from->n_ids * sizeof *ids + 1);
    if (!ids) return -ENOMEM;
    if (from->n_ids) memcpy(ids, from->ids, from->n_ids * sizeof *ids);
    struct trace_line *lines = from->n_lines ? lines_of(from) : NULL;
    if (from->n_lines && !lines) {
        memory_free(ids);
        return -ENOMEM;
    }
    memory_free(to->stack);
    memory_free(to->stack_lines);
    to->stack = ids;
    to->stack_lines = lines;
    to->nstack = (uint32_t)from->n_ids;
    to->stack_ticks = from->ticks;
    return 0;
}

static int take_task(struct loader *l, ProtobufCMessage **msg) {
    const Vt__Task *from = (const void *)*msg;
    void **slot = id_table_slot(&l->info->tasks, from->id);
    if (!slot) return from->id > ID_TABLE_MAX ? 0 : -ENOMEM;
    struct trace_task *to = *slot ? *slot : memory_calloc(1, sizeof *to);
    if (!to) return -ENOMEM;
    *slot = to;
    l->tasks = true;
    to->id = from->id;
    to->address = from->address;
    return set_text(&to->name, &to->name_len, from->name.data, from->name.len);
}

static int take_drops(struct loader *l, ProtobufCMessage **msg) {
    const Vt__Drops *from = (const void *)*msg;
    l->info->dropped += from->count;
    if (from->ticks > l->last_ticks) l->last_ticks = from->ticks;
    return 0;
}

/* A tid that is used again begins anew, with less time. */
static int take_cpu_times(struct loader *l, ProtobufCMessage **msg) {
    const Vt__CpuTimes *from = (const void *)*msg;
    for (size_t i = 0; i < from->n_tids && i < from->n_cpu_ns; i++) {
        void **slot = text_map_slot(&l->cpu, &from->tids[i], sizeof from->tids[i]);
        if (!slot) return -ENOMEM;
        struct cpu *cpu = *slot;
        if (!cpu) {
            *slot = cpu = memory_calloc(1, sizeof *cpu);
            if (!cpu) return -ENOMEM;
            if (!l->cpu_begun) cpu->first_ns = from->cpu_ns[i];
            cpu->known = !l->cpu_begun || l->cpu_whole;
            if (!cpu->known) cpu->first_ns = from->cpu_ns[i];
        }
        if (from->cpu_ns[i] < cpu->first_ns) cpu->first_ns = 0;
        cpu->last_ns = from->cpu_ns[i];
        cpu->at_end |= from->last;
    }
    if (!l->cpu_begun) l->cpu_whole = from->whole;
    l->cpu_begun = true;
    return 0;
}

/* Two streams with one tid are two threads: which of them used the time is not known. */
static void set_cpu_times(struct loader *l) {
    struct trace_info *info = l->info;
    for (uint32_t i = 0; i < info->nthreads; i++) {
        struct trace_thread *thread = info->threads[i];
        struct cpu *cpu = thread->shown ? text_map_get(&l->cpu, &thread->tid, sizeof thread->tid) : NULL;
        if (!cpu) continue;
        if (cpu->owner) {
            cpu->owner->cpu = TRACE_CPU_UNKNOWN;
            continue;
        }
        cpu->owner = thread;
        thread->cpu_ns = cpu->last_ns - cpu->first_ns;
        thread->cpu = cpu->known && cpu->at_end ? TRACE_CPU_EXACT : TRACE_CPU_AT_LEAST;
    }
}

static int take_end(struct loader *l, ProtobufCMessage **msg) {
    if (l->info->end) return 0;
    l->info->end = (Vt__End *)(void *)*msg;
    *msg = NULL;
    return 0;
}

static int take_throttled(struct loader *l, ProtobufCMessage **msg) {
    if (l->info->throttled) return 0;
    l->info->throttled = (Vt__Throttled *)(void *)*msg;
    *msg = NULL;
    return 0;
}

/* The handler of each type of frame. A handler may keep *msg by setting it to NULL. */
static const struct {
    uint32_t type;
    int (*take)(struct loader *, ProtobufCMessage **msg);
} takers[] = {
    {VT_FRAME_HEADER, take_header},       {VT_FRAME_CLOCK, take_clock},     {VT_FRAME_NAMES, take_names},
    {VT_FRAME_THREAD, take_thread},       {VT_FRAME_STACK, take_stack},     {VT_FRAME_TASK, take_task},
    {VT_FRAME_DROPS, take_drops},         {VT_FRAME_END, take_end},         {VT_FRAME_THROTTLED, take_throttled},
    {VT_FRAME_CPU_TIMES, take_cpu_times}, {VT_FRAME_PROCESS, take_process},
};

static int take_block(struct loader *l, const struct vt_trace_frame *frame) {
    struct vt_trace_block block;
    if (vt_trace_block_head(frame->payload, frame->len, &block)) return 0; /* the second pass reports it */
    struct trace_thread *thread = thread_by_serial(l, block.serial, block.ident);
    if (!thread) return block.serial > ID_TABLE_MAX ? 0 : -ENOMEM;
    if (!thread->tid) thread->tid = block.tid;
    thread->shown |= block.events != 0;
    if (block.events && block.last_ticks > l->last_ticks) l->last_ticks = block.last_ticks;
    l->info->events += block.events;
    return 0;
}

static int take_frame(struct loader *l, const struct vt_trace_frame *frame) {
    if (frame->type == VT_FRAME_BLOCK) return take_block(l, frame);
    for (size_t i = 0; i < VT_ARRAY_LEN(takers); i++) {
        if (takers[i].type != frame->type) continue;
        ProtobufCMessage *msg;
        int rc = vt_msg_unpack(frame->type, frame->payload, frame->len, &msg);
        if (rc) {
            vt_err_set(&l->info->damage, -EBADMSG, "damaged at byte %llu: message",
                       (unsigned long long)vt_trace_file_offset(l->info->trace, frame->offset));
            return rc;
        }
        rc = takers[i].take(l, &msg);
        vt_msg_free(msg);
        return rc;
    }
    return 0;
}

/* Tracing ended when the hooks went out. Where the target or the daemon was killed, nobody saw that: the last that was heard
 * of it counts. An event on its way when the hooks went out may be later. */
static void find_end(const struct loader *l) {
    const struct trace_info *info = l->info;
    struct trace_process *process = info->processes[0];
    uint64_t off = info->end ? info->end->hooks_off_ticks : 0, end = off ? off : l->last.ticks;
    if (l->last_ticks > end) end = l->last_ticks;
    process->start_ns = vt_clock_to_ns(&info->clock, info->hooks_on_ticks);
    process->end_ns = vt_clock_to_ns(&info->clock, end);
    if (process->end_ns < process->start_ns) process->end_ns = process->start_ns;
}

/* Greenlets are told without names. */
static int name_greenlets(const struct trace_info *info) {
    static const char middle[] = " greenlet ";
    for (uint32_t i = 0; i < info->nthreads; i++) info->threads[i]->ngreenlets = 0;
    for (uint32_t i = 0; i < info->nthreads; i++) {
        struct trace_thread *thread = info->threads[i];
        char made_up[NAME_MADE_UP];
        size_t len;
        if (!thread->greenlet_of || thread->name_len) continue;
        const char *of = name_of_thread(thread->greenlet_of, made_up, &len);
        char *name = memory_alloc(len + sizeof middle + JSON_NUMBER_MAX), *p = name;
        if (!name) return -ENOMEM;
        memcpy(p, of, len);
        memcpy(p + len, middle, sizeof middle - 1);
        p = json_put_u64(p + len + sizeof middle - 1, ++thread->greenlet_of->ngreenlets);
        memory_free(thread->name);
        thread->name = name;
        thread->name_len = (uint32_t)(p - name);
    }
    return 0;
}

/* The end does not count the calls that were open at the attach. */
static void count_calls(struct trace_info *info) {
    info->counted = info->end && !info->header->min_duration_ns;
    if (!info->end) return;
    info->end_calls = info->end->calls;
    info->end_short_calls = info->end->short_calls;
    info->end_dropped = info->end->dropped;
    for (uint32_t i = 0; i < info->nthreads; i++) info->end_calls += info->threads[i]->nstack;
}

static int finish(struct loader *l) {
    struct trace_info *info = l->info;
    if (!info->header) return vt_err_set(l->err, -EBADMSG, "the trace has no header: nothing was recorded; name another one");
    if (info->header->format > VT_TRACE_FORMAT)
        return vt_err_set(l->err, -EPROTO, "trace format %u is newer than this program knows (%u): use a newer viztracer",
                          info->header->format, VT_TRACE_FORMAT);
    if (!l->have_clock || vt_clock_map_init(&info->clock, info->header->clock, &l->first, &l->last))
        return vt_err_set(l->err, -EBADMSG, "the trace has no usable clock: its times cannot be told; name another one");
    info->real_minus_mono = l->first.real_ns - l->first.mono_ns;
    if (info->end) info->hooks_on_ticks = info->end->hooks_on_ticks;
    if (!info->hooks_on_ticks) info->hooks_on_ticks = l->first.ticks;
    for (uint32_t i = 0; i < info->nthreads; i++) {
        struct trace_thread *thread = info->threads[i];
        if (!thread->tid) thread->tid = MADE_UP_TID | (thread->serial == TRACE_NO_SERIAL ? i : thread->serial);
        thread->shown |= thread->nstack != 0;
        info->nshown += thread->shown && !thread->greenlet_of;
        if (!thread->stack_ticks) thread->stack_ticks = info->hooks_on_ticks;
    }
    if (l->tasks && await_names_add(info)) return vt_err_set(l->err, -ENOMEM, "out of memory");
    if (name_greenlets(info)) return vt_err_set(l->err, -ENOMEM, "out of memory");
    set_cpu_times(l);
    find_end(l);
    info->truncated = vt_trace_truncated(info->trace);
    info->cut_off = info->processes[0]->cut_off = info->truncated || !info->end;
    count_calls(info);
    limit_describe(info);
    filters_describe(info);
    return 0;
}

void trace_info_put_ends(struct trace_info *info) {
    for (uint32_t i = 0; i < info->nprocesses; i++)
        if (info->processes[i]->end_ns > info->last_ns) info->last_ns = info->processes[i]->end_ns;
}

struct trace_info *trace_info_new(void) {
    struct trace_info *info = memory_calloc(1, sizeof *info);
    if (!info) return NULL;
    info->unknown = (struct trace_name){.name = "<unknown function>", .name_len = 18, .file = "", .kind = 1};
    info->nnames = 1;
    info->uid = (uint32_t)-1;
    info->to_ns = UINT64_MAX;
    return info;
}

/* A .vzt has one process. */
static int add_process(struct trace_info *info) {
    info->processes = memory_calloc(1, sizeof *info->processes);
    if (!info->processes || !(info->processes[0] = memory_calloc(1, sizeof **info->processes))) return -ENOMEM;
    info->nprocesses = 1;
    return 0;
}

int trace_info_load(struct vt_trace *t, struct trace_info **out, struct vt_err *err) {
    struct trace_info *info = trace_info_new();
    if (!info || add_process(info)) {
        trace_info_free(info);
        return vt_err_set(err, -ENOMEM, "out of memory");
    }
    info->trace = t;
    info->native = info->announces = true;
    struct loader l = {.info = info, .err = err};
    struct vt_trace_frame frame;
    int rc;
    vt_trace_rewind(t);
    do {
        info->good_until = vt_trace_pos(t);
        rc = vt_trace_next(t, true, &frame, &info->damage);
        if (rc == 1 && (rc = take_frame(&l, &frame)) == 0) rc = 1;
    } while (rc == 1);
    if (rc == 0) info->good_until = UINT64_MAX;
    if (rc == -ENOMEM)
        vt_err_set(err, rc, "out of memory");
    else if (rc && rc != -EBADMSG && rc != -EPROTO)
        vt_err_set(err, rc, "%s", info->damage.msg);
    else
        rc = finish(&l); /* everything before the damage is valid */
    memory_free(l.by_ident);
    for (size_t i = 0; i < l.cpu.slots; i++) memory_free(l.cpu.entries[i].value);
    text_map_free(&l.cpu);
    if (rc) {
        trace_info_free(info);
        return rc;
    }
    *out = info;
    return 0;
}

static void free_all(struct id_table *t) {
    for (uint32_t i = 0; i < t->npages; i++)
        for (uint32_t k = 0; t->pages[i] && k < ID_TABLE_PAGE; k++) memory_free(t->pages[i][k]);
    id_table_free(t);
}

void trace_info_free(struct trace_info *info) {
    if (!info) return;
    for (uint32_t p = 0; p < info->tasks.npages; p++)
        for (uint32_t k = 0; info->tasks.pages[p] && k < ID_TABLE_PAGE; k++)
            if (info->tasks.pages[p][k]) memory_free(((struct trace_task *)info->tasks.pages[p][k])->name);
    free_all(&info->tasks);
    free_all(&info->names);
    id_table_free(&info->by_serial);
    for (uint32_t i = 0; i < info->nthreads; i++) {
        memory_free(info->threads[i]->name);
        memory_free(info->threads[i]->stack);
        memory_free(info->threads[i]->stack_lines);
        memory_free(info->threads[i]);
    }
    memory_free(info->threads);
    for (uint32_t i = 0; i < info->nprocesses; i++) {
        memory_free(info->processes[i]->name);
        memory_free(info->processes[i]->cmdline);
        memory_free(info->processes[i]);
    }
    memory_free(info->processes);
    for (size_t i = 0; i < info->texts.slots; i++) memory_free(info->texts.entries[i].value);
    text_map_free(&info->texts);
    vt_msg_free((ProtobufCMessage *)info->header);
    vt_msg_free((ProtobufCMessage *)info->throttled);
    vt_msg_free((ProtobufCMessage *)info->end);
    memory_free(info);
}
