/* Owns finding and reading source files for a trace. File names come from the target and are hostile. A file is taken only
 * when the target's own user may read it, below the target's own root, and when it looks like text. */
#include "cli/trace/file_info.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/base/json.h"
#include "cli/base/memory.h"
#include "cli/trace/names.h"

void file_source_open(struct file_source *source, const char *root, const char *cwd, uint32_t uid) {
    source->uid = uid;
    source->root_fd = root ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    ssize_t n = cwd ? readlink(cwd, source->cwd, sizeof source->cwd - 1) : -1;
    source->cwd[n > 0 ? n : 0] = 0;
}

void file_source_close(struct file_source *source) { vt_close(&source->root_fd); }

/* May the target's user read it? The target's groups are unknown, so a file that only a group may read is left out. */
static bool target_may_read(const struct file_source *source, const struct stat *st) {
    uid_t us = geteuid();
    if (st->st_mode & S_IROTH) return true;
    if (us != 0 && source->uid == us) return true;
    if (source->uid == 0) return source->root_fd >= 0;
    return st->st_uid == source->uid && (st->st_mode & S_IRUSR);
}

static int open_source(const struct file_source *source, const char *path) {
    if (source->root_fd < 0) return open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, source->root_fd, path, &how, sizeof how);
}

/* Text of a source file into *text (malloc'd); -errno when it cannot be read. */
static int read_source(const struct file_source *source, const struct trace_name *name, char **text, size_t *len) {
    char path[2 * PATH_MAX];
    struct stat st;
    if (!name->file_len || name->file[0] == '<' || name->file_len >= PATH_MAX || memchr(name->file, 0, name->file_len))
        return -ENOENT;
    bool relative = name->file[0] != '/' && source->cwd[0];
    snprintf(path, sizeof path, "%s%s%.*s", relative ? source->cwd : "", relative ? "/" : "", (int)name->file_len, name->file);
    int rc = 0, fd = open_source(source, path);
    if (fd < 0) return -errno;
    *text = NULL;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_INFO_FILE_MAX || !target_may_read(source, &st))
        rc = -EACCES;
    else if (!(*text = memory_alloc((size_t)st.st_size + 1)))
        rc = -ENOMEM;
    else
        rc = vt_read_full(fd, *text, (size_t)st.st_size);
    vt_close(&fd);
    *len = (size_t)st.st_size;
    if (!rc && memchr(*text, 0, *len)) rc = -EINVAL; /* not text */
    if (rc) memory_free(*text);
    return rc;
}

/* In place: removes a byte order mark, and turns \r
 *  and \r into
 * , as Python does when it reads source. Counts lines. */
static size_t source_text(char *text, size_t len, uint64_t *lines) {
    size_t from = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, to = 0;
    *lines = 0;
    for (; from < len; from++) {
        char c = text[from];
        if (c == '\r') {
            if (from + 1 < len && text[from + 1] == '\n') from++;
            c = '\n';
        }
        *lines += c == '\n';
        text[to++] = c;
    }
    return to;
}

static int compare_bytes(const char *a, uint32_t a_len, const char *b, uint32_t b_len) {
    int diff = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return diff ? diff : (a_len > b_len) - (a_len < b_len);
}

/* By file, then name, then line: functions of one file come together, and so do those with the same JSON key. */
static int compare_names(const void *a, const void *b) {
    const struct trace_name *x = *(struct trace_name *const *)a, *y = *(struct trace_name *const *)b;
    int diff = compare_bytes(x->file, x->file_len, y->file, y->file_len);
    if (!diff) diff = compare_bytes(x->name, x->name_len, y->name, y->name_len);
    return diff ? diff : (x->line > y->line) - (x->line < y->line);
}

static bool same_file(const struct trace_name *a, const struct trace_name *b) {
    return a->file_len == b->file_len && memcmp(a->file, b->file, a->file_len) == 0;
}

static int collect(struct trace_info *info, struct trace_name ***names, size_t *n) {
    *n = 0;
    *names = memory_alloc((info->nnames + 1u) * sizeof(struct trace_name *));
    if (!*names) return -ENOMEM;
    for (uint32_t p = 0; p < info->names.npages; p++)
        for (uint32_t k = 0; info->names.pages[p] && k < ID_TABLE_PAGE; k++) {
            struct trace_name *name = info->names.pages[p][k];
            if (name && name->used && name->kind == 0) (*names)[(*n)++] = name;
        }
    qsort(*names, *n, sizeof(struct trace_name *), compare_names);
    return 0;
}

