/* Owns the constructor: it decides what this process is. Without the client's variable the library does nothing at all. */
#include "agent/cpython/arch.h"
#include "agent/cpython/symbols.h"
#include "launch/launch.h"

struct own own;

/* A C library that has not been initialised yet has no environ; it will take the one that constructors get. */
static char **environment_of(char **handed) {
    char ***environ = symbol_find("environ");
    return environ && *environ ? *environ : handed;
}

/* The number behind the name in a line of /proc/self/status; 0 when there is no such line. */
static uint32_t number_of(const char *status, const char *name) {
    size_t n = strlen(name);
    for (const char *line = status; *line; line++) {
        if ((line != status && line[-1] != '\n') || memcmp(line, name, n)) continue;
        uint32_t number = 0;
        for (line += n; *line == ' ' || *line == '\t'; line++) continue;
        for (; *line >= '0' && *line <= '9'; line++) number = number * 10 + (uint32_t)(*line - '0');
        return number;
    }
    return 0;
}

bool own_is_filtered(void) {
    char status[4096];
    int64_t fd =
        arch_syscall3(SYS_OPENAT, (uint64_t)-100 /* AT_FDCWD */, (uint64_t) "/proc/self/status", 02000000 /* O_CLOEXEC */);
    int64_t n = fd < 0 ? fd : arch_syscall3(SYS_READ, (uint64_t)fd, (uint64_t)status, sizeof status - 1);
    if (fd >= 0) arch_syscall3(SYS_CLOSE, (uint64_t)fd, 0, 0);
    if (n <= 0) return false; /* no /proc: nothing is known */
    status[n] = 0;
    uint32_t filters = number_of(status, "Seccomp_filters:");
    if (!filters) filters = number_of(status, "Seccomp:") == 2; /* before Linux 5.9 */
    const char *ours = own.value + 2 * VT_LAUNCH_KEY;
    return filters > (uint32_t)(10 * (ours[0] - '0') + ours[1] - '0');
}

/* Helpers of the interpreter's own that run Python code: multiprocessing's resource tracker, and loky's. */
static bool is_helper(int argc, char **argv) {
    static const char import[] = "resource_tracker import main";
    for (int i = 1; i + 1 < argc && argv[i]; i++) {
        if (argv[i][0] != '-' || argv[i][1] != 'c' || argv[i][2]) continue;
        for (const char *at = argv[i + 1]; *at; at++)
            if (text_begins(at, import)) return true;
        return false;
    }
    return false;
}

static char *where(void) { return &own.value[VT_LAUNCH_WHERE]; }

__attribute__((constructor)) static void begin(int argc, char **argv, char **handed) {
    char **environment = environment_of(handed);
    filters_find();
    origin_find();
    if (!environment || !environ_read(environment)) return;
    own.active = true;
    bool python = symbol_find("PySys_AddAuditHook"), below = *where() == VT_LAUNCH_BELOW;
    own.carries = !python || *where() != VT_LAUNCH_ONE;
    if (python || below) environ_clean(environment); /* a program that our program starts shows its environment as it would be */
    if (python && *where() == VT_LAUNCH_ALL) *where() = VT_LAUNCH_BELOW;
    if (python && !is_helper(argc, argv) && !own_is_filtered()) start_arm();
}
