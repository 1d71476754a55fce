/* Owns what is known of the processes of a launched program together (family.h). */
#include "daemon/session/family.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/msg_table.h"

int family_new(struct session *first, const struct vt_ctl *request, uint64_t lease_ticks) {
    struct family *family = calloc(1, sizeof(*family));
    if (family) family->request = malloc(sizeof(*family->request));
    if (!family || !family->request) {
        free(family);
        return -ENOMEM;
    }
    *family->request = *request;
    family->first = first;
    family->lease_ticks = lease_ticks;
    family->sections = 1;
    first->family = family;
    return spool_begin_sections(first->spool);
}

void family_free(struct session *first) {
    if (!first->family || family_is_other(first)) return;
    free(first->family->request);
    free(first->family);
    first->family = NULL;
}

int family_join(struct family *family, struct session *s) {
    if (family->sections == VT_SECTIONS_MAX) return -E2BIG;
    s->family = family;
    s->section = family->sections++;
    s->spool = family->first->spool;
    LIST_INSERT_HEAD(&family->others, s, relative);
    return 0;
}

bool family_leave(struct session *s) {
    if (!family_is_other(s)) return false;
    struct family *family = s->family;
    LIST_REMOVE(s, relative);
    family->events += s->totals.events;
    family->lost += !s->began;
    if (!s->began) vt_log(VT_LOG_INFO, "process %d ended before its trace had begun (agent state %u)", s->pid, s->agent_state);
    return family->over;
}

bool family_is_other(const struct session *s) { return s->family && s->family->first != s; }

struct session *family_first(struct session *s) {
    return s->family ? s->family->first : s;
}

bool family_waits(const struct session *s) {
    return s->family && s->family->first == s && (!s->family->over || !LIST_EMPTY(&s->family->others));
}

uint64_t family_events(const struct session *s) {
    const struct session *other;
    uint64_t sum = s->totals.events;
    if (!s->family || family_is_other(s)) return sum;
    LIST_FOREACH(other, &s->family->others, relative) sum += other->totals.events;
    return sum + s->family->events;
}

uint32_t family_lost(const struct session *s) { return s->family && !family_is_other(s) ? s->family->lost : 0; }
