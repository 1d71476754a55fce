/* Reads the packets of a .pftrace of our own writing (out_perfetto.c), one after the other. Everything in the file is
 * hostile: the size of a packet, the memory that it takes unpacked and the depth of its messages are bounded. */
#ifndef VT_CLI_PFTRACE_READ_H
#define VT_CLI_PFTRACE_READ_H

#include "cli/format/perfetto/perfetto_subset.pb-c.h"
#include "cli/trace/left_out.h"
#include "proto/base.h"

#define PFTRACE_PACKET_MAX (64u << 20)    /* bytes in the file; a longer packet is damage */
#define PFTRACE_UNPACKED_MAX (512u << 20) /* bytes of memory for one packet; one that takes more is damage */
#define PFTRACE_DEPTH_MAX 200u            /* messages in one another; our writer nests less */
enum { PFTRACE_FLAG_CLEARED = 1 };
enum { PFTRACE_CLOCK_REAL = 1, PFTRACE_CLOCK_MONO = 3, PFTRACE_CLOCK_OWN = 64 };
enum { PFTRACE_BEGIN = 1, PFTRACE_END = 2, PFTRACE_INSTANT = 3, PFTRACE_COUNTER = 4 };

struct pftrace_handler {
    /* Valid during the call. Returns 0, -EBADMSG when the packet makes no sense, or another -errno. */
    int (*packet)(void *ctx, const Pf__Packet *packet);
    void (*progress)(void *arg, uint64_t done, uint64_t size); /* may be NULL; bytes of the file */
    void *progress_arg;
    const volatile int *stop;  /* may be NULL */
    struct left_out *left_out; /* may be NULL: only wrong_checksum is set */
};

/* 0: read whole, or up to the place that damage names. -EPROTO: a Perfetto trace of another program. Other -errno: not
 * readable, or what the handler returned; err says which, but not for the handler's. */
VT_MUST_CHECK int pftrace_packets(const char *path, const struct pftrace_handler *handler, void *ctx, struct vt_err *damage,
                                  struct vt_err *err);
/* ns that the packet's clock snapshot says for this clock; 0 = it says nothing. */
uint64_t pftrace_clock_ns(const Pf__Packet *packet, uint32_t clock);

#endif
