/* Owns the child process of a launch. The program gets what a shell would give it: descriptors, signals, terminal and process
 * group are those that this client was started with. */
#include "cli/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/abi/launch.h"

extern char **environ;

#define FORWARDED_MAX 12
static const int forwarded[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGWINCH, SIGTSTP};
_Static_assert(VT_ARRAY_LEN(forwarded) <= FORWARDED_MAX, "forwarded");

/* ---- which file ---- */

static bool is_executable(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* As a shell looks for a command. */
static bool on_path(const char *name, char *to, size_t size) {
    const char *at = getenv("PATH");
    if (!at) at = "/usr/local/bin:/usr/bin:/bin";
    if (strchr(name, '/')) return snprintf(to, size, "%s", name) < (int)size && is_executable(to);
    for (;;) {
        size_t n = strcspn(at, ":");
        int len = n ? snprintf(to, size, "%.*s/%s", (int)n, at, name) : snprintf(to, size, "./%s", name);
        if (len > 0 && (size_t)len < size && is_executable(to)) return true;
        if (!at[n]) return false;
        at += n + 1;
    }
}

/* Does an interpreter have to run it? A script, a .pyz, or a folder with __main__.py. */
static bool needs_python(const char *file, const struct run_options *o) {
    static const char *const suffixes[] = {".py", ".pyw", ".pyc", ".pyz", ".zip"};
    struct stat st;
    char head[64] = "";
    if (!stat(file, &st) && S_ISDIR(st.st_mode)) return true;
    for (size_t i = 0; i < VT_ARRAY_LEN(suffixes); i++)
        if (vt_ends_with(file, suffixes[i])) return true;
    if (access(file, X_OK)) return true;
    if (!o->python) return false;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, head, sizeof(head) - 1) : -1;
    vt_close(&fd);
    return n > 2 && !memcmp(head, "#!", 2) && strstr(head, "python");
}

/* The interpreter of the virtual environment from whose bin/ this program was started by its path, as a script with the first
 * line of that environment would have it. The path is not resolved: a link from elsewhere (pipx, uv tool) is no wish for that
 * one. */
static bool python_beside(char *to, size_t size) {
    const char *slash = strrchr(program_invocation_name, '/');
    char config[PATH_MAX];
    int folder = slash ? (int)(slash + 1 - program_invocation_name) : 0;
    int len = snprintf(config, sizeof(config), "%.*s../pyvenv.cfg", folder, program_invocation_name);
    if (!slash || len < 0 || len >= (int)sizeof(config) || access(config, F_OK)) return false;
    return snprintf(to, size, "%.*spython3", folder, program_invocation_name) < (int)size && is_executable(to);
}

static int find_python(struct program *p, const struct run_options *o, struct vt_err *err) {
    if (!o->python && python_beside(p->file, sizeof(p->file))) {
        p->argv[0] = p->file; /* Python finds its environment by this name */
        return 0;
    }
    const char *names[] = {o->python, o->python ? NULL : "python3", o->python ? NULL : "python"};
    for (size_t i = 0; i < VT_ARRAY_LEN(names); i++) {
        if (!names[i] || !on_path(names[i], p->file, sizeof(p->file))) continue;
        p->argv[0] = (char *)names[i];
        return 0;
    }
    if (o->python) return vt_err_set(err, -ENOENT, "--python %s: no such program", o->python);
    return vt_err_set(err, -ENOENT, "no python3 and no python on PATH; name one with --python");
}

static void set_name(struct program *p, const char *from) {
    const char *slash = strrchr(from, '/');
    size_t len = strcspn(slash ? slash + 1 : from, ".");
    snprintf(p->name, sizeof(p->name), "%.*s", len < sizeof(p->name) ? (int)len : (int)sizeof(p->name) - 1,
             slash ? slash + 1 : from);
    if (!p->name[0]) snprintf(p->name, sizeof(p->name), "python");
}

