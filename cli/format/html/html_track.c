/* Owns the calls of a .html page while they are collected (html_track.h): where each goes, their order, and the rows that are
 * shared. */
#include "cli/format/html/html_track.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"
#include "proto/block_code.h"

#define ROWS_LOOKED_AT 4096u /* of the newest rows, for one that may be shared: the work stays bounded */

int html_grow(void *array, size_t n, size_t *room, size_t element) {
    if (n < *room) return 0;
    size_t more = *room ? *room * 2 : 16;
    void *grown = memory_realloc(*(void **)array, more * element);
    if (!grown) return -ENOMEM;
    *(void **)array = grown;
    *room = more;
    return 0;
}

int html_bytes_add(struct html_bytes *b, const void *data, size_t len) {
    if (b->room - b->len < len) {
        size_t room = b->room ? b->room : 4096;
        while (room - b->len < len) room *= 2;
        uint8_t *grown = memory_realloc(b->data, room);
        if (!grown) return -ENOMEM;
        b->data = grown;
        b->room = room;
    }
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

int html_bytes_varint(struct html_bytes *b, uint64_t v) {
    uint8_t buf[BLOCK_VARINT_MAX];
    return html_bytes_add(b, buf, (size_t)(block_put_varint(buf, v) - buf));
}

int html_bytes_text(struct html_bytes *b, const void *text, size_t len) {
    int rc = html_bytes_varint(b, len);
    return rc ? rc : html_bytes_add(b, text, len);
}

/* ---- tracks ---- */

int html_tracks_init(struct html_tracks *t, uint32_t nthreads) {
    t->by_thread = memory_calloc(nthreads + 1u, sizeof(struct html_track *));
    return t->by_thread ? 0 : -ENOMEM;
}

static void free_track(struct html_track *t) {
    if (!t) return;
    memory_free(t->slices);
    memory_free(t->runs);
    memory_free(t->gaps.data);
    memory_free(t->marks.data);
    memory_free(t->counters.data);
    memory_free(t);
}

void html_tracks_free(struct html_tracks *t) {
    for (size_t i = 0; i < t->n; i++) free_track(t->list[i]);
    memory_free(t->list);
    memory_free(t->by_thread);
    memory_free(t->hash);
}

static int add_track(struct html_tracks *tracks, const struct trace_thread *thread, struct trace_task *task,
                     struct html_track **out) {
    int rc = html_grow(&tracks->list, tracks->n, &tracks->room, sizeof(struct html_track *));
    struct html_track *t = rc ? NULL : memory_calloc(1, sizeof *t);
    if (!t) return -ENOMEM;
    t->thread = thread;
    t->task = task;
    t->first = UINT64_MAX;
    tracks->list[tracks->n++] = t;
    *out = t;
    return 0;
}

/* The slot of the task's track, or an empty slot for it. */
static struct html_track **task_slot(struct html_track **hash, size_t room, const struct trace_thread *thread,
                                     const struct trace_task *task) {
    uint64_t h = ((uint64_t)(uintptr_t)task >> 4 ^ (uint64_t)thread->index << 32) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(h >> 20) & (room - 1);
    while (hash[at] && (hash[at]->task != task || hash[at]->thread != thread)) at = (at + 1) & (room - 1);
    return &hash[at];
}

static int grow_hash(struct html_tracks *t) {
    size_t room = t->hash_room ? t->hash_room * 2 : 256;
    struct html_track **hash = memory_calloc(room, sizeof(struct html_track *));
    if (!hash) return -ENOMEM;
    for (size_t i = 0; i < t->hash_room; i++)
        if (t->hash[i]) *task_slot(hash, room, t->hash[i]->thread, t->hash[i]->task) = t->hash[i];
    memory_free(t->hash);
    t->hash = hash;
    t->hash_room = room;
    return 0;
}

int html_track_get(struct html_tracks *t, const struct trace_thread *thread, struct trace_task *task, struct html_track **out) {
    int rc = task && 2 * t->hash_n >= t->hash_room ? grow_hash(t) : 0;
    if (rc) return rc;
    struct html_track **slot = task ? task_slot(t->hash, t->hash_room, thread, task) : &t->by_thread[thread->index];
    if (!*slot) {
        rc = add_track(t, thread, task, slot);
        t->hash_n += task && !rc;
    }
    *out = *slot;
    return rc;
}

int html_track_add(struct html_track *t, const struct html_slice *slice) {
    int rc = html_grow(&t->slices, t->n, &t->room, sizeof *t->slices);
    if (rc) return rc;
    t->slices[t->n] = *slice;
    t->slices[t->n].seq = (uint32_t)t->n & (HTML_SLICES_MAX - 1);
    t->n++;
    if (slice->start < t->first) t->first = slice->start;
    if (slice->end > t->last) t->last = slice->end;
    return 0;
}

/* Of two with the same times the outer one came later. */
static int compare_slices(const void *a, const void *b) {
    const struct html_slice *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    if (x->end != y->end) return x->end > y->end ? -1 : 1;
    return x->seq > y->seq ? -1 : x->seq < y->seq;
}

void html_track_sort(struct html_track *t) {
    if (t->n) qsort(t->slices, t->n, sizeof *t->slices, compare_slices);
}

void html_track_see(struct html_track *t, uint64_t ns) {
    if (ns < t->first) t->first = ns;
    if (ns > t->last) t->last = ns;
}

/* ---- rows that are shared ---- */

/* Threads' own tracks first, by their beginning, then each thread's tasks by theirs. */
static int compare_tracks(const void *a, const void *b) {
    const struct html_track *x = *(struct html_track *const *)a, *y = *(struct html_track *const *)b;
    if (!x->task != !y->task) return x->task ? 1 : -1;
    if (x->task && x->thread != y->thread) return x->thread->index < y->thread->index ? -1 : 1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return (x->thread->index > y->thread->index) - (x->thread->index < y->thread->index);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Both names are the same but for their numbers, and have one. */
static bool same_pool(const struct trace_thread *x, const struct trace_thread *y) {
    uint32_t i = 0, k = 0;
    bool number = false;
    if (x->process != y->process || !x->name || !y->name) return false;
    while (i < x->name_len && k < y->name_len) {
        if (is_digit(x->name[i]) && is_digit(y->name[k])) {
            while (i < x->name_len && is_digit(x->name[i])) i++;
            while (k < y->name_len && is_digit(y->name[k])) k++;
            number = true;
        } else if (x->name[i++] != y->name[k++]) {
            return false;
        }
    }
    return number && i == x->name_len && k == y->name_len;
}

static int append_bytes(struct html_bytes *to, const struct html_bytes *from) {
    return from->len ? html_bytes_add(to, from->data, from->len) : 0;
}

static int append(struct html_track *row, struct html_track *t) {
    int rc = html_grow(&row->runs, row->nruns, &row->runs_room, sizeof *row->runs);
    if (rc) return rc;
    row->runs[row->nruns++] = (struct html_run){t->first, t->task, t->thread};
    if (row == t) return 0;
    for (size_t i = 0; i < t->n && !rc; i++) rc = html_track_add(row, &t->slices[i]);
    if (!rc) rc = append_bytes(&row->gaps, &t->gaps);
    if (!rc) rc = append_bytes(&row->marks, &t->marks);
    if (!rc) rc = append_bytes(&row->counters, &t->counters);
    row->ngaps += t->ngaps;
    row->nmarks += t->nmarks;
    row->ncounters += t->ncounters;
    if (t->last > row->last) row->last = t->last;
    return rc;
}

/* Whether the track may follow the calls of the row. has_tasks: by index of the thread. */
static bool may_share(const struct html_track *row, const struct html_track *t, const bool *has_tasks) {
    if (row->last > t->first || !row->task != !t->task) return false;
    if (t->task) return row->thread == t->thread;
    return !has_tasks[row->thread->index] && !has_tasks[t->thread->index] && same_pool(row->thread, t->thread);
}

/* A thread that is alone in its row is no run. */
static int begin_row(struct html_track *row, const struct html_track *t) {
    return !row->task && row != t && !row->nruns ? append(row, row) : 0;
}

int html_tracks_pack(struct html_tracks *t, uint32_t nthreads) {
    size_t n = 0;
    bool *has_tasks = memory_calloc(nthreads + 1u, sizeof *has_tasks);
    int rc = has_tasks ? 0 : -ENOMEM;
    if (rc) return rc;
    if (t->n) qsort(t->list, t->n, sizeof *t->list, compare_tracks);
    for (size_t i = 0; i < t->n; i++)
        if (t->list[i]->task) has_tasks[t->list[i]->thread->index] = true;
    for (size_t i = 0; i < t->n; i++) {
        struct html_track *track = t->list[i], *row = track;
        t->list[i] = NULL;
        size_t from = n > ROWS_LOOKED_AT ? n - ROWS_LOOKED_AT : 0;
        for (size_t k = from; k < n && row == track; k++)
            if (may_share(t->list[k], track, has_tasks)) row = t->list[k];
        if (!rc) rc = begin_row(row, track);
        if (!rc && (track->task || row != track)) rc = append(row, track);
        if (row == track)
            t->list[n++] = track;
        else
            free_track(track);
    }
    t->n = n;
    memory_free(has_tasks);
    memory_free(t->hash); /* it points to tracks that no longer exist */
    t->hash = NULL;
    t->hash_room = t->hash_n = 0;
    return rc;
}
