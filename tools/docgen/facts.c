/* Owns the facts that no table of the parser has: environment variables, files, exit codes. */
#include "proto/rundir.h"
#include "tools/docgen/docgen.h"

#define ALL (VIZTRACER | VIZVIEWER | VIZTRACERD)

const struct fact environment[] = {
    {"VIZTRACERD_SOCKET",
     "where the system daemon listens (" RUNDIR_SYSTEM_SOCKET "); none = viztracer always starts a daemon of its own",
     VIZTRACER | VIZTRACERD},
    {"VIZTRACERD_SPOOL", "folder of unsaved traces (/var/tmp/viztracerd-UID)", VIZTRACER | VIZTRACERD},
    {"VIZTRACERD_LOG", "how much is said on stderr: error, info or debug; or debug lines of some areas only, as in attach,drain",
     ALL},
    {"VIZTRACER_AGENT", "path of the agent library, where it is not in ../lib beside the programs", VIZTRACERD},
    {"VIZTRACER_UI_DIR", "folder of a built Perfetto UI, as --ui-dir", VIZTRACER | VIZVIEWER},
    {"VIZTRACER_UI_URL", "address of a Perfetto UI: https, or http on loopback", VIZTRACER | VIZVIEWER},
    {"BROWSER", "the browser to start; xdg-open is asked otherwise", VIZTRACER | VIZVIEWER},
    {"XDG_CACHE_HOME", "where the folder viztracer/ui is looked for (~/.cache)", VIZTRACER | VIZVIEWER},
    {"XDG_RUNTIME_DIR", "folder of the sockets of daemons that viztracer started for itself", VIZTRACER | VIZTRACERD},
    {"TMPDIR", "folder of temporary files: of .cvf files that are read, and of the viewer", VIZTRACER | VIZVIEWER},
    {0},
};

const struct fact files[] = {
    {RUNDIR_SYSTEM_SOCKET, "where a daemon for all users listens", VIZTRACER | VIZTRACERD},
    {"/var/tmp/viztracerd-UID", "traces that are not saved yet; readable by their user only", VIZTRACER | VIZTRACERD},
    {"result.json", "the trace, when no -o is given", VIZTRACER},
    {"~/.cache/viztracer/ui", "a built Perfetto UI", VIZTRACER | VIZVIEWER},
    {0},
};

const struct fact exit_codes[] = {
    {"0", "a trace was saved, or the command did what it was asked to do", ALL},
    {"1", "it did not, or not with all files that were named; one line on stderr says what, why and what to do", ALL},
    {"2", "wrong usage; one line on stderr says what is wrong", ALL},
    {0},
};
