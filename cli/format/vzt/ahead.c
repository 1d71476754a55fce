/* Owns the second thread of a conversion (ahead.h): it fills a ring of slots in the order of the file. `filled` and `used`
 * count slots from the start. Only they and `quit` are shared, under the lock. The thread owns a slot until it is filled; then
 * the user owns it until the next ahead_next. */
#include "cli/format/vzt/ahead.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base/memory.h"
#include "proto/msg.h"

#define SLOTS 4u
#define ALONE_BYTES                                                                                                              \
    (128u << 10) /* a shorter trace is read before a thread has begun; there may be very many of them in a file                  \
                  */

struct slot {
    struct ahead_frame frame;
    int next; /* the result of vt_trace_next */
    struct vt_err err;
    struct vt_block_dec *dec;
    uint8_t *copy; /* of a payload */
    size_t room;
};

struct ahead {
    struct vt_trace *trace;
    uint64_t until;
    uint32_t one_in, run;
    uint64_t blocks; /* blocks so far, including those left out */
    struct slot slots[SLOTS];
    bool threaded, using, over; /* using: a slot is in use; over: the end has been handed out */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t filled, used;
    bool quit;
};

static int keep_payload(struct slot *slot, const struct vt_trace_frame *frame) {
    if (frame->len > slot->room) {
        uint8_t *grown = memory_realloc(slot->copy, frame->len);
        if (!grown) return -ENOMEM;
        slot->copy = grown;
        slot->room = frame->len;
    }
    if (frame->len) memcpy(slot->copy, frame->payload, frame->len);
    slot->frame.payload = slot->copy;
    slot->frame.len = frame->len;
    return 0;
}

static int decode(struct slot *slot, const struct vt_trace_frame *frame) {
    struct vt_trace_block block;
    int rc = vt_trace_get_block(frame->payload, frame->len, &block);
    if (rc) return rc;
    slot->frame.serial = block.serial;
    return vt_block_decode(slot->dec, block.base_ticks, block.data, block.data_len, block.raw_len, block.events, &slot->frame.ev,
                           &slot->frame.n);
}

/* Is this frame handed out? */
static bool wanted(struct ahead *a, const struct vt_trace_frame *frame, bool skip) {
    if (frame->type != VT_FRAME_BLOCK) return frame->type == VT_FRAME_DROPS;
    a->run += !skip && a->one_in > 1 && a->blocks % AHEAD_RUN == 0 && a->blocks;
    a->blocks++;
    return !skip;
}

/* Reads up to the next wanted frame, or to the end. */
static void fill(struct ahead *a, struct slot *slot) {
    struct vt_trace_frame frame;
    bool skip;
    slot->frame = (struct ahead_frame){0};
    do {
        skip = a->one_in > 1 && a->blocks / AHEAD_RUN % a->one_in != 0;
        slot->next = vt_trace_next(a->trace, skip, &frame, &slot->err);
        if (slot->next == 1 && frame.offset >= a->until) slot->next = 0;
        if (slot->next != 1) return;
    } while (!wanted(a, &frame, skip));
    slot->frame.type = frame.type;
    slot->frame.run = a->run;
    slot->frame.offset = frame.offset;
    slot->frame.rc = frame.type == VT_FRAME_BLOCK ? decode(slot, &frame) : keep_payload(slot, &frame);
}

static void *run(void *arg) {
    struct ahead *a = arg;
    bool more = true;
    pthread_mutex_lock(&a->lock);
    while (more && !a->quit) {
        if (a->filled - a->used == SLOTS) {
            pthread_cond_wait(&a->moved, &a->lock);
            continue;
        }
        struct slot *slot = &a->slots[a->filled % SLOTS];
        pthread_mutex_unlock(&a->lock);
        fill(a, slot);
        more = slot->next == 1;
        pthread_mutex_lock(&a->lock);
        a->filled++;
        pthread_cond_signal(&a->moved);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* Signals are handled by the other thread. */
static bool start_thread(struct ahead *a) {
    sigset_t all, old;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &old)) return false;
    bool started = pthread_create(&a->thread, NULL, run, a) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return started;
}

int ahead_start(struct vt_trace *t, uint64_t until, uint32_t one_in, struct ahead **out) {
    struct ahead *a = memory_calloc(1, sizeof *a);
    if (!a) return -ENOMEM;
    a->trace = t;
    a->until = until;
    a->one_in = one_in;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->moved, NULL);
    bool alone = until <= ALONE_BYTES;
    for (unsigned i = 0; i < (alone ? 1 : SLOTS); i++)
        if (!(a->slots[i].dec = vt_block_dec_new())) {
            ahead_stop(a);
            return -ENOMEM;
        }
    vt_trace_rewind(t);
    a->threaded = !alone && start_thread(a);
    *out = a;
    return 0;
}

/* Returns the slot in use and waits for the next one. */
static struct slot *next_slot(struct ahead *a) {
    if (!a->threaded) {
        fill(a, &a->slots[0]);
        return &a->slots[0];
    }
    pthread_mutex_lock(&a->lock);
    if (a->using) {
        a->used++;
        pthread_cond_signal(&a->moved);
    }
    a->using = true;
    while (a->filled == a->used) pthread_cond_wait(&a->moved, &a->lock);
    struct slot *slot = &a->slots[a->used % SLOTS];
    pthread_mutex_unlock(&a->lock);
    return slot;
}

int ahead_next(struct ahead *a, const struct ahead_frame **frame, struct vt_err *err) {
    if (a->over) return 0;
    const struct slot *slot = next_slot(a);
    if (slot->next == 1) {
        *frame = &slot->frame;
        return 1;
    }
    a->over = true;
    if (slot->next < 0 && err) *err = slot->err;
    return slot->next;
}

void ahead_stop(struct ahead *a) {
    if (!a) return;
    if (a->threaded) {
        pthread_mutex_lock(&a->lock);
        a->quit = true;
        pthread_cond_signal(&a->moved);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->thread, NULL);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        vt_block_dec_free(a->slots[i].dec);
        memory_free(a->slots[i].copy);
    }
    pthread_cond_destroy(&a->moved);
    pthread_mutex_destroy(&a->lock);
    memory_free(a);
}
