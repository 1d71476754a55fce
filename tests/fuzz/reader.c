/* A whole .vzt with correct checksums: reader, model, folding, the writers, the profile. Whatever the input, the outputs are
 * strict JSON or complete packets, and the sums are right. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/convert/convert.h"
#include "cli/format/format.h"
#include "cli/profile/profile.h"
#include "proto/block_code.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

#define SECTION_PAYLOAD 8u

/* The head of a piece of `bytes` bytes. */
static void put_section(uint8_t *to, uint32_t number, size_t bytes) {
    uint8_t payload[SECTION_PAYLOAD] = {0x08, (uint8_t)number, 0x10};
    for (unsigned i = 0; i < 5; i++) payload[3 + i] = (uint8_t)((bytes >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
    vt_frame_put_header(to, VT_FRAME_SECTION, payload, sizeof payload);
    memcpy(to + VT_FRAME_HDR, payload, sizeof payload);
}

/* Frames in the input are {type u8, length u16, payload}, so that mutations stay frames. Of a type from 128 on: a piece of
 * section type - 128 begins, and reaches as far as the next one, less the length. */
static size_t make_file(uint8_t *to, size_t room, const uint8_t *data, size_t size) {
    size_t n = 8, piece = 0;
    uint32_t number = 0, less = 0;
    memcpy(to, VT_FILE_MAGIC, 8);
    while (size >= 3) {
        uint32_t type = data[0], len = (uint32_t)data[1] | (uint32_t)data[2] << 8;
        data += 3;
        size -= 3;
        if (type & 0x80) {
            if (n + VT_FRAME_HDR + SECTION_PAYLOAD > room) break;
            if (piece) put_section(to + piece, number, n - piece - VT_FRAME_HDR - SECTION_PAYLOAD - less);
            piece = n;
            number = type & 0x7f;
            less = len;
            n += VT_FRAME_HDR + SECTION_PAYLOAD;
            continue;
        }
        if (len > size) len = (uint32_t)size;
        if (n + VT_FRAME_HDR + len > room) break;
        vt_frame_put_header(to + n, type, data, len);
        memcpy(to + n + VT_FRAME_HDR, data, len);
        n += VT_FRAME_HDR + len;
        data += len;
        size -= len;
    }
    if (piece) put_section(to + piece, number, n - piece - VT_FRAME_HDR - SECTION_PAYLOAD - less);
    return n;
}

/* Only what strict means for brackets, quotes and bytes: cheap, and enough to see a writer break. */
static void check_json(const char *text, size_t len) {
    char stack[64];
    size_t depth = 0;
    int in_string = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = 0;
            else if (c < 0x20)
                abort();
            continue;
        }
        if (c == '"')
            in_string = 1;
        else if (c == '{' || c == '[') {
            if (depth == sizeof stack) abort();
            stack[depth++] = c == '{' ? '}' : ']';
        } else if ((c == '}' || c == ']') && (!depth || stack[--depth] != (char)c))
            abort();
    }
    if (depth || in_string) abort();
}

static void check_packets(const char *text, size_t len) {
    const uint8_t *p = (const uint8_t *)text, *end = p + len;
    while (p < end) {
        uint64_t size;
        if (*p++ != 0x0a || !(p = block_get_varint(p, end, &size)) || size > (size_t)(end - p)) abort();
        p += size;
    }
}

/* What is made natively is read again, without damage. */
static void check_native(const char *in_path, const char *out_path, bool waits) {
    struct convert_result result;
    struct vt_err err = {0};
    struct trace_source *source;
    struct convert_opts opts = {.input = in_path, .output = out_path};
    if (waits)
        opts.select.from_ns = 1;
    else
        opts.min_duration_ns = 1;
    if (convert_trace(&opts, &result, &err)) return;
    if (trace_source_open(out_path, &source, &err) || trace_source_range(source, &err)) abort();
    if (trace_source_info(source)->damage.code) abort();
    trace_source_close(source);
    unlink(out_path);
}

/* False: an error. */
static bool convert(const char *in_path, const char *out_path, uint64_t budget, void (*check)(const char *text, size_t len)) {
    struct convert_result result;
    struct vt_err err = {0};
    struct convert_opts opts = {.input = in_path, .output = out_path, .log_async = true, .budget = budget};
    if (convert_trace(&opts, &result, &err)) {
        if (!err.msg[0] || access(out_path, F_OK) == 0) abort(); /* an error says why, and leaves nothing */
        return false;
    }
    FILE *f = fopen(out_path, "rb");
    if (!f) abort();
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(n + 1);
    if (!text || fread(text, 1, n, f) != n) abort();
    fclose(f);
    check(text, n);
    free(text);
    unlink(out_path);
    return true;
}

/* Own times add up the same by function, by thread and by stack, whatever was recorded. */
static void check_profile(const char *path) {
    struct trace_source *source;
    struct profile *p;
    struct vt_err err = {0};
    struct profile_opts opts = {.slowest = 5, .tree = true};
    uint64_t self_ns = 0, calls = 0;
    if (trace_source_open(path, &source, &err) || profile_make(source, &opts, &p, &err)) abort();
    for (uint32_t i = 0; i < p->nfunctions; i++) {
        self_ns += p->functions[i].self_ns;
        calls += p->functions[i].calls;
    }
    if (self_ns != p->total_ns || self_ns != p->stacks.nodes[0].total_ns || calls != p->calls) abort();
    if (calls != p->totals.calls + p->totals.open) abort();
    profile_free(p);
    trace_source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t file[1u << 18];
    static char in_path[64], json_path[64], packets_path[64], flame_path[64], native_path[64];
    if (!in_path[0]) {
        const char *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(in_path, sizeof in_path, "%s/fuzz-reader-%d.vzt", dir, (int)getpid());
        snprintf(json_path, sizeof json_path, "%s/fuzz-reader-%d.json", dir, (int)getpid());
        snprintf(flame_path, sizeof flame_path, "%s/fuzz-reader-%d.speedscope.json", dir, (int)getpid());
        snprintf(native_path, sizeof native_path, "%s/fuzz-reader-%d.out.vzt", dir, (int)getpid());
        snprintf(packets_path, sizeof packets_path, "%s/fuzz-reader-%d.pftrace", dir, (int)getpid());
    }
    size_t len = make_file(file, sizeof file, data, size);
    FILE *f = fopen(in_path, "wb");
    if (!f || fwrite(file, 1, len, f) != len) abort();
    fclose(f);
    if (convert(in_path, json_path, 0, check_json)) {
        if (!convert(in_path, packets_path, 0, check_packets) || !convert(in_path, flame_path, 0, check_json)) abort();
        if (!convert(in_path, size % 2 ? json_path : packets_path, 1 + size % 5, size % 2 ? check_json : check_packets)) abort();
        check_profile(in_path);
        check_native(in_path, native_path, size % 2);
    }
    unlink(in_path);
    return 0;
}
