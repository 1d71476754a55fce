/* Owns the table of the system calls that threads were in at the attach (inside.h). */
#include "daemon/drain/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/abi/record.h"

void inside_add(struct inside **in, uint32_t tid, const char *text) {
    if (!*in) *in = calloc(1, sizeof(**in));
    if (!*in || (*in)->n == INSIDE_THREADS_MAX) return;
    struct inside_thread *t = &(*in)->threads[(*in)->n++];
    t->tid = tid;
    vt_clean_line(t->text, sizeof(t->text), text, sizeof(t->text));
}

uint32_t inside_id(struct inside *in, uint32_t tid, bool *is_new, const char **text) {
    struct inside_thread *found = NULL;
    for (uint32_t i = 0; in && tid && i < in->n && !found; i++)
        if (in->threads[i].tid == tid) found = &in->threads[i];
    if (!found) return 0;
    *text = found->text;
    *is_new = false;
    /* Threads in the same call share a name. */
    for (uint32_t i = 0; i < in->n && !found->id; i++)
        if (in->threads[i].id && !strcmp(in->threads[i].text, found->text)) found->id = in->threads[i].id;
    if (!found->id) {
        found->id = VT_ID_MAX - 1 - in->nids++; /* the agent's ids count up from the other end */
        *is_new = true;
    }
    return found->id;
}
