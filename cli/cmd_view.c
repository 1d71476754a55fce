/* `viztracer view FILE` = `vizviewer FILE`: a server on 127.0.0.1 that hands one trace to the Perfetto UI.
 *
 * The page is served by us and opens the public UI in a window of its own; the trace goes from page to page by
 * postMessage, inside the browser, and never leaves the machine. Every address begins with a random token, so that
 * other users of the host cannot read the trace; nothing else is served. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <microhttpd.h>

#include "cli/cli.h"
#include "proto/abi/atomic.h"

#define DEFAULT_PORT 9001
#define TOKEN_BYTES 16
#define CONNECTION_SECONDS 30u

struct viewer {
    const char *path, *name; /* name: last part of the path */
    int fd;
    uint64_t size;
    bool once, server_only;
    uint16_t port;
    unsigned once_seconds;
    char token[2 * TOKEN_BYTES + 1];
    uint32_t served; /* W server thread (release), R main loop: the trace has been sent whole */
};

/* %s: title, as a JSON string. The handshake is the one that the Perfetto UI documents for embedding: PING until PONG,
 * then the bytes. */
static const char page_head[] =
    "<!doctype html><html><head><meta charset=utf-8><title>viztracer</title><style>body{font:16px system-ui;margin:3em auto;"
    "max-width:36em;padding:0 1em}button{font:inherit;padding:.6em 1.2em}</style></head><body><h1>viztracer</h1><p id=n></p>"
    "<p><button id=b>Open in Perfetto</button> <a href=trace download id=d>download</a></p><p id=s>The trace stays in this "
    "browser: it goes from this page to the Perfetto page, not over the network.</p><script>const title=";
static const char page_tail[] =
    ";document.getElementById('n').textContent=title;document.getElementById('d').download=title;"
    "const say=t=>{document.getElementById('s').textContent=t};"
    "document.getElementById('b').onclick=async()=>{const ui='https://ui.perfetto.dev',w=window.open(ui);"
    "if(!w){say('The browser has blocked the new window: allow it and press again.');return}say('Loading ...');"
    "const r=await fetch('trace');if(!r.ok){say('The trace cannot be read: '+r.status);return}"
    "const buffer=await r.arrayBuffer();const t=setInterval(()=>w.postMessage('PING',ui),50);"
    "window.addEventListener('message',e=>{if(e.origin!==ui||e.data!=='PONG')return;clearInterval(t);"
    "w.postMessage({perfetto:{buffer,title,fileName:title}},ui);say('Opened in the other window.')})};"
    "</script></body></html>";

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, const char *type,
                               struct MHD_Response *response) {
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    enum MHD_Result r = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return r;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text) {
    return respond(connection, status, "text/plain; charset=utf-8",
                   MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT));
}

/* The file's name as a JavaScript string; characters that could end it or the script are written as escapes. */
static void quote(const char *text, char *out, size_t size) {
    size_t n = 0;
    out[n++] = '"';
    for (; *text && n + 8 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 32 || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 127)
            n += (size_t)snprintf(out + n, size - n, "\\u%04x", c);
        else
            out[n++] = (char)c;
    }
    out[n++] = '"';
    out[n] = 0;
}

static enum MHD_Result send_page(struct viewer *v, struct MHD_Connection *connection) {
    char title[2048];
    char *page = NULL;
    quote(v->name, title, sizeof title);
    int len = asprintf(&page, "%s%s%s", page_head, title, page_tail);
    if (len < 0) return MHD_NO;
    return respond(connection, MHD_HTTP_OK, "text/html; charset=utf-8",
                   MHD_create_response_from_buffer((size_t)len, page, MHD_RESPMEM_MUST_FREE));
}

