/* Owns the names of an attach's files. */
#include "cli/target_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/base/safe_path.h"

#define DEFAULT_NAME "result.json"
#define RAW_TRIES 100
#define RAW_NAME ".%.100s.%d%s.vzt" /* output, pid of the client, "-1" where the name was taken */
#define LOOK_AT_MAX 20000           /* files of a folder that are looked at for a left trace */

static int make_folders(const char *path, struct vt_err *err) {
    char dir[PATH_MAX];
    snprintf(dir, sizeof(dir), "%s", path);
    for (char *p = dir + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        if (mkdir(dir, 0777) && errno != EEXIST) {
            struct stat st;
            int rc = -errno;
            if (stat(dir, &st) || !S_ISDIR(st.st_mode))
                return vt_err_set(err, rc, "cannot save to %s: %s: %s; choose another place with -o", path, dir, strerror(-rc));
        }
        *p = '/';
    }
    return 0;
}

/* "out/name.json" becomes "out/name_<pid>.json". */
static void add_pid(char *path, size_t size, int pid) {
    char rest[64];
    char *slash = strrchr(path, '/'), *dot = strchr(slash ? slash + 1 : path, '.');
    size_t at = dot ? (size_t)(dot - path) : strlen(path);
    snprintf(rest, sizeof(rest), "%.50s", path + at);
    snprintf(path + at, size - at, "_%d%s", pid, rest);
}

/* A raw trace of that output: the pid in its name; 0 = it is none. */
static pid_t raw_pid(const char *name, const char *output) {
    char begin[128];
    int n = snprintf(begin, sizeof(begin), ".%.100s.", output);
    if (strncmp(name, begin, (size_t)n) != 0) return 0;
    char *end;
    long pid = strtol(name + n, &end, 10);
    if (*end == '-') (void)strtol(end + 1, &end, 10);
    return pid > 0 && pid <= INT_MAX && !strcmp(end, ".vzt") ? (pid_t)pid : 0;
}

/* Whoever made it is gone: there is no such process here, and none elsewhere, as in another container, has it locked. */
static bool is_left(const char *path, pid_t pid) {
    struct stat st;
    if (!kill(pid, 0) || errno != ESRCH) return false;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool left = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_size &&
                !flock(fd, LOCK_SH | LOCK_NB);
    vt_close(&fd);
    return left;
}

static void find_left(struct target_path *t, int dir_len) {
    char dir[PATH_MAX];
    struct dirent *e;
    snprintf(dir, sizeof(dir), "%.*s", dir_len ? dir_len : 1, dir_len ? t->output : ".");
    DIR *d = opendir(dir);
    for (int i = 0; d && !t->left[0] && i < LOOK_AT_MAX && (e = readdir(d)); i++) {
        pid_t pid = raw_pid(e->d_name, t->output + dir_len);
        if (!pid) continue;
        int n = snprintf(t->left, sizeof(t->left), "%.*s%s", dir_len, t->output, e->d_name);
        if (n < 0 || (size_t)n >= sizeof(t->left) || !is_left(t->left, pid)) t->left[0] = 0;
    }
    if (d) closedir(d);
}

bool target_path_tell_left(const struct target_path *t, char *line, size_t size) {
    if (!t->left[0]) return false;
    snprintf(
        line, size,
        "Note: %.1000s is a trace of a viztracer that was killed; save it with viztracer convert %.1000s -o FILE, or remove it\n",
        t->left, t->left);
    return true;
}

int target_path_open(struct target_path *t, struct output_place *place, const struct attach_options *o, struct vt_err *err) {
    char name[128] = DEFAULT_NAME;
    struct stat st;

    t->raw_fd = -1;
    t->left[0] = 0;
    if (o->unique) {
        time_t now = time(NULL);
        struct tm tm;
        char stamp[32];
        localtime_r(&now, &tm);
        strftime(stamp, sizeof(stamp), "%Y%m%d_%H%M%S", &tm);
        snprintf(name, sizeof(name), "%.40s_%s_%d.json", o->unique_name ? o->unique_name : "python", stamp, (int)o->req.pid);
    }
    const char *file = o->output_file ? o->output_file : name;
    int n = o->output_dir && file[0] != '/' ? snprintf(t->output, sizeof(t->output), "%s/%s", o->output_dir, file)
                                            : snprintf(t->output, sizeof(t->output), "%s", file);
    if (n < 0 || (size_t)n > sizeof(t->output) - 64)
        return vt_err_set(err, -ENAMETOOLONG, "the output file's name is too long; choose a shorter one with -o");
    if (o->pid_suffix) add_pid(t->output, sizeof(t->output), (int)o->req.pid);
    size_t len = strlen(t->output), suffix = strlen(".json");
    if (!o->output_file) snprintf(t->native, sizeof(t->native), "%.*s.vzt", (int)(len - suffix), t->output);
    int rc = safe_path_folders(t->output);
    if (rc)
        return vt_err_set(err, rc, "cannot save to %s: a folder on the way is another user's link; choose another place with -o",
                          t->output);
    output_place_look(place, t->output);
    rc = make_folders(t->output, err);
    if (rc) return rc;
    if (!stat(t->output, &st) && S_ISDIR(st.st_mode))
        return vt_err_set(err, -EISDIR, "cannot save to %s: it is a folder; choose another name with -o", t->output);
    const char *slash = strrchr(t->output, '/');
    int dir_len = slash ? (int)(slash + 1 - t->output) : 0;
    /* Never opens a file that exists: another user may have put it there, or a link. */
    for (int i = 0; i < RAW_TRIES && t->raw_fd < 0; i++) {
        char more[16] = "";
        if (i) snprintf(more, sizeof(more), "-%d", i);
        snprintf(t->raw, sizeof(t->raw), "%.*s" RAW_NAME, dir_len, t->output, t->output + dir_len, getpid(), more);
        t->raw_fd = open(t->raw, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (t->raw_fd < 0 && errno != EEXIST) break;
    }
    if (t->raw_fd >= 0) {
        if (flock(t->raw_fd, LOCK_EX | LOCK_NB)) vt_log(VT_LOG_INFO, "%s: no lock: %s", t->raw, strerror(errno));
        find_left(t, dir_len);
        return 0;
    }
    rc = -errno;
    t->raw[0] = 0;
    return vt_err_set(err, rc, "cannot save to %s: %s; choose another place with -o", t->output, strerror(-rc));
}

void target_path_discard(struct target_path *t) {
    vt_close(&t->raw_fd);
    if (t->raw[0]) unlink(t->raw);
    t->raw[0] = 0;
}

const char *target_path_keep_raw(struct target_path *t) {
    char name[PATH_MAX];
    const char *here = t->output[0] == '-' ? "./" : ""; /* a name that commands do not take for an option */
    bool fits = snprintf(name, sizeof(name), "%s%s.vzt", here, t->output) < (int)sizeof(name);
    if (fits && !renameat2(AT_FDCWD, t->raw, AT_FDCWD, name, RENAME_NOREPLACE))
        strcpy(t->kept, name);
    else
        strcpy(t->kept, t->raw); /* whatever has the name already is not ours */
    t->raw[0] = 0;
    return t->kept;
}

void target_path_make_native(struct target_path *t) { snprintf(t->output, sizeof(t->output), "%s", t->native); }
