/* Owns `viztracer top PID`: where a process spends its time right now, in a terminal: the loop, the keys, and plain lines where
 * there is no terminal. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/base/figures.h"
#include "cli/base/interrupt.h"
#include "cli/cli.h"
#include "cli/term/term.h"
#include "cli/top/record.h"
#include "cli/top/screen.h"
#include "cli/top/top.h"

enum { PLAIN_ROWS = 20, LINE_MAX_BYTES = 1024 };
#define SECOND_NS 1000000000ull
#define DRAW_NS (SECOND_NS / 2)
#define KEYS "o own t total h threads s sort / filter Enter callers p pause w save q quit"

enum asking { ASKS_NOTHING, ASKS_FILTER, ASKS_FILE };

struct line {
    uint32_t pid, rate;
    uint64_t duration_ns;
    bool gil, idle;
};

struct run {
    const struct line *line;
    struct sampler sampler;
    struct tally tally;
    struct top_record *record;
    struct top top;
    struct top_page page;
    uint64_t begin_ns, drawn_ns;
    /* the screen */
    uint64_t selected_key; /* 0 = the first row, whichever that is */
    uint32_t selected, first;
    enum asking asking;
    char answer[256], message[512];
    bool quit, dirty;
};

/* ---- samples ---- */

static int take_sample(struct run *r, struct vt_err *err) {
    int rc = sampler_take(&r->sampler, err);
    if (rc == -ESRCH && r->sampler.samples) {
        r->top.ended = r->dirty = true;
        return 0;
    }
    if (rc) return rc;
    rc = tally_take(&r->tally, &r->sampler);
    if (!rc && r->record) rc = top_record_take(r->record, &r->sampler);
    if (!rc) tally_turn(&r->tally, r->sampler.o, vt_mono_ns());
    return rc ? vt_err_set(err, rc, rc == -ENOMEM ? "out of memory" : "cannot write a temporary file: set TMPDIR") : 0;
}

static bool is_over(const struct run *r) {
    return interrupts_seen || r->quit || (r->line->duration_ns && vt_mono_ns() - r->begin_ns >= r->line->duration_ns);
}

static bool samples_come(const struct run *r) { return !r->top.paused && !r->top.ended; }

/* ---- plain lines ---- */

static int print_page(struct run *r) {
    struct term term;
    term_init(&term);
    if (top_make(&r->top, term.width, &r->page)) return cli_fail("out of memory");
    const struct top_page *p = &r->page;
    printf("%s\n%s\n%s\n", top_text(p, p->title), top_text(p, p->state), top_text(p, p->columns));
    for (uint32_t i = 0; i < p->nrows && i < PLAIN_ROWS; i++) puts(top_text(p, p->rows[i].text));
    puts("");
    return cli_flush();
}

static int print_pages(struct run *r, struct vt_err *err) {
    int rc = 0, printed = 0;
    r->drawn_ns = vt_mono_ns();
    while (!rc && !printed && !r->top.ended && !is_over(r)) {
        rc = take_sample(r, err);
        uint64_t wait_ns = sampler_wait_ns(&r->sampler);
        if (!rc && vt_mono_ns() - r->drawn_ns >= SECOND_NS) {
            r->drawn_ns = vt_mono_ns();
            printed = print_page(r);
        }
        struct timespec nap = {(time_t)(wait_ns / SECOND_NS), (long)(wait_ns % SECOND_NS)};
        if (!rc && !printed && wait_ns) nanosleep(&nap, NULL);
    }
    if (rc) return cli_fail("%s", err->msg);
    return printed ? printed : print_page(r);
}

/* ---- the screen ---- */

/* Keeps the selected function selected wherever it has gone to, and in sight. */
static void place_selection(struct run *r) {
    unsigned rows = screen_rows();
    if (!r->selected_key) r->selected = 0;
    for (uint32_t i = 0; r->selected_key && i < r->page.nrows; i++)
        if (r->page.rows[i].key == r->selected_key && !r->page.rows[i].caller) r->selected = i;
    if (r->selected >= r->page.nrows) r->selected = r->page.nrows ? r->page.nrows - 1 : 0;
    if (r->selected < r->first) r->first = r->selected;
    if (r->selected >= r->first + rows) r->first = r->selected - rows + 1;
}

static void make_bottom(const struct run *r, unsigned columns, char bottom[CLEAN_TEXT_MAX]) {
    char text[LINE_MAX_BYTES];
    if (r->asking)
        snprintf(text, sizeof(text), "%s%s_",
                 r->asking == ASKS_FILTER ? "Only with: " : "Save as (.svg .vzt .json ...): ", r->answer);
    else
        snprintf(text, sizeof(text), "%s", r->message[0] ? r->message : KEYS);
    clean_text(bottom, text, strlen(text));
    clean_shorten(bottom, columns - 1); /* a character in the last corner would scroll */
}