static int find_program(struct program *p, const struct run_options *o, struct vt_err *err) {
    const char *word = o->words[0];
    bool is_stdin = !strcmp(word, "-"), there = !is_stdin && !access(word, F_OK);
    if (there && vt_ends_with(word, ".json"))
        return vt_err_set(err, -ENOEXEC, "%s is not a program; did you mean vizviewer %s?", word, word);
    for (size_t i = 0; i < o->nwords; i++) p->argv[1 + i] = o->words[i];
    set_name(p, is_stdin ? "python" : word);
    if (is_stdin || (there && needs_python(word, o))) return find_python(p, o, err);
    char found[PATH_MAX];
    bool is_found = there ? realpath(word, found) != NULL : on_path(word, found, sizeof(found));
    if (!is_found) return vt_err_set(err, -ENOENT, "no such file as %s, and no such command on PATH", word);
    if (needs_python(found, o)) {
        snprintf(p->script, sizeof(p->script), "%s", found);
        if (!there) p->argv[1] = p->script;
        return find_python(p, o, err);
    }
    snprintf(p->file, sizeof(p->file), "%s", there && strchr(word, '/') ? word : found);
    memmove(p->argv, p->argv + 1, (o->nwords + 1) * sizeof(char *));
    return 0;
}

int program_find(struct program *p, const struct run_options *o, struct vt_err *err) {
    memset(p, 0, sizeof(*p));
    p->wake[0] = p->wake[1] = p->witness.fd = -1;
    p->argv = calloc(o->nwords + 6, sizeof(char *));
    if (!p->argv) return vt_err_set(err, -ENOMEM, "out of memory");
    if (!o->module && !o->code) return find_program(p, o, err);
    p->argv[1] = (char *)(o->module ? "-m" : "-c");
    p->argv[2] = (char *)(o->module ? o->module : o->code);
    for (size_t i = 0; i < o->nwords; i++) p->argv[3 + i] = o->words[i];
    if (o->module)
        snprintf(p->name, sizeof(p->name), "%.60s", o->module);
    else
        set_name(p, "python");
    return find_python(p, o, err);
}

/* ---- start ---- */

static int wake_fd = -1;
static sigset_t before_mask;
static struct sigaction before[FORWARDED_MAX], before_child, before_pipe;
struct note { /* of a signal that came */
    int number, code;
    pid_t from;
};

static void on_signal(int number, siginfo_t *info, void *context) {
    struct note note = {number, info->si_code, info->si_pid};
    int saved = errno;
    (void)context;
    if (write(wake_fd, &note, sizeof(note)) < 0) errno = saved; /* a full pipe: hundreds of them have come */
    errno = saved;
}

static void catch (int number, struct sigaction *old) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, NULL, old);
    if (old->sa_handler == SIG_IGN && number != SIGCHLD) return; /* nohup: it stays ignored, also in the program */
    sigaction(number, &action, NULL);
}

/* SIGCHLD tells that the program has ended, and may have been blocked by whoever started us. */
static void catch_all(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_UNBLOCK, &set, &before_mask);
    for (size_t i = 0; i < VT_ARRAY_LEN(forwarded); i++) catch (forwarded[i], &before[i]);
    catch (SIGCHLD, &before_child);
    sigaction(SIGPIPE, NULL, &before_pipe);
    signal(SIGPIPE, SIG_IGN);
}

static void release_all(void) {
    for (size_t i = 0; i < VT_ARRAY_LEN(forwarded); i++) sigaction(forwarded[i], &before[i], NULL);
    sigaction(SIGCHLD, &before_child, NULL);
    sigaction(SIGPIPE, &before_pipe, NULL);
    cli_restore_signals();
    sigprocmask(SIG_SETMASK, &before_mask, NULL);
}

static bool is_variable(const char *entry, const char *name) {
    size_t n = strlen(name);
    return !strncmp(entry, name, n) && entry[n] == '=';
}

