/* Owns adding up samples (tally.h). */
#include "cli/top/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FUNCTIONS_MAX = 1 << 18, THREADS_MAX = 1 << 16, PLACES_FIRST = 1024 };
#define SECOND_NS 1000000000ull

/* ---- functions ---- */

static uint32_t place_of(const struct tally *t, const struct outside_code *code) {
    uint32_t at = (uint32_t)((uint64_t)(uintptr_t)code * 0x9E3779B97F4A7C15ull >> 32) & (t->nplaces - 1);
    while (t->places[at] && t->functions[t->places[at] - 1].code != code) at = (at + 1) & (t->nplaces - 1);
    return at;
}

static int grow_places(struct tally *t) {
    uint32_t *before = t->places;
    if (t->nplaces && t->nfunctions < t->nplaces / 2) return 0;
    uint32_t n = t->nplaces ? t->nplaces * 2 : PLACES_FIRST;
    uint32_t *places = calloc(n, sizeof(*places));
    if (!places) return -ENOMEM;
    t->places = places;
    t->nplaces = n;
    for (uint32_t i = 0; i < t->nfunctions; i++) t->places[place_of(t, t->functions[i].code)] = i + 1;
    free(before);
    return 0;
}

/* UINT32_MAX: out of memory, or too many. */
static uint32_t function_of(struct tally *t, const struct outside_code *code) {
    if (grow_places(t)) return UINT32_MAX;
    uint32_t at = place_of(t, code);
    if (t->places[at]) return t->places[at] - 1;
    if (vt_grow(&t->functions, &t->functions_room, t->nfunctions + 1u, sizeof(*t->functions), FUNCTIONS_MAX)) return UINT32_MAX;
    t->functions[t->nfunctions] = (struct tally_function){.code = code};
    t->places[at] = ++t->nfunctions;
    return t->nfunctions - 1;
}

static int count_caller(struct tally_function *f, uint32_t caller, uint64_t round) {
    uint32_t i = 0;
    while (i < f->ncallers && f->callers[i].function != caller) i++;
    if (i == TALLY_CALLERS) return 0;
    if (i == f->ncallers) {
        int rc = vt_grow(&f->callers, &f->room, f->ncallers + 1u, sizeof(*f->callers), TALLY_CALLERS);
        if (rc) return rc;
        f->callers[f->ncallers++] = (struct tally_caller){.function = caller};
    }
    if (f->callers[i].round == round) return 0;
    f->callers[i].round = round;
    f->callers[i].samples++;
    return 0;
}

/* From the outermost frame inwards. A function that is there several times counts once. */
static int count_stack(struct tally *t, const struct outside_thread *of) {
    uint32_t caller = UINT32_MAX;
    uint64_t round = ++t->stacks;
    for (uint32_t i = of->nframes; i--;) {
        if (!of->frames[i].code) continue;
        uint32_t id = function_of(t, of->frames[i].code);
        if (id == UINT32_MAX) return -ENOMEM;
        struct tally_function *f = &t->functions[id];
        if (f->round != round) {
            f->round = round;
            f->total++;
            f->recent_total[t->second]++;
        }
        if (i == 0) {
            f->own++;
            f->recent_own[t->second]++;
        }
        if (caller != UINT32_MAX && count_caller(f, caller, round)) return -ENOMEM;
        caller = id;
    }
    return 0;
}

/* ---- threads ---- */

static struct tally_thread *thread_of(struct tally *t, const struct outside_thread *of, size_t likely) {
    if (likely < t->nthreads && t->threads[likely].address == of->address && t->threads[likely].tid == of->tid)
        return &t->threads[likely];
    for (uint32_t i = 0; i < t->nthreads; i++)
        if (t->threads[i].address == of->address && t->threads[i].tid == of->tid) return &t->threads[i];
    if (vt_grow(&t->threads, &t->threads_room, t->nthreads + 1u, sizeof(*t->threads), THREADS_MAX)) return NULL;
    t->threads[t->nthreads] = (struct tally_thread){.address = of->address, .tid = of->tid};
    return &t->threads[t->nthreads++];
}

