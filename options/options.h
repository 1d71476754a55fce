/* The parser of every command line: attach's, the other commands', viztracerd's. A command describes its options and its
 * arguments as rows of a table; --help, the man pages, docs/ and shell completion are made from the same rows.
 *
 * The rules are those of Python's argparse: --x y, --x=y, any unique beginning of a name, -oFILE, -o FILE, flags with one
 * letter together (-us), options and arguments in any order, "--" ends the options. In names "-" and "_" are equal.
 * Behind the name of a program (OPTION_REST, OPTION_LAST) an option that we know is ours, and all other words are the program's,
 * as with argparse's parse_known_args; where "--" or an OPTION_ENDS comes before the program, all words are the program's. What
 * names a program or a command, --help and --version are the program's.
 * Values go straight into the caller's struct (offsetof), so a struct that protobuf-c generated can be filled as it is. */
#ifndef VT_OPTIONS_OPTIONS_H
#define VT_OPTIONS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"

/* What a row is, and what its value becomes. Integers are stored in `size` bytes (1, 2, 4 or 8). */
enum option_kind {
    OPTION_HEADING, /* no option: `name` heads the rows that follow in help */
    /* without a value */
    OPTION_FLAG,    /* stores 1 */
    OPTION_BIT,     /* sets `value` in an integer; a negative one clears -value */
    OPTION_REFUSED, /* VizTracer has it, we refuse it: `help` says why; takes part in abbreviations */
    OPTION_COMMAND, /* the flag of a command (--attach): ends the parse with OPTIONS_WANT_COMMAND */
    OPTION_ENDS,    /* ends the options, as "--" does */
    OPTION_HELP,
    OPTION_VERSION,
    /* with one value; a later one replaces an earlier one */
    OPTION_TEXT,     /* const char *, borrowed from argv; not empty */
    OPTION_INT,      /* integer from `min` to `max`; max 0 = INT32_MAX */
    OPTION_PID,      /* integer above 0 */
    OPTION_SECONDS,  /* nanoseconds; "0" and negative numbers are 0 */
    OPTION_DURATION, /* nanoseconds, from "0.3ms", "13us", "5" (microseconds) */
    OPTION_SIZE,     /* bytes, from "100", "64K", "2G" */
    OPTION_COUNT,    /* from "50000", "500k", "5M"; not 0 */
    OPTION_SHARE,    /* "5%" or "0.05", in 1/10000: 1 to 10000 */
    OPTION_CHOICE,   /* one of `choices`: its index, or what `take` makes of it */
    OPTION_LAST,     /* const char *, also an empty one; names the program, as the first word of an OPTION_REST does */
    OPTION_CUSTOM,   /* `take` reads it; when the option is given several times, each time */
    /* with all words up to the next option, or one behind "=" */
    OPTION_LIST,  /* char ** at `at`, size_t at `count`; the texts are borrowed from argv */
    OPTION_PATHS, /* the same, but the texts are owned: each path as typed, and absolute if that differs */
    /* arguments only */
    OPTION_REST, /* the words of a program, as OPTION_LIST: this one and those that follow, but for options that we know */
};

#define OPTION_LIST_MAX 256 /* words of one list option */

struct option_row {
    const char *name;   /* "--output_file"; an argument's name is shown: "FILE" */
    const char *letter; /* "-o" or NULL */
    enum option_kind kind;
    size_t at, size, count; /* where in the caller's struct */
    int64_t value, min, max;
    const char *choices; /* separated by blanks; of a LIST: the word that stands for none, NULL = one is wanted */
    /* Stores the value of a CUSTOM or a CHOICE: 0, or -EINVAL and the row's `wants` is said. */
    int (*take)(void *at, const char *text);
    const char *wants; /* CUSTOM: "a window like 1.5..2"; arguments: "one trace at a time" */
    const char *ask;   /* arguments: "which trace?", said when it is missing. NULL = may be left out */
    const char *arg;   /* what help calls the value; FILE, OUT, DIR, PATH..., PID are completed by the shell */
    const char *help;  /* third person, no full stop. NULL: internal, never shown, no abbreviations */
};
#define OPTION_END                                                                                                               \
    { 0 }
#define OPTION_AT(type, field) .at = offsetof(type, field), .size = sizeof(((type *)0)->field)

/* A command, or a program without commands. */
struct options_command {
    const char *program;             /* "viztracer" */
    const char *name;                /* "convert"; NULL for a program without commands */
    const char *flag;                /* VizTracer's spelling, "--attach"; NULL = none */
    const char *args;                /* "FILE -o OUT": behind the name in usage lines */
    const char *summary;             /* one line, third person, no full stop */
    const char *about;               /* sentences; a newline starts a paragraph. NULL = none */
    void (*more)(void);              /* prints what help says besides, behind the options. NULL = nothing */
    const char *examples;            /* one per line; NULL = none */
    const struct option_row *rows;   /* options and, in their order, arguments; the last one is OPTION_END */
    const struct option_row *shared; /* more rows, that several commands have; NULL = none */
};

enum { OPTIONS_OK = 0, OPTIONS_WANT_HELP = 1, OPTIONS_WANT_VERSION = 2, OPTIONS_WANT_COMMAND = 3 };

/* Fills *to, which holds the defaults. argv[0] is not looked at; argv has to live as long as *to.
 * 0, one of OPTIONS_WANT_*, -EINVAL with one line in err, or -ENOMEM. After each of them options_free has to follow when
 * the command has LIST or PATHS rows. */
VT_MUST_CHECK int options_parse(const struct options_command *c, void *to, int argc, char **argv, struct vt_err *err);
void options_free(const struct options_command *c, void *to);

/* The i-th row, of rows and then of shared ones; NULL behind the last. */
const struct option_row *options_row(const struct options_command *c, size_t i);
bool option_is_argument(const struct option_row *row);
bool option_takes_value(const struct option_row *row);
/* In help, man pages and completion: neither refused nor internal. Headings are not shown options either. */
bool option_is_shown(const struct option_row *row);
/* The name to show: "--quiet"; "-t" for an option of which the long name has one letter only. */
const char *option_shown_name(const struct option_row *row);
/* The row with this name or with a name that only it begins with; NULL when there is none, or several. */
const struct option_row *options_find(const struct options_command *c, const char *word);

/* --help of one command, for a terminal of 80 columns. */
void options_print_help(const struct options_command *c);
/* One row of help: `left`, then `text` from `column` on, in lines of at most 80 columns. */
void options_print_row(const char *left, const char *text, unsigned column);

/* The one of n names that `word` was meant to be, judged by mistyped, missing and exchanged letters; NULL = none is near. */
const char *options_suggest(const char *word, const char *const *names, size_t n);

/* Numbers with units: 0 or -EINVAL, also when negative or too large. */
VT_MUST_CHECK int options_duration(const char *text, uint64_t *ns);
VT_MUST_CHECK int options_size(const char *text, uint64_t *bytes);
VT_MUST_CHECK int options_count(const char *text, uint64_t *count);
VT_MUST_CHECK int options_share(const char *text, uint64_t *share);

#endif
