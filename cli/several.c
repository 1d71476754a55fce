/* Owns several sessions at a time (several.h): their connections, one loop over them, and saving. */
#include "cli/several.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/base/interrupt.h"
#include "cli/base/output.h"
#include "cli/client/raw_sections.h"
#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/target_path.h"
#include "cli/term/progress.h"
#include "proto/abi/arena.h"
#include "proto/texts.h"

#define RECV_BUF (256u << 10)
#define RAW_BUF (1u << 20)
/* Sessions that are being begun at a time: each has a helper process that works on its target, and helpers that wait for one
 * another's CPU make the pauses longer. Of those that come and go by themselves more are tried at a time. */
enum { STARTS_NAMED = 1, STARTS_FOUND = 4 };
#define LIVE_MOST 900u
#define FLUSH_MS 250
#define SILENCE_NS 90000000000ull

enum state { WAITING, ASKED, TRACING, OVER };

struct member {
    pid_t pid;
    enum state state;
    bool asked, pending, stopped;
    int section; /* -1 = none yet */
    struct client client;
    uint64_t heard_ns;
    uint64_t calls, events, dropped, bytes; /* as its last statistics say; in the end, as END says */
};

struct several {
    struct attach_options *o;
    struct several_user user;
    struct target_path path;
    struct output_place place;
    FILE *file;
    struct raw_sections raw;
    struct client first; /* the connection that keeps a private daemon alive */
    struct progress progress;
    struct member **live; /* WAITING to TRACING */
    size_t nlive, room;
    struct pollfd *fds;
    size_t nfds_room;
    uint8_t *buf;
    int wake[2];
    uint64_t begun_ns, deadline_ns, duration_ns;
    bool stopping, told;                    /* told: that tracing goes on */
    uint64_t calls, events, dropped, bytes; /* of sessions that are over */
    size_t traced, failed, unasked_failed;
    pid_t alive; /* a process that was traced and may live */
};

static void say(const struct several *s, const char *text) {
    if (s->o->quiet) return;
    FILE *to = output_is_stdout(s->path.output) ? stderr : stdout;
    fputs(text, to); /* a closed terminal must not lose the trace */
    fflush(to);
}

/* ---- one session ---- */

static size_t count(const struct several *s, enum state state) {
    size_t n = 0;
    for (size_t i = 0; i < s->nlive; i++) n += s->live[i]->state == state;
    return n;
}

static struct member *add(struct several *s, pid_t pid, bool asked, int *rc) {
    *rc = -ENOMEM;
    if (s->nlive == s->room) {
        size_t room = s->room ? s->room * 2 : 16;
        struct member **grown = realloc(s->live, room * sizeof(struct member *));
        if (!grown) return NULL;
        s->live = grown;
        s->room = room;
    }
    struct member *m = calloc(1, sizeof(*m));
    if (!m) return NULL;
    *m = (struct member){.pid = pid, .asked = asked, .section = -1, .client = {.fd = -1}};
    s->live[s->nlive++] = m;
    *rc = 0;
    return m;
}

int several_attach(struct several *s, pid_t pid, bool asked) {
    int rc = s->stopping ? -ESHUTDOWN : s->raw.n + s->nlive >= VT_SECTIONS_MAX ? -E2BIG : 0;
    if (!rc) add(s, pid, asked, &rc);
    return rc;
}

/* The member is taken from the list later, by sweep(). */
static void is_over(struct several *s, struct member *m, enum several_end how, const struct vt_err *err) {
    char line[32];
    bool refused = how == SEVERAL_REFUSED;
    m->state = OVER;
    client_close(&m->client);
    s->calls += m->calls;
    s->events += m->events;
    s->dropped += m->dropped;
    s->bytes += m->bytes;
    bool silent = s->user.ended && s->user.ended(s->user.ctx, m->pid, how, err);
    if (how == SEVERAL_EXEC || how == SEVERAL_SAVED) return;
    if (refused && !silent) {
        s->failed += m->asked;
        s->unasked_failed += !m->asked;
    }
    if (silent) return;
    progress_clear(&s->progress);
    snprintf(line, sizeof(line), "process %d", (int)m->pid);
    if (strstr(err->msg, line)) line[0] = 0;
    cli_fail("%s%s%s", line, line[0] ? ": " : "", err->msg);
}