/* The file as it is: a .gz is not announced as an encoding, because the UI unpacks it itself. */
static enum MHD_Result send_trace(struct viewer *v, struct MHD_Connection *connection, void **state) {
    int fd = fcntl(v->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of file descriptors\n");
    struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(v->size, fd, 0);
    if (!response) close(fd);
    *state = v; /* told apart in on_completed */
    return respond(connection, MHD_HTTP_OK, "application/octet-stream", response);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_len, void **state) {
    struct viewer *v = ctx;
    static int begun;
    (void)version, (void)data;
    if (!*state) { /* headers only so far */
        *state = &begun;
        return MHD_YES;
    }
    if (*data_len) return MHD_NO;
    if (strcmp(method, "GET") && strcmp(method, "HEAD")) return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
    size_t n = strlen(v->token);
    if (url[0] != '/' || strncmp(url + 1, v->token, n)) return refuse(connection, MHD_HTTP_FORBIDDEN, "wrong address\n");
    const char *rest = url + 1 + n;
    if (!strcmp(rest, "/")) return send_page(v, connection);
    if (!strcmp(rest, "/trace")) return send_trace(v, connection, state);
    return refuse(connection, MHD_HTTP_NOT_FOUND, "not here\n");
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code) {
    struct viewer *v = ctx;
    (void)connection;
    if (*state == v && code == MHD_REQUEST_TERMINATED_COMPLETED_OK) vt_store_release(&v->served, 1u);
}

static int make_token(char *token) {
    unsigned char bytes[TOKEN_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return -errno;
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

/* Not waited for: a browser may stay. Its output is not ours. */
static void open_browser(const char *url) {
    pid_t pid = fork();
    if (pid != 0) {
        if (pid > 0) waitpid(pid, NULL, 0);
        return;
    }
    if (fork() == 0) {
        int null = open("/dev/null", O_RDWR);
        if (null >= 0) {
            dup2(null, 1);
            dup2(null, 2);
        }
        execlp("xdg-open", "xdg-open", url, (char *)NULL);
        _exit(127);
    }
    _exit(0);
}

static int serve(struct viewer *v) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(v->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char url[128];
    bool interrupted = false;
    sigset_t ours, before;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGHUP);
    sigprocmask(SIG_BLOCK, &ours, &before); /* the server's thread inherits it: signals come to this one */
    struct MHD_Daemon *server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, v->port, NULL, NULL, on_request, v,
                                                 MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_NOTIFY_COMPLETED, on_completed, v,
                                                 MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_SECONDS, MHD_OPTION_END);
    if (!server) return cli_fail("cannot listen on 127.0.0.1:%u: %s; choose another port with --port", v->port, strerror(errno));
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/%s/", info ? info->port : v->port, v->token);
    printf("%s is at %s\n", v->name, url);
    if (!v->once) printf("Ctrl+C ends the viewer\n");
    fflush(stdout);
    if (!v->server_only) open_browser(url);
    uint64_t end = vt_mono_ns() + v->once_seconds * 1000000000ull;
    while (!interrupted && !(v->once && vt_load_acquire(&v->served))) {
        const struct timespec tick = {0, 100000000};
        siginfo_t unused;
        if (v->once && vt_mono_ns() > end) break;
        if (sigtimedwait(&ours, &unused, &tick) > 0) interrupted = true;
    }
    MHD_stop_daemon(server);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (v->once && !interrupted && !v->served)
        return cli_fail("nobody has fetched %s within %u s; open it with: vizviewer %s", v->name, v->once_seconds, v->path);
    return CLI_OK;
}

static int parse(struct viewer *v, int argc, char **argv) {
    static const struct option longs[] = {{"port", required_argument, NULL, 'p'},
                                          {"server_only", no_argument, NULL, 's'},
                                          {"once", no_argument, NULL, 'o'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    int opt;
    char *end;
    long number;
    optind = 0;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "p:s", longs, NULL)) != -1) switch (opt) {
        case 'p':
            number = strtol(optarg, &end, 10);
            if (*end || end == optarg || number < 0 || number > 65535)
                return cli_usage("--port takes a number from 0 to 65535, not '%s'", optarg);
            v->port = (uint16_t)number;
            break;
        case 't':
            number = strtol(optarg, &end, 10);
            if (*end || end == optarg || number < 1 || number > 86400)
                return cli_usage("--timeout takes seconds, not '%s'", optarg);
            v->once_seconds = (unsigned)number;
            break;
        case 's': v->server_only = true; break;
        case 'o': v->once = true; break;
        default: return cli_usage("view: unknown option or missing value: %s", argv[optind - 1]);
        }
    if (argc - optind != 1) return cli_usage("view takes one trace file");
    v->path = argv[optind];
    return CLI_OK;
}

static bool ends_with(const char *text, const char *tail) {
    size_t n = strlen(text), m = strlen(tail);
    return n >= m && !strcmp(text + n - m, tail);
}

int cmd_view(int argc, char **argv) {
    struct viewer v = {.fd = -1, .port = DEFAULT_PORT, .once_seconds = 120};
    struct stat st;
    int rc = parse(&v, argc, argv);
    if (rc) return rc;
    const char *slash = strrchr(v.path, '/');
    v.name = slash ? slash + 1 : v.path;
    v.fd = open(v.path, O_RDONLY | O_CLOEXEC);
    if (v.fd < 0 || fstat(v.fd, &st)) {
        rc = cli_fail("cannot open %s: %s", v.path, strerror(errno));
        goto out;
    }
    if (ends_with(v.path, ".vzt")) {
        rc = cli_fail("%s is the native format, which browsers cannot show: viztracer convert %s -o trace.json first", v.name,
                      v.path);
        goto out;
    }
    if (!S_ISREG(st.st_mode) || !(ends_with(v.path, ".json") || ends_with(v.path, ".gz"))) {
        rc = cli_fail("%s is no trace that can be shown: .json or .json.gz", v.path);
        goto out;
    }
    v.size = (uint64_t)st.st_size;
    rc = make_token(v.token);
    rc = rc ? cli_fail("no random numbers: %s", strerror(-rc)) : serve(&v);
out:
    vt_close(&v.fd);
    return rc;
}
