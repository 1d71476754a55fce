/* Owns `viztracer --python-session`: the process beside a program that traces itself through the Python package. It asks a daemon
 * for a session, receives the trace, and writes it to files when the program asks for that. The program sends and gets lines on
 * stdin, which is a socket:
 *
 *     program                          this process
 *                                      ready KEY        the program may take part with this key (proto/abi/launch.h)
 *     (its hooks are out)              over             the trace has arrived
 *     save NEWEST FLAG PATH            saved CALLS BYTES DROPPED
 *     keep NEWEST FLAG PATH            -                save there, should the program end without a further word; a save ends
 * that forget                           -                nothing is to be saved at the end
 *
 * NEWEST calls are kept, 0 = all. FLAG is `f`, or `n` for a file without source texts.
 *
 * `error TEXT` takes the place of any answer. The end of the socket ends this process, and the trace that was not saved is gone.
 */
#include "cli/python_session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/base/output.h"
#include "cli/base/safe_path.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/tracing.h"
#include "proto/abi/arena.h"
#include "proto/spooldir.h"

enum { PROGRAM = 0, RAW_BUFFER = 1 << 20 };

struct python_session {
    struct tracing tracing; /* first: its callbacks get a pointer to it */
    struct attach_options options;
    char raw_path[64];
    char line[PATH_MAX + 64]; /* what has come of the program's next line */
    size_t len;
    char keep[PATH_MAX]; /* "" = nothing is to be saved at the end */
    uint64_t keep_newest;
    bool keep_plain;
    bool program_gone;
};

static void answer(const char *text) {
    size_t len = strlen(text);
    while (len) {
        ssize_t n = send(PROGRAM, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* it has ended, which reading tells */
        text += n;
        len -= (size_t)n;
    }
}

static int answer_error(const char *text) {
    char line[sizeof(((struct vt_err *)0)->msg) + 16];
    snprintf(line, sizeof(line), "error %s\n", text);
    answer(line);
    return CLI_FAILED;
}

/* ---- saving ---- */

static void save(struct python_session *s, const char *path, uint64_t newest, bool plain) {
    struct tracing *a = &s->tracing;
    struct convert_result result;
    struct vt_err err = {0};
    char root[64], cwd[64], line[160];
    snprintf(root, sizeof(root), "/proc/%u/root", a->o->req.pid);
    snprintf(cwd, sizeof(cwd), "/proc/%u/cwd", a->o->req.pid);
    bool alive = access(root, F_OK) == 0 && access(cwd, F_OK) == 0;
    struct convert_opts opts = {.input = s->raw_path,
                                .output = path,
                                .min_duration_ns = a->o->trace.min_duration_ns,
                                .newest_calls = format_is_native(path) ? 0 : newest,
                                .log_async = a->o->trace.flags & VT_F_ASYNC,
                                .no_file_info = plain,
                                .source_root = alive ? root : NULL,
                                .source_cwd = alive ? cwd : NULL};
    int rc = format_check_output(path, &err);
    if (!rc && safe_path_folders(path))
        rc = vt_err_set(&err, -EPERM, "cannot save to %s: a folder on the way is another user's link", path);
    if (!rc) rc = convert_trace(&opts, &result, &err);
    if (rc) {
        answer_error(err.msg);
        return;
    }
    uint64_t drops = a->end && a->end->dropped > result.totals.dropped ? a->end->dropped : result.totals.dropped;
    snprintf(line, sizeof(line), "saved %llu %llu %llu\n", (unsigned long long)convert_calls(&result),
             (unsigned long long)result.bytes, (unsigned long long)drops);
    answer(line);
}

/* ---- the program's lines ---- */

static void on_line(struct python_session *s, const char *line) {
    char *path;
    bool keep = !strncmp(line, "keep ", 5);
    if (!keep) s->keep[0] = 0;
    if (!strcmp(line, "forget")) return;
    if (!keep && strncmp(line, "save ", 5)) {
        answer_error("this is no request of a program");
        return;
    }
    uint64_t newest = strtoull(line + 5, &path, 10);
    bool plain = path[0] == ' ' && path[1] == 'n', whole = path[0] == ' ' && (plain || path[1] == 'f') && path[2] == ' ';
    if (!whole || path[3] != '/') {
        answer_error("this is no request of a program");
        return;
    }
    path += 3;
    if (keep) {
        snprintf(s->keep, sizeof(s->keep), "%s", path);
        s->keep_newest = newest;
        s->keep_plain = plain;
    } else {
        save(s, path, newest, plain);
    }
}

/* The lines that are whole; those that want a trace wait for its end. */
static void take_lines(struct python_session *s) {
    char *end;
    while ((end = memchr(s->line, '\n', s->len))) {
        *end = 0;
        if (!s->tracing.ended && !strncmp(s->line, "save ", 5)) {
            *end = '\n';
            return;
        }
        on_line(s, s->line);
        size_t used = (size_t)(end + 1 - s->line);
        memmove(s->line, s->line + used, s->len - used);
        s->len -= used;
    }
    if (s->len == sizeof(s->line)) s->program_gone = true; /* no line is that long */
}

static void hear(struct python_session *s, int flags) {
    ssize_t n = recv(PROGRAM, s->line + s->len, sizeof(s->line) - s->len, flags);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0)
        s->program_gone = true;
    else
        s->len += (size_t)n;
    take_lines(s);
}

