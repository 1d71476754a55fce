/* Owns the matching of enter and leave events (model.h has the rules). The loop over the events of a block is the
 * hottest code of a conversion besides the writer. */
#include "cli/format/vzt/model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/base/memory.h"
#include "cli/format/vzt/ahead.h"
#include "cli/format/vzt/call_notes.h"
#include "cli/format/vzt/suspended.h"
#include "proto/block.h"

#define HELD_MAX (256u << 20) /* bytes of arguments kept for open frames; more are left out */
#define PROGRESS_STEP (4u << 20)

struct payload {
    uint8_t *data; /* malloc'd or NULL */
    uint32_t len;
};

struct frame {
    uint64_t start_ns;
    uint32_t id;
    uint32_t survived; /* number of the last gap that the frame is known to have stayed open over */
    bool c, from_attach, resumed;
    uint32_t at; /* number + 1 in the thread's stack at the attach; 0 = the line that it was at is not known */
    struct trace_task *task;
    struct payload args;
    struct call_notes *notes; /* NULL = none */
};

/* One thread's state between its blocks. */
struct stream {
    struct frame *frames;
    uint32_t depth, room;
    uint32_t announced; /* how many of the frames the writer knows */
    uint64_t deeper;    /* how many frames are open above MODEL_DEPTH_MAX */
    uint64_t last_ns;
    uint64_t event_ns; /* time of the last enter or leave */
    uint64_t gap_ns;   /* time of the last gap */
    uint32_t gaps;     /* gaps so far */
    uint32_t run;      /* number of the sample's run */
    bool started;
    bool gave;   /* the writer has something of the thread */
    bool ended;  /* the launched program's own code has ended on this thread */
    bool inside; /* the top frame is the system call that the thread was in at the attach; the thread's next event ends it */
    struct trace_task *task;
    struct yields yields;
    struct payload args, retval; /* of the next enter, of the next leave */
    struct payload window;       /* frames that will be open at the next event */
    uint64_t mark_ns;            /* of the last mark */
    uint64_t unseen_ns;          /* with a window: time of the last event before it */
};

struct model {
    struct trace_info *info;
    const struct run_opts *opts;
    const struct trace_writer_ops *ops;
    struct trace_writer *w;
    struct trace_totals *totals;
    struct ahead *ahead;
    struct stream *streams; /* by index of the thread */
    size_t held;
    struct suspended *suspended; /* NULL = nobody wants to know */
    struct trace_call call;      /* handed to the writer; thread is that of the block, fields that are never set are 0 */
};

static void add_saturated(uint64_t *sum, uint64_t n) { *sum = n > UINT64_MAX - *sum ? UINT64_MAX : *sum + n; }

static void drop_payload(struct model *m, struct payload *p) {
    if (!p->data) return;
    m->held -= p->len;
    memory_free(p->data);
    *p = (struct payload){0};
}

static int keep_payload(struct model *m, struct payload *p, const struct vt_event *ev) {
    drop_payload(m, p);
    if (m->held + ev->payload_len > HELD_MAX) return 0;
    p->data = memory_alloc(ev->payload_len + 1u);
    if (!p->data) return -ENOMEM;
    if (ev->payload_len) memcpy(p->data, ev->payload, ev->payload_len);
    p->len = ev->payload_len;
    m->held += p->len;
    return 0;
}

static void drop_frame(struct model *m, struct frame *frame) {
    drop_payload(m, &frame->args);
    if (!frame->notes) return;
    m->held -= call_notes_bytes(frame->notes);
    call_notes_free(frame->notes);
    frame->notes = NULL;
}

/* Pushes a frame, to be filled in place. NULL with *rc 0 = too deep, it is not kept. */
static inline struct frame *push(struct model *m, struct stream *s, int *rc) {
    if (s->depth == s->room) {
        if (s->depth >= MODEL_DEPTH_MAX) {
            s->deeper++;
            drop_payload(m, &s->args);
            return NULL;
        }
        uint32_t room = s->room ? s->room * 2 : 64;
        struct frame *grown = memory_realloc(s->frames, room * sizeof *grown);
        if (!grown) {
            *rc = -ENOMEM;
            return NULL;
        }
        s->frames = grown;
        s->room = room;
    }
    return &s->frames[s->depth++];
}