static int count_thread(struct tally *t, const struct outside_thread *of, size_t likely) {
    struct tally_thread *thread = thread_of(t, of, likely);
    if (!thread) return -ENOMEM;
    thread->seen = t->samples;
    if (of->name[0]) memcpy(thread->name, of->name, sizeof(thread->name));
    if (of->state) thread->state = of->state;
    if (of->gil == OUTSIDE_GIL_HOLDS) thread->recent_gil[t->second]++;
    if (of->torn || of->unread) return 0;
    thread->code = of->nframes ? of->frames[0].code : NULL;
    thread->line = of->nframes ? of->frames[0].line : 0;
    return 0;
}

int tally_take(struct tally *t, const struct sampler *s) {
    size_t n;
    int rc = 0;
    const struct outside_thread *threads = outside_threads(s->o, &n);
    uint64_t now_ns = vt_mono_ns();
    t->active_ns += t->last_ns ? now_ns - t->last_ns : SECOND_NS / s->rate;
    t->last_ns = now_ns;
    t->samples++;
    t->recent_samples[t->second]++;
    for (size_t i = 0; !rc && i < n; i++) {
        rc = count_thread(t, &threads[i], i);
        if (!rc && sampler_wants(s, &threads[i])) rc = count_stack(t, &threads[i]);
    }
    return rc;
}

/* ---- time ---- */

static void read_cpu_times(struct tally *t, struct outside *o, uint64_t took_ns) {
    size_t n;
    outside_read_cpu_times(o);
    const struct outside_thread *threads = outside_threads(o, &n);
    for (size_t i = 0; i < n; i++) {
        struct tally_thread *thread = thread_of(t, &threads[i], i);
        if (!thread || !threads[i].cpu_ns) continue;
        if (thread->cpu_ns && threads[i].cpu_ns >= thread->cpu_ns)
            thread->cpu = (double)(threads[i].cpu_ns - thread->cpu_ns) * 100 / (double)took_ns;
        thread->cpu_ns = threads[i].cpu_ns;
        if (threads[i].state) thread->state = threads[i].state;
    }
}

void tally_turn(struct tally *t, struct outside *o, uint64_t now_ns) {
    if (t->second_ns && now_ns - t->second_ns < SECOND_NS) return;
    read_cpu_times(t, o, t->second_ns ? now_ns - t->second_ns : SECOND_NS);
    t->second_ns = now_ns;
    t->second = (t->second + 1) % TALLY_SECONDS;
    t->recent_samples[t->second] = 0;
    for (uint32_t i = 0; i < t->nfunctions; i++)
        t->functions[i].recent_own[t->second] = t->functions[i].recent_total[t->second] = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->nthreads; i++) {
        if (t->threads[i].seen != t->samples) continue; /* it has ended */
        t->threads[i].recent_gil[t->second] = 0;
        t->threads[kept++] = t->threads[i];
    }
    t->nthreads = kept;
}

void tally_pause(struct tally *t) { t->last_ns = 0; }
uint64_t tally_sample_ns(const struct tally *t) { return t->samples ? t->active_ns / t->samples : 0; }

void tally_clear(struct tally *t) {
    for (uint32_t i = 0; i < t->nfunctions; i++) free(t->functions[i].callers);
    if (t->places) memset(t->places, 0, t->nplaces * sizeof(*t->places));
    memset(t->recent_samples, 0, sizeof(t->recent_samples));
    for (uint32_t i = 0; i < t->nthreads; i++) {
        memset(t->threads[i].recent_gil, 0, sizeof(t->threads[i].recent_gil));
        t->threads[i].seen = 0;
    }
    t->nfunctions = 0;
    t->samples = t->active_ns = 0;
}

void tally_free(struct tally *t) {
    tally_clear(t);
    free(t->functions);
    free(t->places);
    free(t->threads);
    *t = (struct tally){0};
}

double tally_share(const struct tally *t, const uint32_t recent[TALLY_SECONDS]) {
    uint64_t samples = 0, n = 0;
    for (unsigned i = 0; i < TALLY_SECONDS; i++) {
        samples += t->recent_samples[i];
        n += recent[i];
    }
    return samples ? (double)n * 100 / (double)samples : 0;
}
