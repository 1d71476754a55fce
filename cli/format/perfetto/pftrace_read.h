/* Packets of a .pftrace of our own writing (out_perfetto.c), one after the other, taken apart as far as we wrote them. */
#ifndef VT_CLI_PFTRACE_READ_H
#define VT_CLI_PFTRACE_READ_H

#include "cli/base/pb_get.h"
#include "proto/base.h"

#define PFTRACE_PACKET_MAX (64u << 20) /* bytes; a longer one is damage */
enum { PFTRACE_FLAG_CLEARED = 1 };
enum { PFTRACE_CLOCK_REAL = 1, PFTRACE_CLOCK_MONO = 3, PFTRACE_CLOCK_OWN = 64 };
enum { PFTRACE_BEGIN = 1, PFTRACE_END = 2, PFTRACE_INSTANT = 3, PFTRACE_COUNTER = 4 };

struct pftrace_packet {
    uint64_t time, clock; /* clock 0: the sequence's own, which counts from event to event */
    uint64_t sequence, flags;
    bool has_time;
    uint64_t real_ns, mono_ns, own_ns; /* of a clock snapshot; 0 = not in it */
    uint64_t default_track, default_clock;
    struct pb_bytes event, track, interned; /* data NULL = none */
};

struct pftrace_track { /* a descriptor */
    uint64_t uuid, parent;
    bool is_process, is_thread, is_counter;
    uint64_t pid, tid;
    struct pb_bytes name; /* of whichever it is */
};

struct pftrace_event {
    uint64_t type, name_id, track, source_id;
    bool has_flow, has_flow_end;
    int64_t counter;
    double double_counter;
    bool has_counter, has_double;
    struct pb_bytes name, category, fields; /* fields: all of it, for the annotations (number 4) */
};

struct pftrace_handler {
    int (*packet)(void *ctx, const struct pftrace_packet *packet); /* -EBADMSG: the packet makes no sense */
    void (*progress)(void *arg, uint64_t done, uint64_t size);
    void *progress_arg;
    const volatile int *stop;
};

/* 0: read whole or up to the place that damage names; -EPROTO: a Perfetto trace of another program; -errno; err says
 * which, but for what the handler returned. */
VT_MUST_CHECK int pftrace_packets(const char *path, const struct pftrace_handler *handler, void *ctx, struct vt_err *damage,
                                  struct vt_err *err);
/* -EBADMSG. */
VT_MUST_CHECK int pftrace_get_track(struct pb_bytes in, struct pftrace_track *track);
VT_MUST_CHECK int pftrace_get_event(struct pb_bytes in, struct pftrace_event *event);

#endif