static int start_stream(struct model *m, struct stream *s, const struct trace_thread *thread, uint64_t first_ns) {
    uint64_t attach_ns = vt_clock_to_ns(&m->info->clock, thread->stack_ticks);
    if (attach_ns > first_ns) attach_ns = first_ns;
    s->started = true;
    for (uint32_t i = 0; i < thread->nstack; i++) {
        uint64_t before = thread->nstack - 1 - i;
        int rc = 0;
        struct frame *frame = push(m, s, &rc);
        if (rc) return rc;
        bool line = thread->stack_lines && thread->stack_lines[i].line;
        if (frame)
            *frame = (struct frame){.id = thread->stack[i],
                                    .from_attach = true,
                                    .at = line ? i + 1 : 0,
                                    .start_ns = attach_ns > before ? attach_ns - before : 0};
        s->inside = frame && !before && trace_info_name(m->info, frame->id)->inside;
    }
    s->last_ns = attach_ns;
    return 0;
}

static void tell_line(struct trace_call *call, uint32_t at) {
    const struct trace_line *line = &call->thread->stack_lines[at - 1];
    call->at_line = line->line;
    call->args_json = line->json;
    call->args_json_len = strlen(line->json);
}

static struct trace_call *call_of(struct model *m, const struct frame *frame) {
    struct trace_call *call = &m->call;
    call->name = trace_info_name(m->info, frame->id);
    call->task = frame->task;
    call->start_ns = frame->start_ns;
    call->from_attach = frame->from_attach;
    call->resumed = frame->resumed;
    call->args = frame->args.data;
    call->args_len = frame->args.len;
    call->at_line = 0;
    call->args_json = NULL;
    if (frame->at) tell_line(call, frame->at);
    if (frame->notes) {
        m->held -= call_notes_bytes(frame->notes);
        call->args_json = call_notes_json(frame->notes, &call->args_json_len);
        m->held += call_notes_bytes(frame->notes);
    }
    return call;
}

/* Announces the frames below `to` to the writer. */
static int announce(struct model *m, struct stream *s, uint32_t to) {
    int rc = 0;
    m->call.open = m->call.raised = m->call.suspended = m->call.announced = false;
    m->call.retval = NULL;
    for (; s->announced < to && !rc; s->announced++) rc = m->ops->enter(m->w, call_of(m, &s->frames[s->announced]));
    return rc;
}

/* How a frame is left. */
enum leaving { RETURNED, RAISED, SUSPENDED, UNFINISHED };

/* Hands frame number `at` to the writer; above it on the stack there is nothing that has not been handed over. */
static int give(struct model *m, struct stream *s, uint32_t at, uint64_t end_ns, enum leaving how, const struct payload *retval) {
    const struct frame *frame = &s->frames[at];
    bool announced = at < s->announced;
    if (how == UNFINISHED)
        m->totals->open += !frame->resumed;
    else {
        m->totals->calls += !frame->resumed;
        if (end_ns - frame->start_ns < m->opts->min_duration_ns && !announced) {
            m->totals->short_calls += !frame->resumed;
            return 0;
        }
    }
    s->gave = true;
    if (m->ops->enter && at > s->announced) {
        int rc = announce(m, s, at);
        if (rc) return rc;
    }
    struct trace_call *call = call_of(m, frame);
    call->end_ns = end_ns;
    call->open = how == UNFINISHED;
    call->raised = how == RAISED;
    call->suspended = how == SUSPENDED;
    call->announced = announced;
    call->in_order = m->ops->enter != NULL;
    call->retval = retval ? retval->data : NULL;
    call->retval_len = retval ? retval->len : 0;
    if (announced) s->announced = at;
    return m->ops->call(m->w, call);
}

