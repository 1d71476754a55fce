/* Owns the table of viztracerd's options; its man page and completion are made from it. */
#include "daemon/command_line.h"

#include "proto/rundir.h"

#define AT(field) OPTION_AT(struct command_line, field)
#define FD_MAX ((1 << 20) - 1)

static const struct option_row rows[] = {
    {"--socket", NULL, OPTION_TEXT, AT(socket_path), .arg = "FILE",
     .help = "listens here (" RUNDIR_SYSTEM_SOCKET ", or VIZTRACERD_SOCKET)"},
    {"--spool-dir", NULL, OPTION_TEXT, AT(spool_dir), .arg = "DIR",
     .help = "keeps traces here until their clients have saved them (/var/tmp/viztracerd-UID, or VIZTRACERD_SPOOL)"},
    /* how a client and the daemon start a daemon and a helper of their own */
    {"--private", NULL, OPTION_INT, AT(private_fd), .max = FD_MAX, .arg = "FD"},
    {"--helper", NULL, OPTION_INT, AT(helper_fd), .max = FD_MAX, .arg = "FD"},
    OPTION_END,
};

const struct options_command command_line = {
    .program = "viztracerd",
    .args = "[--socket FILE] [--spool-dir DIR]",
    .summary = "attaches to Python processes for viztracer clients",
    .about =
        "Attaches to Python processes for viztracer clients, in the foreground until SIGTERM. You need not start it: when no "
        "daemon listens, viztracer starts one of its own that ends with its last trace.",
    .examples = "viztracerd\nviztracerd --socket /run/me/viztracerd.sock --spool-dir /srv/traces",
    .rows = rows,
};
