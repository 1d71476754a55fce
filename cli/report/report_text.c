/* Owns what `viztracer report` prints for people (report.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/base/clean_text.h"
#include "cli/base/figures.h"
#include "cli/base/memory.h"
#include "cli/report/put_name.h"
#include "cli/report/report.h"
#include "cli/term/usage.h"
#include "cli/trace/limit.h"
#include "cli/trace/names.h"

#define THROTTLED 10u
#define NAME_MIN 30u /* columns that a name should have; less important figures go for it */

struct view {
    const struct profile *p;
    struct trace_info *info;
    const struct report_opts *opts;
    struct term term;
};

static double percent(uint64_t part, uint64_t all) { return all ? 100 * (double)part / (double)all : 0; }
static unsigned room_for_name(const struct view *v, unsigned taken) {
    return !v->term.width ? 0 : v->term.width > taken + 10 ? v->term.width - taken : 10;
}
static void heading(const struct view *v, const char *text) {
    printf("\n%s%s%s\n", term_bold(&v->term), text, term_off(&v->term));
}

char *report_offset(char *buf, uint64_t ns) {
    snprintf(buf, 32, "%llu.%03llums", (unsigned long long)(ns / 1000000), (unsigned long long)(ns / 1000 % 1000));
    return buf;
}

int report_sort_of(const char *text, enum profile_sort *sort) {
    for (int i = 0; i < PROFILE_SORTS; i++)
        if (!strcmp(text, profile_sort_names[i])) {
            *sort = (enum profile_sort)i;
            return 0;
        }
    return -EINVAL;
}

/* Local time of a moment of the trace; sub: digits after the second. */
static char *wall_clock(char *buf, size_t size, const struct trace_info *info, uint64_t ns, bool date) {
    uint64_t real = ns + info->real_minus_mono;
    time_t seconds = (time_t)(real / 1000000000);
    struct tm tm;
    char text[32];
    if (!localtime_r(&seconds, &tm) || !strftime(text, sizeof text, date ? "%F %T" : "%T", &tm)) text[0] = 0;
    snprintf(buf, size, "%s.%03llu", text, (unsigned long long)(real / 1000000 % 1000));
    return buf;
}

static void put_thread(const struct view *v, const struct trace_thread *t, unsigned width) {
    char name[CLEAN_TEXT_MAX], process[CLEAN_TEXT_MAX], text[2 * CLEAN_TEXT_MAX + 64];
    int columns = printf("%u", t->tid); /* the number stays whole, the name gives way */
    bool main_thread = !t->name_len && t->tid == t->process->pid;
    clean_text(name, main_thread ? "MainThread" : t->name ? t->name : "", main_thread ? 10 : t->name ? t->name_len : 0);
    clean_text(process, t->process->name ? t->process->name : "", t->process->name ? t->process->name_len : 0);
    if (v->info->nprocesses > 1)
        snprintf(text, sizeof text, "%s%sin %u %s", name, name[0] ? " " : "", t->process->pid, process);
    else
        snprintf(text, sizeof text, "%s", name);
    if (!text[0]) return;
    putchar(' ');
    columns++;
    term_put_tail(text, !width ? 0 : width > (unsigned)columns + 8 ? width - (unsigned)columns : 8);
}

/* ---- head ---- */

/* "process 123 (python app.py), 5.110 s from 2026-11-30 12:03:51.123": what is not known is left out, and the command line
 * is cut so that the line fits. */
