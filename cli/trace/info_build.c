/* Owns the making of a trace_info by hand (info_build.h). */
#include "cli/trace/info_build.h"

#include <errno.h>
#include <string.h>

#include "cli/base/memory.h"

#define MADE_UP 0x40000000u /* numbers for processes and threads that have no fitting one: above every real number */
#define NAME_MAX_LEN (64u << 20)
#define KEY_MAX 64u

void info_build_free(struct info_build *b) {
    text_map_free(&b->names);
    text_map_free(&b->processes);
    text_map_free(&b->threads);
}

int info_build_text(char **text, uint32_t *text_len, const char *from, size_t len) {
    if (len > NAME_MAX_LEN) len = NAME_MAX_LEN;
    char *copy = memory_alloc(len + 1);
    if (!copy) return -ENOMEM;
    if (len) memcpy(copy, from, len);
    memory_free(*text);
    *text = copy;
    *text_len = (uint32_t)len;
    return 0;
}

/* ---- names ---- */

static struct trace_name *add_name(struct info_build *b, void **slot, const struct trace_name *like) {
    if (!slot || *slot) return slot ? *slot : NULL;
    void **by_id = id_table_slot(&b->info->names, b->info->nnames);
    struct trace_name *name = by_id ? memory_alloc(sizeof *name + like->name_len + like->file_len) : NULL;
    if (!name) return NULL;
    char *text = (char *)(name + 1);
    *name = *like;
    name->index = b->info->nnames++;
    name->used = false;
    name->name = text;
    name->file = text + like->name_len;
    if (like->name_len) memcpy(text, like->name, like->name_len);
    if (like->file_len) memcpy(text + like->name_len, like->file, like->file_len);
    *by_id = *slot = name;
    return name;
}

/* The line number at the end of "...:12)". False when there is none, or when we would write the number differently. */
static bool line_at_end(const char *text, size_t len, size_t *colon, uint32_t *line) {
    uint64_t value = 0, scale = 1;
    size_t at = len - 1;
    if (len < 2 || text[len - 1] != ')') return false;
    for (; at && text[at - 1] >= '0' && text[at - 1] <= '9'; at--) {
        if (len - at > 10) return false;
        value += (uint64_t)(text[at - 1] - '0') * scale;
        scale *= 10;
    }
    if (at == len - 1 || !at || text[at - 1] != ':' || value > UINT32_MAX || (text[at] == '0' && at != len - 2)) return false;
    *colon = at - 1;
    *line = (uint32_t)value;
    return true;
}

static bool parentheses_pair(const char *text, size_t len) {
    size_t depth = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '(') depth++;
        if (text[i] == ')' && !depth--) return false;
    }
    return depth == 0;
}

/* Splits at the first " (" behind which the parentheses are balanced: "f (/a (1)/b.py:3)" is in "/a (1)/b.py". */
static bool split_name(const char *text, size_t len, struct trace_name *parts) {
    size_t colon, tried = 0;
    if (!line_at_end(text, len, &colon, &parts->line)) return false;
    for (size_t i = 0; i + 2 <= colon && tried < 64; i++) {
        if (text[i] != ' ' || text[i + 1] != '(') continue;
        tried++;
        if (!parentheses_pair(text + i + 2, colon - i - 2)) continue;
        parts->name = text;
        parts->name_len = (uint32_t)i;
        parts->file = text + i + 2;
        parts->file_len = (uint32_t)(colon - i - 2);
        return true;
    }
    return false;
}

struct trace_name *info_build_name(struct info_build *b, const char *text, size_t len) {
    struct trace_name parts = {.kind = 0};
    if (len > NAME_MAX_LEN) len = NAME_MAX_LEN;
    if (!split_name(text, len, &parts))
        parts = (struct trace_name){.kind = 1, .name = text, .name_len = (uint32_t)len, .file = ""};
    return add_name(b, text_map_slot(&b->names, text, len), &parts);
}

