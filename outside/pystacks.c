/* Owns walking from _PyRuntime to the frames of each thread, and the proof that a stack was whole (pystacks.h).
 *
 *   _PyRuntime -> interpreters -> thread states -> frame -> the frame that called it -> ...
 *
 * The stack of a thread changes only while it holds the GIL. If another thread was the last to hold it before and after a
 * reading, and the GIL has not changed hands between, then the stack stood still. The one thread that may run is held still by
 * the caller, as far as it can be, and read twice: both readings have to be equal. Equal alone is not enough for a thread that
 * runs: the same calls come again and again.
 *
 * A chain in hostile memory may be a ring or endless. Lists of interpreters and threads are bounded, frames too, per thread and
 * in all; rings are noticed. */
#include "outside/pystacks.h"

#include <errno.h>
#include <stdlib.h>

#include "outside/table.h"

enum { INTERPRETERS_MAX = 1024, THREADS_MAX = 1 << 16, FRAMES_MAX = 1 << 20, FRAMES_IN_ALL_MAX = 4 << 20, CFRAME_SIZE = 64 };

struct gil_words {
    uint64_t last_holder, switches; /* switches: how often another thread than the last holder has taken it */
    bool locked;
};

struct pystacks {
    struct remote *remote;
    const struct py_layout *layout;
    uint64_t runtime;
    struct raw_thread **threads, **before; /* in the order of the list, and of the last one while a new one is made */
    uint32_t nthreads, room, nbefore, before_room;
    struct table known; /* all of them */
    struct gil_state *gils;
    uint32_t ngils, gils_room;
    struct gil_words seen; /* when the last stack was read: of its GIL */
    bool may_run;          /* the thread of the last stack could run meanwhile */
    uint64_t round;
    uint32_t frames; /* walked in this round, those of torn stacks included */
    bool cut;
    hold_fn *hold;
    void *ctx;
};

int pystacks_new(struct pystacks **out, struct remote *remote, const struct py_layout *layout, uint64_t runtime, hold_fn *hold,
                 void *ctx) {
    struct pystacks *s = calloc(1, sizeof(*s));
    *out = s;
    if (!s) return -ENOMEM;
    *s = (struct pystacks){.remote = remote, .layout = layout, .runtime = runtime, .hold = hold, .ctx = ctx};
    return 0;
}

static void thread_free(struct raw_thread *t) {
    if (t) free(t->frames);
    free(t);
}

void pystacks_free(struct pystacks *s) {
    if (!s) return;
    for (uint32_t i = 0; i < s->nthreads; i++) thread_free(s->threads[i]);
    free(s->threads);
    free(s->before);
    table_free(&s->known);
    free(s->gils);
    free(s);
}

struct raw_thread **pystacks_threads(const struct pystacks *s, size_t *n) {
    *n = s->nthreads;
    return s->threads;
}

const struct gil_state *pystacks_gils(const struct pystacks *s, size_t *n) {
    *n = s->ngils;
    return s->gils;
}

bool pystacks_is_cut(const struct pystacks *s) { return s->cut; }

/* ---- the GIL ---- */

static int read_gil(struct pystacks *s, uint64_t gil, struct gil_words *out) {
    uint8_t copy[GIL_SWITCH_NUMBER + sizeof(uint64_t)];
    int rc = gil ? remote_read(s->remote, gil, copy, sizeof(copy)) : -EINVAL;
    if (rc) return rc;
    *out = (struct gil_words){remote_word(copy, GIL_LAST_HOLDER), remote_word(copy, GIL_SWITCH_NUMBER),
                              remote_half(copy, GIL_LOCKED) == 1};
    return 0;
}

static uint64_t read_holder(struct pystacks *s, uint64_t gil) {
    struct gil_words words;
    return !read_gil(s, gil, &words) && words.locked && remote_is_object(words.last_holder) ? words.last_holder : 0;
}

/* Interpreters may share a GIL. */
static int add_gil(struct pystacks *s, uint64_t address) {
    for (uint32_t i = 0; i < s->ngils; i++)
        if (s->gils[i].address == address) return 0;
    int rc = vt_grow(&s->gils, &s->gils_room, s->ngils + 1u, sizeof(*s->gils), INTERPRETERS_MAX);
    if (!rc) s->gils[s->ngils++] = (struct gil_state){address, read_holder(s, address)};
    return rc;
}

