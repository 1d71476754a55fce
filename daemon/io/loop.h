/* One epoll loop with one timerfd. Callbacks may remove any descriptor or timer, their own included. */
#ifndef VT_DAEMON_LOOP_H
#define VT_DAEMON_LOOP_H

#include <sys/epoll.h>

#include "proto/base.h"

struct loop_io { /* embedded in its owner; fd stays the owner's */
    int fd;
    uint32_t events; /* EPOLLIN ... as asked for */
    void (*fn)(void *ctx, uint32_t events);
    void *ctx;
    bool added;
};

struct loop_timer { /* embedded in its owner */
    uint64_t at;    /* CLOCK_MONOTONIC ns; 0 = not set */
    void (*fn)(void *ctx);
    void *ctx;
    struct loop_timer *next;
    bool listed;
};

struct loop {
    int epfd, timerfd;
    uint64_t armed; /* what the timerfd is set to */
    struct loop_timer *timers;
    struct epoll_event *batch;
    int nbatch;
    bool stop;
    void (*round)(void *ctx); /* called after every round of callbacks, or NULL */
    void *round_ctx;
};

VT_MUST_CHECK int loop_init(struct loop *l);
void loop_close(struct loop *l);
VT_MUST_CHECK int loop_add(struct loop *l, struct loop_io *io, int fd, uint32_t events, void (*fn)(void *, uint32_t), void *ctx);
void loop_want(struct loop *l, struct loop_io *io, uint32_t events);
void loop_del(struct loop *l, struct loop_io *io);
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at);
void loop_timer_del(struct loop *l, struct loop_timer *t);
/* Runs until l->stop. */
VT_MUST_CHECK int loop_run(struct loop *l);

#endif