static int enter(struct model *m, struct stream *s, const struct vt_event *ev, uint64_t ns) {
    int rc = 0;
    if (s->depth && ns <= s->frames[s->depth - 1].start_ns) s->last_ns = ns = s->frames[s->depth - 1].start_ns + 1;
    struct frame *frame = push(m, s, &rc);
    if (!frame) return rc;
    frame->start_ns = ns;
    frame->id = ev->id;
    frame->survived = 0;
    frame->c = ev->type == VT_REC_C_CALL;
    frame->from_attach = false;
    frame->resumed = !VT_REC_IS_CALL(ev->type);
    frame->at = 0;
    frame->task = s->task;
    frame->notes = NULL;
    frame->args.data = s->args.data;
    frame->args.len = s->args.len;
    s->args.data = NULL;
    s->args.len = 0;
    return 0;
}

/* This frame began before the last gap and was still open after it. So the frame around it was open over the gap, too. */
static void note_survivor(struct stream *s, const struct frame *gone, bool left_after_gap) {
    if (left_after_gap && s->gaps && gone->start_ns <= s->gap_ns && s->depth) s->frames[s->depth - 1].survived = s->gaps;
}

/* Removes frames down to depth `to`: their leave events are lost. */
static int close_lost(struct model *m, struct stream *s, uint32_t to, uint64_t ns) {
    int rc = 0;
    while (!rc && s->depth > to) {
        struct frame *frame = &s->frames[--s->depth];
        bool in_gap = s->gaps && s->gap_ns >= frame->start_ns && frame->survived != s->gaps;
        rc = give(m, s, s->depth, in_gap ? s->gap_ns : ns, RETURNED, NULL);
        note_survivor(s, frame, !in_gap);
        drop_frame(m, frame);
    }
    return rc;
}

/* A frame of a task was left with a yield, and what is open is below it. */
static int note_yield(struct model *m, struct stream *s, const struct frame *gone, uint64_t ns) {
    yields_add(&s->yields, trace_info_name(m->info, gone->id), s->depth);
    bool outermost = gone->task && (!s->depth || s->frames[s->depth - 1].task != gone->task);
    return outermost ? suspended_put(m->suspended, gone->task, m->call.thread, ns, &s->yields) : 0;
}

static int leave(struct model *m, struct stream *s, const struct vt_event *ev, uint64_t ns) {
    if (s->deeper) {
        s->deeper--;
        return 0;
    }
    bool c = ev->type == VT_REC_C_RETURN || ev->type == VT_REC_C_RAISE;
    uint32_t at = s->depth;
    while (at && (s->frames[at - 1].id != ev->id || s->frames[at - 1].c != c)) at--;
    if (!at) {
        m->totals->unmatched++;
        drop_payload(m, &s->retval);
        return 0;
    }
    int rc = at < s->depth ? close_lost(m, s, at, ns) : 0;
    if (rc) return rc;
    struct frame *frame = &s->frames[--s->depth];
    enum leaving how = ev->type == VT_REC_UNWIND || ev->type == VT_REC_C_RAISE ? RAISED
                       : ev->type == VT_REC_YIELD                              ? SUSPENDED
                                                                               : RETURNED;
    rc = give(m, s, s->depth, ns, how, &s->retval);
    if (!rc && how == SUSPENDED && m->suspended) rc = note_yield(m, s, frame, ns);
    note_survivor(s, frame, true);
    drop_frame(m, frame);
    drop_payload(m, &s->retval);
    return rc;
}

/* The thread has returned to Python code. */
static int leave_inside(struct model *m, struct stream *s, uint64_t ns) {
    s->inside = false;
    if (!s->depth || !trace_info_name(m->info, s->frames[s->depth - 1].id)->inside) return 0;
    s->depth--;
    return give(m, s, s->depth, ns, RETURNED, NULL);
}

static int gap(struct model *m, const struct trace_thread *thread, struct stream *s, uint64_t count, uint64_t ns) {
    add_saturated(&m->totals->dropped, count);
    s->gaps++;
    s->gap_ns = ns;
    s->last_ns = ns + (ns != UINT64_MAX); /* a later frame must not begin before the end of these */
    struct trace_gap mark = {.thread = thread, .ns = ns, .count = count};
    s->gave |= count != 0;
    return count ? m->ops->gap(m->w, &mark) : 0;
}