/* "text" of any length. */
static int write_string(struct output *o, const char *text, size_t len) {
    const size_t step = 64u << 10;
    output_write(o, "\"", 1);
    while (len) {
        size_t n = len < step ? len : step;
        if (n < len) { /* do not cut a character */
            size_t back = n;
            while (back > n - 4 && ((uint8_t)text[back] & 0xc0) == 0x80) back--;
            if (back > n - 4) n = back;
        }
        output_put(o, json_put_text(output_room(o, JSON_TEXT_MAX(n)), text, n));
        text += n;
        len -= n;
    }
    output_write(o, "\"", 1);
    return output_error(o);
}

static int write_text(struct output *o, const char *text) {
    output_write(o, text, strlen(text));
    return output_error(o);
}

static int write_number_end(struct output *o, uint64_t number) {
    char *p = output_room(o, JSON_NUMBER_MAX + 2);
    *p++ = ',';
    p = json_put_u64(p, number);
    *p++ = ']';
    output_put(o, p);
    return output_error(o);
}

static int write_file_start(struct output *o, const struct trace_name *name, bool *any) {
    int rc = *any ? write_text(o, ",\n") : 0;
    *any = true;
    if (!rc) rc = write_string(o, name->file, name->file_len);
    return rc ? rc : write_text(o, ":[");
}

/* Writes source text that is part of the trace. */
static int write_brought(struct output *o, const struct trace_text *text, const struct trace_name *name, bool *any) {
    int rc = write_file_start(o, name, any);
    if (!rc) output_write(o, text->json, text->len);
    return rc ? rc : write_number_end(o, text->lines);
}

/* Writes one file's entry; clears `used` of its functions when there is no text. */
static int write_file(struct output *o, const struct trace_info *info, const struct file_source *source,
                      struct trace_name **names, size_t n, size_t *total, bool *any) {
    const struct trace_text *brought = text_map_get(&info->texts, names[0]->file, names[0]->file_len);
    char *text = NULL;
    size_t len = 0;
    uint64_t lines;
    int rc = *total >= FILE_INFO_TOTAL_MAX ? -EFBIG : 0;
    if (!rc && brought) {
        *total += brought->len;
        return write_brought(o, brought, names[0], any);
    }
    if (!rc) rc = info->only_texts ? -ENOENT : read_source(source, names[0], &text, &len);
    if (rc) {
        for (size_t i = 0; i < n; i++) names[i]->used = false;
        return 0;
    }
    len = source_text(text, len, &lines);
    *total += len;
    rc = write_file_start(o, names[0], any);
    if (!rc) rc = write_string(o, text, len);
    if (!rc) rc = write_number_end(o, lines);
    memory_free(text);
    return rc;
}

static int write_function(struct output *o, const struct trace_name *name, bool any) {
    size_t max = name_text_max(name);
    char *text = memory_alloc(max);
    if (!text) return -ENOMEM;
    int rc = any ? write_text(o, ",\n") : 0;
    if (!rc) rc = write_string(o, text, (size_t)(name_put_text(text, name) - text));
    if (!rc) rc = write_text(o, ":[");
    if (!rc) rc = write_string(o, name->file, name->file_len);
    if (!rc) rc = write_number_end(o, name->line);
    memory_free(text);
    return rc;
}

int file_info_write(struct output *o, struct trace_info *info, const struct file_source *source) {
    struct trace_name **names;
    size_t n, total = 0;
    bool any = false;
    int rc = collect(info, &names, &n);
    if (rc) return rc;
    rc = write_text(o, "{\"files\":{");
    for (size_t from = 0, to; from < n && !rc; from = to) {
        for (to = from + 1; to < n && same_file(names[from], names[to]);) to++;
        rc = write_file(o, info, source, names + from, to - from, &total, &any);
    }
    if (!rc) rc = write_text(o, "},\n\"functions\":{");
    any = false;
    for (size_t i = 0; i < n && !rc; i++) {
        if (!names[i]->used || (i && compare_names(&names[i - 1], &names[i]) == 0)) continue;
        rc = write_function(o, names[i], any);
        any = true;
    }
    if (!rc) rc = write_text(o, "}}");
    memory_free(names);
    return rc;
}
