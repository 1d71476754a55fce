/* Owns reading the memory limits of a target, and what they leave for an arena (headroom.h). */
#include "attach/headroom.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/abi/arena.h"

#define MIB (1ull << 20)
/* cgroup v1 shows "no limit" as a number near 2^63. */
#define CGROUP_UNLIMITED (1ull << 60)
/* Besides the arena, an attach maps: blocks of threads (64 MiB, untouched, agent/record/thread.c), a heap for malloc in the
 * thread that loads the agent (64 MiB, untouched, glibc's arena.c), that thread's stack, the agent. */
#define OTHER_MAPPINGS (150 * MIB)
/* The pages of these that are touched, which the target is charged for. */
#define OTHER_PAGES (1 * MIB)
/* The arena takes at most this share of what a limit leaves. */
#define SHARE 4u
/* Under a limit the daemon keeps the pages that it has made, so it makes fewer. */
#define PAGES_FIRST_CHUNKS 2048u

/* ---- cgroups ---- */

/* The two kinds of hierarchies that limit memory. */
static const struct hierarchy {
    const char *fstype, *option; /* in mountinfo; option NULL = any */
    const char *controller;      /* in /proc/PID/cgroup, "" = version 2 */
    const char *limit, *usage, *reclaimable;
} hierarchies[] = {
    {"cgroup2", NULL, "", "memory.max", "memory.current", "inactive_file"},
    {"cgroup", "memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
};

struct cgroup_mount {
    char root[256], dir[256]; /* dir shows the hierarchy below root */
};

static bool has_word(const char *list, const char *word) {
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += len)
        if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ',' || at[len] == '\n')) return true;
    return false;
}

/* mountinfo: "id parent dev root dir options ... - fstype source superoptions". */
static bool find_mount(const struct hierarchy *h, struct cgroup_mount *out) {
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (f && !found && getline(&line, &size, f) > 0) {
        char fstype[32] = "", super[512] = "";
        const char *dash = strstr(line, " - ");
        if (!dash || sscanf(dash, " - %31s %*s %511s", fstype, super) != 2 || strcmp(fstype, h->fstype)) continue;
        if (h->option && !has_word(super, h->option)) continue;
        found = sscanf(line, "%*s %*s %*s %255s %255s", out->root, out->dir) == 2;
    }
    free(line);
    if (f) fclose(f);
    return found;
}

/* The cgroup path of the process in a hierarchy, as we see it. */
static bool cgroup_of(pid_t pid, const struct hierarchy *h, char *path, size_t size) {
    char name[64], *line = NULL;
    size_t room = 0;
    bool found = false;
    snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
    FILE *f = fopen(name, "re");
    while (f && !found && getline(&line, &room, f) > 0) {
        char *controllers = strchr(line, ':'), *at = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!at) continue;
        *at++ = 0;
        at[strcspn(at, "\n")] = 0;
        if (h->controller[0] ? !has_word(controllers + 1, h->controller) : controllers[1] != 0) continue;
        found = (size_t)snprintf(path, size, "%s", at) < size;
    }
    free(line);
    if (f) fclose(f);
    return found;
}

static bool read_number(const char *dir, const char *file, uint64_t *out) {
    char path[1000], text[64], *end;
    if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path)) return false;
    if (vt_read_file(path, text, sizeof(text), NULL) || text[0] < '0' || text[0] > '9') return false; /* "max" */
    *out = strtoull(text, &end, 10);
    return end != text;
}

/* Pages of files, which the kernel frees when it needs memory. */
static uint64_t reclaimable(const char *dir, const char *name) {
    char path[1000], text[8192];
    size_t len = strlen(name);
    snprintf(path, sizeof(path), "%s/memory.stat", dir);
    int rc = vt_read_file(path, text, sizeof(text), NULL);
    if (rc && rc != -E2BIG) return 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (!strncmp(line, name, len) && line[len] == ' ') return strtoull(line + len, NULL, 10);
    }
    return 0;
}

static uint64_t left_in(const struct hierarchy *h, const char *dir) {
    uint64_t limit, usage;
    if (!read_number(dir, h->limit, &limit) || limit >= CGROUP_UNLIMITED || !read_number(dir, h->usage, &usage))
        return HEADROOM_NONE;
    uint64_t back = reclaimable(dir, h->reclaimable);
    usage -= back < usage ? back : usage;
    return limit > usage ? limit - usage : 0;
}

static bool is_below(const char *path, const char *top) {
    size_t len = strlen(top);
    if (len == 1) return true; /* "/" */
    return !strncmp(path, top, len) && (!path[len] || path[len] == '/');
}

