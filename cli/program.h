/* The program that a launch starts: finding it, starting it, its signals and its end. Main thread. */
#ifndef VT_CLI_PROGRAM_H
#define VT_CLI_PROGRAM_H

#include <limits.h>
#include <sys/types.h>

#include "cli/run_options.h"
#include "cli/witness.h"

struct program {
    char file[PATH_MAX];   /* what is executed */
    char script[PATH_MAX]; /* a script that was found on PATH, for argv */
    char **argv;           /* its words: owned; the texts are borrowed */
    char name[64];         /* for -u: of the script up to the first dot, of the module, or python */
    pid_t pid;             /* 0 = not started */
    bool ended;
    int status; /* as from waitpid, once it has ended */
    struct witness witness;
    int wake[2]; /* pipe: a byte for each signal of ours */
};

/* Works out what to execute. o has to live on: the words are its. 0, or -errno with one line in err. */
VT_MUST_CHECK int program_find(struct program *p, const struct run_options *o, struct vt_err *err);
/* Starts it with the two variables of the launch added to the environment; preload NULL: with none. follow: processes that it
 * starts are traced, too. From now on our signals are caught. 0 or -errno, err.
 */
VT_MUST_CHECK int program_start(struct program *p, const char *preload, const char *key, bool follow, struct vt_err *err);
/* Handles the signals that wake[0] tells of: those that were sent to this process alone are passed on, a stop of the program
 * stops this process, too. True: one that asks to stop came, and the program has ended. */
bool program_signals(struct program *p);
/* Waits until it has ended, handling signals. */
void program_wait(struct program *p);
/* Fills in how it ended: "killed by SIGSEGV", "exit status 3"; "" for success. */
void program_end_text(const struct program *p, char *text, size_t size);
/* Ends this process as the program has ended: returns its exit status, or dies of the same signal. */
int program_exit(const struct program *p);
void program_free(struct program *p);

#endif
