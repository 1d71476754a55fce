/* Owns the viewer's HTTP server: it listens on 127.0.0.1 only and decides who may see what.
 * - The address printed for the user has a random token. The server answers it with a cookie and a random path; all pages are
 *   below that path. Without the token, or without cookie and path, it gives nothing away. Browsers send the cookies of
 *   127.0.0.1 to every port of it, including another user's; so the cookie is bound to that secret path.
 * - The UI asks for /localtrace and /file_info at the root, whatever its own path is. The Referer names the trace and shows
 *   that our page asks.
 * - Host must be the address that we listen on: a foreign name that resolves to 127.0.0.1 is refused.
 * - No page may ask other hosts (Content-Security-Policy); no other page may read or frame ours. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <microhttpd.h>

#include "cli/base/figures.h"
#include "cli/format/format.h"
#include "cli/format/html/page.h"
#include "cli/term/usage.h"
#include "cli/view/view.h"
#include "proto/abi/atomic.h"

#define SECRET_BYTES 16
#define CONNECTION_SECONDS 60u
#define CONNECTIONS 64u
#define TRACES_MAX 2000u          /* traces of a folder */
#define QUIET_NS 2000000000ull    /* the browser is done when no request comes for this long */
#define LOADING_NS 60000000000ull /* the UI may take this long until it asks for source text */

struct entry {
    char *name;               /* in the folder; NULL when a file was given */
    struct view_trace *trace; /* NULL = not opened yet */
};

struct view_server {
    struct MHD_Daemon *http;
    struct view_opts opts;
    struct view_temp *temp;
    uint16_t port;
    bool folder;
    pthread_mutex_t lock;  /* protects entries, code */
    struct entry *entries; /* only grows, so numbers stay valid */
    size_t nentries, room;
    char token[2 * SECRET_BYTES + 1], code[2 * SECRET_BYTES + 1]; /* code: a token that works once, then it is "" */
    char path[2 * SECRET_BYTES + 1], cookie[2 * SECRET_BYTES + 1];
    uint32_t served, info_served, page_served; /* W connections (release), R main: answers that were sent whole */
    uint64_t last_ns;                          /* end of the last request */
    pthread_t maker;                           /* makes the forms that the browser will ask for first */
    bool making;
};

/* One request. */
struct request {
    struct view_server *server;
    struct MHD_Connection *connection;
    uint32_t *done; /* flag to set when the answer was sent whole, or NULL */
};

/* The rights of pages. The UI: anything within this server. Files of others: nothing that needs an origin. */
static const char csp_none[] = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
static const char csp_ui[] =
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' data: blob:; frame-ancestors 'none'";
static const char csp_alone[] = "sandbox allow-scripts; frame-ancestors 'none'";
/* The frame around the public UI: %s is its origin. */
static const char csp_frame[] =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self' %s; "
    "frame-src %s; frame-ancestors 'none'";

/* ---- answers ---- */

static enum MHD_Result respond(struct request *r, unsigned status, const char *type, const char *csp,
                               struct MHD_Response *response) {
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Content-Security-Policy", csp);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "same-origin");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    enum MHD_Result rc = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result say(struct request *r, unsigned status, const char *type, const char *csp, const char *text) {
    return respond(r, status, type, csp,
                   MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY));
}
static enum MHD_Result refuse(struct request *r, unsigned status, const char *text) {
    return say(r, status, "text/plain; charset=utf-8", csp_none, text);
}
static enum MHD_Result no_such_page(struct request *r) { return refuse(r, MHD_HTTP_NOT_FOUND, "Not here.\n"); }

static enum MHD_Result send_fd(struct request *r, const char *type, const char *csp, int fd, uint64_t size, const char *name) {
    struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(size, fd, 0);
    if (!response) vt_close(&fd);
    if (response && name) MHD_add_response_header(response, "X-Trace-Name", name);
    return respond(r, MHD_HTTP_OK, type, csp, response);
}

static enum MHD_Result redirect(struct request *r, const char *to, bool with_cookies) {
    static const char *const paths[] = {NULL, "/localtrace", "/file_info", "/vizviewer_info"};
    const struct view_server *s = r->server;
    char value[160];
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "Location", to);
    for (size_t i = 0; with_cookies && i < VT_ARRAY_LEN(paths); i++) {
        snprintf(value, sizeof value, "viztracer=%s; Path=%s%s; HttpOnly; SameSite=Strict", s->cookie, i ? paths[i] : "/",
                 i ? "" : s->path);
        MHD_add_response_header(response, "Set-Cookie", value);
    }
    return respond(r, MHD_HTTP_SEE_OTHER, "text/plain; charset=utf-8", csp_none, response);
}

