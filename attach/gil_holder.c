/* Owns telling who holds the GIL of a target (gil_holder.h). The thread state that holds it is in the struct of the GIL, which is
 * in _PyRuntime (below 3.12) or in the main interpreter. */
#include "attach/gil_holder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/attach_priv.h"
#include "attach/inside.h"

#define THREADS_MAX 4096u /* that are looked at, for one that runs or for its id in a namespace */

/* Offsets (Include/internal/pycore_runtime.h, pycore_interp.h; Include/cpython/pystate.h). */
static const struct layout {
    int minor;
    uint32_t main;    /* _PyRuntime: the main interpreter; 0 = the GIL is in _PyRuntime */
    uint32_t gil;     /* the GIL in _PyRuntime, or in the interpreter the pointer to it */
    uint32_t pthread; /* thread state: the pthread_t; 0 = not needed */
    uint32_t native;  /* thread state: the thread's id in its own namespace; 0 = not there */
} layouts[] = {
    {8, 0, 1152, 176, 0},  {9, 0, 352, 176, 0},   {10, 0, 352, 176, 0},  {11, 0, 360, 0, 160},
    {12, 48, 384, 0, 144}, {13, 640, 16, 0, 160}, {14, 816, 16, 0, 160}, {15, 944, 16, 0, 184},
};
enum { GIL_LAST_HOLDER = 8, GIL_LOCKED = 16, PTHREAD_TID = 720 /* glibc, x86-64 */ };

static const struct layout *layout_of(const struct py_runtime *py) {
    for (size_t i = 0; i < VT_ARRAY_LEN(layouts); i++)
        if (py->major == 3 && py->minor == layouts[i].minor && py->runtime && !py->free_threaded) return &layouts[i];
    return NULL;
}

/* The id that the holder has in the target's own namespace; 0: nobody holds the GIL. */
static int read_holder(struct mem *mem, const struct py_runtime *py, uint32_t *ns_tid) {
    const struct layout *l = layout_of(py);
    uint64_t at, thread_state;
    uint32_t locked;
    if (!l) return -ENOTSUP;
    at = py->runtime + l->gil;
    int rc = l->main ? mem_read_u64(mem, py->runtime + l->main, &at) : 0;
    if (!rc && l->main) rc = mem_read_u64(mem, at + l->gil, &at);
    if (!rc) rc = mem_read_u32(mem, at + GIL_LOCKED, &locked);
    if (!rc) rc = mem_read_u64(mem, at + GIL_LAST_HOLDER, &thread_state);
    if (rc) return rc;
    if (locked > 1 || thread_state % 8) return -EINVAL;
    *ns_tid = 0;
    if (!locked) return 0;
    at = thread_state + l->native;
    if (!l->native) {
        rc = mem_read_u64(mem, thread_state + l->pthread, &at);
        at += PTHREAD_TID;
    }
    if (!rc) rc = mem_read_u32(mem, at, ns_tid);
    return rc ? rc : *ns_tid ? 0 : -EINVAL;
}

static bool is_thread(pid_t pid, pid_t tid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, (int)tid);
    return tid > 0 && access(path, F_OK) == 0;
}

/* The first thread that `fits`; 0 = none. */
static pid_t find_thread(pid_t pid, bool (*fits)(pid_t pid, pid_t tid, uint32_t arg), uint32_t arg) {
    char path[64];
    pid_t found = 0;
    unsigned n = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && !found && n++ < THREADS_MAX && (e = readdir(d));) {
        pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
        if (tid > 0 && fits(pid, tid, arg)) found = tid;
    }
    if (d) closedir(d);
    return found;
}

static bool has_ns_tid(pid_t pid, pid_t tid, uint32_t ns_tid) {
    struct target_status st;
    (void)pid;
    return !target_status_read(tid, &st) && st.ns_pid == (pid_t)ns_tid;
}

static bool runs(pid_t pid, pid_t tid, uint32_t unused) {
    char text[INSIDE_TEXT_MAX];
    (void)unused;
    return inside_thread(pid, tid, text, sizeof(text)) == -EAGAIN;
}

static int find_holder(pid_t pid, pid_t *tid) {
    struct maps maps;
    struct mem mem;
    struct py_runtime py = {0};
    char exe[64], path[512];
    uint32_t ns_tid = 0;
    *tid = 0;
    int rc = maps_read(pid, &maps);
    if (rc) return rc;
    snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(exe, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = 0;
    rc = mem_open(&mem, pid);
    if (!rc) rc = pyruntime_find(&mem, &maps, path, &py);
    if (!rc) rc = read_holder(&mem, &py, &ns_tid);
    mem_close(&mem);
    maps_free(&maps);
    if (rc || !ns_tid) return rc;
    struct target_status st;
    rc = target_status_read(pid, &st);
    if (rc) return rc;
    *tid = st.ns_pid == pid ? (pid_t)ns_tid : find_thread(pid, has_ns_tid, ns_tid);
    return is_thread(pid, *tid) ? 0 : -EINVAL;
}

void gil_holder_tell(pid_t pid, char *text, size_t size) {
    char comm[64], name[64], call[INSIDE_TEXT_MAX];
    struct target_status st;
    pid_t tid;
    int rc = find_holder(pid, &tid);
    if (!rc && !tid) {
        bool stopped = !target_status_read(pid, &st) && (st.state == 'T' || st.state == 't');
        snprintf(text, size, "no thread%s", stopped ? " of the process, which is stopped" : "");
        return;
    }
    if (rc) tid = find_thread(pid, runs, 0);
    if (!tid) {
        snprintf(text, size, "a thread that is not known");
        return;
    }
    target_comm(tid, comm, sizeof(comm));
    vt_clean_line(name, sizeof(name), comm, strlen(comm));
    int told = inside_thread(pid, tid, call, sizeof(call));
    const char *state = !target_status_read(tid, &st) && (st.state == 'T' || st.state == 't') ? ", which is stopped" : "";
    snprintf(text, size, "%sthread %d (%s)%s%s%s", rc ? "probably " : "", (int)tid, name,
             told == 1         ? " in "
             : told == -EAGAIN ? ", which is on a CPU"
                               : "",
             told == 1 ? call : "", state);
}
