/* Owns viztracerd's command line. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/serve/server.h"
#include "daemon/session/helper.h"
#include "proto/msg.h"
#include "proto/rundir.h"

static const char usage[] =
    "usage: viztracerd [--socket PATH] [--spool-dir DIR]\n"
    "Attaches to Python processes for `viztracer` clients, in the foreground until SIGTERM.\n"
    "  --socket PATH     listen here (" RUNDIR_SYSTEM_SOCKET ", or VIZTRACERD_SOCKET)\n"
    "  --spool-dir DIR   traces until their clients have saved them (/var/tmp/viztracerd-UID, or VIZTRACERD_SPOOL)\n"
    "  --version, --help\n"
    "Environment:\n"
    "  VIZTRACERD_LOG    log lines on stderr: error (the default), info, debug, or areas to debug, such as attach,drain\n"
    "  VIZTRACER_AGENT   path of the agent library\n";

enum { OPT_SOCKET = 1, OPT_SPOOL, OPT_PRIVATE, OPT_HELPER, OPT_VERSION, OPT_HELP };
static const struct option options[] = {
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"spool-dir", required_argument, NULL, OPT_SPOOL},
    {"private", required_argument, NULL, OPT_PRIVATE},
    {"helper", required_argument, NULL, OPT_HELPER},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int fd_arg(const char *text) {
    char *end;
    long v = strtol(text, &end, 10);
    return *text && !*end && v >= 0 && v < 1 << 20 ? (int)v : -1;
}

int main(int argc, char **argv) {
    const char *socket_env = getenv("VIZTRACERD_SOCKET");
    struct server_opts opts = {.socket_path = socket_env && socket_env[0] ? socket_env : RUNDIR_SYSTEM_SOCKET, .private_fd = -1};
    struct vt_err err = {0};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case OPT_SOCKET: opts.socket_path = optarg; break;
        case OPT_SPOOL: opts.spool_dir = optarg; break;
        case OPT_PRIVATE:
            opts.private_fd = fd_arg(optarg);
            if (opts.private_fd < 0) return fprintf(stderr, "viztracerd: --private wants a descriptor\n"), 2;
            break;
        case OPT_HELPER: return helper_main(fd_arg(optarg));
        case OPT_VERSION: return puts("viztracerd " VT_VERSION), 0;
        case OPT_HELP: return printf("%sAreas of VIZTRACERD_LOG: %s, all\n", usage, vt_log_areas()), 0;
        default: return fputs(usage, stderr), 2;
        }
    }
    if (optind < argc) return fprintf(stderr, "viztracerd: what is %s?\n%s", argv[optind], usage), 2;
    int rc = server_run(&opts, &err);
    if (rc && opts.private_fd >= 0) { /* its client prints the line */
        Vt__Error m = VT__ERROR__INIT;
        m.code = rc;
        m.text = err.msg;
        if (vt_msg_send(opts.private_fd, VT_CTL_ERROR, &m.base)) fprintf(stderr, "viztracerd: %s\n", err.msg);
    } else if (rc) {
        fprintf(stderr, "viztracerd: %s\n", err.msg);
    }
    return rc ? 1 : 0;
}
