/* Puts the agent and the arena where the target can open them: memfds or files. */
#ifndef VT_ATTACH_PLACE_H
#define VT_ATTACH_PLACE_H

#include "attach/attach.h"
#include "attach/creds.h"
#include "proto/abi/arena.h"
#include "proto/abi/boot.h"

/* The blocks of an arena file are allocated at once, and containers often have a /dev/shm of 64 MB: so such an arena has at
 * most 32 MiB of chunks. */
#define PLACE_FILE_CHUNKS 512u
static inline uint64_t place_file_arena(uint64_t wanted) {
    uint64_t most = vt_arena_bytes(PLACE_FILE_CHUNKS);
    return wanted < most ? wanted : most;
}

struct place {
    bool files;                            /* files in the target's file system instead of memfds made in the target */
    int agent_fd;                          /* ours; -1 */
    int arena_fd;                          /* ours; -1 */
    char agent_path[256], arena_path[256]; /* as the target opens them */
    int dir_fd;                            /* of the files */
    struct target_creds creds;             /* with which the files were made and go away again */
    /* Bytes of the arena file, all of which it has from the start: a sparse file on a tmpfs that fills up (/dev/shm of a
     * container: 64 MB) would be SIGBUS for the target. Before place_files: what is wanted. Afterwards: what it is, at most half
     * of what the file system had left. */
    uint64_t reserve;
    char agent_name[64], arena_name[64]; /* in there; "" = nothing to unlink */
};

/* The target opens memfds as /proc/self/fd/N. True when its /proc shows the target itself. */
bool place_target_has_proc(pid_t pid, pid_t ns_pid);
void place_init(struct place *p);
/* Creates the files, empty, with the target's credentials: in a directory that its user may write to. */
VT_MUST_CHECK int place_files(struct place *p, pid_t pid, const struct target_creds *creds, bool with_agent, struct vt_err *err);
/* Makes one more file beside them by the same rules: returns its fd, which the caller owns, or -errno. Remove it with
 * place_remove. */
VT_MUST_CHECK int place_create(struct place *p, const char *name, mode_t mode);
void place_remove(struct place *p, const char *name);
/* A regular file of the target for reading, as its user could open it below its own root: fd, which the caller owns, or
 * -errno. */
VT_MUST_CHECK int place_open_file(pid_t pid, const struct target_creds *creds, const char *path);
/* Opens the memfds that the target created under these numbers; agent_fd -1 = none. -EBADF: something else is there;
 * -ENOENT: nothing. */
VT_MUST_CHECK int place_memfds(struct place *p, pid_t pid, const struct target_creds *creds, int agent_fd, int arena_fd,
                               struct vt_err *err);
/* Writes the agent; sizes the arena. */
VT_MUST_CHECK int place_fill(struct place *p, const void *agent, size_t agent_len, uint64_t arena_bytes, struct vt_err *err);
/* Seals the arena, so that nobody can change its size. Files cannot be sealed. */
VT_MUST_CHECK int place_seal(struct place *p, struct vt_err *err);
/* Unlinks the files: nobody has to open them by name any more. */
void place_unlink(struct place *p);
/* Closes and unlinks. An arena_fd that was taken (set to -1) stays open. */
void place_close(struct place *p);

#endif
