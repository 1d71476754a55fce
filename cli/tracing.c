/* Owns a session of the daemon in the foreground: writes what it streams to a raw .vzt beside the output, and converts that when
 * the session has ended. Never says success without a saved file. */
#include "cli/tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/base/interrupt.h"
#include "cli/base/output.h"
#include "cli/base/text.h"
#include "cli/client/kept.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/trace/hidden.h"
#include "proto/abi/arena.h"
#include "proto/texts.h"

#define RECV_BUF (256u << 10)
#define RAW_BUF (1u << 20)
#define KEPT_WAIT_MS 2000
#define SILENCE_NS 90000000000ull /* during the attach a daemon may send nothing for a minute; later it sends often */

/* ---- signals of an attach ---- */

/* Ctrl+C, SIGTERM and SIGHUP: the first one stops and saves, the second one gives up saving. */
static void on_stop_signal(struct tracing *a) {
    char drop[64];
    while (read(a->wake_fd, drop, sizeof(drop)) > 0) continue;
    if (interrupts_seen) tracing_stop(a);
}

int tracing_catch_signals(struct tracing *a, struct vt_err *err) {
    static struct interrupt before;
    int signal_pipe[2];
    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK)) return vt_err_set(err, -errno, "pipe: %s", strerror(errno));
    interrupt_wake_fd = signal_pipe[1];
    a->wake_fd = signal_pipe[0];
    a->woken = on_stop_signal;
    interrupt_catch(&before, SA_RESTART);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

/* The stdout of a program that we have started is its own. */
void tracing_say(const struct tracing *a, const char *text) {
    if (a->o->quiet) return;
    FILE *to = a->launched || output_is_stdout(a->path.output) ? stderr : stdout;
    fputs(text, to); /* a closed terminal must not lose the trace */
    fflush(to);
}

/* ---- the target's command line ---- */

/* Into to[CLEAN_TEXT_MAX]: "python3 app.py --port 80". */
static void command_of(pid_t pid, char *to) {
    char path[64], raw[CLEAN_TEXT_MAX / 2], line[sizeof raw + 1];
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, raw, sizeof(raw) - 1) : 0;
    vt_close(&fd);
    size_t len = text_one_line(line, sizeof line, raw, n > 0 ? (size_t)n : 0, ' ');
    while (len && line[len - 1] == ' ') line[--len] = 0;
    const char *command = clean_command(line);
    clean_shorten(clean_text(to, command, strlen(command)), 60);
}

static unsigned long thread_count(pid_t pid) {
    char path[64], status[8192];
    size_t len;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    if (vt_read_file(path, status, sizeof(status), &len)) return 0;
    char *p = strstr(status, "\nThreads:");
    return p ? strtoul(p + 9, NULL, 10) : 0;
}

/* ---- frames ---- */

static void on_attached(struct tracing *a, const Vt__Attached *m) {
    if (a->launched) {
        a->attached = true;
        a->pending = m->pending;
        a->o->req.pid = m->pid;
        return;
    }
    char name[CLEAN_TEXT_MAX], pause[32], limit[64] = "", threads[48], held[300] = "", line[1100];
    a->attached = true;
    a->pending = m->pending;
    command_of((pid_t)a->o->req.pid, name);
    if (m->pending && m->gil_holder[0]) snprintf(held, sizeof held, ", held by %.250s", m->gil_holder);
    progress_gil(&a->progress, held);
    unsigned long nthreads = thread_count((pid_t)a->o->req.pid);
    if (a->o->trace.max_overhead) snprintf(limit, sizeof limit, " with a limit of %g %%", (double)a->o->trace.max_overhead / 100);
    snprintf(line, sizeof(line), "Attached to %u (%.240s), Python %s%s%s; paused %s. %s%s%s%s%s%s\n", a->o->req.pid, name,
             m->python, nthreads ? ", " : "", nthreads ? format_things(threads, sizeof threads, nthreads, "thread") : "",
             format_ns(pause, sizeof(pause), m->pause_ns),
             a->stop_sent  ? "Stopping"
             : !m->pending ? "Tracing"
                           : "Waiting for the GIL",
             held, limit,
             a->stop_sent  ? "."
             : !m->pending ? "; Ctrl+C to stop and save."
                           : "; Ctrl+C to give up.",
             m->note[0] ? " Note: " : "", m->note);
    tracing_say(a, line);
}

