/* Owns the thread that renews the leases. */
#include "daemon/drain/lease.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

static struct timespec later(uint64_t ns) {
    uint64_t at = vt_mono_ns() + ns;
    return (struct timespec){(time_t)(at / 1000000000u), (long)(at % 1000000000u)};
}

static void *run(void *arg) {
    struct lease *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        uint64_t silent = vt_mono_ns() - vt_load_acquire(&l->beat_ns); /* negative when a beat came in between */
        uint32_t kept = 1;
        if ((int64_t)silent < (int64_t)l->patience_ns)
            kept = arenas_renew(clock_ticks(&l->clock) + clock_ns_to_ticks(&l->clock, LEASE_FOR_NS));
        struct timespec at = later(LEASE_EVERY_NS);
        if (kept)
            pthread_cond_timedwait(&l->wake, &l->lock, &at);
        else
            pthread_cond_wait(&l->wake, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

int lease_start(struct lease *l, const struct clock_source *clock, uint64_t patience_ns) {
    pthread_condattr_t attr;
    sigset_t all, before;

    *l = (struct lease){.clock = *clock, .patience_ns = patience_ns, .beat_ns = vt_mono_ns()};
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->wake, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* this thread writes to arenas, so it needs the guard of arena_map.c, too */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = -pthread_create(&l->thread, NULL, run, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    l->running = !rc;
    return rc;
}

void lease_stop(struct lease *l) {
    if (!l->running) return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    l->running = false;
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
}

void lease_keep(struct lease *l, struct arena *a) {
    lease_beat(l, vt_mono_ns());
    arena_keep(a, true);
    pthread_mutex_lock(&l->lock);
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
}

uint64_t lease_beat(struct lease *l, uint64_t now_ns) {
    uint64_t before = l->beat_ns;
    vt_store_release(&l->beat_ns, now_ns);
    return now_ns > before ? now_ns - before : 0;
}