static void put_what(const struct view *v, unsigned column) {
    const struct profile *p = v->p;
    char cmdline[CLEAN_TEXT_MAX] = "", took[16], when[64] = "", what[64], time[96] = "";
    const struct trace_process *process = v->info->nprocesses == 1 ? v->info->processes[0] : NULL;
    char raw[CLEAN_TEXT_MAX] = "";
    if (process && process->cmdline_len) snprintf(raw, sizeof raw, "%.*s", (int)process->cmdline_len, process->cmdline);
    const char *command = clean_command(raw);
    clean_text(cmdline, command, strlen(command));
    if (v->info->nprocesses == 1)
        snprintf(what, sizeof what, "process %u", v->info->processes[0]->pid);
    else
        format_things(what, sizeof what, v->info->nprocesses, "process");
    if (v->info->real_minus_mono) wall_clock(when, sizeof when, v->info, p->start_ns, true);
    if (p->end_ns > p->start_ns || p->pieces)
        snprintf(time, sizeof time, ", %s%s%s", format_duration(took, p->end_ns - p->start_ns), when[0] ? " from " : "", when);
    fputs(what, stdout);
    if (v->info->nprocesses == 1 && cmdline[0]) {
        unsigned taken = column + (unsigned)(strlen(what) + strlen(time)) + 3;
        printf(" (%s)", v->term.width ? clean_shorten(cmdline, room_for_name(v, taken)) : cmdline);
    }
    puts(time);
}

static void put_head(const struct view *v) {
    const struct profile *p = v->p;
    char file[CLEAN_TEXT_MAX], took[16], calls[48], functions[48], threads[48];
    clean_text(file, v->opts->file, strlen(v->opts->file));
    printf("%s%s%s: ", term_bold(&v->term), file, term_off(&v->term));
    put_what(v, clean_columns(file) + 2);
    printf("%s of %s on %s, %s of thread time", format_things(calls, sizeof calls, p->calls, "call"),
           format_things(functions, sizeof functions, p->nfunctions, "function"),
           format_things(threads, sizeof threads, p->nthreads, "thread"), format_duration(took, p->total_ns));
    puts(p->wait_ns ? ", of which" : "");
    if (p->wait_ns) printf("%s (%.1f %%) was waiting\n", format_duration(took, p->wait_ns), percent(p->wait_ns, p->total_ns));
    if (p->pieces > p->calls)
        printf("%s resumed (generators, coroutines%s): mean, percentiles and max are per piece\n",
               format_things(calls, sizeof calls, p->pieces - p->calls, "piece"),
               v->info->limit[0] || p->unseen ? ", calls around a time without hooks" : "");
    if (p->totals.dropped)
        printf("%s%s dropped in the target: calls around these places are missing or cut (--gaps shows where)%s\n",
               term_red(&v->term), format_things(calls, sizeof calls, p->totals.dropped, "event"), term_off(&v->term));
    if (p->unseen)
        printf("%sCalls not seen %s, %s in all: " TRACE_UNSEEN_CAUSE "%s\n", term_red(&v->term),
               format_things(calls, sizeof calls, p->unseen, "time"), format_duration(took, p->unseen_ns), term_off(&v->term));
    if (v->info->limit[0]) printf("%s--max_overhead was on: %s%s\n", term_red(&v->term), v->info->limit, term_off(&v->term));
    if (!strncmp(v->info->filters, "--sampled ", 10))
        printf("These are samples, %s per second: shorter calls were seen by chance, equal samples in a row are one call\n",
               v->info->filters + 10);
    else if (v->info->filters[0])
        printf("Made with %s:\nthe time of calls that these left out, waiting too, counts as their callers' own\n",
               v->info->filters);
    if (p->folded) {
        printf("%s folded when this file was made (--budget): their time counts as their callers' own",
               format_things(calls, sizeof calls, p->folded, "more call"));
        if (p->folded_alone)
            printf(",\nbut for %s whose callers are not in the file",
                   format_things(calls, sizeof calls, p->folded_alone, "call"));
        putchar('\n');
    }
    if (v->info->damage.code) {
        char why[CLEAN_TEXT_MAX];
        clean_text(why, v->info->damage.msg, strlen(v->info->damage.msg));
        printf("%s%s: what comes after that place is not counted%s\n", term_red(&v->term), why, term_off(&v->term));
    } else if (v->info->cut_off) {
        printf("The trace has no end: its writer died.\n");
    }
    char left_out[LEFT_OUT_TEXT];
    if (v->info->left_out.wrong_checksum) printf("%s%s%s\n", term_red(&v->term), LEFT_OUT_WRONG_CHECKSUM, term_off(&v->term));
    if (left_out_events(&v->info->left_out, left_out)[0])
        printf("%sleft out: %s%s\n", term_red(&v->term), left_out, term_off(&v->term));
}

