/* `viztracer --combine A B.. -o OUT` and `--align_combine`, as VizTracer's: several traces in one. */
#include "cli/cli.h"
#include "cli/convert/convert.h"

int cmd_combine(int argc, char **argv) {
    static const struct convert_kind kind = {
        .name = "combine",
        .usage = "--combine IN.. -o OUT",
        .about = "Several traces become one. Times stay: traces of one machine line up by themselves.\n",
        .many = true,
        .output = "result.json",
    };
    return convert_command(&kind, argc, argv);
}

int cmd_align_combine(int argc, char **argv) {
    static const struct convert_kind kind = {
        .name = "align_combine",
        .usage = "--align_combine IN.. -o OUT",
        .about = "Several traces become one. Each is shifted: their sync markers, or where there is none their first events,\n"
                 "stand at the same time.\n",
        .many = true,
        .align = true,
        .output = "result.json",
    };
    return convert_command(&kind, argc, argv);
}
