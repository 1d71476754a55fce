/* Where the agent and the arena are put so that the target can open them. */
#ifndef VT_ATTACH_PLACE_H
#define VT_ATTACH_PLACE_H

#include "attach/attach.h"
#include "attach/creds.h"
#include "proto/abi/arena.h"
#include "proto/abi/boot.h"

/* An arena in a file has all its blocks from the start, and has to fit into the 64 MB of /dev/shm that containers get:
 * 32 MiB of chunks at most, whatever was asked for. */
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
    /* Set before place_files: bytes of the arena file to have for sure. A sparse file on a tmpfs that fills up
     * (/dev/shm of a container: 64 MB) would be SIGBUS for the target. */
    uint64_t reserve;
    char agent_name[64], arena_name[64]; /* in there; "" = nothing to unlink */
};

/* Memfds are opened as /proc/self/fd/N: does the target have a /proc that shows itself? */
bool place_target_has_proc(pid_t pid, pid_t ns_pid);
void place_init(struct place *p);
/* Creates the files, empty, with the target's credentials: in a directory that its user may write to. */
VT_MUST_CHECK int place_files(struct place *p, pid_t pid, const struct target_creds *creds, bool with_agent, struct vt_err *err);
/* One more file beside them, by the same rules: its fd, which the caller owns, or -errno. It goes away by place_remove. */
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
/* No one can change the arena's size any more. Files have no seals. */
VT_MUST_CHECK int place_seal(struct place *p, struct vt_err *err);
/* Files go away as soon as nobody has to open them by name any more. */
void place_unlink(struct place *p);
/* Closes and unlinks; arena_fd stays with whoever took it. */
void place_close(struct place *p);

#endif