/* ---- functions ---- */

enum figure { FIG_SELF, FIG_SELF_PERCENT, FIG_TOTAL, FIG_CALLS, FIG_MEAN, FIG_P50, FIG_P99, FIG_MAX, FIGURES };
static const struct {
    const char *head;
    unsigned width, goes; /* goes: the lower, the sooner it makes room; 0 = never */
} figures[FIGURES] = {
    {"self", 9, 0},  {"self%", 6, 0}, {"total", 10, 0}, {"calls", 12, 0},
    {"mean", 10, 3}, {"p50", 10, 1},  {"p99", 10, 4},   {"max", 10, 2},
};

static void choose_figures(const struct view *v, bool *shown, unsigned *taken) {
    *taken = 2;
    for (int i = 0; i < FIGURES; i++) {
        shown[i] = true;
        *taken += figures[i].width;
    }
    for (unsigned round = 1; round <= 4 && v->term.width && v->term.width < *taken + NAME_MIN; round++)
        for (int i = 0; i < FIGURES; i++)
            if (figures[i].goes == round) {
                shown[i] = false;
                *taken -= figures[i].width;
            }
}

/* One of the two tables: functions by their work, or those that wait by that. */
struct table {
    const struct view *v;
    bool waiting;
    bool shown[FIGURES];
    unsigned taken;
};

static uint64_t own_ns(const struct table *t, const struct profile_function *f) {
    return t->waiting ? f->wait_ns : profile_work_ns(f);
}

static void put_figure(const struct table *t, const struct profile_function *f, enum figure what) {
    const struct profile *p = t->v->p;
    char text[32];
    switch (what) {
    case FIG_SELF: format_duration(text, own_ns(t, f)); break;
    case FIG_SELF_PERCENT:
        snprintf(text, sizeof text, "%.1f", percent(own_ns(t, f), t->waiting ? p->wait_ns : p->total_ns - p->wait_ns));
        break;
    case FIG_TOTAL: format_duration(text, f->total_ns); break;
    case FIG_CALLS: format_count(text, sizeof text, f->calls); break;
    case FIG_MEAN: format_duration(text, profile_mean(f)); break;
    case FIG_P50: format_duration(text, durations_percentile(&f->pieces, 50)); break;
    case FIG_P99: format_duration(text, durations_percentile(&f->pieces, 99)); break;
    default: format_duration(text, f->pieces.max_ns);
    }
    printf("%*s", (int)figures[what].width, text);
}

/* Of a function that waits, who waited most, instead of its file. */
static void put_waiter(const struct table *t, const struct profile_function *f, unsigned width) {
    const struct trace_name *waiter = t->waiting ? f->waiter : f->loop_waiter;
    char name[CLEAN_TEXT_MAX], by[CLEAN_TEXT_MAX] = "", text[2 * CLEAN_TEXT_MAX + 64], clean[CLEAN_TEXT_MAX];
    name_short(name, f->name);
    if (waiter) name_short(by, waiter);
    snprintf(text, sizeof text, "%s%s%s%s", name, waiter ? " < " : "", by, t->waiting ? "" : " [in the event loop]");
    clean_text(clean, text, strlen(text));
    fputs(width ? clean_shorten(clean, width) : clean, stdout);
}

