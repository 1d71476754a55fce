/* Owns the terminal while `top` fills it (screen.h). A build without ncurses has no screen. */
#include "cli/top/screen.h"

#ifdef VT_NCURSES
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <unistd.h>

#include "cli/term/term.h"

enum { HEADING_LINES = 3, LEAST_COLUMNS = 20, LEAST_LINES = 6, HOT = 1, WARM = 2 };
#define HOT_PERCENT 50.0
#define WARM_PERCENT 10.0

static SCREEN *terminal;
static bool colours, utf8;

bool screen_is_built(void) { return true; }

bool screen_open(void) {
    const char *type = getenv("TERM");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !type || !type[0] || !strcmp(type, "dumb")) return false;
    setlocale(LC_CTYPE, "");
    utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    terminal = newterm(NULL, stdout, stdin); /* initscr() would end the program when it does not know the terminal */
    if (!terminal) return false;
    set_escdelay(25);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
    colours = !term_plain() && has_colors() && start_color() == OK && use_default_colors() == OK;
    if (colours) {
        init_pair(HOT, COLOR_RED, -1);
        init_pair(WARM, COLOR_YELLOW, -1);
    }
    return true;
}

void screen_close(void) {
    if (!terminal) return;
    endwin();
    delscreen(terminal);
    terminal = NULL;
}

void screen_size(unsigned *columns, unsigned *lines) {
    int y = getmaxy(stdscr), x = getmaxx(stdscr);
    *columns = x > LEAST_COLUMNS ? (unsigned)x : LEAST_COLUMNS;
    *lines = y > LEAST_LINES ? (unsigned)y : LEAST_LINES;
}

unsigned screen_rows(void) {
    unsigned columns, lines;
    screen_size(&columns, &lines);
    return lines - HEADING_LINES - 1;
}

static void put_line(int y, const char *text, attr_t attributes) {
    attron(attributes);
    move(y, 0);
    for (const char *at = text; *at;) {
        unsigned columns;
        size_t n = clean_next(at, &columns);
        if (n > 1 && !utf8)
            addch('?');
        else
            addnstr(at, (int)n);
        at += n;
    }
    if (attributes & A_REVERSE)
        for (int x = getcurx(stdscr); getcury(stdscr) == y && x < getmaxx(stdscr) - 1; x++) addch(' ');
    attroff(attributes);
}

static attr_t attributes_of(const struct top_row *row, bool selected) {
    attr_t a = selected ? A_REVERSE : row->caller ? A_DIM : A_NORMAL;
    if (!colours || selected || row->caller) return a;
    return row->heat >= HOT_PERCENT ? a | COLOR_PAIR(HOT) : row->heat >= WARM_PERCENT ? a | COLOR_PAIR(WARM) : a;
}

void screen_draw(const struct screen_picture *p) {
    const struct top_page *page = p->page;
    unsigned rows = screen_rows();
    erase();
    put_line(0, top_text(page, page->title), A_BOLD);
    put_line(1, top_text(page, page->state), A_NORMAL);
    put_line(2, top_text(page, page->columns), A_REVERSE);
    for (uint32_t i = 0; i < rows && p->first + i < page->nrows; i++) {
        const struct top_row *row = &page->rows[p->first + i];
        put_line((int)(HEADING_LINES + i), top_text(page, row->text), attributes_of(row, p->first + i == p->selected));
    }
    put_line((int)(HEADING_LINES + rows), p->bottom, A_BOLD);
    refresh();
}

int screen_key(void) {
    static const struct {
        int curses, key;
    } keys[] = {{ERR, SCREEN_NONE},
                {KEY_RESIZE, SCREEN_RESIZED},
                {KEY_UP, SCREEN_UP},
                {KEY_DOWN, SCREEN_DOWN},
                {KEY_PPAGE, SCREEN_PAGE_UP},
                {KEY_NPAGE, SCREEN_PAGE_DOWN},
                {KEY_ENTER, SCREEN_ENTER},
                {'\r', SCREEN_ENTER},
                {'\n', SCREEN_ENTER},
                {27, SCREEN_ESCAPE},
                {127, SCREEN_BACKSPACE},
                {8, SCREEN_BACKSPACE},
                {KEY_BACKSPACE, SCREEN_BACKSPACE},
                {KEY_HOME, SCREEN_HOME},
                {KEY_END, SCREEN_END},
                {KEY_RIGHT, SCREEN_ENTER}};
    int c = getch();
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (c == keys[i].curses) return keys[i].key;
    return c < 0 || c > 255 ? 0 : c;
}

#else

bool screen_is_built(void) { return false; }
bool screen_open(void) { return false; }
void screen_close(void) {}
void screen_size(unsigned *columns, unsigned *lines) { *columns = 80, *lines = 24; }
unsigned screen_rows(void) { return 20; }
void screen_draw(const struct screen_picture *picture) { (void)picture; }
int screen_key(void) { return SCREEN_NONE; }

#endif