static uint64_t find_gil(struct pystacks *s, uint64_t interpreter) {
    uint64_t at = s->runtime + s->layout->rt_gil;
    if (!s->layout->rt_gil && remote_u64(s->remote, interpreter + s->layout->is_gil, &at)) return 0;
    return remote_is_object(at) && !add_gil(s, at) ? at : 0;
}

/* ---- threads ---- */

/* The thread of this address, known or new, as the next one of the list. */
static int add_thread(struct pystacks *s, uint64_t address, struct raw_thread **out) {
    struct raw_thread *t = table_get(&s->known, address);
    int rc = vt_grow(&s->threads, &s->room, s->nthreads + 1u, sizeof(struct raw_thread *), THREADS_MAX);
    if (rc) return rc;
    if (t && t->round == s->round) return -EINVAL; /* the list is a ring */
    bool known = t != NULL;
    if (!known) t = calloc(1, sizeof(*t));
    if (!t) return -ENOMEM;
    t->address = address;
    t->round = s->round;
    s->threads[s->nthreads++] = t;
    *out = t;
    return known ? 0 : table_set(&s->known, address, t);
}

static int list_threads(struct pystacks *s, uint64_t interpreter, uint64_t id, uint64_t gil) {
    uint64_t at;
    int rc = remote_u64(s->remote, interpreter + s->layout->is_threads, &at);
    while (!rc && at && !s->cut) {
        uint8_t copy[TSTATE_SIZE];
        struct raw_thread *t;
        s->cut = s->nthreads == THREADS_MAX;
        if (s->cut) break;
        if (!remote_is_object(at)) return -EINVAL;
        rc = remote_read(s->remote, at, copy, sizeof(copy));
        if (!rc && remote_word(copy, s->layout->ts_interp) != interpreter) rc = -EINVAL;
        if (!rc) rc = add_thread(s, at, &t);
        if (rc) break;
        t->interpreter = id;
        t->gil = gil;
        at = remote_word(copy, s->layout->ts_next);
    }
    return rc;
}

/* The threads that were not seen again are forgotten. */
static int forget_ended(struct pystacks *s) {
    bool ended = false;
    int rc = 0;
    for (uint32_t i = 0; i < s->nbefore; i++) {
        if (s->before[i]->round == s->round) continue;
        thread_free(s->before[i]);
        ended = true;
    }
    s->nbefore = 0;
    if (ended) table_clear(&s->known);
    for (uint32_t i = 0; ended && !rc && i < s->nthreads; i++) rc = table_set(&s->known, s->threads[i]->address, s->threads[i]);
    return rc;
}

/* After an error, what was found before it is there. */
int pystacks_list(struct pystacks *s) {
    struct raw_thread **threads = s->threads;
    uint32_t room = s->room, seen = 0;
    uint64_t at, id;
    s->threads = s->before;
    s->room = s->before_room;
    s->before = threads;
    s->before_room = room;
    s->nbefore = s->nthreads;
    s->nthreads = 0;
    s->round++;
    s->ngils = 0;
    s->frames = 0;
    s->cut = false;
    int rc = remote_u64(s->remote, s->runtime + s->layout->rt_interpreters, &at);
    for (; !rc && at && !s->cut; seen++) {
        s->cut = seen == INTERPRETERS_MAX;
        if (!remote_is_object(at)) rc = -EINVAL;
        if (!rc) rc = remote_u64(s->remote, at + s->layout->is_id, &id);
        if (!rc) rc = list_threads(s, at, id, find_gil(s, at));
        if (!rc) rc = remote_u64(s->remote, at + s->layout->is_next, &at);
    }
    int forgot = forget_ended(s);
    return rc ? rc : forgot;
}

/* ---- frames ---- */

/* Where the pointer to the innermost frame is. */
static uint64_t top_at(const struct pystacks *s, const struct raw_thread *t) {
    const struct py_layout *l = s->layout;
    if (l->python >= 0x30b) return (l->ts_cframe ? t->cframe : t->address) + l->ts_current_frame;
    return t->address + l->ts_frame;
}

