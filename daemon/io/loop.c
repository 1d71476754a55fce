/* Owns epoll, the timerfd and the order of callbacks: first the descriptors of one batch, then the timers that are due. */
#include "daemon/io/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 32

int loop_init(struct loop *l) {
    memset(l, 0, sizeof(*l));
    l->epfd = l->timerfd = -1;
    l->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epfd < 0) return -errno;
    l->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (l->timerfd < 0 || epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->timerfd, &ev)) {
        int rc = -errno;
        loop_close(l);
        return rc;
    }
    return 0;
}

void loop_close(struct loop *l) {
    vt_close(&l->timerfd);
    vt_close(&l->epfd);
}

int loop_add(struct loop *l, struct loop_io *io, int fd, uint32_t events, void (*fn)(void *, uint32_t), void *ctx) {
    *io = (struct loop_io){.fd = fd, .events = events, .fn = fn, .ctx = ctx};
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev)) return -errno;
    io->added = true;
    return 0;
}

void loop_want(struct loop *l, struct loop_io *io, uint32_t events) {
    if (!io->added || io->events == events) return;
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (!epoll_ctl(l->epfd, EPOLL_CTL_MOD, io->fd, &ev)) io->events = events;
}

void loop_del(struct loop *l, struct loop_io *io) {
    if (!io->added) return;
    epoll_ctl(l->epfd, EPOLL_CTL_DEL, io->fd, NULL);
    io->added = false;
    for (int i = 0; i < l->nbatch; i++) /* this batch may hold an event for the descriptor */
        if (l->batch[i].data.ptr == io) l->batch[i].data.ptr = NULL;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at) {
    t->at = at;
    if (t->listed) return;
    t->listed = true;
    t->next = l->timers;
    l->timers = t;
}

void loop_timer_del(struct loop *l, struct loop_timer *t) {
    t->at = 0;
    if (!t->listed) return;
    for (struct loop_timer **p = &l->timers; *p; p = &(*p)->next)
        if (*p == t) {
            *p = t->next;
            break;
        }
    t->listed = false;
}

static struct loop_timer *earliest(const struct loop *l) {
    struct loop_timer *best = NULL;
    for (struct loop_timer *t = l->timers; t; t = t->next)
        if (t->at && (!best || t->at < best->at)) best = t;
    return best;
}

static void arm(struct loop *l) {
    struct loop_timer *t = earliest(l);
    uint64_t at = t ? t->at : 0;
    if (at == l->armed) return;
    struct itimerspec its = {.it_value = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)}};
    timerfd_settime(l->timerfd, TFD_TIMER_ABSTIME, &its, NULL);
    l->armed = at;
}

static void run_due(struct loop *l) {
    uint64_t now = vt_mono_ns();
    struct loop_timer *t;
    for (int i = 0; i < 256 && (t = earliest(l)) && t->at <= now; i++) {
        t->at = 0;
        t->fn(t->ctx);
    }
}

int loop_run(struct loop *l) {
    struct epoll_event batch[BATCH];
    uint64_t ticks;

    while (!l->stop) {
        arm(l);
        int n = epoll_wait(l->epfd, batch, BATCH, -1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        l->batch = batch;
        l->nbatch = n;
        for (int i = 0; i < n; i++) {
            struct loop_io *io = batch[i].data.ptr;
            if (io) io->fn(io->ctx, batch[i].events);
        }
        l->nbatch = 0;
        if (read(l->timerfd, &ticks, sizeof(ticks)) > 0) l->armed = 0;
        run_due(l);
        if (l->round) l->round(l->round_ctx);
    }
    return 0;
}