static void write_raw(struct tracing *a, const void *data, size_t len) {
    if (a->raw_error) return;
    if (fwrite(data, 1, len, a->raw) != len) {
        a->raw_error = errno ? -errno : -EIO;
        return;
    }
    a->raw_bytes += len;
}

static int write_message(struct tracing *a, uint32_t type, const ProtobufCMessage *msg) {
    uint8_t *frame;
    size_t len;
    int rc = vt_msg_pack(type, msg, &frame, &len);
    if (rc) return vt_err_set(&a->err, rc, "the trace: %s", strerror(-rc));
    write_raw(a, frame, len);
    free(frame);
    return 0;
}

/* In a trace of several processes: whose frame comes next, of so many bytes. */
static int write_section(struct tracing *a, size_t bytes) {
    Vt__Section m = VT__SECTION__INIT;
    if (!a->section) return 0;
    m.number = a->section - 1;
    m.bytes = (uint32_t)bytes;
    return write_message(a, VT_FRAME_SECTION, &m.base);
}

static int write_frame(struct tracing *a, uint32_t type, const uint8_t *payload, uint32_t len) {
    uint8_t hdr[VT_FRAME_HDR];
    int rc = write_section(a, sizeof(hdr) + len);
    if (rc) return rc;
    vt_frame_put_header(hdr, type, payload, len);
    write_raw(a, hdr, sizeof(hdr));
    write_raw(a, payload, len);
    return 0;
}

/* The end of a program that we have started: we know how it ended, and the daemon does not. */
static int write_end(struct tracing *a, Vt__End *end) {
    uint8_t *frame;
    size_t len;
    a->ending(a, end);
    int rc = vt_msg_pack(VT_FRAME_END, &end->base, &frame, &len);
    if (rc) return vt_err_set(&a->err, rc, "the end of the trace: %s", strerror(-rc));
    rc = write_section(a, len);
    write_raw(a, frame, len);
    free(frame);
    return rc;
}

static void add_sums(Vt__End *to, const Vt__End *from) {
    to->calls += from->calls;
    to->events += from->events;
    to->dropped += from->dropped;
    to->short_calls += from->short_calls;
}

/* 0, or -errno with a->err: the session cannot go on. */
static int on_frame(struct tracing *a, uint32_t type, const uint8_t *payload, uint32_t len) {
    const struct vt_msg_desc *desc = vt_msg_desc(type);
    ProtobufCMessage *msg = NULL;
    int rc = 0;

    if (type == VT_CTL_ERROR) return client_error(payload, len, &a->err);
    if (type == VT_CTL_FIRST_ENDED) {
        a->first_ended = true;
        a->woken(a);
        return 0;
    }
    if (type == VT_FRAME_STATS || type == VT_CTL_ATTACHED || type == VT_FRAME_END || type == VT_FRAME_SECTION) {
        rc = vt_msg_unpack(type, payload, len, &msg);
        if (rc) return vt_err_set(&a->err, rc, "viztracerd sent something that makes no sense: use the same version of both");
    }
    bool is_end = type == VT_FRAME_END && a->section <= 1; /* else another process has ended */
    if (type == VT_FRAME_SECTION)                          /* it is written with its frame, which comes next */
        a->section = ((Vt__Section *)msg)->number + 1;
    else if (is_end && a->ending)
        rc = write_end(a, (Vt__End *)msg);
    else if (desc && desc->trace)
        rc = write_frame(a, type, payload, len);
    if (type == VT_FRAME_STATS) {
        if (a->pending && ((Vt__Stats *)msg)->state >= VT_AGENT_TRACING) {
            a->pending = false;
            tracing_say(a, "Tracing.\n");
        }
        progress_stats(&a->progress, (Vt__Stats *)msg);
    } else if (type == VT_CTL_ATTACHED) {
        on_attached(a, (Vt__Attached *)msg);
    } else if (is_end) {
        a->ended = true;
        a->end = (Vt__End *)msg;
        add_sums(a->end, &a->others);
        return rc;
    } else if (type == VT_FRAME_END) {
        add_sums(&a->others, (Vt__End *)msg);
        a->nothers++;
    }
    vt_msg_free(msg);
    return rc;
}

