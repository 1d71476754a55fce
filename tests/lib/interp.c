/* Owns the list of interpreters under test, and the paths of the tree and its programs. */
#include "tests/lib/interp.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_INTERP 24

static struct interp list[MAX_INTERP];
static size_t list_len;

static void die(const char *what) {
    fprintf(stderr, "test set-up: %s\n", what);
    exit(1);
}

/* "3.14.8 chroot:/srv/forky:/usr/bin/python3.14" or "3.12.1 /usr/bin/python3.12" */
static void add_line(char *line) {
    char *path = strchr(line, ' ');
    if (!path || list_len == MAX_INTERP) return;
    *path++ = 0;
    path[strcspn(path, "\n")] = 0;
    struct interp *ip = &list[list_len];
    memset(ip, 0, sizeof *ip);
    if (!strncmp(path, "chroot:", 7)) {
        char *inside = strchr(path + 7, ':');
        if (!inside) return;
        *inside++ = 0;
        snprintf(ip->root, sizeof ip->root, "%s", path + 7);
        path = inside;
    }
    snprintf(ip->version, sizeof ip->version, "%s", line);
    snprintf(ip->path, sizeof ip->path, "%s", path);
    if (sscanf(line, "3.%d", &ip->minor) == 1) list_len++;
}

const char *tree_root(void) {
    static char root[PATH_MAX];
    if (root[0]) return root;
    if (getenv("VT_ROOT")) {
        snprintf(root, sizeof root, "%s", getenv("VT_ROOT"));
    } else if (!access("tests/setup/interpreters.sh", X_OK)) {
        if (!getcwd(root, sizeof root)) die("no working folder");
    } else {
        die("run me in the top folder of the tree, or set VT_ROOT");
    }
    return root;
}

/* Test programs are build/tests/KIND/NAME: the tool is build/bin/viztracer. */
const char *tree_bin(void) {
    static char bin[PATH_MAX];
    if (bin[0]) return bin;
    char self[PATH_MAX] = "";
    if (getenv("VT_BIN")) {
        snprintf(bin, sizeof bin, "%s", getenv("VT_BIN"));
        return bin;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) die("cannot read /proc/self/exe");
    self[n] = 0;
    char *dir = self;
    for (int up = 0; up < 3; up++) dir = dirname(dir);
    if (snprintf(bin, sizeof bin, "%s/bin", dir) >= (int)sizeof bin) die("path too long");
    return bin;
}

const struct interp *interp_list(size_t *n) {
    if (!list_len) {
        const char *given = getenv("VT_PYTHONS");
        if (given && *given) {
            char *copy = strdup(given), *save = NULL;
            for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) add_line(line);
            free(copy);
        } else {
            char command[PATH_MAX + 64], line[2 * PATH_MAX];
            snprintf(command, sizeof command, "'%s'/tests/setup/interpreters.sh", tree_root());
            FILE *f = popen(command, "r");
            while (f && fgets(line, sizeof line, f)) add_line(line);
            if (f) pclose(f);
        }
        if (!list_len) die("no interpreter found");
    }
    *n = list_len;
    return list;
}

const struct interp *interp_debian(void) {
    size_t n;
    char real[PATH_MAX];
    const struct interp *all = interp_list(&n);
    if (!realpath("/usr/bin/python3", real)) return NULL;
    for (size_t i = 0; i < n; i++)
        if (!all[i].root[0] && !strcmp(all[i].path, real)) return &all[i];
    return NULL;
}
