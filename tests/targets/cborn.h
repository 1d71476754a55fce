/* For cborn.py: calls back from a thread that C code starts. Each call has a thread state of its own. */
#include <pthread.h>

static pthread_t thread;
static int (*first)(void);
static void (*last)(void);
int over;

static void *run(void *unused) {
    while (!first()) continue;
    for (int i = 0; last && i < 300; i++) last();
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    return unused;
}

/* `first_call` is called until it returns 1, then `last_call` 300 times, unless it is NULL. */
void born_start(int (*first_call)(void), void (*last_call)(void)) {
    first = first_call;
    last = last_call;
    pthread_create(&thread, NULL, run, NULL);
}

void born_join(void) { pthread_join(thread, NULL); }
