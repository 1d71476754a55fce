/* Any bytes as the memory of a process: the interpreter in it is found or not, its debug offsets are followed or refused, and
 * nothing outside the bytes is read. */
#include "attach/attach_priv.h"
#include "tests/fuzz/fuzz.h"

#define BASE 0x400000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct map_module mod = {.start = BASE, .end = BASE + size, .first_start = BASE, .first_end = BASE + size};
    struct py_runtime py = {0};
    struct debug_state debug;
    struct mem mem;
    struct elf e;
    if (size < 2) return 0;
    mem_buffer(&mem, BASE, data, size);
    if (!module_from_memory(&mem, &mod, &e)) {
        int rc = pyruntime_probe(&mem, &e, module_bias(&mod, &e), &py);
        if (!rc && py.major) rc = debug_state_read(&mem, &py, &debug);
        struct vt_agent_info info;
        if (!rc) rc = agent_file_info(&e, &info);
        elf_close(&e);
    }
    /* the tables without the file around them; the chain of interpreters points anywhere */
    py = (struct py_runtime){.major = 3, .minor = 14 + data[0] % 2, .runtime = BASE, .has_offsets = true};
    if (!debug_state_read(&mem, &py, &debug) && (!debug.thread || debug.script_path_size < 64)) return -1;
    return 0;
}