static int draw(struct run *r) {
    unsigned columns, lines;
    char bottom[CLEAN_TEXT_MAX];
    screen_size(&columns, &lines);
    int rc = top_make(&r->top, columns - 1, &r->page);
    if (rc) return rc;
    place_selection(r);
    make_bottom(r, columns, bottom);
    screen_draw(&(struct screen_picture){.page = &r->page, .first = r->first, .selected = r->selected, .bottom = bottom});
    r->drawn_ns = vt_mono_ns();
    r->dirty = false;
    return 0;
}

static void select_row(struct run *r, int64_t row) {
    int64_t last = (int64_t)r->page.nrows - 1, step = row < r->selected ? -1 : 1;
    if (row > last) row = last, step = -1;
    if (row < 0) row = 0, step = 1;
    while (row > 0 && row < last && r->page.rows[row].caller) row += step;
    while (row > 0 && row <= last && r->page.rows[row].caller) row--;
    r->selected = (uint32_t)row;
    r->selected_key = row && row <= last ? r->page.rows[row].key : 0;
}

static void save(struct run *r) {
    struct vt_err err = {0};
    uint64_t bytes;
    double seconds;
    char size[32];
    if (top_record_save(r->record, r->answer, &bytes, &seconds, &err))
        snprintf(r->message, sizeof(r->message), "Not saved: %s", err.msg);
    else
        snprintf(r->message, sizeof(r->message), "Saved %s (%s): the samples of %.1f s", r->answer,
                 format_bytes(size, sizeof(size), bytes), seconds);
}

static void answered(struct run *r) {
    enum asking asked = r->asking;
    r->asking = ASKS_NOTHING;
    if (asked == ASKS_FILTER) snprintf(r->top.filter, sizeof(r->top.filter), "%.*s", TOP_FILTER_MAX - 1, r->answer);
    if (asked == ASKS_FILTER) r->selected_key = 0;
    if (asked == ASKS_FILE && r->answer[0]) save(r);
}

static void edit(struct run *r, int key) {
    size_t len = strlen(r->answer);
    if (key == SCREEN_ENTER) {
        answered(r);
    } else if (key == SCREEN_ESCAPE) {
        r->asking = ASKS_NOTHING;
    } else if (key == SCREEN_BACKSPACE) {
        while (len && ((uint8_t)r->answer[len - 1] & 0xc0) == 0x80) len--; /* a whole character */
        r->answer[len ? len - 1 : 0] = 0;
    } else if (key >= ' ' && len < sizeof(r->answer) - 1) {
        r->answer[len] = (char)key;
        r->answer[len + 1] = 0;
    }
}

static void show_view(struct run *r, enum top_view view) {
    r->top.view = view;
    r->selected_key = 0;
    r->first = 0;
}

static void command(struct run *r, int key) {
    unsigned rows = screen_rows();
    r->message[0] = 0;
    switch (key) {
    case 'q': r->quit = true; break;
    case 'o': show_view(r, TOP_OWN); break;
    case 't': show_view(r, TOP_TOTAL); break;
    case 'h': show_view(r, TOP_THREADS); break;
    case 's': top_sort_next(&r->top); break;
    case 'r': r->top.reverse = !r->top.reverse; break;
    case 'i':
        r->sampler.idle = !r->sampler.idle && !r->sampler.gil;
        snprintf(r->message, sizeof(r->message), "%s", r->sampler.idle ? "Threads that wait are counted, too" : "");
        break;
    case 'c': tally_clear(&r->tally); break;
    case '/':
    case 'w':
        r->asking = key == '/' ? ASKS_FILTER : ASKS_FILE;
        snprintf(r->answer, sizeof(r->answer), "%s", key == '/' ? "" : "result.svg");
        break;
    case 'p':
    case ' ':
        r->top.paused = !r->top.paused;
        if (r->top.paused) top_record_pause(r->record);
        tally_pause(&r->tally);
        break;
    case SCREEN_UP:
    case 'k': select_row(r, (int64_t)r->selected - 1); break;
    case SCREEN_DOWN:
    case 'j': select_row(r, (int64_t)r->selected + 1); break;
    case SCREEN_PAGE_UP: select_row(r, (int64_t)r->selected - rows); break;
    case SCREEN_PAGE_DOWN: select_row(r, (int64_t)r->selected + rows); break;
    case SCREEN_HOME: select_row(r, 0); break;
    case SCREEN_END: select_row(r, r->page.nrows); break;
    case SCREEN_ENTER:
        if (r->top.view != TOP_THREADS && r->selected < r->page.nrows) {
            r->selected_key = r->page.rows[r->selected].key;
            top_expand(&r->top, r->selected_key);
        }
        break;
    default: break;
    }
}

