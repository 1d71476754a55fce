/* Owns capturing output (capture.h). */
#include "tests/lib/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "capture: %s failed\n", what);
    abort();
}

void capture_begin(struct capture *c) {
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        char path[] = "/tmp/capture-XXXXXX";
        must((c->file[i] = mkstemp(path)) >= 0, "mkstemp");
        unlink(path);
        must((c->saved[i] = dup(i + 1)) >= 0 && dup2(c->file[i], i + 1) >= 0, "dup");
    }
}

static char *text_of(int fd) {
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = size < 0 ? NULL : malloc((size_t)size + 1);
    must(text != NULL, "memory");
    must(pread(fd, text, (size_t)size, 0) == size, "read");
    text[size] = 0;
    return text;
}

void capture_end(struct capture *c, char **out, char **err) {
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        must(dup2(c->saved[i], i + 1) >= 0, "dup");
        close(c->saved[i]);
        *(i ? err : out) = text_of(c->file[i]);
        close(c->file[i]);
    }
}
