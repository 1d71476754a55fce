/* Owns the constructor: it decides what this process is. Without the client's variable the library does nothing at all. */
#include "agent/cpython/symbols.h"
#include "launch/launch.h"

struct own own;

/* A C library that has not been initialised yet has no environ; it will take the one that constructors get. */
static char **environment_of(char **handed) {
    char ***environ = symbol_find("environ");
    return environ && *environ ? *environ : handed;
}

__attribute__((constructor)) static void begin(int argc, char **argv, char **handed) {
    (void)argc, (void)argv;
    char **environment = environment_of(handed);
    if (!environment || !environ_read(environment)) return;
    own.active = true;
    if (!symbol_find("PySys_AddAuditHook")) {
        own.carries = true;
        return;
    }
    environ_clean(environment);
    start_arm();
}