static void refused(struct several *s, struct member *m, const struct vt_err *err) { is_over(s, m, SEVERAL_REFUSED, err); }

/* Its daemon has gone, or sends nonsense. */
static void lost(struct several *s, struct member *m, const char *why) {
    struct vt_err err = {0};
    bool traced = m->state == TRACING;
    if (traced)
        vt_err_set(&err, -EPIPE, "process %d: %s; what had arrived of its trace is saved", (int)m->pid, why);
    else
        vt_err_set(&err, -EPIPE, "process %d: %s; nothing of it was saved", (int)m->pid, why);
    is_over(s, m, traced ? SEVERAL_LOST : SEVERAL_REFUSED, &err);
}

static void ask(struct several *s, struct member *m) {
    char output[PATH_MAX + 256], cwd[PATH_MAX];
    struct vt_err err = {0};
    if (client_open_beside(&m->client, &s->first, &err)) {
        refused(s, m, &err);
        return;
    }
    if (s->path.output[0] != '/' && getcwd(cwd, sizeof(cwd)))
        snprintf(output, sizeof(output), "%.2000s/%.2000s", cwd, s->path.output);
    else
        snprintf(output, sizeof(output), "%s", s->path.output);
    m->state = ASKED;
    m->heard_ns = vt_mono_ns();
    s->o->req.pid = (uint32_t)m->pid;
    s->o->req.duration_ns = 0; /* they end together: here */
    s->o->req.output = output;
    int rc = client_send(&m->client, VT_CTL_ATTACH, &s->o->req.base, &err);
    s->o->req.output = NULL;
    if (rc) refused(s, m, &err);
}

static void stop(struct member *m) {
    Vt__PidReq req = VT__PID_REQ__INIT;
    if (m->stopped) return;
    m->stopped = true;
    req.pid = (uint32_t)m->pid;
    int rc = client_send(&m->client, VT_CTL_STOP, &req.base, NULL);
    (void)rc; /* reading notices that the daemon has gone */
}

void several_stop(struct several *s) {
    s->stopping = true;
    for (size_t i = 0; i < s->nlive; i++) {
        struct member *m = s->live[i];
        struct vt_err err = {0};
        vt_err_set(&err, -EINTR, "process %d: stopped before tracing had begun", (int)m->pid);
        if (m->state == WAITING)
            refused(s, m, &err);
        else if (m->state != OVER)
            stop(m);
    }
}

static void on_attached(struct several *s, struct member *m, const Vt__Attached *a) {
    char line[512], pause[32];
    m->state = TRACING;
    m->pending = a->pending;
    s->traced++;
    s->alive = m->pid;
    if (!s->begun_ns) s->begun_ns = vt_mono_ns();
    if (s->user.quiet_starts && !m->asked) return;
    progress_clear(&s->progress);
    snprintf(line, sizeof(line), "Attached to %d, Python %s; paused %s.%s%s%s\n", (int)m->pid, a->python,
             format_ns(pause, sizeof(pause), a->pause_ns), a->pending ? " Waiting for the GIL." : "", a->note[0] ? " Note: " : "",
             a->note);
    say(s, line);
}

static void on_end(struct several *s, struct member *m, const Vt__End *end) {
    struct vt_err err = {0};
    bool begun = end->calls || end->events || end->hooks_on_ticks;
    m->calls = end->calls;
    m->events = end->events;
    m->dropped = end->dropped;
    m->bytes = end->bytes;
    if (!raw_sections_flush(&s->raw, m->section)) { /* it is in our file: the daemon may remove its copy */
        int rc = client_request(&m->client, VT_CTL_SAVED, NULL, VT_CTL_OK, NULL, NULL);
        if (rc) vt_log(VT_LOG_INFO, "viztracerd keeps a copy of the trace of %d: %s", (int)m->pid, strerror(-rc));
    }
    if (begun) {
        const char *why = vt_end_reason_text(end->reason);
        bool usual = end->reason == VT__END_REASON__TARGET_EXIT || end->reason == VT__END_REASON__EXEC || !why;
        if (s->alive == m->pid && end->reason == VT__END_REASON__TARGET_EXIT) s->alive = 0;
        if ((!usual || (m->asked && why)) && !s->stopping) {
            char line[600];
            progress_clear(&s->progress);
            snprintf(line, sizeof(line), "Process %d: %s%s%.400s.\n", (int)m->pid, why, end->text[0] ? ": " : "", end->text);
            say(s, line);
        }
        is_over(s, m, end->reason == VT__END_REASON__EXEC ? SEVERAL_EXEC : SEVERAL_SAVED, &err);
        return;
    }
    s->traced--;
    vt_err_set(&err, -EAGAIN, "process %d: ended before tracing had begun%s%s", (int)m->pid, end->text[0] ? ": " : "", end->text);
    refused(s, m, &err);
}