struct trace_name *info_build_find_name(const struct info_build *b, const char *text, size_t len) {
    return text_map_get(&b->names, text, len > NAME_MAX_LEN ? NAME_MAX_LEN : len);
}

struct trace_name *info_build_name_parts(struct info_build *b, const struct trace_name *like) {
    struct {
        uint32_t kind, line, name_len;
    } head = {like->kind, like->line, like->name_len};
    size_t len = sizeof head + like->name_len + like->file_len;
    char *key = memory_alloc(len);
    if (!key) return NULL;
    memcpy(key, &head, sizeof head);
    if (like->name_len) memcpy(key + sizeof head, like->name, like->name_len);
    if (like->file_len) memcpy(key + sizeof head + like->name_len, like->file, like->file_len);
    struct trace_name *name = add_name(b, text_map_slot(&b->names, key, len), like);
    memory_free(key);
    return name;
}

/* ---- processes and threads ---- */

/* A pid or tid in the range of Linux. */
static bool small_number(const char *text, size_t len, uint32_t *number) {
    uint32_t value = 0;
    if (!len || len > 10) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        if (value >= MADE_UP / 10 * 4) return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    *number = value;
    return true;
}

static int grow(void **list, uint32_t n, uint32_t *room) {
    if (n < *room) return 0;
    uint32_t more = *room ? *room * 2 : 16;
    void *grown = memory_realloc(*list, more * sizeof(void *));
    if (!grown) return -ENOMEM;
    *list = grown;
    *room = more;
    return 0;
}

struct trace_process *info_build_process(struct info_build *b, const char *pid, size_t len) {
    struct trace_info *info = b->info;
    void **slot = text_map_slot(&b->processes, pid, len);
    if (!slot || *slot) return slot ? *slot : NULL;
    if (grow((void **)&info->processes, info->nprocesses, &b->processes_room)) return NULL;
    struct trace_process *process = memory_calloc(1, sizeof *process);
    if (!process) return NULL;
    process->index = info->nprocesses;
    if (!small_number(pid, len, &process->pid)) {
        process->pid = MADE_UP + process->index;
        if (info_build_text(&process->name, &process->name_len, pid, len)) {
            memory_free(process);
            return NULL;
        }
    }
    info->processes[info->nprocesses++] = process;
    return *slot = process;
}

/* The key of a thread: its process's number in the trace, and the name that the file gives it. */
static size_t thread_key(char *key, const struct trace_process *process, const char *tid, size_t len) {
    if (len > KEY_MAX) len = KEY_MAX;
    memcpy(key, &process->index, sizeof process->index);
    if (len) memcpy(key + sizeof process->index, tid, len);
    return sizeof process->index + len;
}

struct trace_thread *info_build_find_thread(const struct info_build *b, const struct trace_process *process, const char *tid,
                                            size_t len) {
    char key[KEY_MAX + sizeof process->index];
    size_t key_len = thread_key(key, process, tid, len);
    return text_map_get(&b->threads, key, key_len);
}

struct trace_thread *info_build_thread(struct info_build *b, const struct trace_process *process, const char *tid, size_t len) {
    struct trace_info *info = b->info;
    char key[KEY_MAX + sizeof process->index];
    size_t key_len = thread_key(key, process, tid, len);
    void **slot = text_map_slot(&b->threads, key, key_len);
    if (!slot || *slot) return slot ? *slot : NULL;
    if (grow((void **)&info->threads, info->nthreads, &b->threads_room)) return NULL;
    struct trace_thread *thread = memory_calloc(1, sizeof *thread);
    if (!thread) return NULL;
    thread->process = process;
    thread->index = info->nthreads;
    thread->serial = TRACE_NO_SERIAL;
    if (!small_number(tid, len, &thread->tid)) {
        thread->tid = MADE_UP + thread->index;
        if (info_build_text(&thread->name, &thread->name_len, tid, len)) {
            memory_free(thread);
            return NULL;
        }
    }
    thread->ident = thread->tid;
    info->threads[info->nthreads++] = thread;
    return *slot = thread;
}
