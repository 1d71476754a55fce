/* Captures the output of a function that runs in the test's own process. */
#ifndef VT_TESTS_CAPTURE_H
#define VT_TESTS_CAPTURE_H

struct capture {
    int saved[2], file[2];
};
/* stdout and stderr go to temporary files until capture_end, which returns both texts (the caller frees them). */
void capture_begin(struct capture *c);
void capture_end(struct capture *c, char **out, char **err);

#endif