static void put_row(const struct table *t, const struct profile_function *f) {
    unsigned width = room_for_name(t->v, t->taken);
    for (int i = 0; i < FIGURES; i++)
        if (t->shown[i]) put_figure(t, f, (enum figure)i);
    fputs("  ", stdout);
    if (f->waits)
        put_waiter(t, f, width);
    else
        put_name(&t->v->term, f->name, width);
    putchar('\n');
}

static bool is_in(const struct table *t, const struct profile_function *f) {
    return t->waiting ? f->wait_ns != 0 : !f->waits || profile_work_ns(f);
}

static int longest_waits_first(const void *x, const void *y) {
    const struct profile_function *a = *(const struct profile_function *const *)x,
                                  *b = *(const struct profile_function *const *)y;
    return (a->wait_ns < b->wait_ns) - (a->wait_ns > b->wait_ns);
}

/* Prints what is_in of the list. */
static void put_table(struct table *t, const struct profile_function *const *list, size_t n, size_t limit) {
    const struct term *term = &t->v->term;
    size_t rows = 0;
    choose_figures(t->v, t->shown, &t->taken);
    for (int i = 0; i < FIGURES; i++)
        if (t->shown[i]) printf("%s%*s%s", term_dim(term), (int)figures[i].width, figures[i].head, term_off(term));
    printf("  %sfunction%s%s\n", term_dim(term), t->waiting ? " < who waits" : "", term_off(term));
    for (size_t k = 0; k < n; k++)
        if (is_in(t, list[k]) && rows++ < limit) put_row(t, list[k]);
    if (rows > limit) printf("... and %zu more (--limit N)\n", rows - limit);
    if (!rows) printf("%s\n", t->v->opts->match ? "no function matches" : n ? "none" : "no calls");
}

static int put_functions(const struct view *v) {
    const struct profile_function **list;
    size_t n, limit = v->opts->limit;
    int rc = profile_sorted(v->p, v->opts->sort, v->opts->match, &list, &n);
    if (rc) return rc;
    char head[64];
    snprintf(head, sizeof head, "Functions by %s%s",
             v->opts->sort == PROFILE_SELF ? "own time" : profile_sort_names[v->opts->sort],
             v->p->wait_ns ? ", without waiting" : "");
    heading(v, head);
    put_table(&(struct table){.v = v}, list, n, limit ? limit : REPORT_FUNCTIONS);
    bool waiting = false;
    for (size_t i = 0; i < n; i++) waiting |= list[i]->wait_ns != 0;
    if (waiting) {
        heading(v, "Waiting");
        if (v->opts->sort == PROFILE_SELF) qsort(list, n, sizeof *list, longest_waits_first);
        put_table(&(struct table){.v = v, .waiting = true}, list, n, limit ? limit : REPORT_WAITING);
    }
    memory_free(list);
    return 0;
}

/* ---- --max_overhead ---- */

static uint64_t calls_recorded(const struct profile *p, const struct trace_name *name) {
    for (uint32_t i = 0; i < p->nfunctions; i++)
        if (!profile_compare_names(p->functions[i].name, name, true)) return p->functions[i].calls;
    return 0;
}

static int most_left_out(const void *x, const void *y) {
    const Vt__ThrottledFunction *a = *(Vt__ThrottledFunction *const *)x, *b = *(Vt__ThrottledFunction *const *)y;
    uint64_t of_a = a->counted + a->estimated, of_b = b->counted + b->estimated;
    return (of_a < of_b) - (of_a > of_b);
}

