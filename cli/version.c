/* Owns the text of --version: our version, and the libraries that the program was built with. */
#include <microhttpd.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <yajl/yajl_version.h>
#include <zlib.h>
#include <zstd.h>

#include "cli/cli.h"
#include "cli/top/screen.h"
#include "proto/beside.h"

void cli_print_version(const char *program) {
    printf("%s " VT_VERSION "\n"
           "traces CPython 3.8 to 3.15 on x86-64; zstd %s, zlib %s, libmicrohttpd %s, yajl %d.%d.%d, "
           "protobuf-c %s; ncurses %s; libbpf no\n",
           program, ZSTD_versionString(), zlibVersion(), MHD_get_version(), YAJL_MAJOR, YAJL_MINOR, YAJL_MICRO,
           protobuf_c_version(), screen_is_built() ? "yes" : "no");
    beside_print_viztracer();
}
