/* Owns the handler of the signals that stop long work (interrupt.h). */
#include "cli/base/interrupt.h"

#include <errno.h>
#include <unistd.h>

volatile int interrupts_seen;
volatile int interrupt_wake_fd = -1;

static const int stops[INTERRUPT_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

static void on_signal(int sig) {
    int saved = errno;
    (void)sig;
    interrupts_seen++;
    if (interrupt_wake_fd >= 0 && write(interrupt_wake_fd, "", 1) < 0) errno = saved; /* a full pipe: the poll wakes up anyway */
    errno = saved;
}

void interrupt_catch(struct interrupt *i, int flags) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    interrupts_seen = 0;
    for (unsigned k = 0; k < INTERRUPT_SIGNALS; k++) sigaction(stops[k], &action, &i->before[k]);
}

void interrupt_release(const struct interrupt *i) {
    for (unsigned k = 0; k < INTERRUPT_SIGNALS; k++) sigaction(stops[k], &i->before[k], NULL);
}