static int put_throttled(const struct view *v) {
    size_t n = 0, all = limit_functions(v->info), limit = v->opts->limit ? v->opts->limit : THROTTLED;
    Vt__ThrottledFunction **list = memory_calloc(all + 1, sizeof(Vt__ThrottledFunction *));
    if (!list) return -ENOMEM;
    for (size_t i = 0; i < all; i++) {
        Vt__ThrottledFunction *f = v->info->throttled->functions[i];
        if (!v->opts->match || profile_match(trace_info_name(v->info, f->id), v->opts->match)) list[n++] = f;
    }
    if (!n) {
        memory_free(list);
        return 0;
    }
    qsort(list, n, sizeof(Vt__ThrottledFunction *), most_left_out);
    heading(v, "Throttled by --max_overhead: calls that the other tables do not have");
    printf("%s%12s%14s%16s%11s  function%s\n", term_dim(&v->term), "in the trace", "only counted", "not seen, about", "kind",
           term_off(&v->term));
    for (size_t i = 0; i < n && i < limit; i++) {
        const struct trace_name *name = trace_info_name(v->info, list[i]->id);
        char calls[32], counted[32], estimated[32];
        printf("%12s%14s%16s%11s  ", format_count(calls, sizeof calls, calls_recorded(v->p, name)),
               format_count(counted, sizeof counted, list[i]->counted),
               list[i]->estimated ? format_count(estimated, sizeof estimated, list[i]->estimated) : "-", limit_kind(list[i]));
        put_name(&v->term, name, room_for_name(v, 55));
        putchar('\n');
    }
    if (n > limit) printf("... and %zu more (--limit N)\n", n - limit);
    memory_free(list);
    return 0;
}

/* ---- threads ---- */

static int busiest_first(const void *x, const void *y) {
    const struct profile_thread *a = *(const struct profile_thread *const *)x, *b = *(const struct profile_thread *const *)y;
    uint64_t of_a = a->total_ns - a->wait_ns, of_b = b->total_ns - b->wait_ns;
    if (of_a != of_b) return of_a < of_b ? 1 : -1;
    return (a->thread->index > b->thread->index) - (a->thread->index < b->thread->index);
}

/* "f", or with the line that it was at "f (app.py:12)". */
static const char *frame_text(char to[CLEAN_TEXT_MAX], const struct trace_name *name, uint32_t line) {
    char what[CLEAN_TEXT_MAX], file[CLEAN_TEXT_MAX], text[2 * CLEAN_TEXT_MAX + 16];
    name_short(what, name);
    if (!line) return memcpy(to, what, sizeof what);
    clean_text(file, name->file, name->file_len);
    const char *base = strrchr(file, '/');
    snprintf(text, sizeof text, "%s (%s:%u)", what, base ? base + 1 : file, line);
    return clean_text(to, text, strlen(text));
}

/* lines: of each frame, NULL = none. */
static void put_stack(const struct view *v, const char *before, const struct trace_name *const *stack, const uint32_t *lines,
                      uint32_t n, uint32_t depth) {
    printf("%s", before);
    unsigned column = clean_columns(before);
    for (uint32_t i = n; i-- > 0;) {
        char name[CLEAN_TEXT_MAX];
        unsigned columns = clean_columns(frame_text(name, stack[i], lines ? lines[i] : 0));
        if (v->term.width && column + columns + 8 > v->term.width) {
            printf("%s%u more", i + 1 == n ? "" : " < ", depth - (n - 1 - i));
            putchar('\n');
            return;
        }
        printf("%s%s", i + 1 == n ? "" : " < ", name);
        column += columns + 3;
    }
    if (depth > n) printf(" < %u more", depth - n);
    putchar('\n');
}

/* ">1.2 s": at least that, because the thread ended before tracing did: "-" where nothing was read in between. */
static char *cpu_time(char buf[24], const struct trace_thread *t) {
    char text[16];
    if (t->cpu == TRACE_CPU_UNKNOWN || (t->cpu == TRACE_CPU_AT_LEAST && !t->cpu_ns)) return strcpy(buf, "-");
    snprintf(buf, 24, "%s%s", t->cpu == TRACE_CPU_AT_LEAST ? ">" : "", format_duration(text, t->cpu_ns));
    return buf;
}

