/* Owns viztracerd's start: what its command line asks for. */
#include <errno.h>
#include <libunwind.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "daemon/command_line.h"
#include "daemon/serve/server.h"
#include "daemon/session/helper.h"
#include "proto/beside.h"
#include "proto/msg.h"
#include "proto/rundir.h"

static void print_version(void) {
    printf("viztracerd " VT_VERSION "\n"
           "attaches to CPython 3.8 to 3.15 on x86-64; libunwind %d.%d, zstd %s, protobuf-c %s; libbpf no\n",
           UNW_VERSION_MAJOR, UNW_VERSION_MINOR, ZSTD_versionString(), protobuf_c_version());
    beside_print_viztracer();
}

int main(int argc, char **argv) {
    const char *socket_env = getenv("VIZTRACERD_SOCKET");
    struct command_line line = COMMAND_LINE_INIT;
    struct vt_err err = {0};
    int parsed = options_parse(&command_line, &line, argc, argv, &err);

    if (parsed < 0) return fprintf(stderr, "viztracerd: %s\n", err.msg), 2;
    if (parsed == OPTIONS_WANT_VERSION) print_version();
    if (parsed == OPTIONS_WANT_HELP) {
        options_print_help(&command_line);
        printf("\nAreas of VIZTRACERD_LOG: %s, all\n", vt_log_areas());
    }
    if (parsed) return fflush(stdout) ? 1 : 0;
    if (line.helper_fd >= 0) return helper_main(line.helper_fd);
    struct server_opts opts = {.socket_path = socket_env && socket_env[0] ? socket_env : RUNDIR_SYSTEM_SOCKET,
                               .spool_dir = line.spool_dir,
                               .private_fd = line.private_fd};
    if (line.socket_path) opts.socket_path = line.socket_path;
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
