/* The launch library's parts. It is preloaded into every program that runs on the way from the client's command to the first
 * Python interpreter. It imports nothing, so that it can be loaded into a program of any C library, and it shares the files of
 * agent/cpython that need no Python. Functions return 0 or -errno. */
#ifndef VT_LAUNCH_LAUNCH_H
#define VT_LAUNCH_LAUNCH_H

#include "agent/cpython/base.h"
#include "proto/abi/launch.h"

enum { LAUNCH_PATH_MAX = 4096 };

/* own.c: what the client's variables said, before they were taken out, and what has become of it since. */
struct own {
    bool active;                     /* the client's variable was there */
    bool carries;                    /* programs that this one starts are to be looked at, too */
    bool filtered;                   /* this process has put itself under a filter of system calls; inherited by forks */
    uint32_t pid;                    /* of this process once it is traced, as the daemon sees it; a fork inherits it */
    uint64_t forked_ns;              /* while a thread is in fork: since when; its child inherits it */
    char value[VT_LAUNCH_VALUE + 1]; /* of the variable */
    char path[LAUNCH_PATH_MAX];      /* of this library, as in LD_PRELOAD */
};
extern HIDDEN struct own own;

/* environ.c */
bool text_begins(const char *text, const char *with);
/* Looks for the client's variables in an environment. False: they are not there. */
bool environ_read(char *const *environment);
/* Takes them out of the environment, in place: it is then as it would be without us. */
void environ_clean(char **environment);
/* Can this environment be changed on the stack? False, and the call is passed on unchanged: it is very large, or has a variable
 * of ours twice. */
bool environ_fits(char *const *environment);
/* The pointers that environ_with needs at most for this environment. */
size_t environ_room(char *const *environment);
/* Fills `to` with the environment and the client's variables (wanted), or without them. `text` has room for the new LD_PRELOAD
 * of environ_text bytes. */
void environ_with(char *const *environment, bool wanted, char **to, char *text);
size_t environ_text(char *const *environment);

/* pass_by.c. May this program be started with the library? False for programs that would not start with it, or say so on stderr:
 * those of an address sanitizer, of another CPU, and all programs below a root where the library is not. */
bool pass_by_allows(const char *program);
bool pass_by_is_there(const char *path); /* can it be read? */

/* origin.c. Before anything else of this process can run. */
void origin_find(void);
/* Says that this process starts a program now, in a copy of the variable's value. Nothing changes in one that is not traced. */
void origin_write(char *value);
/* Who started this process: said by the variable, or inherited by a fork. */
void origin_of_program(struct vt_launch_origin *origin);
void origin_of_fork(struct vt_launch_origin *origin);

/* exec.c. The environment that the C library has now, and -1 with this errno. */
char **exec_environment(void);
int exec_fail(int code);

/* own.c. Is this process under more seccomp filters than the client? Only calls that the dynamic linker makes, too. */
bool own_is_filtered(void);

/* filters.c. Before anything else of this process can run. */
void filters_find(void);

/* start.c. An interpreter is in this process, and has not been initialised: waits for the first line of its program. */
void start_arm(void);

/* connect.c. Asks the daemon for the arena: its descriptor in *fd. origin, rc, text: what the hello says. -errno: this process is
 * not traced. */
int connect_daemon(const struct vt_launch_origin *origin, int rc, const char *text, int *fd, uint64_t *arena_bytes);
/* The same in a forked child, for the agent (vt_launch.connect). */
int connect_child(int *fd, uint64_t *arena_bytes);

#endif