/* ---- traces ---- */

static bool is_trace_name(const char *name) {
    const struct format_suffix *suffix;
    const struct trace_format *format = format_by_name(name, &suffix);
    return name[0] != '.' && format && format->view != FORMAT_NOT_VIEWED && !suffix->unlisted;
}

static int add_entry(struct view_server *s, const char *name) {
    for (size_t i = 0; i < s->nentries; i++)
        if (!strcmp(s->entries[i].name, name)) return 0;
    if (s->nentries >= TRACES_MAX) return 0;
    if (s->nentries == s->room) {
        size_t room = s->room ? s->room * 2 : 16;
        struct entry *grown = realloc(s->entries, room * sizeof *grown);
        if (!grown) return -ENOMEM;
        s->entries = grown;
        s->room = room;
    }
    char *copy = strdup(name);
    if (!copy) return -ENOMEM;
    s->entries[s->nentries++] = (struct entry){.name = copy};
    return 0;
}

/* Regular files in the folder itself whose names look like traces; links are not followed. The caller holds the lock. */
static int read_folder(struct view_server *s) {
    struct dirent **found;
    struct stat st;
    int rc = 0, n = scandir(s->opts.path, &found, NULL, alphasort);
    if (n < 0) return -errno;
    int dir = open(s->opts.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < n; i++) {
        const char *name = found[i]->d_name;
        if (!rc && is_trace_name(name) && !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
            rc = add_entry(s, name);
        free(found[i]);
    }
    free(found);
    vt_close(&dir);
    return rc;
}

/* The trace of "NUMBER/..."; *rest is the text after the slash. NULL and err: no such number, or not a trace. */
static struct view_trace *get_trace(struct view_server *s, const char *text, const char **rest, struct vt_err *err) {
    char path[8192], *end = NULL;
    struct view_trace *trace = NULL;
    unsigned long number = text && text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : TRACES_MAX;
    if (!end || *end != '/') number = TRACES_MAX;
    *rest = end ? end + 1 : NULL;
    pthread_mutex_lock(&s->lock);
    if (number < s->nentries) {
        struct entry *e = &s->entries[number];
        snprintf(path, sizeof path, "%s/%s", s->opts.path, e->name ? e->name : "");
        if (!e->trace && view_trace_new(path, s->temp, &e->trace, err)) e->trace = NULL;
        trace = e->trace;
    } else {
        vt_err_set(err, -ENOENT, "no such trace");
    }
    pthread_mutex_unlock(&s->lock);
    return trace;
}

static void put_html(FILE *f, const char *text) {
    for (; *text; text++) {
        if (strchr("<>&\"'", *text))
            fprintf(f, "&#%d;", *text);
        else
            fputc(*text, f);
    }
}

static enum MHD_Result send_listing(struct request *r) {
    static const char begin[] =
        "<!doctype html><html><head><meta charset=utf-8><title>viztracer</title><style>body{font:15px/1.7 system-ui,sans-serif;"
        "margin:2em auto;max-width:60em;padding:0 1em}table{border-collapse:collapse;width:100%}td{padding:2px 16px 2px 0;"
        "border-bottom:1px solid #ddd}td.n{text-align:right;white-space:nowrap}a{color:#2457c5;text-decoration:none}</style>"
        "</head><body><h2>Traces</h2><table>";
    struct view_server *s = r->server;
    struct stat st;
    char *page = NULL, bytes[32];
    size_t len;
    pthread_mutex_lock(&s->lock);
    int rc = read_folder(s), dir = open(s->opts.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    FILE *f = open_memstream(&page, &len);
    if (f) {
        fputs(begin, f);
        for (size_t i = 0; i < s->nentries; i++) {
            if (fstatat(dir, s->entries[i].name, &st, AT_SYMLINK_NOFOLLOW)) continue; /* it was removed */
            fprintf(f, "<tr><td><a href=\"%zu/\">", i);
            put_html(f, s->entries[i].name);
            fprintf(f, "</a></td><td class=n>%s</td><td><a href=\"%zu/-/page\">simple page</a></td></tr>",
                    format_bytes(bytes, sizeof bytes, (uint64_t)st.st_size), i);
        }
        fputs(s->nentries ? "</table></body></html>" : "</table><p>None here.</p></body></html>", f);
        if (fclose(f)) rc = -ENOMEM;
    }
    vt_close(&dir);
    pthread_mutex_unlock(&s->lock);
    if (rc || !f) {
        free(page);
        return refuse(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "The folder cannot be read.\n");
    }
    return respond(r, MHD_HTTP_OK, "text/html; charset=utf-8", csp_none,
                   MHD_create_response_from_buffer(len, page, MHD_RESPMEM_MUST_FREE));
}

/* ---- parts of a trace ---- */

/* For a header: writes bytes that are not plain letters as %XX. */
static void percent(const char *text, char *out, size_t size) {
    size_t n = 0;
    for (; *text && n + 4 < size; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._-", c);
        n += (size_t)snprintf(out + n, size - n, plain ? "%c" : "%%%02X", c);
    }
    out[n] = 0;
}

static enum MHD_Result send_part(struct request *r, struct view_trace *trace, enum view_part part, const char *type,
                                 const char *csp, uint32_t *done) {
    struct vt_err err = {0};
    char name[1024], text[600];
    uint64_t size;
    int fd;
    if (view_trace_open(trace, part, &fd, &size, &err)) {
        cli_fail("%s", err.msg);
        snprintf(text, sizeof text, "%s\n", err.msg);
        return refuse(r, MHD_HTTP_INTERNAL_SERVER_ERROR, text);
    }
    percent(view_trace_name(trace), name, sizeof name);
    r->done = done;
    return send_fd(r, type, csp, fd, size, name);
}

static enum MHD_Result send_trace(struct request *r, struct view_trace *trace) {
    return send_part(r, trace, VIEW_TRACE, "application/octet-stream", csp_none, &r->server->served);
}
static enum MHD_Result send_file_info(struct request *r, struct view_trace *trace) {
    return send_part(r, trace, VIEW_FILE_INFO, "application/json", csp_none, &r->server->info_served);
}
static enum MHD_Result send_page(struct request *r, struct view_trace *trace) {
    return send_part(r, trace, VIEW_PAGE, "text/html; charset=utf-8", csp_alone, &r->server->page_served);
}
static enum MHD_Result send_flame(struct request *r, struct view_trace *trace) {
    return send_part(r, trace, VIEW_FLAME, "image/svg+xml", csp_alone, &r->server->page_served);
}
static enum MHD_Result send_nothing(struct request *r, struct view_trace *trace) {
    (void)trace;
    return say(r, MHD_HTTP_OK, "application/json", csp_none, "{}");
}

struct route {
    const char *path;
    enum MHD_Result (*answer)(struct request *r, struct view_trace *trace);
};
/* The UI asks for these at the root. */
static const struct route root_routes[] = {
    {"/vizviewer_info", send_nothing},
    {"/localtrace", send_trace},
    {"/file_info", send_file_info},
};
/* Below /PATH/NUMBER/; every other path there is the UI's. */
static const struct route trace_routes[] = {
    {"-/trace", send_trace},      {"-/file_info", send_file_info}, {"-/page", send_page},
    {"-/flamegraph", send_flame}, {"service_worker.js", NULL}, /* it would keep this UI in the browser even when another one is
                                                                  served */
};

/* The page with the origin of the UI in its script. */
static enum MHD_Result send_frame(struct request *r) {
    const char *origin = r->server->opts.origin ? r->server->opts.origin : VIEW_UI_ORIGIN;
    static const char usual[] = "'" VIEW_UI_ORIGIN "'";
    const unsigned char *at = memmem(frame_page, sizeof frame_page, usual, sizeof usual - 1);
    char csp[sizeof csp_frame + 600], *text;
    size_t len;
    if (!at) return MHD_NO;
    snprintf(csp, sizeof csp, csp_frame, origin, origin);
    FILE *f = open_memstream(&text, &len);
    if (!f) return MHD_NO;
    fwrite(frame_page, 1, (size_t)(at - frame_page), f);
    fprintf(f, "'%s'", origin);
    at += sizeof usual - 1;
    fwrite(at, 1, sizeof frame_page - (size_t)(at - frame_page), f);
    if (fclose(f)) return MHD_NO;
    return respond(r, MHD_HTTP_OK, "text/html; charset=utf-8", csp,
                   MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE));
}

static enum MHD_Result send_ui(struct request *r, struct view_trace *trace, const char *rest) {
    const char *ui = r->server->opts.ui;
    uint64_t size;
    int fd;
    if (!*rest && view_trace_is_page(trace)) return send_page(r, trace);
    if (!*rest && !ui) return send_frame(r);
    if (!ui || view_ui_open(ui, rest, &fd, &size)) return no_such_page(r);
    return send_fd(r, view_ui_type(rest), csp_ui, fd, size, NULL);
}

/* rest: NUMBER/... */
static enum MHD_Result answer_trace(struct request *r, const char *rest) {
    struct vt_err err = {0};
    char text[600];
    struct view_trace *trace = get_trace(r->server, rest, &rest, &err);
    if (!trace) {
        snprintf(text, sizeof text, "%s\n", err.msg);
        return refuse(r, MHD_HTTP_NOT_FOUND, text);
    }
    for (size_t i = 0; i < VT_ARRAY_LEN(trace_routes); i++)
        if (!strcmp(rest, trace_routes[i].path))
            return trace_routes[i].answer ? trace_routes[i].answer(r, trace) : no_such_page(r);
    return send_ui(r, trace, rest);
}

/* ---- access ---- */

/* Takes the same time wherever they differ. */
static bool same_secret(const char *ours, const char *theirs) {
    size_t n = strlen(ours);
    unsigned char differ = 0;
    if (!theirs || strlen(theirs) != n || !n) return false;
    for (size_t i = 0; i < n; i++) differ |= (unsigned char)(ours[i] ^ theirs[i]);
    return !differ;
}

static const char *header(const struct request *r, const char *name) {
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

/* The rest of text behind our address, or NULL when text does not start with it. */
static const char *after_address(const struct view_server *s, const char *text) {
    static const char *const names[] = {"127.0.0.1", "localhost"};
    char address[64];
    for (size_t i = 0; text && i < VT_ARRAY_LEN(names); i++) {
        int n = snprintf(address, sizeof address, "%s:%u", names[i], s->port);
        if (!strncmp(text, address, (size_t)n)) return text + n;
    }
    return NULL;
}

static bool host_is_ours(const struct request *r) {
    const char *rest = after_address(r->server, header(r, "Host"));
    return rest && !*rest;
}

static bool has_cookie(const struct request *r) {
    return same_secret(r->server->cookie, MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, "viztracer"));
}

/* The rest behind our "/PATH/", or NULL. */
static const char *after_path(const struct view_server *s, const char *url) {
    char begin[2 * SECRET_BYTES + 1];
    if (!url || url[0] != '/' || strlen(url) < sizeof begin + 1) return NULL;
    memcpy(begin, url + 1, sizeof begin - 1);
    begin[sizeof begin - 1] = 0;
    return same_secret(s->path, begin) && url[sizeof begin] == '/' ? url + sizeof begin + 1 : NULL;
}

/* Accepts the token in the address, or the code that works once. */
static enum MHD_Result let_in(struct request *r, const char *token) {
    struct view_server *s = r->server;
    char to[128];
    pthread_mutex_lock(&s->lock);
    bool by_code = same_secret(s->code, token);
    if (by_code) s->code[0] = 0;
    pthread_mutex_unlock(&s->lock);
    if (!by_code && !same_secret(s->token, token))
        return refuse(r, MHD_HTTP_FORBIDDEN,
                      "Wrong token, or one that worked once and was used: take the address that viztracer printed.\n");
    snprintf(to, sizeof to, "/%s/%s%s", s->path, s->folder ? "" : "0/", !s->folder && s->opts.flamegraph ? "-/flamegraph" : "");
    return redirect(r, to, true);
}

static enum MHD_Result answer_root(struct request *r, const char *url) {
    const char *page = header(r, "Referer");
    page = page && !strncmp(page, "http://", 7) ? after_path(r->server, after_address(r->server, page + 7)) : NULL;
    for (size_t i = 0; i < VT_ARRAY_LEN(root_routes); i++) {
        if (strcmp(url, root_routes[i].path)) continue;
        struct vt_err err = {0};
        struct view_trace *trace = has_cookie(r) ? get_trace(r->server, page, &page, &err) : NULL;
        if (trace) return root_routes[i].answer(r, trace);
    }
    return refuse(r, MHD_HTTP_FORBIDDEN, "Only for whoever has the address that viztracer printed.\n");
}

static enum MHD_Result answer(struct request *r, const char *url, const char *method) {
    struct view_server *s = r->server;
    const char *token = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, "token");
    if (!host_is_ours(r)) return refuse(r, MHD_HTTP_FORBIDDEN, "Wrong host.\n");
    if (strcmp(method, "GET") && strcmp(method, "HEAD")) return refuse(r, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only.\n");
    if (!strcmp(url, "/") && token) return let_in(r, token);
    const char *rest = after_path(s, url);
    if (!rest || !has_cookie(r)) return answer_root(r, url);
    if (*rest) return answer_trace(r, rest);
    return s->folder ? send_listing(r) : redirect(r, "0/", false);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_len, void **state) {
    (void)version, (void)data;
    if (!*state) { /* so far only headers */
        struct request *r = calloc(1, sizeof *r);
        if (!r) return MHD_NO;
        r->server = ctx;
        r->connection = connection;
        *state = r;
        return MHD_YES;
    }
    if (*data_len) return MHD_NO;
    return answer(*state, url, method);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code) {
    struct view_server *s = ctx;
    struct request *r = *state;
    (void)connection;
    if (!r) return;
    vt_store_release(&s->last_ns, vt_mono_ns());
    if (r->done && code == MHD_REQUEST_TERMINATED_COMPLETED_OK) vt_store_release(r->done, 1u);
    free(r);
}

/* ---- life ---- */

/* Runs while the browser starts. A request for the same form waits for it; the request reports any error. */
static void *make_ahead(void *arg) {
    struct view_server *s = arg;
    struct vt_err err = {0};
    uint64_t size;
    int fd;
    if (!view_trace_open(s->entries[0].trace, s->opts.flamegraph ? VIEW_FLAME : VIEW_TRACE, &fd, &size, &err)) vt_close(&fd);
    return NULL;
}

static int make_secret(char *secret) {
    unsigned char bytes[SECRET_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return errno ? -errno : -EIO;
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static int take_traces(struct view_server *s, struct vt_err *err) {
    struct stat st;
    const char *path = s->opts.path;
    int rc = view_temp_new(&s->opts.picture, &s->temp, err);
    if (rc) return rc;
    s->folder = !stat(path, &st) && S_ISDIR(st.st_mode);
    if (s->folder) {
        rc = read_folder(s);
        return rc ? vt_err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
    }
    s->entries = calloc(1, sizeof *s->entries);
    if (!s->entries) return vt_err_set(err, -ENOMEM, "out of memory");
    s->nentries = s->room = 1;
    return view_trace_new(path, s->temp, &s->entries[0].trace, err);
}

static int listen_on(struct view_server *s, struct vt_err *err) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(s->opts.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    errno = 0;
    s->http =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, s->opts.port, NULL, NULL, on_request, s,
                         MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_CONNECTION_TIMEOUT,
                         CONNECTION_SECONDS, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_END);
    if (!s->http) {
        int rc = errno ? -errno : -EADDRINUSE;
        return vt_err_set(err, rc, "cannot listen on 127.0.0.1:%u: %s; choose another port with --port (0 = any free one)",
                          s->opts.port, strerror(-rc));
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_BIND_PORT);
    s->port = info ? info->port : s->opts.port;
    return 0;
}

int view_server_start(const struct view_opts *opts, struct view_server **out, struct vt_err *err) {
    struct view_server *s = calloc(1, sizeof *s);
    if (!s) return vt_err_set(err, -ENOMEM, "out of memory");
    s->opts = *opts;
    pthread_mutex_init(&s->lock, NULL);
    char *const secrets[] = {s->token, s->code, s->path, s->cookie};
    int rc = 0;
    for (size_t i = 0; i < VT_ARRAY_LEN(secrets) && !rc; i++) rc = make_secret(secrets[i]);
    if (rc) vt_err_set(err, rc, "no random numbers: %s", strerror(-rc));
    if (!rc) rc = take_traces(s, err);
    if (!rc) rc = listen_on(s, err);
    if (!rc && !s->folder && !view_trace_is_page(s->entries[0].trace) && (s->opts.ui || s->opts.flamegraph))
        s->making = !pthread_create(&s->maker, NULL, make_ahead, s);
    if (rc)
        view_server_stop(s);
    else
        *out = s;
    return rc;
}

void view_server_stop(struct view_server *s) {
    if (!s) return;
    if (s->temp) view_temp_stop(s->temp);
    if (s->http) MHD_stop_daemon(s->http);
    if (s->making) pthread_join(s->maker, NULL);
    for (size_t i = 0; i < s->nentries; i++) {
        view_trace_free(s->entries[i].trace);
        free(s->entries[i].name);
    }
    free(s->entries);
    view_temp_free(s->temp);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

uint16_t view_server_port(const struct view_server *s) { return s->port; }

void view_server_url(const struct view_server *s, bool once, char *url, size_t size) {
    snprintf(url, size, "http://127.0.0.1:%u/?token=%s", s->port, once ? s->code : s->token);
}

bool view_server_fetched(struct view_server *s) { return vt_load_acquire(&s->served) || vt_load_acquire(&s->page_served); }

bool view_server_served(struct view_server *s) {
    bool page = vt_load_acquire(&s->page_served);
    if (!view_server_fetched(s)) return false;
    uint64_t quiet = vt_mono_ns() - vt_load_acquire(&s->last_ns);
    bool more = s->opts.ui && !page && !vt_load_acquire(&s->info_served);
    return quiet > (more ? LOADING_NS : QUIET_NS);
}