/* False: the session is over. */
static bool on_frame(struct several *s, struct member *m, uint32_t type, const uint8_t *payload, uint32_t len) {
    const struct vt_msg_desc *desc = vt_msg_desc(type);
    ProtobufCMessage *msg = NULL;
    struct vt_err err = {0};
    if (type == VT_CTL_ERROR) {
        client_error(payload, len, &err);
        if (m->state == TRACING) s->traced -= m->section < 0;
        is_over(s, m, m->section < 0 ? SEVERAL_REFUSED : SEVERAL_LOST, &err);
        return false;
    }
    bool known = type == VT_FRAME_STATS || type == VT_CTL_ATTACHED || type == VT_FRAME_END;
    if (known && vt_msg_unpack(type, payload, len, &msg))
        return lost(s, m, "viztracerd sent something that makes no sense"), false;
    if (desc && desc->trace) {
        if (m->section < 0) m->section = raw_sections_add(&s->raw);
        if (m->section < 0) {
            vt_msg_free(msg);
            return lost(s, m, "the trace has no room for more processes"), false;
        }
        raw_sections_put(&s->raw, m->section, type, payload, len);
    }
    if (type == VT_FRAME_STATS) {
        const Vt__Stats *stats = (const Vt__Stats *)msg;
        m->calls = stats->calls;
        m->events = stats->events;
        m->dropped = stats->dropped;
        m->bytes = stats->bytes;
        m->pending = m->pending && stats->state < VT_AGENT_TRACING;
    } else if (type == VT_CTL_ATTACHED) {
        on_attached(s, m, (const Vt__Attached *)msg);
    } else if (type == VT_FRAME_END) {
        on_end(s, m, (const Vt__End *)msg);
    }
    vt_msg_free(msg);
    return m->state != OVER;
}

static void receive(struct several *s, struct member *m) {
    const uint8_t *payload;
    uint32_t type, len;
    ssize_t n = recv(m->client.fd, s->buf, RECV_BUF, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0) {
        lost(s, m, "viztracerd ended before the trace did");
        return;
    }
    m->heard_ns = vt_mono_ns();
    int rc = vt_frame_buf_add(&m->client.in, s->buf, (size_t)n);
    while (!rc) {
        int got = vt_frame_buf_next(&m->client.in, &type, &payload, &len);
        if (got < 0) rc = got;
        if (got <= 0) break;
        if (!on_frame(s, m, type, payload, len)) return;
    }
    if (rc) lost(s, m, "viztracerd sent damaged data");
}

/* ---- the loop ---- */

static void sweep(struct several *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->nlive; i++) {
        if (s->live[i]->state == OVER)
            free(s->live[i]);
        else
            s->live[kept++] = s->live[i];
    }
    s->nlive = kept;
}

static void begin_more(struct several *s) {
    size_t starts = count(s, ASKED), running = starts + count(s, TRACING), most = s->user.look ? STARTS_FOUND : STARTS_NAMED;
    for (size_t i = 0; i < s->nlive && starts < most && running < LIVE_MOST; i++) {
        if (s->live[i]->state != WAITING) continue;
        ask(s, s->live[i]);
        starts += s->live[i]->state == ASKED;
        running++;
    }
}

