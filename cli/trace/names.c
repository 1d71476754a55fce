/* Owns the spelling of function names (names.h). */
#include "cli/trace/names.h"

#include <stdio.h>
#include <string.h>

#include "cli/base/clean_text.h"
#include "cli/base/json.h"

static char *put_raw(char *p, const void *text, size_t len) {
    if (len) memcpy(p, text, len);
    return p + len;
}

/* put: json_put_text or put_raw. */
static char *put_short(char *p, const struct trace_name *name, char *(*put)(char *, const void *, size_t)) {
    if (name->kind && name->file_len) {
        p = put(p, name->file, name->file_len);
        *p++ = '.';
    }
    return put(p, name->name, name->name_len);
}

static char *put_name(char *p, const struct trace_name *name, char *(*put)(char *, const void *, size_t)) {
    p = put_short(p, name, put);
    if (name->kind) return p;
    *p++ = ' ';
    *p++ = '(';
    p = put(p, name->file, name->file_len);
    *p++ = ':';
    p = json_put_u64(p, name->line);
    *p++ = ')';
    return p;
}

size_t name_text_max(const struct trace_name *name) { return (size_t)name->name_len + name->file_len + JSON_NUMBER_MAX + 8; }
char *name_put_text(char *p, const struct trace_name *name) { return put_name(p, name, put_raw); }
char *name_put_json(char *p, const struct trace_name *name) { return put_name(p, name, json_put_text); }
char *name_put_short_json(char *p, const struct trace_name *name) { return put_short(p, name, json_put_text); }

static const char *fixed(const char *name, size_t *len) {
    *len = strlen(name);
    return name;
}

const char *name_of_thread(const struct trace_thread *thread, char buf[NAME_MADE_UP], size_t *len) {
    *len = thread->name_len;
    if (*len) return thread->name;
    if (thread->tid == thread->process->pid) return fixed("MainThread", len);
    memcpy(buf, "Thread-", 7);
    *len = (size_t)(json_put_u64(buf + 7, thread->tid) - buf);
    return buf;
}

const char *name_of_process(const struct trace_process *process, size_t *len) {
    *len = process->name_len;
    return *len ? process->name : fixed("MainProcess", len);
}

const char *name_of_task(const struct trace_task *task, size_t *len) {
    *len = task->name_len;
    return *len ? task->name : fixed("Task", len);
}

char *name_short(char *to, const struct trace_name *name) {
    char owner[CLEAN_TEXT_MAX], what[CLEAN_TEXT_MAX], both[2 * CLEAN_TEXT_MAX];
    if (!name->kind || !name->file_len) return clean_text(to, name->name, name->name_len);
    clean_text(owner, name->file, name->file_len);
    clean_text(what, name->name, name->name_len);
    int n = snprintf(both, sizeof both, "%s.%s", owner, what);
    return clean_text(to, both, (size_t)n);
}