/* Marks the time in which nothing was recorded because the thread's profile function was gone. */
static int mark_unseen(struct model *m, const struct trace_thread *thread, uint64_t from, uint64_t ns) {
    static const char name[] = TRACE_UNSEEN;
    char args[160];
    if (!m->ops->mark) return 0;
    int len = snprintf(args, sizeof args, "{\"cause\":\"" TRACE_UNSEEN_CAUSE "\",\"ns\":%llu}",
                       (unsigned long long)(from && ns > from ? ns - from : 0));
    struct trace_mark mark = {.thread = thread,
                              .ns = ns,
                              .ph = 'i',
                              .scope = 't',
                              .name = name,
                              .name_len = sizeof name - 1,
                              .args_json = args,
                              .args_json_len = (size_t)len};
    return m->ops->mark(m->w, &mark);
}

/* The hooks were out: frames that were open before end at the last event. */
static int take_window(struct model *m, struct stream *s, const struct vt_event *ev) {
    int rc = 0;
    if (ev->payload_len < sizeof(struct vt_pl_window)) return 0;
    s->unseen_ns = s->event_ns;
    while (!rc && s->depth) {
        struct frame *frame = &s->frames[--s->depth];
        rc = give(m, s, s->depth, s->event_ns > frame->start_ns ? s->event_ns : frame->start_ns, RETURNED, NULL);
        drop_frame(m, frame);
    }
    s->deeper = 0;
    return rc ? rc : keep_payload(m, &s->window, ev);
}

/* The hooks are back: what is open now goes on in pieces that begin with the first event. Whether one of them began while the
 * hooks were out is not known; calls made then are counted nowhere. A payload has no time of its own. */
static int begin_window(struct model *m, struct stream *s, const struct trace_thread *thread, uint64_t *ns) {
    struct vt_pl_window head;
    uint32_t id, room = (uint32_t)((s->window.len - sizeof head) / 4);
    int rc = 0;
    memcpy(&head, s->window.data, sizeof head);
    if (head.cause == VT_WINDOW_DISPLACED) rc = mark_unseen(m, thread, s->unseen_ns, *ns);
    for (uint32_t i = 0; !rc && i < head.nframes && i < room; i++) {
        memcpy(&id, s->window.data + sizeof head + i * 4, sizeof id);
        struct frame *frame = push(m, s, &rc);
        if (frame) *frame = (struct frame){.id = id, .resumed = true, .start_ns = *ns};
        s->event_ns = s->last_ns = ++*ns;
    }
    drop_payload(m, &s->window);
    return rc;
}

/* No event came after it: nothing was seen up to the end. */
static int end_window(struct model *m, struct stream *s, const struct trace_thread *thread, uint64_t ns) {
    struct vt_pl_window head;
    if (!s->window.data) return 0;
    memcpy(&head, s->window.data, sizeof head);
    drop_payload(m, &s->window);
    return head.cause == VT_WINDOW_DISPLACED ? mark_unseen(m, thread, s->unseen_ns, ns) : 0;
}

/* What the interpreter runs on its way out is left out. */
static int end_user_code(struct model *m, struct stream *s, uint64_t ns) {
    int rc = close_lost(m, s, 0, s->event_ns ? s->event_ns : ns);
    s->ended = !rc;
    return rc;
}

/* An event of the program's own. Its args are left out where they are no JSON. */
static int take_mark(struct model *m, struct stream *s, const struct trace_thread *thread, const struct vt_event *ev) {
    struct vt_pl_mark head;
    if (!m->ops->mark || ev->payload_len < sizeof head) return 0;
    memcpy(&head, ev->payload, sizeof head);
    uint64_t texts = (uint64_t)head.name_len + head.id_len + head.args_len;
    if (ev->payload_len - sizeof head < texts || !memchr(TRACE_MARKS, head.ph, sizeof TRACE_MARKS - 1)) return 0;
    const char *name = (const char *)ev->payload + sizeof head, *args = name + head.name_len + head.id_len;
    bool has_args = call_notes_is_json(args, head.args_len), has_scope = head.scope && memchr("gpt", head.scope, 3);
    uint64_t ns = vt_clock_to_ns(&m->info->clock, head.ticks);
    if (ns < s->last_ns) ns = s->last_ns;
    if (ns < s->mark_ns) ns = s->mark_ns;
    s->mark_ns = ns;
    struct trace_mark mark = {.thread = thread,
                              .ns = ns,
                              .ph = (char)head.ph,
                              .scope = head.ph == 'i' ? (char)(has_scope ? head.scope : 't') : 0,
                              .name = name,
                              .name_len = head.name_len,
                              .id = head.id_len ? name + head.name_len : NULL,
                              .id_len = head.id_len,
                              .args_json = has_args ? args : NULL,
                              .args_json_len = has_args ? head.args_len : 0};
    return m->ops->mark(m->w, &mark);
}