static int read_thread(struct pystacks *s, struct raw_thread *t) {
    const struct py_layout *l = s->layout;
    uint8_t copy[TSTATE_SIZE];
    uint32_t tid = 0;
    int rc = remote_read(s->remote, t->address, copy, sizeof(copy));
    if (rc) return rc;
    t->ident = remote_word(copy, l->ts_thread_id);
    if (l->ts_native_id)
        tid = remote_half(copy, l->ts_native_id);
    else if (t->ident % 8 || remote_u32(s->remote, t->ident + PTHREAD_TID, &tid))
        tid = 0;
    t->native = tid;
    t->cframe = l->python >= 0x30b && l->ts_cframe ? remote_word(copy, l->ts_cframe) : 0;
    t->top = 0;
    if (l->python >= 0x30b && l->ts_cframe && !t->cframe) return 0; /* still being made */
    rc = remote_u64(s->remote, top_at(s, t), &t->top);
    return rc;
}

static size_t frame_size(const struct pystacks *s) { return s->layout->python >= 0x30b ? FRAME_SIZE : FRAME_OBJECT_SIZE; }

static int read_frame(struct pystacks *s, uint64_t address, struct raw_frame *f) {
    const struct py_layout *l = s->layout;
    uint8_t copy[FRAME_OBJECT_SIZE];
    if (!remote_is_object(address)) return -EINVAL;
    int rc = remote_read(s->remote, address, copy, frame_size(s));
    if (rc) return rc;
    *f = (struct raw_frame){.address = address,
                            .code = remote_word(copy, l->frame_code) & ~(uint64_t)l->reference_tags,
                            .back = remote_word(copy, l->frame_back),
                            .instr = l->frame_owner ? remote_word(copy, l->frame_instr) : remote_half(copy, l->frame_instr),
                            .shim = l->frame_owner && copy[l->frame_owner] >= l->frame_shims};
    f->entry = f->shim || (l->python == 0x30b && copy[l->frame_owner - 1]); /* is_entry is before owner */
    return 0;
}

int pystacks_innermost(struct pystacks *s, struct raw_thread *t, struct raw_frame *f) {
    int rc = read_thread(s, t);
    return rc ? rc : t->top ? read_frame(s, t->top, f) : -ENOENT;
}

/* From the innermost frame outwards. An error: the chain led nowhere. */
static int walk(struct pystacks *s, struct raw_thread *t) {
    uint64_t at = t->top, brent = 0;
    uint32_t limit = 1;
    t->nframes = 0;
    t->cut = false;
    while (at) {
        if (t->nframes == FRAMES_MAX || s->frames >= FRAMES_IN_ALL_MAX) {
            t->cut = true;
            return 0;
        }
        if (at == brent) return -EINVAL; /* a ring (Brent's algorithm) */
        if (t->nframes == limit) brent = at, limit *= 2;
        int rc = vt_grow(&t->frames, &t->room, t->nframes + 1u, sizeof(*t->frames), FRAMES_MAX);
        if (!rc) rc = read_frame(s, at, &t->frames[t->nframes]);
        if (rc) return rc;
        at = t->frames[t->nframes++].back;
        s->frames++;
    }
    return 0;
}

/* Everything that the walk will need, or has needed, in few calls. */
static void load(struct pystacks *s, const struct raw_thread *t) {
    remote_want(s->remote, t->address, TSTATE_SIZE);
    if (t->cframe) remote_want(s->remote, t->cframe, CFRAME_SIZE);
    for (uint32_t i = 0; i < t->nframes; i++) remote_want(s->remote, t->frames[i].address, frame_size(s));
    remote_load(s->remote);
}

/* The instruction of a frame that has called another one stands still, that of the innermost frame does not. */
static bool same_frame(const struct raw_frame *a, const struct raw_frame *b, bool innermost) {
    return a->code == b->code && a->back == b->back && a->shim == b->shim && (innermost || a->shim || a->instr == b->instr);
}

