/* A full screen in a terminal: lines of text and keys (ncurses). One at a time. Main thread. */
#ifndef VT_CLI_SCREEN_H
#define VT_CLI_SCREEN_H

#include "cli/top/top.h"

enum screen_key { /* others are characters */
                  SCREEN_NONE = -1,
                  SCREEN_RESIZED = -2,
                  SCREEN_UP = -3,
                  SCREEN_DOWN = -4,
                  SCREEN_PAGE_UP = -5,
                  SCREEN_PAGE_DOWN = -6,
                  SCREEN_ENTER = -7,
                  SCREEN_ESCAPE = -8,
                  SCREEN_BACKSPACE = -9,
                  SCREEN_HOME = -10,
                  SCREEN_END = -11
};

struct screen_picture {
    const struct top_page *page;
    uint32_t first, selected; /* rows */
    const char *bottom;       /* the last line */
};

/* Whether the program was built with ncurses. */
bool screen_is_built(void);
/* Takes over the terminal behind stdin and stdout. False: there is none that can be used, or it is dumb; nothing has changed. */
bool screen_open(void);
void screen_close(void);
void screen_size(unsigned *columns, unsigned *lines);
/* The lines between the heading and the last line. */
unsigned screen_rows(void);
void screen_draw(const struct screen_picture *picture);
/* The next key that was pressed. Does not wait. */
int screen_key(void);

#endif