static int put_threads(const struct view *v, bool all) {
    const struct profile *p = v->p;
    const struct profile_thread **list = memory_calloc(p->nthreads + 1u, sizeof *list);
    uint32_t limit = v->opts->limit ? v->opts->limit : all ? UINT32_MAX : REPORT_THREADS;
    if (!list) return -ENOMEM;
    for (uint32_t i = 0; i < p->nthreads; i++) list[i] = &p->threads[i];
    qsort(list, p->nthreads, sizeof *list, busiest_first);
    heading(v, "Threads, those that worked most first");
    bool cpu = false;
    for (uint32_t i = 0; i < p->nthreads; i++) cpu |= p->threads[i].thread->cpu != TRACE_CPU_UNKNOWN;
    printf("%s%9s%10s%s%12s%10s  thread%s\n", term_dim(&v->term), "time", "waiting", cpu ? "       cpu" : "", "calls", "dropped",
           term_off(&v->term));
    for (uint32_t i = 0; i < p->nthreads && i < limit; i++) {
        char time[16], waiting[16], used[24], calls[32], dropped[32];
        const struct profile_thread *t = list[i];
        printf("%9s%10s", format_duration(time, t->total_ns), format_duration(waiting, t->wait_ns));
        if (cpu) printf("%10s", cpu_time(used, t->thread));
        printf("%12s%10s  ", format_count(calls, sizeof calls, t->calls),
               t->dropped ? format_count(dropped, sizeof dropped, t->dropped) : "-");
        put_thread(v, t->thread, room_for_name(v, cpu ? 53 : 43));
        putchar('\n');
        if (all && t->nstart) put_stack(v, "         at the start in ", t->start, t->start_lines, t->nstart, t->start_depth);
        if (all && t->nopen) put_stack(v, "         at the end in ", t->open, NULL, t->nopen, t->open_depth);
    }
    if (p->nthreads > limit) printf("... and %u more (--threads)\n", p->nthreads - limit);
    memory_free(list);
    return 0;
}

static int put_processes(const struct view *v) {
    const struct trace_info *info = v->info;
    uint64_t *time = memory_calloc(info->nprocesses + 1u, sizeof *time),
             *calls = memory_calloc(info->nprocesses + 1u, sizeof *calls);
    int rc = time && calls ? 0 : -ENOMEM;
    for (uint32_t i = 0; !rc && i < v->p->nthreads; i++) {
        const struct profile_thread *t = &v->p->threads[i];
        time[t->thread->process->index] += t->total_ns;
        calls[t->thread->process->index] += t->calls;
    }
    if (!rc) heading(v, "Processes");
    for (uint32_t i = 0; !rc && i < info->nprocesses; i++) {
        char name[CLEAN_TEXT_MAX], text[16], count[32];
        const struct trace_process *process = info->processes[i];
        int columns = printf("%9s%7.1f%12s  %u ", format_duration(text, time[i]), percent(time[i], v->p->total_ns),
                             format_count(count, sizeof count, calls[i]), process->pid);
        clean_text(name, process->name ? process->name : "", process->name ? process->name_len : 0);
        term_put_tail(name, room_for_name(v, (unsigned)columns));
        putchar('\n');
    }
    memory_free(time);
    memory_free(calls);
    return rc;
}

/* ---- slow calls ---- */