/* What the innermost open call is told. */
static int take_note(struct model *m, struct stream *s, const struct vt_event *ev) {
    if (!s->depth || s->deeper) return 0;
    struct call_notes **notes = &s->frames[s->depth - 1].notes;
    size_t had = call_notes_bytes(*notes), most = m->held < HELD_MAX ? HELD_MAX - m->held : 0;
    int rc = ev->id == VT_PL_STEP ? call_notes_step(notes, ev->payload, ev->payload_len, most)
                                  : call_notes_member(notes, ev->payload, ev->payload_len, most);
    m->held += call_notes_bytes(*notes) - had;
    return rc;
}

static int take_payload(struct model *m, struct stream *s, const struct trace_thread *thread, const struct vt_event *ev,
                        uint64_t ns) {
    if (ev->id == VT_PL_ARGS) return keep_payload(m, &s->args, ev);
    if (ev->id == VT_PL_RETVAL) return keep_payload(m, &s->retval, ev);
    if (ev->id == VT_PL_COUNTER && ev->payload_len >= sizeof(struct vt_pl_counter)) {
        struct trace_counter counter = {.thread = thread, .ns = ns};
        memcpy(&counter.value, ev->payload, sizeof counter.value);
        return m->ops->counter(m->w, &counter);
    }
    if (ev->id == VT_PL_AWAIT) {
        yields_await(&s->yields, ev->payload, ev->payload_len);
        return 0;
    }
    if (ev->id == VT_PL_MARK) return take_mark(m, s, thread, ev);
    if (ev->id == VT_PL_STEP || ev->id == VT_PL_NOTE) return take_note(m, s, ev);
    if (ev->id == VT_PL_USER_END) return end_user_code(m, s, ns);
    if (ev->id == VT_PL_WINDOW) return take_window(m, s, ev);
    return 0; /* the other kinds have frames of their own */
}

static int take_event(struct model *m, struct stream *s, const struct trace_thread *thread, const struct vt_event *ev) {
    uint64_t ns = vt_clock_to_ns(&m->info->clock, ev->ticks);
    if (s->ended) return 0;
    if (ns < s->last_ns) ns = s->last_ns;
    s->last_ns = ns;
    if (ev->type < VT_REC_TASK) {
        s->event_ns = ns;
        int rc = s->inside ? leave_inside(m, s, ns) : 0;
        if (!rc && s->window.data) rc = begin_window(m, s, thread, &ns);
        if (ev->type != VT_REC_YIELD) yields_end(&s->yields);
        if (rc) return rc;
    }
    if (VT_REC_IS_ENTER(ev->type)) {
        int rc = s->task && m->suspended ? suspended_ends(m->suspended, m->info, s->task, ns, m->ops, m->w) : 0;
        return rc ? rc : enter(m, s, ev, ns);
    }
    if (VT_REC_IS_LEAVE(ev->type)) return leave(m, s, ev, ns);
    if (ev->type == VT_REC_PAYLOAD) return take_payload(m, s, thread, ev, ns);
    if (ev->type == VT_REC_GAP) return gap(m, thread, s, ev->count, ns);
    if (ev->type != VT_REC_TASK || !m->opts->tasks) return 0;
    s->task = id_table_get(&m->info->tasks, ev->id);
    return s->task && m->suspended ? suspended_runs(m->suspended, s->task) : 0;
}

static int damaged_block(struct model *m, const struct ahead_frame *frame) {
    vt_err_set(&m->info->damage, -EBADMSG, "damaged at byte %llu: events",
               (unsigned long long)vt_trace_file_offset(m->info->trace, frame->offset));
    return -EBADMSG;
}

