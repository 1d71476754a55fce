/* Any bytes as the memory of an interpreter, of any version: its threads, stacks, variables and tasks are read, or not, in
 * bounded time and memory, and nothing outside the bytes is read. The first byte chooses the version, the rest is the memory. */
#include <string.h>

#include "outside/pystacks.h"
#include "outside/tasks.h"
#include "outside/text.h"
#include "outside/values.h"
#include "outside/variables.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/world.h"

static bool hold(void *ctx, const struct raw_thread *t, bool held) {
    (void)ctx;
    (void)t;
    (void)held;
    return true;
}

static int take(void *ctx, const char *name, const char *text) {
    (void)ctx;
    return strlen(name) >= TEXT_MAX || strlen(text) >= VALUE_MAX;
}

static int tell(struct pystacks *stacks, struct codes *codes, struct remote *remote, const struct py_layout *layout) {
    uint64_t work = 100000;
    size_t n;
    struct raw_thread **threads = pystacks_threads(stacks, &n);
    for (size_t i = 0; i < n; i++) {
        int rc = pystacks_read(stacks, threads[i]);
        const struct raw_thread *t = threads[i];
        if (t->nsure > t->nframes || (!rc && (t->torn || t->nsure != t->nframes))) return -1;
        for (uint32_t k = 0; k < t->nframes; k++) {
            const struct outside_code *code = codes_get(codes, t->frames[k].code);
            if (code && (!code->name || !code->file)) return -1;
            if (code) codes_line(codes, code, t->frames[k].instr);
            if (variables_each(remote, layout, t->frames[k].code, t->frames[k].address, &work, take, NULL)) return -1;
        }
    }
    return 0;
}

/* Tasks of an interpreter and a thread state that lie in the memory. */
static int tell_tasks(struct remote *remote, const struct py_layout *layout, struct codes *codes) {
    struct tasks *tasks = NULL;
    struct outside_thread thread = {.address = WORLD_BASE + WORLD_THREAD};
    uint64_t interpreter = WORLD_BASE + WORLD_INTERPRETER;
    size_t n = 0;
    bool cut, bad = false;
    int rc = tasks_new(&tasks, remote, layout, codes, WORLD_BASE);
    if (!rc) rc = tasks_read(tasks, &interpreter, 1, &thread, 1);
    const struct outside_task *all = tasks ? tasks_all(tasks, &n, &cut) : NULL;
    for (size_t i = 0; !rc && i < n; i++) {
        for (uint32_t k = 0; k < all[i].nwaits; k++) bad |= all[i].waits[k] >= n;
        for (uint32_t k = 0; k < all[i].nframes; k++) bad |= !all[i].frames[k].code;
    }
    tasks_free(tasks);
    return bad ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct py_layout layout;
    struct remote *remote = NULL;
    struct codes *codes = NULL;
    struct pystacks *stacks = NULL;
    struct mem mem;
    int bad = 0;
    if (size < 2) return 0;
    struct py_runtime py = {.major = 3, .minor = 8 + data[0] % 8, .runtime = WORLD_BASE, .has_offsets = data[0] & 8};
    mem_buffer(&mem, WORLD_BASE, data + 1, size - 1);
    if (layout_of(&mem, &py, &layout) || remote_new(&remote, &mem)) return 0;
    int rc = codes_new(&codes, remote, &layout);
    if (!rc) rc = pystacks_new(&stacks, remote, &layout, py.runtime, hold, NULL);
    /* after an error, what was found is used; the second list meets the threads of the first */
    for (int i = 0; !rc && !bad && i < 2; i++) {
        remote_forget(remote);
        codes_doubt(codes);
        rc = pystacks_list(stacks);
        bad = tell(stacks, codes, remote, &layout);
    }
    if (!rc && !bad) bad = tell_tasks(remote, &layout, codes);
    pystacks_free(stacks);
    codes_free(codes);
    remote_free(remote);
    return bad;
}
