/* A preloaded library, compiled by the test: in all threads but the first a semaphore is posted 20 ms late. CPython's locks
 * below 3.13 are semaphores, so each of them is held that much longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <semaphore.h>
#include <unistd.h>

int sem_post(sem_t *semaphore) {
    int (*next)(sem_t *) = (int (*)(sem_t *))dlsym(RTLD_NEXT, "sem_post");
    if (gettid() != getpid()) usleep(20000);
    return next(semaphore);
}
