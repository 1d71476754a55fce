/* Owns the places of the two libraries. In a build tree and after `make install` they are files beside the programs. In a wheel
 * both are also linked into this program (packaging/embedded.S): the agent is then never a file of another version, and an attach
 * needs no file at all. A launch needs files, because the programs that are started read them for as long as they run: those that
 * pip has put below the same prefix, and only if they are equal to what is linked in. */
#include "daemon/session/libraries.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/abi/launch.h"
#include "proto/beside.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

#define DESCRIPTORS "/proc/self/fd/"

/* NULL in a program without packaging/embedded.S. */
extern const unsigned char vt_embedded_agent[] __attribute__((weak)), vt_embedded_agent_end[] __attribute__((weak));
extern const unsigned char vt_embedded_launch[] __attribute__((weak)), vt_embedded_launch_end[] __attribute__((weak));

/* Seen from the folder of the programs. The last two are for wheels: pip install --target, and every other way. */
static const char *const places[] = {"../lib/", "../lib/viztracerd/", "../viztracer/", "../lib*/python3*/*-packages/viztracer/"};

static void shorten(char path[LIBRARY_PATH_MAX]) {
    char *real = realpath(path, NULL);
    if (real && strlen(real) < LIBRARY_PATH_MAX) snprintf(path, LIBRARY_PATH_MAX, "%s", real);
    free(real);
}

bool libraries_is_descriptor(const char *path) { return !strncmp(path, DESCRIPTORS, strlen(DESCRIPTORS)); }

/* ---- the agent ---- */

/* Sealed: helpers with the credentials of other users open it, and must not be able to change it. */
static int embedded_agent(char path[LIBRARY_PATH_MAX], struct vt_err *err) {
    size_t size = (size_t)(vt_embedded_agent_end - vt_embedded_agent);
    int fd = memfd_create(VT_LAUNCH_AGENT, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) fd = memfd_create(VT_LAUNCH_AGENT, MFD_CLOEXEC | MFD_ALLOW_SEALING); /* before Linux 6.3 */
    int rc = fd < 0 ? -errno : vt_write_full(fd, vt_embedded_agent, size);
    if (!rc && (fchmod(fd, 0444) || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)))
        rc = -errno;
    if (rc) {
        vt_close(&fd);
        return vt_err_set(err, rc, "cannot hold the agent library in memory: %s; set VIZTRACER_AGENT to a file of it",
                          strerror(-rc));
    }
    snprintf(path, LIBRARY_PATH_MAX, DESCRIPTORS "%d", fd);
    return 0;
}

int libraries_find_agent(char path[LIBRARY_PATH_MAX], struct vt_err *err) {
    char folder[400];
    const char *env = getenv("VIZTRACER_AGENT");
    if (env && env[0]) {
        snprintf(path, LIBRARY_PATH_MAX, "%s", env);
        return 0;
    }
    if (vt_embedded_agent) return embedded_agent(path, err);
    int rc = beside_folder(folder, sizeof folder);
    if (rc) return vt_err_set(err, rc, "/proc/self/exe: %s", strerror(-rc));
    for (size_t i = 2; i-- > 0;) {
        snprintf(path, LIBRARY_PATH_MAX, "%s%s" VT_LAUNCH_AGENT, folder, places[i]);
        if (!access(path, R_OK)) {
            shorten(path);
            return 0;
        }
    }
    return vt_err_set(err, -errno, "agent library %s: %s; set VIZTRACER_AGENT to where it is", path, strerror(errno));
}

/* ---- the launch library ---- */

static bool file_equals(const char *path, const unsigned char *bytes, const unsigned char *end) {
    struct stat st;
    size_t size = (size_t)(end - bytes);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    bool equal = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
    void *map = equal ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    equal = map != MAP_FAILED && !memcmp(map, bytes, size);
    if (map != MAP_FAILED) munmap(map, size);
    vt_close(&fd);
    return equal;
}

/* For a folder with a launch library and an agent that are equal to ours: the library's path in ctx. */
static int take_ours(void *ctx, const char *folder) {
    char *path = ctx;
    snprintf(path, LIBRARY_PATH_MAX, "%s" VT_LAUNCH_AGENT, folder);
    if (access(path, F_OK)) snprintf(path, LIBRARY_PATH_MAX, "%s" VT_LAUNCH_MODULE, folder);
    if (!file_equals(path, vt_embedded_agent, vt_embedded_agent_end)) return 0;
    snprintf(path, LIBRARY_PATH_MAX, "%s" VT_LAUNCH_LIBRARY, folder);
    return file_equals(path, vt_embedded_launch, vt_embedded_launch_end);
}

static int find_installed(char path[LIBRARY_PATH_MAX], struct vt_err *err) {
    for (size_t i = 0; i < VT_ARRAY_LEN(places); i++) {
        if (!beside_each(places[i], take_ours, path)) continue;
        shorten(path);
        return 0;
    }
    return vt_err_set(err, -ENOENT,
                      "the libraries that are preloaded into a program are not installed with this viztracerd, or are of another "
                      "version; install it anew with pip (attaching works without them)");
}

static int find_beside(const char *agent_path, char path[LIBRARY_PATH_MAX], struct vt_err *err) {
    const char *slash = strrchr(agent_path, '/');
    int n = snprintf(path, LIBRARY_PATH_MAX, "%.*s%s", slash ? (int)(slash + 1 - agent_path) : 0, agent_path, VT_LAUNCH_LIBRARY);
    if (n < 0 || n >= LIBRARY_PATH_MAX) return vt_err_set(err, -ENAMETOOLONG, "the path of the launch library is too long");
    if (access(path, R_OK)) return vt_err_set(err, -errno, "launch library %s: %s", path, strerror(errno));
    return 0;
}

int libraries_find_launch(const char *agent_path, char path[LIBRARY_PATH_MAX], struct vt_err *err) {
    int rc = vt_embedded_launch && libraries_is_descriptor(agent_path) ? find_installed(path, err)
                                                                       : find_beside(agent_path, path, err);
    if (rc) return rc;
    if (strpbrk(path, " :")) return vt_err_set(err, -EINVAL, "%s: LD_PRELOAD takes no path with a blank or a colon", path);
    return 0;
}
