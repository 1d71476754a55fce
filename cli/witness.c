/* Owns the process that tells signals to the group from signals to this process alone (witness.h). */
#include "cli/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 1000 /* it answers at once, unless somebody has stopped it */

static volatile sig_atomic_t counts[WITNESS_SIGNALS];

static void on_signal(int number) { counts[number]++; }

/* Nothing of ours stays open: somebody may wait for the end of our stdout. */
static void close_all_but(int fd) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        if (null < 0 || dup2(null, i) < 0) close(i);
    if (fd > 3) close_range(3, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0u, 0);
}

/* A signal that is pending is delivered before this process comes back from the system call that receives the question. */
static void witness(int fd, pid_t parent, const int *numbers, size_t n) {
    unsigned told[WITNESS_SIGNALS];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t none;
    char question;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < n; i++) {
        struct sigaction before;
        if (!sigaction(numbers[i], NULL, &before) && before.sa_handler != SIG_IGN) sigaction(numbers[i], &action, NULL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "viztracer-sig", 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) _exit(0);
    close_all_but(fd);
    do {
        for (int i = 0; i < WITNESS_SIGNALS; i++) told[i] = (unsigned)counts[i];
        if (send(fd, told, sizeof(told), MSG_NOSIGNAL) != (ssize_t)sizeof(told)) break; /* the first one says: ready */
    } while (recv(fd, &question, 1, 0) == 1);
    _exit(0);
}

static bool hear(struct witness *w, unsigned told[WITNESS_SIGNALS]) {
    struct pollfd fd = {.fd = w->fd, .events = POLLIN};
    int n;
    do n = poll(&fd, 1, PATIENCE_MS);
    while (n < 0 && errno == EINTR);
    ssize_t len;
    do len = n == 1 ? recv(w->fd, told, WITNESS_SIGNALS * sizeof(*told), 0) : -1;
    while (n == 1 && len < 0 && errno == EINTR);
    return len == (ssize_t)(WITNESS_SIGNALS * sizeof(*told));
}

void witness_start(struct witness *w, const int *numbers, size_t n) {
    unsigned told[WITNESS_SIGNALS];
    int ends[2];
    pid_t parent = getpid();
    *w = (struct witness){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) return;
    w->pid = fork();
    if (!w->pid) witness(ends[1], parent, numbers, n);
    vt_close(&ends[1]);
    w->fd = ends[0];
    if (w->pid < 0) w->pid = 0;
    if (!w->pid || !hear(w, told)) witness_end(w);
}

void witness_ask(struct witness *w, unsigned news[WITNESS_SIGNALS]) {
    unsigned told[WITNESS_SIGNALS];
    memset(news, 0, WITNESS_SIGNALS * sizeof(*news));
    if (!w->pid) return;
    if (send(w->fd, "?", 1, MSG_NOSIGNAL) != 1 || !hear(w, told)) {
        witness_end(w);
        return;
    }
    for (int i = 0; i < WITNESS_SIGNALS; i++) news[i] = told[i] - w->seen[i];
    memcpy(w->seen, told, sizeof(told));
}

void witness_end(struct witness *w) {
    vt_close(&w->fd);
    if (w->pid) {
        kill(w->pid, SIGKILL);
        while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR) continue;
    }
    w->pid = 0;
}