static void woken(struct tracing *a) {
    struct python_session *s = (struct python_session *)a;
    hear(s, MSG_DONTWAIT);
    if (!s->program_gone) return;
    a->wake_fd = -1;
    tracing_stop(a);
}

/* ---- the course of it ---- */

/* The raw trace has no name: whatever becomes of us, no file stays behind. */
static int open_raw(struct python_session *s, struct vt_err *err) {
    char path[PATH_MAX];
    int rc = spooldir_prepare(0700, path, sizeof(path) - 32);
    if (rc)
        return vt_err_set(err, rc, "no folder for the trace while it is made: %s; set VIZTRACERD_SPOOL to one", strerror(-rc));
    strcat(path, "/program-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) return vt_err_set(err, -errno, "%s: %s; set VIZTRACERD_SPOOL to a folder with room", path, strerror(errno));
    unlink(path);
    s->tracing.raw = fdopen(fd, "w+");
    if (!s->tracing.raw) return vt_err_set(err, -errno, "%s", strerror(errno));
    setvbuf(s->tracing.raw, NULL, _IOFBF, RAW_BUFFER);
    snprintf(s->raw_path, sizeof(s->raw_path), "/proc/self/fd/%d", fd);
    return fwrite(VT_FILE_MAGIC, 1, 8, s->tracing.raw) == 8 ? 0 : vt_err_set(err, -EIO, "%s", strerror(errno));
}

static int begin(struct python_session *s) {
    struct tracing *a = &s->tracing;
    ProtobufCMessage *reply;
    char line[128];
    int rc = open_raw(s, &a->err);
    if (!rc) rc = client_open(&a->client, &a->err);
    if (!rc) rc = client_request(&a->client, VT_CTL_LAUNCH, &a->o->req.base, VT_CTL_LAUNCHED, &reply, &a->err);
    if (rc) return rc;
    snprintf(line, sizeof(line), "ready %.100s\n", ((const Vt__Launched *)reply)->key);
    vt_msg_free(reply);
    answer(line);
    a->wake_fd = PROGRAM;
    a->woken = woken;
    return 0;
}

/* Everything has arrived, and nothing is told to a person: the package does that. */
static int finish(struct python_session *s, int rc) {
    struct tracing *a = &s->tracing;
    if (fflush(a->raw) && !a->raw_error) a->raw_error = -errno;
    if (!rc && a->raw_error)
        rc = vt_err_set(&a->err, a->raw_error, "cannot write the trace while it is made: %s", strerror(-a->raw_error));
    if (!rc && client_request(&a->client, VT_CTL_SAVED, NULL, VT_CTL_OK, NULL, NULL))
        vt_log(VT_LOG_INFO, "viztracerd keeps a copy of the trace");
    client_close(&a->client);
    if (rc) return rc;
    answer("over\n");
    return 0;
}

/* The program must not see us as its child: it may wait for any child. It waits for the process that ends here. */
static int leave_parent(void) {
    pid_t pid = fork();
    if (pid) _exit(pid < 0);
    setsid();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) dup2(null, 1);
    if (null >= 0 && !getenv("VIZTRACERD_LOG")) dup2(null, 2);
    close_range(3, ~0u, 0); /* what the program lets its children inherit */
    return 0;
}

int python_session(int argc, char **argv) {
    static const struct option_row none[] = {OPTION_END};
    static const struct options_command command = {
        .program = "viztracer", .name = "--python-session", .rows = none, .shared = attach_option_rows};
    struct python_session *s = leave_parent() ? NULL : calloc(1, sizeof(*s));
    if (!s) return answer_error("out of memory");
    struct tracing *a = &s->tracing;
    attach_options_init(&s->options);
    a->client.fd = a->path.raw_fd = -1;
    a->launched = true;
    a->o = &s->options;
    attach_options_text(a->o, argc, argv);
    int rc = options_parse(&command, a->o, argc, argv, &a->err);
    if (!rc && a->o->trace.n_include_files && a->o->trace.n_exclude_files)
        rc = vt_err_set(&a->err, -EINVAL, "include_files and exclude_files cannot be combined");
    a->o->req.pid = (uint32_t)getpid();
    client_silence_daemon();
    if (!rc) rc = begin(s);
    if (!rc) rc = finish(s, tracing_receive(a));
    if (rc) answer_error(a->err.msg);
    take_lines(s);
    while (!rc && !s->program_gone) hear(s, 0);
    if (!rc && s->keep[0]) save(s, s->keep, s->keep_newest, s->keep_plain);
    if (a->raw) fclose(a->raw);
    if (a->end) vt_msg_free(&a->end->base);
    options_free(&command, a->o);
    free(s);
    return rc ? CLI_FAILED : CLI_OK;
}