void tracing_stop(struct tracing *a) {
    Vt__PidReq req = VT__PID_REQ__INIT;
    if (a->stop_sent) return;
    a->stop_sent = true;
    req.pid = a->o->req.pid;
    int rc = client_send(&a->client, VT_CTL_STOP, &req.base, NULL);
    (void)rc; /* reading notices that the daemon has gone */
}

/* Until END, an error, or the end of the daemon (-EPIPE). */
int tracing_receive(struct tracing *a) {
    struct pollfd fds[2] = {{.fd = a->client.fd, .events = POLLIN}, {.fd = a->wake_fd, .events = POLLIN}};
    uint8_t *buf = malloc(RECV_BUF);
    const uint8_t *payload;
    uint32_t type, len;
    int rc = buf ? 0 : vt_err_set(&a->err, -ENOMEM, "out of memory");

    uint64_t heard = vt_mono_ns();
    while (!rc && !a->ended) {
        fds[1].fd = a->wake_fd; /* -1: nobody wakes us any more */
        int n = poll(fds, 2, 1000);
        if (n < 0 && errno != EINTR) rc = vt_err_set(&a->err, -errno, "poll: %s", strerror(errno));
        bool waits = a->launched && (!a->attached || a->first_ended); /* for an interpreter, as long as the program runs */
        if (!rc && !n && !waits && vt_mono_ns() - heard > SILENCE_NS)
            rc = vt_err_set(&a->err, -EPIPE, "viztracerd (process %d) has been silent for %llu s; end it and try again",
                            a->client.daemon_pid, SILENCE_NS / 1000000000ull);
        if (rc || n <= 0) continue;
        if (fds[1].revents & POLLIN) a->woken(a);
        if (!(fds[0].revents & (POLLIN | POLLHUP | POLLERR))) continue;
        ssize_t len_in = recv(a->client.fd, buf, RECV_BUF, MSG_DONTWAIT);
        if (len_in < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        heard = vt_mono_ns();
        if (len_in <= 0) {
            rc = vt_err_set(&a->err, -EPIPE, "viztracerd ended before the trace did; try again");
            break;
        }
        rc = vt_frame_buf_add(&a->client.in, buf, (size_t)len_in);
        while (!rc && !a->ended) {
            int got = vt_frame_buf_next(&a->client.in, &type, &payload, &len);
            if (got < 0) rc = vt_err_set(&a->err, got, "viztracerd sent damaged data: use the same version of both");
            if (got <= 0) break;
            rc = on_frame(a, type, payload, len);
        }
        if (a->raw_error) tracing_stop(a); /* the daemon still has a complete copy */
    }
    free(buf);
    return rc;
}

/* ---- request ---- */

int tracing_request(struct tracing *a, uint32_t type) {
    char output[PATH_MAX + 256], cwd[PATH_MAX];

    if (a->path.output[0] != '/' && getcwd(cwd, sizeof(cwd)))
        snprintf(output, sizeof(output), "%.2000s/%.2000s", cwd, a->path.output);
    else
        snprintf(output, sizeof(output), "%s", a->path.output);
    a->o->req.output = output;
    a->asked_pid = (pid_t)a->o->req.pid;
    int rc = client_send(&a->client, type, &a->o->req.base, &a->err);
    a->o->req.output = NULL;
    return rc;
}

/* ---- saving ---- */

static void on_saving(void *arg, uint64_t done, uint64_t size) { progress_saving(arg, done, size); }

/* Finds the file that the daemon kept, once the daemon has released it. */
static bool find_kept(const struct tracing *a, struct spooldir_file *k) {
    for (int ms = 0; ms < KEPT_WAIT_MS; ms += 50) {
        if (!kept_find(a->asked_pid, k)) return true;
        usleep(50000);
    }
    return false;
}

static int fail_without_raw(struct tracing *a, const char *why) {
    struct spooldir_file k;
    client_close(&a->client); /* without SAVED the daemon keeps its copy */
    bool kept = find_kept(a, &k);
    if (kept) return cli_fail("%s; the trace is kept, save it with: viztracer convert %s -o FILE", why, k.path);
    return cli_fail("%s; nothing was saved", why);
}

static const char *reason_text(const struct tracing *a) {
    return a->end ? vt_end_reason_text(a->end->reason) : "viztracerd was killed";
}

/* A program that becomes another one is followed, or was not to be. */
static bool ends_as_usual(Vt__EndReason reason) {
    return reason == VT__END_REASON__TARGET_EXIT || reason == VT__END_REASON__EXEC;
}

/* The one line at the end. */
static void report(const struct tracing *a, const struct convert_result *r) {
    char line[PATH_MAX * 3 + 2600], calls[48], bytes[32], in[32], out[32], threads[48];
    const struct trace_totals *t = &r->totals;
    bool as_usual = a->launched && a->end && ends_as_usual(a->end->reason);
    const char *why = as_usual ? NULL : reason_text(a);
    char folder[PATH_MAX + 32];
    size_t len = 0;
    uint64_t drops = a->end && a->end->dropped > t->dropped ? a->end->dropped : t->dropped;
#define ADD(...) len += (size_t)snprintf(line + len, sizeof(line) - len, __VA_ARGS__)
    if (why)
        ADD("%s%s%s%s. ", why, a->end && a->end->text[0] ? " (" : "", a->end ? a->end->text : "",
            a->end && a->end->text[0] ? ")" : "");
    else if (a->end && a->end->text[0] && !as_usual)
        ADD("Note: %s. ", a->end->text);
    if (as_usual && a->end->exit[0]) ADD("The program ended: %s. ", a->end->exit);
    bool out_is_stdout = output_is_stdout(a->path.output);
    ADD("Saved %s (%s%s): ", out_is_stdout ? "to stdout" : a->path.output, format_bytes(bytes, sizeof(bytes), r->bytes),
        output_place_text(&a->place, folder));
    if (t->left_out) {
        ADD("the newest %s of ", format_count(calls, sizeof calls, convert_calls(r)));
        ADD("%s", format_things(calls, sizeof calls, convert_calls(r) + t->left_out, "call"));
    } else {
        ADD("%s", format_things(calls, sizeof calls, convert_calls(r), "call"));
    }
    ADD(" on %s", format_things(threads, sizeof threads, t->threads, "thread"));
    if (a->nothers) ADD(" of %s", format_things(threads, sizeof threads, a->nothers + 1, "process"));
    if (a->end && a->end->lost)
        ADD("; %s could not be traced", format_things(threads, sizeof threads, a->end->lost, "other process"));
    if (t->short_calls) ADD("; %s left out", format_things(calls, sizeof calls, t->short_calls, "shorter call"));
    if (t->folded) ADD("; %s folded into those around them", format_things(calls, sizeof calls, t->folded, "shorter call"));
    if (a->end && !a->launched)
        ADD("; paused %s at attach, %s at detach", format_ns(in, sizeof(in), a->end->attach_pause_ns),
            format_ns(out, sizeof(out), a->end->detach_pause_ns));
    if (drops) ADD("; %s dropped (gaps are marked)", format_things(calls, sizeof calls, drops, "event"));
    if (r->limit[0]) ADD("; %s", r->limit);
    if (a->empty[0]) ADD("; %s", a->empty);
    if (r->damage[0]) ADD("; damaged: %s", r->damage);
    const char *next = format_by_name(a->path.output, NULL)->next_step, *quote = strchr(a->path.output, ' ') ? "\"" : "";
    ADD("\n");
    bool told_more = a->path.native[0] && !strcmp(a->path.output, a->path.native); /* tell_native */
    if (next && !out_is_stdout && !told_more) ADD("%s%s%s%s\n", next, quote, a->path.output, quote);
#undef ADD
    tracing_say(a, line);
    if (a->o->quiet && a->empty[0]) fprintf(stderr, "viztracer: %s: no calls; %s\n", a->path.output, a->empty);
}

/* The trace is saved: the daemon may remove its copy. */
static void tell_saved(struct tracing *a) {
    int rc = client_request(&a->client, VT_CTL_SAVED, NULL, VT_CTL_OK, NULL, NULL);
    if (rc) vt_log(VT_LOG_INFO, "viztracerd keeps a copy of the trace: %s", strerror(-rc));
}

/* A trace without a call: do the options leave out everything? */
static void explain_empty(struct tracing *a) {
    const Vt__Options *o = &a->o->trace;
    bool filtered = o->n_include_files || o->n_exclude_files || o->n_include_functions || o->n_exclude_functions ||
                    o->n_include_modules || o->n_exclude_modules;
    struct trace_source *source;
    struct vt_err err = {0};
    if (a->end && a->end->calls) return;
    if (o->max_stack_depth == 0) {
        snprintf(a->empty, sizeof(a->empty), "--max_stack_depth 0 leaves out every call that began after the attach");
        return;
    }
    if (!filtered || trace_source_open(a->path.raw, &source, &err)) return;
    const struct trace_info *info = trace_source_info(source);
    const char *in = strstr(a->o->text, "--include_"), *ex = strstr(a->o->text, "--exclude_");
    const char *from = in && (!ex || in < ex) ? in : ex ? ex : "the filters", *to = strstr(from, " -");
    char filters[200]; /* the first one, as typed */
    snprintf(filters, sizeof(filters), "%.*s", to ? (int)(to - from) : (int)sizeof(filters), from);
    if (info->end_calls) /* that were open at the attach */
        snprintf(a->empty, sizeof(a->empty), "no function that passes %s was called", filters);
    else
        hidden_describe(info, filters, a->empty, sizeof(a->empty));
    trace_source_close(source);
}

/* So many calls become a .vzt: the user gave no name, and a JSON file of them would be very large. */
static bool makes_native(const struct tracing *a, uint64_t calls) {
    return a->path.native[0] && !a->o->tracer_entries && !a->o->trace.min_duration_ns && calls > FORMAT_MANY_CALLS;
}

static void on_note(void *arg, const char *text) {
    struct tracing *a = arg;
    char line[512];
    progress_clear(&a->progress);
    snprintf(line, sizeof line, "%s\n", text);
    tracing_say(a, line);
}

/* Behind the line of what was saved. */
static void tell_native(const struct tracing *a, uint64_t json_bytes) {
    char line[3 * PATH_MAX + 256], bytes[32];
    snprintf(line, sizeof line,
             "It is a .vzt because a .json would take about %s. To see it:\n"
             "  vizviewer %s\n  viztracer report %s\n  viztracer convert %s --budget 500k -o result.json\n",
             format_bytes(bytes, sizeof bytes, json_bytes), a->path.output, a->path.output, a->path.output);
    tracing_say(a, line);
}

static void tell_flame(const struct tracing *a, const char *name) {
    char line[PATH_MAX + 64];
    snprintf(line, sizeof line, "The flame graph is %s\n", name);
    tracing_say(a, line);
}

/* NAME.svg for NAME.json; false when the output is a flame graph already. */
static bool flame_name(const struct tracing *a, char to[PATH_MAX]) {
    const struct format_suffix *suffix = NULL;
    format_by_name(a->path.output, &suffix);
    size_t len = strlen(a->path.output) - (suffix ? strlen(suffix->text) : 0);
    snprintf(to, PATH_MAX, "%.*s.svg", (int)len, a->path.output);
    return strcmp(to, a->path.output) != 0;
}

/* --flamegraph: one more output, made first, because saving a .vzt moves the raw trace. */
static int save_flame(const struct tracing *a, const struct convert_opts *like, char name[PATH_MAX], struct vt_err *err) {
    struct convert_result result;
    if (!a->o->flamegraph || !flame_name(a, name)) {
        name[0] = 0;
        return 0;
    }
    struct convert_opts opts = *like;
    opts.output = name;
    opts.move_input = false;
    opts.note = NULL;
    return convert_trace(&opts, &result, err);
}

static int save(struct tracing *a) {
    struct convert_result result;
    struct vt_err err = {0};
    char root[64], cwd[64], text[sizeof(err.msg)];

    uint64_t calls = a->end ? figures_pieces(a->end->calls, a->end->events) : 0, json_bytes = 0;
    if (makes_native(a, calls)) {
        json_bytes = format_is_large(a->path.output, calls);
        target_path_make_native(&a->path);
    }
    if (!a->o->output_file) output_place_note_replaced(a->path.output);
    interrupts_seen = 0; /* from here on one more signal gives up */
    explain_empty(a);
    snprintf(root, sizeof(root), "/proc/%u/root", a->o->req.pid);
    snprintf(cwd, sizeof(cwd), "/proc/%u/cwd", a->o->req.pid);
    bool alive = access(root, F_OK) == 0 && access(cwd, F_OK) == 0;
    struct convert_opts opts = {.input = a->path.raw,
                                .output = a->path.output,
                                .min_duration_ns = a->o->trace.min_duration_ns,
                                .newest_calls = (uint64_t)a->o->tracer_entries,
                                .log_async = a->o->trace.flags & VT_F_ASYNC,
                                .move_input = true,
                                .source_root = alive ? root : NULL,
                                .source_cwd = alive ? cwd : NULL,
                                .note = on_note,
                                .note_arg = a,
                                .progress = on_saving,
                                .progress_arg = &a->progress,
                                .stop = &interrupts_seen};
    char flame[PATH_MAX];
    struct vt_err flame_err = {0};
    int flame_rc = save_flame(a, &opts, flame, &flame_err);
    int rc = convert_trace(&opts, &result, &err);
    progress_clear(&a->progress);
    if (rc && format_is_native(a->path.output)) {
        snprintf(text, sizeof(text), "%s", err.msg);
        return fail_without_raw(a, text);
    }
    const char *kept = rc ? target_path_keep_raw(&a->path) : NULL;
    if (a->end) tell_saved(a);
    if (rc == -EINTR)
        return cli_fail("saving was given up; the raw trace is %s, save it with: viztracer convert %s -o %s", kept, kept,
                        a->path.output);
    if (rc) return cli_fail("%s; the raw trace is %s, save it with: viztracer convert %s -o FILE", err.msg, kept, kept);
    report(a, &result);
    if (json_bytes) tell_native(a, json_bytes);
    if (flame_rc) return cli_fail("the trace is saved, the flame graph is not: %s", flame_err.msg);
    if (flame[0]) tell_flame(a, flame);
    return CLI_OK;
}

/* The daemon was killed. Its file, if it can be found, has more of the trace than arrived here. */
static void take_kept(struct tracing *a) {
    struct spooldir_file k;
    if (!find_kept(a, &k) || k.bytes < a->raw_bytes) return;
    FILE *from = fopen(k.path, "re");
    FILE *to = from ? fopen(a->path.raw, "we") : NULL;
    char buf[65536];
    size_t n;
    while (to && (n = fread(buf, 1, sizeof(buf), from)) > 0)
        if (fwrite(buf, 1, n, to) != n) break;
    bool ok = to && !ferror(from) && !ferror(to);
    if (to && fclose(to)) ok = false;
    if (from) fclose(from);
    if (ok) unlink(k.path);
}

void tracing_open_viewer(const struct tracing *a) {
    char *const argv[] = {(char *)"vizviewer", (char *)"--once", (char *)a->path.output, NULL};
    execv("/proc/self/exe", argv);
    cli_fail("cannot start the viewer: %s", strerror(errno));
}

/* The live line tells the size that the output will have. With --min_duration the daemon does not tell how many calls stay. */
static void show_progress(struct tracing *a) {
    const char *slash = strrchr(a->path.output, '/');
    const struct format_suffix *suffix;
    struct progress_output output = {.name = slash ? slash + 1 : a->path.output, .most_calls = (uint64_t)a->o->tracer_entries};
    format_by_name(a->path.output, &suffix);
    if (!a->o->trace.min_duration_ns) output.bytes_per_call = suffix->bytes_per_call;
    if (!output.bytes_per_call && !format_is_native(a->path.output)) output.name = "recorded";
    if (makes_native(a, UINT64_MAX)) {
        slash = strrchr(a->path.native, '/');
        output.whole_name = slash ? slash + 1 : a->path.native;
        output.whole_above = FORMAT_MANY_CALLS;
    }
    progress_init(&a->progress, a->launched || a->o->quiet || output_is_stdout(a->path.output), &output);
}

/* ---- the course of a session ---- */

int tracing_open(struct tracing *a) {
    struct vt_err *err = &a->err;
    if (target_path_open(&a->path, &a->place, a->o, err)) {
        target_path_discard(&a->path);
        return cli_fail("%s", err->msg);
    }
    a->raw = fdopen(a->path.raw_fd, "w");
    if (!a->raw) {
        target_path_discard(&a->path);
        return cli_fail("%s", strerror(errno));
    }
    a->path.raw_fd = -1; /* a->raw owns it */
    setvbuf(a->raw, NULL, _IOFBF, RAW_BUF);
    write_raw(a, VT_FILE_MAGIC, 8);
    show_progress(a);
    char left[PATH_MAX];
    if (target_path_tell_left(&a->path, left, sizeof left)) tracing_say(a, left);
    if (client_open(&a->client, err)) return cli_fail("%s", err->msg);
    return CLI_OK;
}

static void close_raw(struct tracing *a) {
    if (!a->raw) return;
    if (fflush(a->raw) && !a->raw_error) a->raw_error = errno ? -errno : -EIO;
    if (fclose(a->raw) && !a->raw_error) a->raw_error = errno ? -errno : -EIO;
    a->raw = NULL;
}

int tracing_finish(struct tracing *a, int rc) {
    char text[PATH_MAX + 128];
    progress_clear(&a->progress);
    close_raw(a);
    if (rc && !a->attached) return cli_fail("%s%s", a->err.msg, a->launched ? "; nothing was saved" : "");
    if (rc && rc != -EPIPE) {
        snprintf(text, sizeof(text), "%s", a->err.msg);
        return fail_without_raw(a, text);
    }
    if (rc) take_kept(a);
    if (a->raw_error && !rc) {
        snprintf(text, sizeof(text), "cannot write to %s: %s", a->path.raw, strerror(-a->raw_error));
        return fail_without_raw(a, text);
    }
    if (a->end && !a->end->calls && !a->end->hooks_on_ticks && !a->end->events) {
        tell_saved(a);
        if (a->end->reason == VT__END_REASON__GIL)
            return cli_fail("process %u: %s; nothing was saved; --gil_timeout SEC waits longer", a->o->req.pid, a->end->text);
        const char *colon = a->end->text[0] ? ": " : "", *why = a->end->text;
        if (a->launched) return cli_fail("the program ended before tracing had begun%s%s; nothing was saved", colon, why);
        return cli_fail("stopped before tracing had begun%s%s; nothing was saved; attach again", colon, why);
    }
    return save(a);
}

void tracing_close(struct tracing *a) {
    close_raw(a);
    client_close(&a->client);
    target_path_discard(&a->path);
    if (a->end) vt_msg_free(&a->end->base);
}