static void show(struct several *s, uint64_t now) {
    Vt__Stats sum = VT__STATS__INIT;
    if (!s->begun_ns) return;
    sum.calls = s->calls;
    sum.events = s->events;
    sum.dropped = s->dropped;
    bool all_wait = s->nlive > 0;
    for (size_t i = 0; i < s->nlive; i++) {
        sum.calls += s->live[i]->calls;
        sum.events += s->live[i]->events;
        sum.dropped += s->live[i]->dropped;
        all_wait &= s->live[i]->state != TRACING || s->live[i]->pending;
    }
    sum.bytes = s->raw.bytes;
    sum.state = all_wait && !sum.calls ? VT_AGENT_WAIT_GIL : VT_AGENT_TRACING;
    sum.elapsed_ns = now - s->begun_ns;
    progress_stats(&s->progress, &sum);
}

/* -t counts from the moment at which every process that was named has answered. */
static void check_ends(struct several *s, uint64_t now) {
    bool asking = count(s, WAITING) + count(s, ASKED) > 0;
    if (s->duration_ns && !s->deadline_ns && s->traced && !asking) s->deadline_ns = now + s->duration_ns;
    if (!asking && s->traced && !s->told && !s->stopping) {
        char line[128], processes[48];
        s->told = true;
        progress_clear(&s->progress);
        snprintf(line, sizeof(line), "Tracing %s; Ctrl+C to stop and save.\n",
                 s->traced == 1 ? "1 process" : format_things(processes, sizeof(processes), s->traced, "process"));
        say(s, line);
    }
    bool large = s->o->req.max_bytes && s->raw.bytes > s->o->req.max_bytes;
    bool due = s->deadline_ns && now >= s->deadline_ns;
    if (!s->stopping && (interrupts_seen || large || due || s->raw.error)) several_stop(s);
}

static int wait_for(struct several *s, int ms, struct vt_err *err) {
    char drop[64];
    size_t nfds = s->nlive; /* the list may grow meanwhile, at its end */
    if (s->nlive + 1 > s->nfds_room) {
        struct pollfd *grown = realloc(s->fds, (s->nlive + 64) * sizeof(*grown));
        if (!grown) return vt_err_set(err, -ENOMEM, "out of memory");
        s->fds = grown;
        s->nfds_room = s->nlive + 64;
    }
    s->fds[0] = (struct pollfd){.fd = s->wake[0], .events = POLLIN};
    for (size_t i = 0; i < s->nlive; i++) s->fds[i + 1] = (struct pollfd){.fd = s->live[i]->client.fd, .events = POLLIN};
    int n = poll(s->fds, s->nlive + 1, ms);
    if (n < 0 && errno != EINTR) return vt_err_set(err, -errno, "poll: %s", strerror(errno));
    if (n <= 0) return 0;
    if (s->fds[0].revents & POLLIN)
        while (read(s->wake[0], drop, sizeof(drop)) > 0) continue;
    for (size_t i = 0; i < nfds; i++)
        if (s->fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR)) receive(s, s->live[i]);
    return 0;
}

static void check_silence(struct several *s, uint64_t now) {
    for (size_t i = 0; i < s->nlive; i++) {
        struct member *m = s->live[i];
        if ((m->state == ASKED || m->state == TRACING) && now - m->heard_ns > SILENCE_NS)
            lost(s, m, "viztracerd has been silent for too long");
    }
}

static int until(uint64_t when, uint64_t now, int ms) {
    uint64_t left = when > now ? (when - now) / 1000000u + 1 : 0;
    return left < (uint64_t)ms ? (int)left : ms;
}

int several_run(struct several *s, struct vt_err *err) {
    uint64_t look_ns = 0, flushed_ns = vt_mono_ns();
    int rc = 0;
    while (!rc) {
        uint64_t now = vt_mono_ns();
        if (s->user.look && !s->stopping && now >= look_ns) look_ns = now + (uint64_t)s->user.look(s->user.ctx) * 1000000u;
        check_ends(s, now);
        if (!s->stopping) begin_more(s);
        sweep(s);
        if (!s->nlive && (s->stopping || !s->user.more || !s->user.more(s->user.ctx))) break;
        int ms = until(flushed_ns + FLUSH_MS * 1000000ull, now, FLUSH_MS);
        if (s->user.look && !s->stopping) ms = until(look_ns, now, ms);
        if (s->deadline_ns && !s->stopping) ms = until(s->deadline_ns, now, ms);
        rc = wait_for(s, ms, err);
        now = vt_mono_ns();
        if (now - flushed_ns >= FLUSH_MS * 1000000ull) {
            flushed_ns = now;
            raw_sections_flush_old(&s->raw, now, false);
            check_silence(s, now);
            show(s, now);
        }
        sweep(s);
    }
    raw_sections_flush_old(&s->raw, 0, true);
    progress_clear(&s->progress);
    return rc;
}

