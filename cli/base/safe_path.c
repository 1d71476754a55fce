/* Owns the rule for what other users put into sticky folders (safe_path.h). Sources: proc_sys_fs(5), protected_symlinks,
 * protected_regular, protected_fifos. */
#include "cli/base/safe_path.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder that holds path's last part. */
static void folder_of(char dir[PATH_MAX], const char *path) {
    size_t len = strlen(path);
    while (len && path[len - 1] != '/') len--;
    while (len > 1 && path[len - 1] == '/') len--;
    memcpy(dir, len ? path : ".", len ? len : 2);
    if (len) dir[len] = 0;
}

bool safe_path_is_foreign(const char *path) {
    char dir[PATH_MAX];
    struct stat st, parent;
    if (strlen(path) >= sizeof dir || lstat(path, &st)) return false;
    folder_of(dir, path);
    if (stat(dir, &parent) || (parent.st_mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH)) return false;
    return st.st_uid != geteuid() && st.st_uid != parent.st_uid;
}

int safe_path_folders(const char *path) {
    char part[PATH_MAX];
    struct stat st;
    size_t len = strlen(path);
    if (len >= sizeof part) return -ENAMETOOLONG;
    memcpy(part, path, len + 1);
    for (char *slash = part; (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        bool link = !lstat(part, &st) && S_ISLNK(st.st_mode);
        if (link && safe_path_is_foreign(part)) return -EACCES;
        *slash = '/';
    }
    return 0;
}