/* Of this process; programs under more filters than we are left alone. */
static unsigned seccomp_filters(void) {
    char status[8192];
    size_t len;
    if (vt_read_file("/proc/self/status", status, sizeof(status), &len)) return 0;
    const char *line = strstr(status, "\nSeccomp_filters:"), *mode = strstr(status, "\nSeccomp:");
    if (line) return (unsigned)strtoul(line + strlen("\nSeccomp_filters:"), NULL, 10);
    return mode && strtoul(mode + strlen("\nSeccomp:"), NULL, 10) == 2; /* before Linux 5.9 */
}

struct launch_env {
    char **list; /* the environment, LD_PRELOAD in its place */
    char *preload, *value;
};

static void env_free(struct launch_env *e) {
    free(e->list);
    free(e->preload);
    free(e->value);
}

/* 0 or -ENOMEM; env_free in any case. */
static int env_make(struct launch_env *e, const char *preload, const char *key, bool follow) {
    const char *had = getenv("LD_PRELOAD");
    unsigned filters = seccomp_filters();
    size_t n = 0, to = 0;
    memset(e, 0, sizeof(*e));
    while (environ[n]) n++;
    e->list = calloc(n + 3, sizeof(char *));
    if (asprintf(&e->preload, "LD_PRELOAD=%s%s%s", preload, had ? ":" : "", had ? had : "") < 0) e->preload = NULL;
    char where = follow ? VT_LAUNCH_ALL : VT_LAUNCH_ONE;
    if (asprintf(&e->value, VT_LAUNCH_VARIABLE "=%s%02u%c%0*d", key, filters < 99 ? filters : 99, where,
                 (int)VT_LAUNCH_ORIGIN_LEN, 0) < 0)
        e->value = NULL;
    if (!e->list || !e->preload || !e->value) return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (is_variable(environ[i], VT_LAUNCH_VARIABLE)) continue;
        e->list[to++] = is_variable(environ[i], "LD_PRELOAD") ? e->preload : environ[i];
    }
    if (!had) e->list[to++] = e->preload;
    e->list[to] = e->value;
    return 0;
}

static void child(const struct program *p, char **env, int report) {
    release_all();
    execve(p->file, p->argv, env);
    int why = errno;
    if (write(report, &why, sizeof(why)) != (ssize_t)sizeof(why)) _exit(126);
    _exit(127);
}

int program_start(struct program *p, const char *preload, const char *key, bool follow, struct vt_err *err) {
    int report[2] = {-1, -1}, why = 0;
    struct launch_env env = {0};
    int rc = preload ? env_make(&env, preload, key, follow) : 0;
    if (!rc && (pipe2(p->wake, O_CLOEXEC | O_NONBLOCK) || pipe2(report, O_CLOEXEC))) rc = -errno;
    if (rc) {
        env_free(&env);
        return vt_err_set(err, rc, "cannot start %s: %s", p->file, strerror(-rc));
    }
    wake_fd = p->wake[1];
    witness_start(&p->witness, forwarded, VT_ARRAY_LEN(forwarded));
    catch_all();
    pid_t pid = fork();
    if (pid == 0) child(p, preload ? env.list : environ, report[1]);
    rc = pid < 0 ? -errno : 0;
    env_free(&env);
    vt_close(&report[1]);
    ssize_t n = rc ? 0 : read(report[0], &why, sizeof(why));
    if (n == (ssize_t)sizeof(why)) {
        rc = -why;
        waitpid(pid, NULL, 0);
    }
    vt_close(&report[0]);
    if (rc) return vt_err_set(err, rc, "cannot start %s: %s", p->file, strerror(-rc));
    p->pid = pid;
    return 0;
}

/* ---- while it runs ---- */

/* Stops this process as the program was stopped, so that the shell takes the terminal back. Returns when it goes on. */
static void stop_too(const struct program *p, int number) {
    struct sigaction was, stop = {.sa_handler = SIG_DFL};
    sigemptyset(&stop.sa_mask);
    if (number == SIGSTOP || sigaction(number, &stop, &was)) {
        raise(SIGSTOP);
    } else {
        raise(number);
        sigaction(number, &was, NULL);
    }
    kill(p->pid, SIGCONT);
}