/* ---- saving ---- */

static void on_saving(void *arg, uint64_t done, uint64_t size) { progress_saving(arg, done, size); }

static void on_note(void *arg, const char *text) {
    struct several *s = arg;
    char line[512];
    progress_clear(&s->progress);
    snprintf(line, sizeof(line), "%s\n", text);
    say(s, line);
}

static void report(const struct several *s, const struct convert_result *r) {
    char line[PATH_MAX * 3 + 1400], folder[PATH_MAX + 32], calls[48], bytes[32], threads[48], processes[48];
    const struct trace_totals *t = &r->totals;
    uint64_t drops = s->dropped > t->dropped ? s->dropped : t->dropped;
    bool out_is_stdout = output_is_stdout(s->path.output);
    char *full = realpath(s->path.output, NULL);
    const char *name = full ? full : s->path.output, *quote = strchr(name, ' ') ? "\"" : "";
    size_t len = 0;
#define ADD(...) len += (size_t)snprintf(line + len, sizeof(line) - len, __VA_ARGS__)
    ADD("Saved %s (%s%s): ", out_is_stdout ? "to stdout" : s->path.output, format_bytes(bytes, sizeof(bytes), r->bytes),
        output_place_text(&s->place, folder));
    if (t->left_out) ADD("the newest ");
    ADD("%s on %s of %s", format_things(calls, sizeof(calls), convert_calls(r), "call"),
        format_things(threads, sizeof(threads), t->threads, "thread"),
        s->traced == 1 ? "1 process" : format_things(processes, sizeof(processes), s->traced, "process"));
    if (t->short_calls) ADD("; %s left out", format_things(calls, sizeof(calls), t->short_calls, "shorter call"));
    if (t->folded) ADD("; %s folded into those around them", format_things(calls, sizeof(calls), t->folded, "shorter call"));
    if (drops) ADD("; %s dropped (gaps are marked)", format_things(calls, sizeof(calls), drops, "event"));
    if (r->limit[0]) ADD("; %s", r->limit);
    if (r->damage[0]) ADD("; damaged: %s", r->damage);
    const char *next = format_by_name(s->path.output, NULL)->next_step;
    if (next && !out_is_stdout) ADD(". %s%s%s%s", next, quote, name, quote);
    ADD("\n");
#undef ADD
    say(s, line);
    free(full);
}

static int close_raw(struct several *s) {
    int rc = s->raw.error;
    if (s->file && fclose(s->file) && !rc) rc = errno ? -errno : -EIO;
    s->file = NULL;
    return rc;
}

/* So many calls become a .vzt when the user gave no name. */
static void choose_name(struct several *s) {
    char line[PATH_MAX + 128], bytes[32];
    uint64_t calls = figures_pieces(s->calls, s->events);
    if (!s->path.native[0] || s->o->tracer_entries || s->o->trace.min_duration_ns || calls <= FORMAT_MANY_CALLS) return;
    uint64_t json = format_is_large(s->path.output, calls);
    target_path_make_native(&s->path);
    snprintf(line, sizeof(line), "It becomes a .vzt because a .json would take about %s.\n",
             format_bytes(bytes, sizeof(bytes), json));
    say(s, line);
}

