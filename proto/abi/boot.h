/* The boot block, with which the injector starts the agent, and the identity of a loaded agent.
 *
 * Ptrace: it lies in the scratch mapping that the injector made in the target:
 *     +--------------+----------------------+------------------+
 *     | bootstrap    | struct vt_boot       | call stack of the|
 *     | code (r-x)   | (rw-)                | hijacked thread  |
 *     +--------------+----------------------+------------------+
 * Remote exec (PEP 768): the copy inside the agent file (symbol vt_agent_boot) is filled in before
 * the file is put where the target can load it.
 *
 * The bootstrap thread calls dlopen for `agent_path` (or uses `agent_entry` when the agent is loaded already) and then *jumps*
 * to the agent's vt_agent_main(struct vt_boot *). No stack frame of the scratch mapping is in use any more, so the agent unmaps
 * [scratch, scratch+scratch_len) after it has copied the block, unless scratch is 0. */
#ifndef VT_PROTO_ABI_BOOT_H
#define VT_PROTO_ABI_BOOT_H

#include <stddef.h>
#include <stdint.h>

#define VT_BOOT_MAGIC 0x31544f4f425a5656ull /* "VVZBOOT1" */

/* With this signal setuid and the like reach all threads of a process, in glibc (SIGSETXID), and wait for each of them: no thread
 * of ours may block it. */
#define VT_SIGSETXID 33
#define VT_SIGSETXID_BIT (1ull << (VT_SIGSETXID - 1))

enum vt_boot_op {
    VT_OP_START = 1, /* map the arena, install the hooks */
    VT_OP_STOP = 2,  /* remove the hooks now, also in an idle target (--uninstall) */
    VT_OP_WAKE = 3,  /* 1.2: vt_ctl.wake_cpu_ns is due: install hooks again, start a look, or find threads without a hook */
};

/* boot.go, W injector, R bootstrap thread: the hijacked thread has left the scratch mapping. */
enum vt_boot_go { VT_GO_WAIT = 0, VT_GO_RUN = 1, VT_GO_CANCEL = 2 };
/* boot.state, W bootstrap thread, R injector. Once AGENT is reached, look at the arena instead. */
enum vt_boot_state {
    VT_BOOT_NONE = 0,
    VT_BOOT_CREATED = 1, /* pthread_create returned (create_rc) */
    VT_BOOT_THREAD = 2,  /* the new thread runs */
    VT_BOOT_LOADED = 3,  /* dlopen done */
    VT_BOOT_AGENT = 4,   /* agent has copied the block; the scratch mapping is going */
    VT_BOOT_FAILED = 5   /* err says why; waits for go = CANCEL, then unmaps */
};

/* boot.flags, W injector. */
#define VT_BOOT_F_FILTERED 0x1u /* a seccomp filter is on: make only system calls that loading a library makes, too */

struct vt_boot {
    uint64_t magic;
    uint32_t abi_major, abi_minor;
    uint32_t op;    /* enum vt_boot_op */
    uint32_t go;    /* enum vt_boot_go */
    uint32_t state; /* enum vt_boot_state */
    int32_t create_rc;
    uint32_t parked;  /* W hijacked thread: pthread_create is done; next it restores itself */
    int32_t agent_fd; /* memfd with the agent or -1; closed by the agent */
    int32_t arena_fd; /* memfd with the arena or -1 (then arena_path); closed by the agent */
    uint32_t flags;   /* VT_BOOT_F_* */
    uint64_t arena_bytes;
    uint64_t scratch, scratch_len;
    uint64_t agent_entry; /* address of vt_agent_main when the agent is loaded already, else 0 */
    uint64_t thread;      /* W: pthread_t of the new thread */
    uint64_t tid;         /* W: its tid (target's pid namespace) */
    uint64_t reserved0;   /* 0 */
    uint64_t wait_ns;     /* longest time the new thread waits for go */
    uint64_t stack_size;
    /* addresses in the target */
    uint64_t f_attr_init, f_attr_setstacksize, f_attr_setdetachstate, f_create;
    uint64_t f_dlopen, f_dlsym, f_dlerror, f_munmap; /* f_dlsym may be 0 in remote exec: the agent looks itself */
    uint64_t dlopen_flags;
    uint64_t attr[16];    /* pthread_attr_t */
    char agent_path[256]; /* what dlopen gets */
    char arena_path[256]; /* target's view; "" = arena_fd */
    char entry[32];       /* "vt_agent_main" */
    char err[256];        /* W: dlerror text */
};
_Static_assert(offsetof(struct vt_boot, f_attr_init) == 120, "vt_boot");
_Static_assert(offsetof(struct vt_boot, agent_path) == 320, "vt_boot");
_Static_assert(sizeof(struct vt_boot) == 320 + 256 + 256 + 32 + 256, "vt_boot");

/* Exported by the agent as `vt_agent_info`: lets a later attach find, recognise and reuse it. */
#define VT_AGENT_INFO_MAGIC 0x31464e495a5656ull
struct vt_agent_info {
    uint64_t magic;
    uint32_t abi_major, abi_minor;
    uint32_t busy;  /* 1 from the start of START until hooks are out: a second START is refused */
    uint32_t woken; /* 1.2: counts the WAKEs that were done */
    uint64_t ctl;   /* address of the mapped arena while busy, else 0 */
    char build[32]; /* build id: only the very same agent is reused */
};
_Static_assert(sizeof(struct vt_agent_info) == 64, "vt_agent_info");

/* memfd names; what a maps line of ours looks like: "/memfd:viztracer-agent (deleted)" */
#define VT_AGENT_MEMFD "viztracer-agent"
#define VT_ARENA_MEMFD "viztracer-arena"
/* file fallback: <dir>/.viztracer-agent-XXXXXXXX.so, <dir>/.viztracer-arena-XXXXXXXX, unlinked after use */
#define VT_AGENT_FILE ".viztracer-agent-"
#define VT_ARENA_FILE ".viztracer-arena-"
#define VT_THREAD_COMM "viztracer-boot"

#endif
