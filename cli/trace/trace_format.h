/* What one file format tells the rest of the program about itself. Each format exports one such row; the table of the
 * rows is in cli/format/format.c. The suffixes, the detection, the help and the tables in the docs come from the rows. */
#ifndef VT_CLI_TRACE_FORMAT_H
#define VT_CLI_TRACE_FORMAT_H

#include "cli/trace/source.h"
#include "cli/trace/writer.h"

#define FORMAT_SUFFIXES_MAX 4u

struct format_suffix {
    const char *text;        /* ".json"; NULL ends the list */
    uint32_t bytes_per_call; /* of a file of this name, about (shop.py, threads.py); 0 = its size does not follow the calls */
    bool gzip;               /* files of this name are written gzipped */
    bool unlisted; /* written when an output has this name, but help does not offer it and folders are not searched for it */
};

/* How vizviewer shows a file of this format. */
enum format_view {
    FORMAT_NOT_VIEWED,
    FORMAT_VIEW_CONVERTED, /* converted first */
    FORMAT_VIEW_AS_TRACE,  /* the Perfetto UI reads the file itself */
    FORMAT_VIEW_AS_PAGE,   /* the file is a page */
};

/* What vizviewer makes in this format. At most one row has each. */
enum format_part {
    FORMAT_NO_PART,
    FORMAT_TRACE_PART, /* a trace for the Perfetto UI */
    FORMAT_PAGE_PART,  /* a page that works without network */
    FORMAT_FLAME_PART, /* a flame graph */
};

struct trace_format {
    const char *name;                                   /* "json"; unique */
    const char *help;                                   /* a few words: what it is; for help and docs/formats.md */
    struct format_suffix suffixes[FORMAT_SUFFIXES_MAX]; /* the usual one first */

    /* True when a file begins like this format. head: the first bytes, unpacked when the file is gzipped. NULL = files of
     * this format are not recognised. */
    bool (*is)(const uint8_t *head, size_t len);
    bool is_needs_suffix; /* `is` alone proves little: vizviewer also wants one of the suffixes */

    const struct trace_source_ops *source; /* reads it; NULL = not read */
    const char *read_note;                 /* which files of the format are read; NULL = all */
    const struct trace_writer_ops *writer; /* writes it; NULL = not written */

    bool native;    /* our own format: holds all calls, so it is not limited by count, and a whole copy is a file copy */
    bool json_text; /* the file is JSON text: the viewer takes "file_info" out of it without reading the trace */
    enum format_view view;
    enum format_part part;
    const char *next_step; /* what to do with a saved file; its name follows. NULL = nothing is said */
};

#endif