/* Reads what was walked once more. Counts the frames, from the outermost on, that are the same. */
static int compare(struct pystacks *s, struct raw_thread *t) {
    struct raw_thread now = *t;
    bool same = !read_thread(s, &now) && now.top == t->top && now.cframe == t->cframe;
    t->nsure = 0;
    for (uint32_t i = t->nframes; i--;) {
        struct raw_frame f;
        if (read_frame(s, t->frames[i].address, &f) || !same_frame(&t->frames[i], &f, i == 0)) return -EAGAIN;
        t->nsure++;
    }
    return same ? 0 : -EAGAIN;
}

/* A whole stack ends in the frame by which C called the interpreter, where there are such frames (3.12+). */
static bool has_root(const struct pystacks *s, const struct raw_thread *t) {
    if (s->layout->python < 0x30c || t->cut || !t->nframes) return true;
    return t->frames[t->nframes - 1].shim;
}

/* With C frames (3.11, 3.12) each run of the interpreter's loop makes its own known (tstate->cframe) before it sets the innermost
 * frame in it (Python/ceval.c). Until then that pointer is what an earlier call left on the stack. In a whole stack the first
 * frame of the loop comes behind the innermost one of the loop around it. */
static bool is_linked(struct pystacks *s, const struct raw_thread *t) {
    const struct py_layout *l = s->layout;
    uint64_t outer, top;
    uint32_t i = 0;
    if (l->python < 0x30b || !l->ts_cframe || !t->cframe || t->cut) return true;
    if (remote_u64(s->remote, t->cframe + l->ts_current_frame + 8, &outer)) return false;
    if (!outer) return !t->nframes; /* the thread is in no loop */
    while (i < t->nframes && !t->frames[i].entry) i++;
    return i < t->nframes && !remote_u64(s->remote, outer + l->ts_current_frame, &top) && t->frames[i].back == top;
}

/* Whether the thread could not have run Python code since `before`: another one held the GIL last, and still the same one. */
static bool stood_still(struct pystacks *s, const struct raw_thread *t, const struct gil_words *before) {
    struct gil_words now;
    remote_forget(s->remote);
    return before->last_holder != t->address && !read_gil(s, t->gil, &now) && now.last_holder == before->last_holder &&
           now.switches == before->switches;
}

static int collect(struct pystacks *s, struct raw_thread *t) {
    remote_forget(s->remote);
    load(s, t);
    int rc = read_thread(s, t);
    if (!rc) rc = walk(s, t);
    t->unread = rc != 0; /* where the stack ends is not known */
    if (rc) t->nframes = 0;
    return !rc || rc == -ENOMEM || rc == -ESRCH || rc == -EPERM ? rc : -EAGAIN;
}

/* The second reading is equal, and the thread did not run in between: equal readings alone prove nothing, calls repeat. */
static int read_again(struct pystacks *s, struct raw_thread *t) {
    remote_forget(s->remote);
    load(s, t);
    int rc = compare(s, t);
    if (!s->may_run) rc = -EAGAIN; /* the GIL has changed hands */
    if (!rc && !s->hold(s->ctx, t, true)) {
        t->nsure = 0;
        rc = -EAGAIN;
    }
    return rc;
}

int pystacks_read(struct pystacks *s, struct raw_thread *t) {
    s->seen = (struct gil_words){0};
    remote_forget(s->remote);
    bool known = !read_gil(s, t->gil, &s->seen);
    s->may_run = !known || s->seen.last_holder == t->address;
    t->torn = true;
    t->nsure = 0;
    if (s->may_run) s->hold(s->ctx, t, false);
    int rc = collect(s, t);
    if (rc) return rc;
    if (!s->may_run && stood_still(s, t, &s->seen))
        t->nsure = t->nframes;
    else
        rc = read_again(s, t);
    if (!has_root(s, t) || !is_linked(s, t)) {
        t->nsure = 0;
        rc = -EAGAIN;
    }
    t->torn = rc != 0;
    return rc;
}

bool pystacks_still(struct pystacks *s, struct raw_thread *t) {
    return s->may_run ? !read_again(s, t) : stood_still(s, t, &s->seen);
}

bool pystacks_could_run(const struct pystacks *s) { return s->may_run; }
