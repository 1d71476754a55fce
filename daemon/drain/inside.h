/* The system calls in which threads of a target were when the attach came, as its helper told them (attach/inside.h): each
 * becomes an open call of its thread, on top of the Python functions that were open. Event loop thread only. */
#ifndef VT_DAEMON_INSIDE_H
#define VT_DAEMON_INSIDE_H

#include "attach/inside.h"
#include "proto/base.h"

struct inside_thread {
    uint32_t tid; /* in our pid namespace */
    uint32_t id;  /* of its name; 0 = the name was not written yet */
    char text[INSIDE_TEXT_MAX];
};

struct inside {
    uint32_t n, nids;
    struct inside_thread threads[INSIDE_THREADS_MAX];
};

/* Adds a thread to *in, which is allocated when it is NULL. What does not fit is left out. The text is not trusted. */
void inside_add(struct inside **in, uint32_t tid, const char *text);
/* The name id of what the thread is in, 0 = nothing is known. *is_new: its name, *text, is still to be written. */
uint32_t inside_id(struct inside *in, uint32_t tid, bool *is_new, const char **text);

#endif
