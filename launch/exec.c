/* Owns the functions that stand in front of the C library's exec and spawn functions. In a program that has no interpreter they
 * put the client's variables back where the program has cleaned the environment (env -i), and leave them out for programs that
 * would not start with them. In a program with an interpreter, and without the client's variable, they only pass the call on.
 *
 * May run in a child of vfork: nothing is allocated and no state changes. */
#include "agent/cpython/symbols.h"
#include "launch/launch.h"

enum { NO_FUNCTION = 38 /* ENOSYS */, NAME_LONG = 255 };

int exec_fail(int code) {
    int *(*location)(void) = symbol_find("__errno_location"); /* glibc and musl */
    if (location) *location() = code;
    return -1;
}

char **exec_environment(void) {
    char ***environ = symbol_find("environ");
    return environ ? *environ : NULL;
}

static const char *value_of(char *const *environment, const char *name) {
    for (; environment && *environment; environment++) {
        const char *at = *environment, *with = name;
        while (*with && *at == *with) at++, with++;
        if (!*with && *at == '=') return at + 1;
    }
    return NULL;
}

/* Whether the program that would be found on PATH may be started with the library. */
static bool found_allows(const char *name) {
    char path[LAUNCH_PATH_MAX + NAME_LONG + 2];
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (name[i] == '/') return pass_by_allows(name);
    const char *at = value_of(exec_environment(), "PATH");
    if (!at) at = "/bin:/usr/bin";
    while (len <= NAME_LONG) {
        size_t n = 0;
        while (at[n] && at[n] != ':') n++;
        if (n && n < LAUNCH_PATH_MAX) {
            memcpy(path, at, n);
            path[n] = '/';
            memcpy(path + n + 1, name, len + 1);
            if (pass_by_is_there(path)) return pass_by_allows(path);
        }
        if (!at[n]) break;
        at += n + 1;
    }
    return true;
}

/* An environment of our own, on the stack of the caller. */
#define OWN_ENVIRONMENT(environment, allowed)                                                                                    \
    const bool own_changes = own.carries && environ_fits(environment);                                                           \
    char *own_list[own_changes ? environ_room(environment) : 1];                                                                 \
    char own_text[own_changes ? environ_text(environment) : 1];                                                                  \
    if (own_changes) {                                                                                                           \
        environ_with(environment, allowed, own_list, own_text);                                                                  \
        environment = own_list;                                                                                                  \
    }

EXPORT int execve(const char *program, char *const *arguments, char *const *environment);
EXPORT int execv(const char *program, char *const *arguments);
EXPORT int execvpe(const char *name, char *const *arguments, char *const *environment);
EXPORT int execvp(const char *name, char *const *arguments);
EXPORT int posix_spawn(int *pid, const char *program, const void *actions, const void *attributes, char *const *arguments,
                       char *const *environment);
EXPORT int posix_spawnp(int *pid, const char *name, const void *actions, const void *attributes, char *const *arguments,
                        char *const *environment);

int execve(const char *program, char *const *arguments, char *const *environment) {
    int (*next)(const char *, char *const *, char *const *) = symbol_find_next("execve");
    if (!next) return exec_fail(NO_FUNCTION);
    OWN_ENVIRONMENT(environment, pass_by_allows(program))
    return next(program, arguments, environment);
}

int execv(const char *program, char *const *arguments) {
    int (*next)(const char *, char *const *) = symbol_find_next("execv");
    if (own.carries) return execve(program, arguments, exec_environment());
    return next ? next(program, arguments) : exec_fail(NO_FUNCTION);
}

int execvpe(const char *name, char *const *arguments, char *const *environment) {
    int (*next)(const char *, char *const *, char *const *) = symbol_find_next("execvpe");
    if (!next) return exec_fail(NO_FUNCTION);
    OWN_ENVIRONMENT(environment, found_allows(name))
    return next(name, arguments, environment);
}

int execvp(const char *name, char *const *arguments) {
    int (*next)(const char *, char *const *) = symbol_find_next("execvp");
    if (own.carries && symbol_find_next("execvpe")) return execvpe(name, arguments, exec_environment());
    return next ? next(name, arguments) : exec_fail(NO_FUNCTION);
}

typedef int (*spawn_function)(int *, const char *, const void *, const void *, char *const *, char *const *);

int posix_spawn(int *pid, const char *program, const void *actions, const void *attributes, char *const *arguments,
                char *const *environment) {
    spawn_function next = symbol_find_next("posix_spawn");
    if (!next) return NO_FUNCTION;
    OWN_ENVIRONMENT(environment, pass_by_allows(program))
    return next(pid, program, actions, attributes, arguments, environment);
}

int posix_spawnp(int *pid, const char *name, const void *actions, const void *attributes, char *const *arguments,
                 char *const *environment) {
    spawn_function next = symbol_find_next("posix_spawnp");
    if (!next) return NO_FUNCTION;
    OWN_ENVIRONMENT(environment, found_allows(name))
    return next(pid, name, actions, attributes, arguments, environment);
}
