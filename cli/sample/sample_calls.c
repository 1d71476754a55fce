/* Owns making calls of samples (sample.h). */
#include "cli/sample/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/buf.h"

struct open_call {
    const struct outside_code *code;
    uint64_t frame; /* its address in the target */
    uint64_t start_ns;
    char call[24]; /* code = NULL: the system call that the thread waits in */
};

struct sampled_thread {
    uint64_t address;
    pid_t tid;
    struct open_call *open; /* outermost first */
    uint32_t n, room;
    uint64_t round;
};

struct sample_calls {
    FILE *f;
    struct buf text;
    struct sampled_thread **threads;
    uint32_t nthreads, room;
    pid_t pid;
    uint64_t first_ns, round;
    uint64_t bytes; /* written */
    long end_at;    /* where the end of the trace begins, once it was written */
};

enum { THREADS_MAX = 1 << 20, DEEPEST = 1 << 20 };

static void write_out(struct sample_calls *s) {
    if (s->text.len) fwrite(s->text.data, 1, s->text.len, s->f);
    s->bytes += s->text.len;
    s->text.len = 0;
}

static void put_number(struct sample_calls *s, const char *before, uint64_t n) {
    char text[64];
    snprintf(text, sizeof(text), "%s%llu", before, (unsigned long long)n);
    buf_literal(&s->text, text);
}

static void put_us(struct sample_calls *s, const char *before, uint64_t ns) {
    char text[64];
    snprintf(text, sizeof(text), "%s%llu.%03u", before, (unsigned long long)(ns / 1000), (unsigned)(ns % 1000));
    buf_literal(&s->text, text);
}

static void put_name(struct sample_calls *s, const char *what, pid_t tid, const char *name) {
    buf_literal(&s->text, ",\n{\"ph\":\"M\",\"name\":\"");
    buf_literal(&s->text, what);
    put_number(s, "\",\"pid\":", (uint64_t)s->pid);
    put_number(s, ",\"tid\":", (uint64_t)tid);
    buf_literal(&s->text, ",\"args\":{\"name\":");
    buf_json_string(&s->text, name, strlen(name));
    buf_literal(&s->text, "}}");
}

struct sample_calls *sample_calls_new(FILE *f, const struct attach_info *process) {
    struct sample_calls *s = calloc(1, sizeof(*s));
    if (!s) return NULL;
    *s = (struct sample_calls){.f = f, .pid = process->pid};
    fputs("{\"traceEvents\":[\n{\"ph\":\"M\",\"name\":\"\"}", f);
    put_name(s, "process_name", process->pid, process->cmdline);
    write_out(s);
    return s;
}

static void put_call(struct sample_calls *s, pid_t tid, const struct open_call *c, uint64_t end_ns) {
    struct buf name = {0};
    char line[24];
    if (c->code) {
        snprintf(line, sizeof(line), ":%u)", c->code->first_line);
        buf_literal(&name, c->code->name);
        buf_literal(&name, " (");
        buf_literal(&name, c->code->file);
        buf_literal(&name, line);
    } else {
        buf_literal(&name, "[in C: ");
        buf_literal(&name, c->call);
        buf_literal(&name, "]");
    }
    buf_literal(&s->text, ",\n{\"ph\":\"X\",\"cat\":\"FEE\",\"name\":");
    buf_json_string(&s->text, name.data, name.len);
    put_number(s, ",\"pid\":", (uint64_t)s->pid);
    put_number(s, ",\"tid\":", (uint64_t)tid);
    put_us(s, ",\"ts\":", c->start_ns);
    put_us(s, ",\"dur\":", end_ns - c->start_ns);
    buf_literal(&s->text, "}");
    if (name.failed) s->text.failed = true;
    buf_free(&name);
    write_out(s);
}

/* The calls from number `keep` on end, the innermost first. */
static void leave(struct sample_calls *s, struct sampled_thread *t, uint32_t keep, uint64_t now_ns) {
    while (t->n > keep) put_call(s, t->tid, &t->open[--t->n], now_ns);
}

/* Threads stay in their order: the one that is looked for is nearly always the next one. */
static struct sampled_thread *find(struct sample_calls *s, const struct outside_thread *of) {
    for (uint32_t i = 0; i < s->nthreads; i++)
        if (s->threads[i]->address == of->address && s->threads[i]->tid == of->tid) return s->threads[i];
    struct sampled_thread *t = calloc(1, sizeof(*t));
    if (!t || vt_grow(&s->threads, &s->room, s->nthreads + 1u, sizeof(struct sampled_thread *), THREADS_MAX)) {
        free(t);
        return NULL;
    }
    t->address = of->address;
    t->tid = of->tid;
    put_name(s, "thread_name", of->tid, of->name[0] ? of->name : "thread");
    return s->threads[s->nthreads++] = t;
}