int several_save(struct several *s) {
    struct convert_result result;
    struct vt_err err = {0};
    char root[64], cwd[64];
    int rc = close_raw(s);
    if (!s->traced) {
        target_path_discard(&s->path);
        return cli_fail("no process was traced; nothing was saved");
    }
    interrupts_seen = 0; /* from here on one more signal gives up */
    choose_name(s);
    snprintf(root, sizeof(root), "/proc/%d/root", (int)s->alive);
    snprintf(cwd, sizeof(cwd), "/proc/%d/cwd", (int)s->alive);
    bool alive = s->alive && access(root, F_OK) == 0 && access(cwd, F_OK) == 0;
    struct convert_opts opts = {.input = s->path.raw,
                                .output = s->path.output,
                                .min_duration_ns = s->o->trace.min_duration_ns,
                                .newest_calls = (uint64_t)s->o->tracer_entries,
                                .log_async = s->o->trace.flags & VT_F_ASYNC,
                                .move_input = true,
                                .source_root = alive ? root : NULL,
                                .source_cwd = alive ? cwd : NULL,
                                .note = on_note,
                                .note_arg = s,
                                .progress = on_saving,
                                .progress_arg = &s->progress,
                                .stop = &interrupts_seen};
    if (!s->o->output_file) output_place_note_replaced(s->path.output);
    if (rc)
        cli_fail("cannot write to %s: %s; what was written before is saved, and viztracer status shows traces that are kept",
                 s->path.raw, strerror(-rc));
    int converted = convert_trace(&opts, &result, &err);
    progress_clear(&s->progress);
    if (converted) {
        const char *kept = target_path_keep_raw(&s->path);
        return cli_fail("%s; the raw trace is %s, save it with: viztracer convert %s -o FILE", err.msg, kept, kept);
    }
    report(s, &result);
    return rc || s->failed ? CLI_FAILED : CLI_OK;
}

const char *several_output(const struct several *s) { return s->path.output; }

/* ---- begin and end ---- */

static void show_progress(struct several *s) {
    const char *slash = strrchr(s->path.output, '/');
    struct progress_output output = {.name = slash ? slash + 1 : s->path.output};
    if (!format_is_native(s->path.output)) output.name = "recorded";
    progress_init(&s->progress, s->o->quiet || output_is_stdout(s->path.output), &output);
}

/* Every session has a connection. */
static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= 4096 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    if (setrlimit(RLIMIT_NOFILE, &limit)) vt_log(VT_LOG_INFO, "limit of open files: %s", strerror(errno));
}

int several_open(struct several **out, struct attach_options *o, const struct several_user *user, struct vt_err *err) {
    static struct interrupt before;
    struct several *s = *out = calloc(1, sizeof(*s));
    if (!s) return vt_err_set(err, -ENOMEM, "out of memory");
    *s = (struct several){.o = o, .user = *user, .wake = {-1, -1}, .first = {.fd = -1}, .duration_ns = o->req.duration_ns};
    s->path.raw_fd = -1;
    s->buf = malloc(RECV_BUF);
    if (!s->buf) return vt_err_set(err, -ENOMEM, "out of memory");
    if (pipe2(s->wake, O_CLOEXEC | O_NONBLOCK)) return vt_err_set(err, -errno, "pipe: %s", strerror(errno));
    interrupt_wake_fd = s->wake[1];
    interrupt_catch(&before, SA_RESTART);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptors();
    int rc = target_path_open(&s->path, &s->place, o, err);
    if (rc) return rc;
    s->file = fdopen(s->path.raw_fd, "w");
    if (!s->file) return vt_err_set(err, -errno, "%s: %s", s->path.raw, strerror(errno));
    s->path.raw_fd = -1; /* s->file owns it */
    setvbuf(s->file, NULL, _IOFBF, RAW_BUF);
    raw_sections_open(&s->raw, s->file);
    show_progress(s);
    char left[PATH_MAX];
    if (target_path_tell_left(&s->path, left, sizeof left)) say(s, left);
    return client_open(&s->first, err);
}

void several_close(struct several *s) {
    if (!s) return;
    for (size_t i = 0; i < s->nlive; i++) {
        client_close(&s->live[i]->client);
        free(s->live[i]);
    }
    free(s->live);
    free(s->fds);
    free(s->buf);
    client_close(&s->first);
    raw_sections_free(&s->raw);
    int rc = close_raw(s);
    (void)rc; /* reported by several_save */
    target_path_discard(&s->path);
    interrupt_wake_fd = -1;
    vt_close(&s->wake[0]);
    vt_close(&s->wake[1]);
    free(s);
}