/* A word for the shell. */
static void put_quoted(const char *word) {
    char clean[CLEAN_TEXT_MAX];
    clean_text(clean, word, strlen(word));
    if (clean[0] && clean[0] != '-' &&
        !clean[strspn(clean, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+,:@%=")]) {
        fputs(clean, stdout);
        return;
    }
    fputs(clean[0] == '-' ? "./'" : "'", stdout);
    for (const char *c = clean; *c; c++) fputs(*c == '\'' ? "'\\''" : (char[]){*c, 0}, stdout);
    putchar('\'');
}

/* Only the slowest call of each function, and no call whose begin is not known, unless --slowest asks for more. */
static bool shown_before(const struct profile *p, uint32_t at) {
    for (uint32_t i = 0; i < at; i++)
        if (p->slow[i].name == p->slow[at].name) return true;
    return false;
}

static void put_slow(const struct view *v) {
    const struct profile *p = v->p;
    bool fits = v->opts->slowest == REPORT_AS_FITS;
    uint32_t limit = fits ? REPORT_SLOWEST : v->opts->slowest;
    if (!p->nslow || !limit) return;
    heading(v, "Slowest single calls");
    for (uint32_t i = 0, shown = 0; i < p->nslow && shown < limit; i++) {
        const struct profile_slow *s = &p->slow[i];
        char took[16], self[16], at[16], from[32], to[32], when[64], text[192];
        if (fits && (s->from_attach || shown_before(p, i))) continue;
        shown++;
        printf("%9s  ", format_duration(took, s->end_ns - s->start_ns));
        put_name(&v->term, s->name, room_for_name(v, 11));
        format_duration(self, s->self_ns);
        if (s->from_attach)
            snprintf(text, sizeof text, "own time %s, running already when tracing began", self);
        else if (v->info->real_minus_mono)
            snprintf(text, sizeof text, "own time %s, %s after the start, at %s", self,
                     format_duration(at, s->start_ns - p->start_ns), wall_clock(when, sizeof when, v->info, s->start_ns, false));
        else
            snprintf(text, sizeof text, "own time %s, %s after the start", self, format_duration(at, s->start_ns - p->start_ns));
        printf("\n           %s%s%s\n           thread ", text, s->resumed ? ", resumed" : "",
               s->raised ? ", left by an exception" : "");
        put_thread(v, s->thread, room_for_name(v, 18));
        putchar('\n');
        if (s->nstack) put_stack(v, "           in ", s->stack, NULL, s->nstack, s->depth);
        printf("           %sviztracer convert ", term_dim(&v->term));
        put_quoted(v->opts->file);
        printf(" --slice %s..%s -o slow.json%s\n", report_offset(from, s->start_ns - p->start_ns),
               report_offset(to, s->end_ns - p->start_ns + 999), term_off(&v->term));
    }
}

/* ---- gaps ---- */

static void put_gaps(const struct view *v) {
    const struct profile *p = v->p;
    uint32_t limit = v->opts->limit ? v->opts->limit : UINT32_MAX;
    heading(v, "Where events were dropped");
    if (!p->totals.dropped) {
        puts("nowhere");
        return;
    }
    printf("%s%12s%14s%14s  thread%s\n", term_dim(&v->term), "events", "from", "to", term_off(&v->term));
    uint64_t told = 0;
    for (uint32_t i = 0; i < p->ngaps; i++) {
        const struct profile_gap *g = &p->gaps[i];
        char count[32], from[32], to[32];
        told += g->count;
        if (i >= limit) continue;
        printf("%12s%14s%14s  ", format_count(count, sizeof count, g->count), report_offset(from, g->from_ns - p->start_ns),
               report_offset(to, g->to_ns - p->start_ns));
        put_thread(v, g->thread, room_for_name(v, 42));
        putchar('\n');
    }
    char count[48];
    if (p->all_gaps > limit) printf("... and %s\n", format_things(count, sizeof count, p->all_gaps - limit, "more place"));
    if (p->totals.dropped > told && p->all_gaps == p->ngaps)
        printf("%12s of threads or moments that are not known\n", format_count(count, sizeof count, p->totals.dropped - told));
}

/* ---- tree ---- */

/* Nodes that match, are below one that does, or above. */
static bool *mark_matches(const struct view *v) {
    const struct stacks *s = &v->p->stacks;
    bool *marks = memory_calloc(s->nnodes, sizeof *marks);
    if (!marks) return NULL;
    for (uint32_t n = 1; n < s->nnodes; n++)
        marks[n] = (marks[s->nodes[n].parent] && s->nodes[n].parent) ||
                   (s->nodes[n].fn < STACKS_ROOT && profile_match(v->p->names[s->nodes[n].fn], v->opts->match));
    for (uint32_t n = s->nnodes; n-- > 1;) marks[s->nodes[n].parent] |= marks[n];
    return marks;
}

struct tree_view {
    const struct view *v;
    const bool *marks; /* NULL = all */
    uint64_t least_ns;
};

static bool is_shown(const struct tree_view *tv, uint32_t node) {
    return tv->v->p->stacks.nodes[node].total_ns >= tv->least_ns && (!tv->marks || tv->marks[node]);
}

static void put_node(const struct tree_view *tv, const struct stacks_node *n, unsigned level) {
    const struct view *v = tv->v;
    const unsigned deepest = v->term.width ? v->term.width / 3 : UINT32_MAX;
    unsigned indent = level < deepest ? level : deepest;
    char total[16], self[16], calls[32];
    printf("%6.1f%10s%10s%12s  %*s", percent(n->total_ns, v->p->total_ns), format_duration(total, n->total_ns),
           format_duration(self, n->self_ns), n->calls ? format_count(calls, sizeof calls, n->calls) : "", (int)indent, "");
    if (n->fn == STACKS_OTHER)
        printf("(other)");
    else if (n->fn == STACKS_PROCESS)
        printf("process %u", v->info->processes[n->which]->pid);
    else if (n->fn < STACKS_ROOT)
        put_name(&v->term, v->p->names[n->fn], room_for_name(v, 40 + indent));
    putchar('\n');
}

static void put_below(const struct tree_view *tv, uint32_t node, unsigned level) {
    const struct stacks *s = &tv->v->p->stacks;
    for (uint32_t n = s->nodes[node].first_child; n; n = s->nodes[n].next) {
        if (!is_shown(tv, n)) continue;
        put_node(tv, &s->nodes[n], level);
        put_below(tv, n, level + 1); /* no deeper than STACKS_DEPTH */
    }
}

static int put_tree(const struct view *v) {
    struct tree_view tv = {.v = v, .least_ns = (uint64_t)(v->opts->min_percent / 100 * (double)v->p->total_ns)};
    bool *marks = v->opts->match ? mark_matches(v) : NULL;
    if (v->opts->match && !marks) return -ENOMEM;
    char head[96], calls[48];
    snprintf(head, sizeof head, "Call tree, from %g %% of the time on (recursion counts in the outer call)",
             v->opts->min_percent);
    heading(v, head);
    printf("%s%6s%10s%10s%12s  function%s\n", term_dim(&v->term), "total%", "total", "self", "calls", term_off(&v->term));
    tv.marks = marks;
    put_below(&tv, 0, 0);
    if (v->p->stacks.other_calls)
        printf("In (other): %s; the tree is cut at %u stacks and %u levels\n",
               format_things(calls, sizeof calls, v->p->stacks.other_calls, "call"), STACKS_NODES, STACKS_DEPTH);
    memory_free(marks);
    return 0;
}

int report_text(const struct profile *p, struct trace_source *source, const struct report_opts *opts) {
    struct view v = {.p = p, .info = trace_source_info(source), .opts = opts};
    int rc = 0;
    term_init(&v.term);
    put_head(&v);
    if (opts->tree) rc = put_tree(&v);
    if (opts->threads && !rc) rc = put_threads(&v, true);
    if (opts->gaps && !rc) put_gaps(&v);
    if (opts->tree || opts->threads || opts->gaps || rc) return rc;
    rc = put_functions(&v);
    if (!rc && v.info->nprocesses > 1) rc = put_processes(&v);
    if (!rc && p->nthreads > 1) rc = put_threads(&v, false);
    if (!rc) rc = put_throttled(&v);
    if (!rc) put_slow(&v);
    return rc;
}
