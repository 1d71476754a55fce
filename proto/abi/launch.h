/* Starting a program under trace: what the launch library (launch/), the daemon and the agent say to one another.
 *
 *   client   starts the program with LD_PRELOAD=<launch library> and VIZTRACER_LAUNCH=<socket><token><filters><where><origin>
 *   library  in the first process that runs Python code, right before the program's first line:
 *                connects to the abstract socket   -- vt_launch_hello -->   daemon
 *                                                  <-- vt_launch_answer -- (with the descriptor of the arena)
 *            and calls vt_agent_launch of the agent, which lies beside it
 *
 * The token is the right to take part in the trace; the socket's name can be seen by everybody. `filters` is the number of
 * seccomp filters that the client is under, two digits: a process under more of them is left alone, because a filter may kill it
 * for a system call that it does not know. `where` is one character, enum vt_launch_where. `origin` tells which traced process
 * started this one, even if other programs are in between: its pid, the thread (pthread_self), and when (CLOCK_MONOTONIC, ns), in
 * 8, 16 and 16 hexadecimal digits; zeros: none did.
 *
 * Where all processes are followed, each process that runs Python code connects, and gets an arena of its own: one that is
 * started by the library in it, one that is forked by the agent at its first event, through vt_launch.connect. */
#ifndef VT_PROTO_ABI_LAUNCH_H
#define VT_PROTO_ABI_LAUNCH_H

#include <stddef.h>
#include <stdint.h>

#define VT_LAUNCH_VARIABLE "VIZTRACER_LAUNCH"
#define VT_LAUNCH_KEY 32u                       /* characters of the socket's own part of its name, and of the token */
#define VT_LAUNCH_WHERE (2 * VT_LAUNCH_KEY + 2) /* place of `where` in the variable's value */
#define VT_LAUNCH_ORIGIN (VT_LAUNCH_WHERE + 1)  /* place of `origin` */
#define VT_LAUNCH_ORIGIN_LEN 40u                /* its characters */
#define VT_LAUNCH_VALUE (VT_LAUNCH_ORIGIN + VT_LAUNCH_ORIGIN_LEN) /* characters of the value */
#define VT_LAUNCH_SOCKET "viztracer-launch-" /* abstract: a 0 byte, this, the first VT_LAUNCH_KEY characters of the variable */
#define VT_LAUNCH_LIBRARY "libviztracer_launch.so"
/* The agent lies in the folder of the library: under the first name, or in a wheel as the extension module of the package. */
#define VT_LAUNCH_AGENT "libviztracer_agent.so"
#define VT_LAUNCH_MODULE "_viztracer_agent.so"

enum vt_launch_where {
    VT_LAUNCH_ONE = '1',   /* only the first process that runs Python code is traced */
    VT_LAUNCH_ALL = 'a',   /* all are; this one was started by the client, or by programs without an interpreter */
    VT_LAUNCH_BELOW = 'b', /* the same; this one was started by a program with an interpreter */
};

#define VT_LAUNCH_HELLO_MAGIC 0x31484c5a49565456ull  /* "VTVIZLH1" */
#define VT_LAUNCH_ANSWER_MAGIC 0x31414c5a49565456ull /* "VTVIZLA1" */

struct vt_launch_origin { /* the traced process that started this one */
    uint64_t ident;       /* pthread_self() of the thread */
    uint64_t mono_ns;     /* when; 0 = not known */
    uint32_t pid;         /* as the daemon sees it; 0 = none did */
    uint32_t pad;
};

struct vt_launch_hello { /* one packet */
    uint64_t magic;
    uint32_t abi_major;
    int32_t rc;   /* 0, or -errno: this process runs Python code, but the agent could not be loaded */
    uint32_t pid; /* in the program's own pid namespace */
    uint32_t pad;
    struct vt_launch_origin origin;
    char token[VT_LAUNCH_KEY];
    char text[192]; /* why, when rc is not 0; NUL-terminated */
};
_Static_assert(sizeof(struct vt_launch_hello) == 272, "vt_launch_hello");

struct vt_launch_answer { /* one packet, with the arena's descriptor. No answer: this process is not to be traced */
    uint64_t magic;
    uint64_t arena_bytes;
    uint32_t pid; /* of this process, as the daemon sees it */
    uint32_t pad;
};
_Static_assert(sizeof(struct vt_launch_answer) == 24, "vt_launch_answer");

/* What vt_agent_launch is asked for. With the GIL; the agent keeps no pointer but user_code. */
enum vt_launch_op {
    VT_LAUNCH_START = 1,     /* starts the session */
    VT_LAUNCH_USER_CODE = 2, /* names the program's code, where that is known only later */
    VT_LAUNCH_COMMAND = 3,   /* before START: user_code is the str of -c, a reference that the agent takes */
    VT_LAUNCH_RUN = 4 /* runs what is instrumented of the code that START or USER_CODE named; that code does nothing afterwards.
                       * 0: it has run, or there is nothing; -1: it has raised, and the exception is pending */
};
#define VT_LAUNCH_EXEC 1u /* flags: user_code is run as by builtins.exec, which is recorded as its caller */
struct vt_launch {
    uint32_t op;      /* enum vt_launch_op */
    int32_t arena_fd; /* closed by the agent */
    uint64_t arena_bytes;
    void *user_code; /* code object of the program's __main__, which runs next; NULL = not known */
    uint32_t flags;  /* VT_LAUNCH_* */
    uint32_t pad;
    /* Asks for an arena in a forked child: 0, the descriptor and the size, or -errno: the child is not to be traced. Waits for
     * two seconds at most. NULL: children are not traced. */
    int (*connect)(int *fd, uint64_t *arena_bytes);
};
_Static_assert(sizeof(struct vt_launch) == 40, "vt_launch");

#endif
