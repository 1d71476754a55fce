/* Calls of any kind in a .html page: overlapping, backwards in time, huge arguments, hostile names. The page has no script
 * except its own, and as many calls as were handed over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/format/format.h"
#include "tests/fuzz/fuzz.h"

#define NAMES 8u

static const struct trace_writer_ops *html_ops(void) { return format_by_name("x.html", NULL)->writer; }

struct page {
    char *text;
    size_t len, room;
};

static int take(void *arg, const void *data, size_t len) {
    struct page *page = arg;
    if (page->room - page->len < len) {
        page->room = 2 * page->room + len;
        page->text = realloc(page->text, page->room);
        if (!page->text) abort();
    }
    memcpy(page->text + page->len, data, len);
    page->len += len;
    return 0;
}

/* Elements that begin with <script: the page's own, and those of the data. */
static void check_page(const char *text, size_t len) {
    static const char script[] = "<script", data[] = "<script type=\"text/plain\" class=\"trace\">";
    size_t scripts = 0;
    for (const char *p = text; (p = memmem(p, len - (size_t)(p - text), script, sizeof script - 1)); p++)
        scripts += len - (size_t)(p - text) < sizeof data - 1 || memcmp(p, data, sizeof data - 1) != 0;
    if (scripts != 1) abort();
}

struct input {
    const uint8_t *data, *end;
};
static uint64_t number(struct input *in, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes && in->data < in->end; i++) v = v << 8 | *in->data++;
    return v;
}

static int hand_over(struct trace_writer *w, struct trace_info *info, struct trace_name *names, struct trace_task *tasks,
                     struct input *in, uint64_t *calls) {
    const struct trace_thread *thread = info->threads[number(in, 1) % info->nthreads];
    uint64_t kind = number(in, 1), ns = kind & 128 ? number(in, 8) : number(in, 2);
    if (kind % 8 == 1) return html_ops()->gap(w, &(struct trace_gap){thread, ns, number(in, 4)});
    if (kind % 8 == 2) return html_ops()->counter(w, &(struct trace_counter){thread, ns, {number(in, 1), number(in, 2), 0}});
    size_t len = number(in, 1);
    if (len > (size_t)(in->end - in->data)) len = (size_t)(in->end - in->data);
    const char *text = (const char *)in->data;
    in->data += len;
    if (kind % 8 == 3) {
        struct trace_mark mark = {
            .thread = thread, .ns = ns, .ph = 'i', .name = text, .name_len = len, .args_json = "1", .args_json_len = 1};
        return html_ops()->mark(w, &mark);
    }
    struct trace_fold_function functions[] = {{&names[1], 2, 3}, {&names[2], 4, 5}};
    struct trace_fold fold = {.calls = number(in, 1), .total_ns = ns, .nfunctions = 2, .functions = functions};
    struct trace_call call = {
        .thread = thread,
        .name = &names[number(in, 1) % NAMES],
        .task = kind & 64 ? &tasks[number(in, 1) % 4] : NULL,
        .start_ns = ns,
        .end_ns = number(in, kind & 32 ? 8 : 2),
        .open = kind % 8 == 4,
        .raised = kind % 8 == 5,
        .args = len ? (const uint8_t *)text : NULL,
        .args_len = (uint32_t)len,
        .folded = kind % 8 == 6 ? &fold : NULL,
    };
    ++*calls;
    return html_ops()->call(w, &call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct trace_info info;
    static struct page page;
    struct input in = {data, data + size};
    struct trace_process process = {.pid = 7}, *processes[] = {&process};
    struct trace_thread threads[2] = {{.process = &process, .tid = 7}, {.process = &process, .tid = 8, .index = 1}};
    struct trace_thread *list[] = {&threads[0], &threads[1]};
    struct trace_name names[NAMES];
    struct trace_task tasks[4] = {{.address = 1}, {.address = 2}, {.address = 3}, {.address = 4}};
    struct trace_totals totals = {0};
    struct writer_opts opts = {0};
    struct output *out;
    struct vt_err err = {0};
    uint64_t bytes;
    size_t len = size < 64 ? size : 64;
    for (uint32_t i = 0; i < NAMES; i++)
        names[i] =
            (struct trace_name){.index = i, .kind = i & 1, .name = (const char *)data, .name_len = (uint32_t)(len * i / NAMES)};
    threads[1].name = (char *)(uintptr_t)data;
    threads[1].name_len = (uint32_t)len;
    info.processes = processes;
    info.threads = list;
    info.nprocesses = 1;
    info.nthreads = 2;
    info.nnames = NAMES;
    page.len = 0;
    if (output_open_sink(false, take, &page, &out)) abort();
    struct trace_writer *w = html_ops()->open(out, &info, &opts);
    if (!w || html_ops()->begin(w)) abort();
    while (in.data < in.end)
        if (hand_over(w, &info, names, tasks, &in, &totals.calls)) abort();
    if (html_ops()->end(w, &totals)) abort();
    html_ops()->free(w);
    if (output_commit(out, &bytes, &err)) abort();
    check_page(page.text, page.len);
    return 0;
}