static void take_keys(struct run *r) {
    for (int key; (key = screen_key()) != SCREEN_NONE && !r->quit;) {
        r->dirty = true;
        if (r->asking)
            edit(r, key);
        else
            command(r, key);
    }
}

/* Until the next sample, the next picture, or a key. */
static void wait_for_key(struct run *r, uint64_t wait_ns) {
    struct pollfd in = {STDIN_FILENO, POLLIN, 0};
    struct timespec nap = {(time_t)(wait_ns / SECOND_NS), (long)(wait_ns % SECOND_NS)};
    int got = ppoll(&in, 1, &nap, NULL);
    if (got > 0 && in.revents & (POLLHUP | POLLERR | POLLNVAL)) r->quit = true; /* the terminal is gone */
    take_keys(r);
}

static int fill_screen(struct run *r, struct vt_err *err) {
    int rc = 0;
    r->dirty = true;
    while (!rc && !is_over(r)) {
        uint64_t wait_ns = DRAW_NS;
        if (samples_come(r)) {
            rc = take_sample(r, err);
            wait_ns = sampler_wait_ns(&r->sampler);
        }
        if (!rc && (r->dirty || vt_mono_ns() - r->drawn_ns >= DRAW_NS) && draw(r)) rc = vt_err_set(err, -ENOMEM, "out of memory");
        if (!rc) wait_for_key(r, wait_ns < DRAW_NS ? wait_ns : DRAW_NS);
    }
    return rc;
}

static int show(struct run *r, struct vt_err *err) {
    int rc = top_record_new(&r->record, outside_info(r->sampler.o), err);
    if (!rc) rc = fill_screen(r, err);
    screen_close();
    top_record_free(r->record);
    return rc ? cli_fail("%s", err->msg) : CLI_OK;
}

/* ---- the command ---- */

static int run(int argc, char **argv) {
    struct line line = {.rate = SAMPLER_RATE_USUAL};
    struct vt_err err = {0};
    struct interrupt interrupt;
    int rc = cli_parse(&cli_top, &line, argc, argv);
    if (rc) return CLI_RETURN(rc);
    if (line.gil && line.idle) return cli_usage("top: --gil and --idle cannot be combined");
    struct run r = {.line = &line, .sampler = {.rate = line.rate, .gil = line.gil, .idle = line.idle}};
    rc = outside_open(&r.sampler.o, (pid_t)line.pid, &err);
    if (rc) return cli_fail("%s", err.msg);
    r.top.tally = &r.tally;
    r.top.sampler = &r.sampler;
    r.begin_ns = vt_mono_ns();
    interrupt_catch(&interrupt, 0);
    if (screen_open()) {
        rc = show(&r, &err);
    } else {
        if (!screen_is_built() && isatty(STDOUT_FILENO))
            fputs("viztracer was built without ncurses: plain lines follow.\n", stderr);
        rc = print_pages(&r, &err);
    }
    interrupt_release(&interrupt);
    top_page_free(&r.page);
    tally_free(&r.tally);
    outside_close(r.sampler.o);
    return rc;
}

#define AT(field) OPTION_AT(struct line, field)
static const struct option_row rows[] = {
    {"PID", NULL, OPTION_PID, AT(pid), .ask = "which process?", .wants = "one process at a time", .help = "the process"},
    {"--rate", "-r", OPTION_INT, AT(rate), .min = 1, .max = SAMPLER_RATE_MAX, .arg = "N", .help = "samples per second (100)"},
    {"--t", "-t", OPTION_SECONDS, AT(duration_ns), .arg = "SEC", .help = "ends after SEC seconds; no -t: until q or Ctrl+C"},
    {"--gil", NULL, OPTION_FLAG, AT(gil), .help = "counts only the thread that holds the GIL"},
    {"--idle", NULL, OPTION_FLAG, AT(idle), .help = "counts threads that wait, too"},
    OPTION_END,
};

const struct cli_cmd cli_top = {
    .options =
        {.program = "viztracer",
         .name = "top",
         .args = "PID",
         .summary = "shows where a process spends its time right now, without touching it",
         .about = "Fills the terminal with the functions or threads of the process, those that take most of the last 5 seconds "
                  "first. Reads stacks from outside, as sample does; nothing in the process changes. Where there is no terminal, "
                  "or a dumb one, it prints plain lines each second.\n"
                  "Keys: o by own time, t by total time, h threads, s the next column to sort by, r reverse, / filter, Enter "
                  "callers of a "
                  "function, p pause, w save, i count threads that wait, c count anew, arrows and Page keys move, q quit.",
         .examples = "viztracer top 4711\nviztracer top 4711 -t 3 | cat",
         .rows = rows},
    .group = CLI_TRACING,
    .run = run,
};