static void look(struct program *p) {
    int status;
    pid_t pid;
    while (!p->ended && (pid = waitpid(p->pid, &status, WNOHANG | WUNTRACED)) == p->pid)
        if (WIFSTOPPED(status)) {
            stop_too(p, WSTOPSIG(status));
        } else {
            p->ended = true;
            p->status = status;
            witness_end(&p->witness);
        }
}

static bool comes_from(pid_t process, pid_t ancestor) {
    char path[64], stat[1024];
    size_t len;
    for (int i = 0; i < 64 && process > 1; i++) {
        if (process == ancestor) return true;
        snprintf(path, sizeof(path), "/proc/%d/stat", process);
        if (vt_read_file(path, stat, sizeof(stat), &len)) return false;
        const char *p = strrchr(stat, ')');
        if (!p || sscanf(p, ") %*c %d", &process) != 1) return false;
    }
    return false;
}

/* The terminal sends its signals to the whole process group. */
static bool may_be_for_us_alone(const struct program *p, const struct note *note) {
    return (note->code == SI_USER || note->code == SI_QUEUE || note->code == SI_TKILL) && !comes_from(note->from, p->pid);
}

/* Counts the signals that came and that the program may not have got. True: one that asks to stop came. */
static bool take_notes(struct program *p, unsigned ours[WITNESS_SIGNALS]) {
    struct note note;
    bool stop = false;
    while (read(p->wake[0], &note, sizeof(note)) == (ssize_t)sizeof(note)) {
        if (note.number == SIGCHLD) continue;
        if (may_be_for_us_alone(p, &note)) ours[note.number]++;
        if (note.number == SIGINT || note.number == SIGTERM || note.number == SIGHUP) stop = true;
    }
    return stop;
}

/* What the witness got, too, was sent to the whole group, and the program has it. Such a signal may have come while we asked: our
 * note of it is there by then. */
static bool pass_on(struct program *p) {
    unsigned ours[WITNESS_SIGNALS] = {0}, witnessed[WITNESS_SIGNALS] = {0};
    bool stop = take_notes(p, ours), any = false;
    for (int i = 0; i < WITNESS_SIGNALS; i++) any |= ours[i] > 0;
    if (!any) return stop;
    witness_ask(&p->witness, witnessed);
    stop |= take_notes(p, ours);
    for (int i = 0; i < WITNESS_SIGNALS && !p->ended; i++)
        for (unsigned k = witnessed[i]; k < ours[i]; k++) kill(p->pid, i);
    return stop;
}

bool program_signals(struct program *p) {
    bool stop = pass_on(p) && p->ended;
    look(p);
    return stop;
}

void program_wait(struct program *p) {
    struct pollfd fd = {.fd = p->wake[0], .events = POLLIN};
    while (p->pid && !p->ended) {
        program_signals(p);
        if (!p->ended) poll(&fd, 1, 1000);
    }
}

/* ---- its end ---- */

void program_end_text(const struct program *p, char *text, size_t size) {
    text[0] = 0;
    if (!p->ended) return;
    if (WIFSIGNALED(p->status)) {
        const char *name = sigabbrev_np(WTERMSIG(p->status));
        snprintf(text, size, "killed by SIG%s%s", name ? name : "?", WCOREDUMP(p->status) ? " (core dumped)" : "");
    } else if (WEXITSTATUS(p->status)) {
        snprintf(text, size, "exit status %d", WEXITSTATUS(p->status));
    }
}

int program_exit(const struct program *p) {
    const struct rlimit none = {0, 0};
    if (!WIFSIGNALED(p->status)) return WEXITSTATUS(p->status);
    int number = WTERMSIG(p->status);
    sigset_t set;
    setrlimit(RLIMIT_CORE, &none); /* the core of the program is the one that is of use */
    signal(number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    fflush(NULL);
    kill(getpid(), number);
    return 128 + number;
}

void program_free(struct program *p) {
    witness_end(&p->witness);
    vt_close(&p->wake[0]);
    vt_close(&p->wake[1]);
    free(p->argv);
}
