/* What `top` shows: a heading, a line that names the columns, and rows, as clean text cut to a width. Knows no terminal. */
#ifndef VT_CLI_TOP_H
#define VT_CLI_TOP_H

#include "cli/base/buf.h"
#include "cli/top/tally.h"

enum top_view { TOP_OWN, TOP_TOTAL, TOP_THREADS, TOP_VIEWS };
enum { TOP_COLUMNS_MAX = 6, TOP_FILTER_MAX = 64, TOP_EXPANDED_MAX = 32 };

struct top { /* the caller sets tally and sampler; the rest is 0 */
    struct tally *tally;
    const struct sampler *sampler;
    enum top_view view;
    unsigned sort[TOP_VIEWS]; /* column */
    bool reverse, paused, ended;
    char filter[TOP_FILTER_MAX];         /* only rows with this text in them; "" = all */
    uint64_t expanded[TOP_EXPANDED_MAX]; /* keys of rows whose callers are shown */
    unsigned nexpanded;
};

struct top_row {
    uint64_t key; /* of the function or thread; stays the same from one picture to the next */
    bool caller;  /* of the row above */
    double heat;  /* in percent, of the column that the view is about */
    size_t text;  /* where its text begins, NUL-terminated */
};

struct top_page { /* all zero = empty; the owner calls top_page_free */
    struct buf text;
    struct top_row *rows;
    uint32_t nrows, room;
    size_t title, state, columns; /* where these lines begin in text */
};

/* Makes the page anew, its lines cut to `width` columns; 0 = not cut. 0 or -ENOMEM. */
VT_MUST_CHECK int top_make(const struct top *t, unsigned width, struct top_page *page);
static inline const char *top_text(const struct top_page *page, size_t at) { return page->text.data + at; }
void top_page_free(struct top_page *page);

/* The rows of a view are sorted by its first column until this chooses the next one. */
void top_sort_next(struct top *t);
/* Shows or hides the callers of this row. */
void top_expand(struct top *t, uint64_t key);

#endif