/* On top of its frames. A thread that is in the same call at the next sample may have been elsewhere in between, as with frames.
 */
static int wait_in(struct sample_calls *s, struct sampled_thread *t, const char *call, uint64_t now_ns) {
    struct open_call *top = t->n ? &t->open[t->n - 1] : NULL;
    bool is_wait = top && !top->code;
    if (is_wait && !strncmp(top->call, call, sizeof(top->call) - 1)) return 0;
    if (is_wait) leave(s, t, t->n - 1, now_ns);
    if (!call[0]) return 0;
    if (vt_grow(&t->open, &t->room, t->n + 1u, sizeof(*t->open), DEEPEST)) return -ENOMEM;
    t->open[t->n] = (struct open_call){.start_ns = now_ns};
    snprintf(t->open[t->n++].call, sizeof(t->open->call), "%.23s", call);
    return 0;
}

int sample_calls_take(struct sample_calls *s, const struct outside_thread *of, uint64_t now_ns) {
    struct sampled_thread *t = find(s, of);
    uint32_t same = 0;
    if (!t) return -ENOMEM;
    if (!s->first_ns) s->first_ns = now_ns;
    t->round = s->round;
    uint32_t frames = t->n - (t->n && !t->open[t->n - 1].code);
    bool whole = true;
    while (same < frames && same < of->nframes) {
        const struct outside_frame *f = &of->frames[of->nframes - 1 - same];
        if (f->code != t->open[same].code || f->address != t->open[same].frame) break;
        same++;
    }
    if (same < frames || same < of->nframes) leave(s, t, same, now_ns);
    for (uint32_t i = same; i < of->nframes && whole; i++) {
        const struct outside_frame *f = &of->frames[of->nframes - 1 - i];
        whole = f->code != NULL;
        if (!whole) break; /* what is inside it has no place */
        if (vt_grow(&t->open, &t->room, t->n + 1u, sizeof(*t->open), DEEPEST)) return -ENOMEM;
        t->open[t->n++] = (struct open_call){f->code, f->address, now_ns, ""};
    }
    if (wait_in(s, t, whole ? of->call : "", now_ns)) return -ENOMEM;
    return s->text.failed ? -ENOMEM : 0;
}

void sample_calls_round(struct sample_calls *s, uint64_t now_ns) {
    for (uint32_t i = 0; i < s->nthreads; i++)
        if (s->threads[i]->round != s->round) leave(s, s->threads[i], 0, now_ns);
    s->round++;
}

int sample_calls_end(struct sample_calls *s, uint64_t now_ns, double rate) {
    char text[160];
    for (uint32_t i = 0; i < s->nthreads; i++) leave(s, s->threads[i], 0, now_ns);
    write_out(s);
    s->end_at = ftell(s->f);
    if (s->first_ns) {
        put_number(s, ",\n{\"ph\":\"M\",\"name\":\"tracing\",\"pid\":", (uint64_t)s->pid);
        put_number(s, ",\"tid\":", (uint64_t)s->pid);
        put_us(s, ",\"ts\":", s->first_ns);
        put_us(s, ",\"dur\":", now_ns - s->first_ns);
        buf_literal(&s->text, "}");
    }
    snprintf(text, sizeof(text),
             "\n],\n\"viztracer_metadata\":{\"overflow\":false,\"baseTimeNanoseconds\":%llu,\"filters\":\"--sampled %.5g\"}}\n",
             (unsigned long long)(vt_real_ns() - vt_mono_ns()), rate);
    buf_literal(&s->text, text);
    write_out(s);
    if (s->text.failed) return -ENOMEM;
    return fflush(s->f) || ferror(s->f) ? -EIO : 0;
}

int sample_calls_resume(struct sample_calls *s) {
    if (s->end_at < 0 || fflush(s->f) || ftruncate(fileno(s->f), s->end_at) || fseek(s->f, s->end_at, SEEK_SET)) return -EIO;
    return 0;
}

uint64_t sample_calls_bytes(const struct sample_calls *s) { return s->bytes; }

void sample_calls_free(struct sample_calls *s) {
    if (!s) return;
    for (uint32_t i = 0; i < s->nthreads; i++) {
        free(s->threads[i]->open);
        free(s->threads[i]);
    }
    free(s->threads);
    buf_free(&s->text);
    free(s);
}
