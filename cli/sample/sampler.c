/* Owns when samples are taken, and which threads they are about (sampler.h). */
#include "cli/sample/sampler.h"

#define SECOND_NS 1000000000ull

bool sampler_wants(const struct sampler *s, const struct outside_thread *t) {
    if (t->torn || t->unread || !t->nframes) return false;
    if (s->gil) return t->gil == OUTSIDE_GIL_HOLDS;
    return s->idle || t->state == 'R' || t->gil == OUTSIDE_GIL_HOLDS;
}

int sampler_take(struct sampler *s, struct vt_err *err) {
    int rc = outside_sample(s->o, err);
    if (rc) return rc;
    if (s->idle)
        outside_read_calls(s->o);
    else if (!s->gil)
        outside_read_running(s->o);
    s->samples++;
    return 0;
}

uint64_t sampler_wait_ns(struct sampler *s) {
    uint64_t now_ns = vt_mono_ns();
    if (!s->next_ns) s->next_ns = now_ns;
    s->next_ns += SECOND_NS / s->rate;
    if (s->next_ns > now_ns) return s->next_ns - now_ns;
    s->late++;
    s->next_ns = now_ns;
    return 0;
}