/* Blocks before this one were left out, so the stack is unknown. */
static void begin_run(struct model *m, struct stream *s, uint32_t run) {
    while (s->depth) drop_frame(m, &s->frames[--s->depth]);
    drop_payload(m, &s->args);
    drop_payload(m, &s->retval);
    drop_payload(m, &s->window);
    s->announced = 0;
    s->deeper = 0;
    s->run = run;
    s->started = true;
}

/* Finds the time for payloads and gaps that come before the thread's first event: they have no time of their own. */
static uint64_t first_time(const struct model *m, const struct vt_event *ev, size_t n) {
    uint64_t ticks;
    for (size_t i = 0; i < n; i++) {
        if (ev[i].type != VT_REC_PAYLOAD && ev[i].type != VT_REC_GAP) return vt_clock_to_ns(&m->info->clock, ev[i].ticks);
        if (ev[i].type != VT_REC_PAYLOAD || ev[i].id != VT_PL_MARK || ev[i].payload_len < sizeof(struct vt_pl_mark)) continue;
        memcpy(&ticks, ev[i].payload, sizeof ticks);
        return vt_clock_to_ns(&m->info->clock, ticks);
    }
    return UINT64_MAX;
}

static int take_block(struct model *m, const struct ahead_frame *frame) {
    const struct vt_event *ev = frame->ev;
    size_t n = frame->n;
    int rc = 0;
    if (frame->rc == -EBADMSG) return damaged_block(m, frame);
    if (frame->rc) return frame->rc;
    const struct trace_thread *thread = id_table_get(&m->info->by_serial, frame->serial);
    if (!thread || !n) return 0;
    struct stream *s = &m->streams[thread->index];
    m->call.thread = thread;
    if (m->opts->sample) m->opts->sample->events += n;
    if (s->run != frame->run) begin_run(m, s, frame->run);
    if (!s->started) rc = start_stream(m, s, thread, first_time(m, ev, n));
    for (size_t i = 0; i < n && !rc; i++) rc = take_event(m, s, thread, &ev[i]);
    return rc;
}

static int take_drops(struct model *m, const struct ahead_frame *frame) {
    ProtobufCMessage *msg;
    if (frame->rc) return frame->rc;
    int rc = vt_msg_unpack(frame->type, frame->payload, frame->len, &msg);
    if (rc) return damaged_block(m, frame);
    const Vt__Drops *drops = (const void *)msg;
    const struct trace_thread *thread = id_table_get(&m->info->by_serial, drops->serial);
    if (thread) {
        struct stream *s = &m->streams[thread->index];
        uint64_t ns = vt_clock_to_ns(&m->info->clock, drops->ticks);
        if (!s->started) rc = start_stream(m, s, thread, ns);
        if (ns < s->last_ns) ns = s->last_ns;
        s->last_ns = ns;
        if (!rc) rc = gap(m, thread, s, drops->count, ns);
    } else {
        add_saturated(&m->totals->dropped, drops->count);
    }
    vt_msg_free(msg);
    return rc;
}

/* What is open at the end was open until tracing of its process ended. With the hooks out now and then, nobody knows what was
 * still running then: such calls end with the last event. */
static int give_open_frames(struct model *m) {
    bool open = !(m->info->throttled && m->info->throttled->windows);
    int rc = 0;
    for (uint32_t i = 0; i < m->info->nthreads && !rc; i++) {
        struct stream *s = &m->streams[i];
        const struct trace_thread *thread = m->call.thread = m->info->threads[i];
        if (!s->started) rc = start_stream(m, s, thread, UINT64_MAX);
        uint64_t end_ns = thread->end_ticks ? vt_clock_to_ns(&m->info->clock, thread->end_ticks) : thread->process->end_ns;
        uint64_t seen_ns = s->gaps && s->event_ns <= s->gap_ns ? s->gap_ns : s->last_ns; /* last_ns is 1 ns behind a gap */
        if (!rc) rc = end_window(m, s, thread, end_ns < seen_ns ? seen_ns : end_ns);
        if (!open || end_ns < seen_ns) end_ns = seen_ns;
        for (uint32_t k = s->depth; k-- > 0 && !rc;) rc = give(m, s, k, end_ns, open ? UNFINISHED : RETURNED, NULL);
    }
    return rc;
}