/* From the target's cgroup up to the mounted root. */
static void walk_up(const struct hierarchy *h, pid_t pid, struct headroom *out) {
    struct cgroup_mount mount;
    char theirs[512], ours[512], dir[800];
    if (!find_mount(h, &mount) || !cgroup_of(pid, h, theirs, sizeof(theirs))) return;
    if (!cgroup_of(getpid(), h, ours, sizeof(ours))) ours[0] = 0;
    if (!is_below(theirs, mount.root)) return;
    size_t cut = strlen(mount.root) == 1 ? 0 : strlen(mount.root);
    for (;;) {
        snprintf(dir, sizeof(dir), "%s%s", mount.dir, theirs + cut);
        uint64_t left = left_in(h, dir);
        bool shared = is_below(ours, theirs);
        uint64_t *least = shared ? &out->shared : &out->theirs;
        if (left < *least) {
            *least = left;
            snprintf(shared ? out->shared_at : out->theirs_at, sizeof(out->theirs_at), "%.120s", dir);
        }
        char *slash = strrchr(theirs + cut, '/');
        if (!slash || theirs + cut == slash) break;
        *slash = 0;
    }
}

/* ---- address space ---- */

/* "Max address space soft hard bytes" of limits, minus the first number of statm. */
static uint64_t address_space_left(pid_t pid) {
    static const char row[] = "Max address space";
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
    if (vt_read_file(path, text, sizeof(text), NULL)) return HEADROOM_NONE;
    const char *at = strstr(text, row);
    if (!at) return HEADROOM_NONE;
    at += sizeof(row) - 1;
    while (*at == ' ') at++;
    if (*at < '0' || *at > '9') return HEADROOM_NONE; /* "unlimited" */
    uint64_t limit = strtoull(at, NULL, 10);
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    if (vt_read_file(path, text, sizeof(text), NULL)) return HEADROOM_NONE;
    uint64_t mapped = strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    return limit > mapped ? limit - mapped : 0;
}

void headroom_read(pid_t pid, struct headroom *out) {
    *out = (struct headroom){.theirs = HEADROOM_NONE, .shared = HEADROOM_NONE};
    for (size_t i = 0; i < VT_ARRAY_LEN(hierarchies); i++) walk_up(&hierarchies[i], pid, out);
    out->address_space = address_space_left(pid);
}

/* ---- the plan ---- */

static uint64_t part_of(uint64_t left, uint64_t other, uint64_t share) {
    if (left == HEADROOM_NONE) return HEADROOM_NONE;
    return left > other ? (left - other) / share : 0;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

int headroom_plan(const struct headroom *room, pid_t pid, uint64_t wanted, struct arena_plan *plan, struct vt_err *err) {
    uint64_t smallest = vt_arena_bytes(VT_CHUNKS_MIN);
    *plan = (struct arena_plan){.bytes = wanted, .pages_first = room->theirs != HEADROOM_NONE};
    if (plan->pages_first) plan->bytes = least(plan->bytes, vt_arena_bytes(PAGES_FIRST_CHUNKS));
    plan->bytes = least(plan->bytes, part_of(room->shared, OTHER_PAGES, SHARE));
    plan->bytes = least(plan->bytes, part_of(room->address_space, OTHER_MAPPINGS, 2));
    if (room->theirs < OTHER_PAGES)
        return vt_err_set(
            err, -ENOMEM,
            "process %d has %lu kB left below the memory limit of its cgroup (%s), an attach takes up to %llu kB of "
            "it: raise the limit or attach when the process needs less",
            (int)pid, room->theirs >> 10, room->theirs_at, OTHER_PAGES >> 10);
    if (plan->bytes < smallest && part_of(room->shared, OTHER_PAGES, SHARE) < smallest)
        return vt_err_set(err, -ENOMEM,
                          "process %d has %lu kB left below the memory limit of its cgroup (%s), of which a trace may use a "
                          "quarter; it needs %lu kB: raise the limit, or run viztracerd outside of that cgroup",
                          (int)pid, room->shared >> 10, room->shared_at, smallest >> 10);
    if (plan->bytes < smallest)
        return vt_err_set(err, -ENOMEM,
                          "process %d may map %lu kB more (RLIMIT_AS), an attach needs %llu kB: raise it with prlimit --as",
                          (int)pid, room->address_space >> 10, (OTHER_MAPPINGS + 2 * smallest) >> 10);
    plan->bytes = vt_arena_bytes((uint32_t)((plan->bytes - VT_CTL_SIZE) / VT_CHUNK_SIZE));
    return 0;
}
