/* For cborn.py: calls back from a thread that C code starts. Each call makes a thread state of its own. */
#include <pthread.h>
#include <stdint.h>
#include <time.h>

static pthread_t thread;
static void (*call)(void);
static uint64_t call_for_ns;
int over;

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *run(void *last) {
    void (*last_call)(void) = (void (*)(void))last;
    do call();
    while (cpu_ns() < call_for_ns);
    for (int i = 0; last_call && i < 300; i++) last_call();
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* `first` is called again until the thread has used so much CPU time, then `last` 300 times, unless it is NULL. */
void born_start(void (*first)(void), uint64_t ns, void (*last)(void)) {
    call = first;
    call_for_ns = ns;
    pthread_create(&thread, NULL, run, (void *)last);
}

void born_join(void) { pthread_join(thread, NULL); }