/* How a launched program ended, on its main thread. */
static int give_exit(struct model *m) {
    char name[96];
    const Vt__End *end = m->info->end;
    if (!m->ops->mark || !m->info->nthreads || !end || !end->exit[0]) return 0;
    const struct trace_thread *thread = m->info->threads[0];
    for (uint32_t i = 0; i < m->info->nthreads; i++)
        if (m->info->threads[i]->tid == m->info->threads[i]->process->pid) thread = m->info->threads[i];
    int len = snprintf(name, sizeof name, "process ended: %.64s", end->exit);
    struct trace_mark mark = {.thread = thread,
                              .ns = trace_process_end(m->info, thread->process),
                              .ph = 'i',
                              .scope = 'p',
                              .name = name,
                              .name_len = (size_t)len};
    return m->ops->mark(m->w, &mark);
}

static int run_frames(struct model *m, struct vt_err *err) {
    const struct ahead_frame *frame;
    uint64_t reported = 0;
    int rc;
    while ((rc = ahead_next(m->ahead, &frame, &m->info->damage)) == 1) {
        rc = frame->type == VT_FRAME_BLOCK ? take_block(m, frame) : take_drops(m, frame);
        if (!rc && m->opts->stop && *m->opts->stop) rc = -EINTR;
        if (rc) break;
        if (m->opts->progress && frame->offset - reported >= PROGRESS_STEP) {
            reported = frame->offset;
            m->opts->progress(m->opts->progress_arg, frame->offset, vt_trace_size(m->info->trace));
        }
    }
    if (rc == -EBADMSG) rc = 0; /* everything before the damage was read */
    if (rc) vt_err_set(err, rc, "converting the trace: %s", rc == -EINTR ? "interrupted" : strerror(-rc));
    return rc;
}

/* Those that short calls which are left out leave something of. */
static uint64_t count_threads(const struct model *m) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < m->info->nthreads; i++) n += m->streams[i].gave && !m->info->threads[i]->greenlet_of;
    return n;
}

static void free_streams(struct model *m) {
    for (uint32_t i = 0; m->streams && i < m->info->nthreads; i++) {
        struct stream *s = &m->streams[i];
        for (uint32_t k = 0; k < s->depth; k++) drop_frame(m, &s->frames[k]);
        drop_payload(m, &s->args);
        drop_payload(m, &s->retval);
        drop_payload(m, &s->window);
        memory_free(s->frames);
    }
    memory_free(m->streams);
}

int model_run(struct trace_info *info, const struct run_opts *opts, const struct trace_writer_ops *ops, struct trace_writer *w,
              struct trace_totals *totals, struct vt_err *err) {
    struct run_opts used = *opts;
    struct model m = {.info = info, .opts = &used, .ops = ops, .w = w, .totals = totals};
    *totals = (struct trace_totals){.threads = info->nshown};
    /* the options that the trace was made with count, too */
    if (info->header && info->header->min_duration_ns > used.min_duration_ns)
        used.min_duration_ns = info->header->min_duration_ns;
    if (info->end) totals->calls = totals->short_calls = info->end->short_calls;
    m.streams = memory_calloc(info->nthreads + 1u, sizeof *m.streams);
    int rc = m.streams ? 0 : vt_err_set(err, -ENOMEM, "out of memory");
    if (!rc && ops->await && used.tasks && !opts->sample) rc = suspended_new(&m.suspended);
    if (!rc) rc = ops->begin(w);
    if (!rc) rc = ahead_start(info->trace, info->good_until, opts->sample ? opts->sample->one_in : 1, &m.ahead);
    if (!rc) rc = run_frames(&m, err);
    if (!rc) rc = give_open_frames(&m);
    if (!rc && m.suspended) rc = suspended_rest(m.suspended, info, ops, w);
    if (!rc) rc = give_exit(&m);
    if (!rc && used.min_duration_ns) totals->threads = count_threads(&m);
    if (!rc && info->end && info->end->dropped > totals->dropped) totals->dropped = info->end->dropped;
    if (!rc) rc = ops->end(w, totals);
    if (rc) vt_err_set(err, rc, "converting the trace: %s", strerror(-rc));
    suspended_free(m.suspended);
    free_streams(&m);
    ahead_stop(m.ahead);
    return rc;
}
