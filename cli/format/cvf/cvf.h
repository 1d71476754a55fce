/* VizTracer's compressed traces (.cvf): either side reads what the other wrote. All numbers little endian.
 *
 *   u64 version = 1, then records, each one byte of kind and:
 *   01 calls of one function on one thread, all with args or all without:
 *      u64 pid, u64 tid, name NUL, u64 n, u64 where in the file the args are (0 = none), i64 start of the first, then
 *      length, and for each of the others: time since the start before, length; then the args: a zipped list
 *   02 name of a process, 03 of a thread: u64 pid, u64 tid, name NUL
 *   04 counter: u64 pid, u64 tid, name NUL, u64 keys, each NUL-ended, u64 samples: i64 ns, and for each key
 *      23 i64, 24 double, 21 the key is not there, 22 as in the sample before
 *   05 all other events: a zipped list            11 file_info: zipped
 *   zipped: u64 length, u64 packed length, zlib data; JSON
 * Times of calls are in units of 10 ns, in 1, 2, 4 or 8 bytes: value << 2 | log2 of the bytes. Starts ascend.
 *
 * What the format has no place for: viztracer_metadata, which we put among the other events, as an M of that name, and
 * take out again; the order of events; the last digit of times. */
#ifndef VT_CLI_CVF_H
#define VT_CLI_CVF_H

#include "cli/base/output.h"
#include "cli/trace/trace_format.h"

struct cvf_opts {
    const char *input, *output;
    const volatile int *stop; /* may be NULL */
};

struct cvf_result {
    uint64_t events, bytes; /* of the output */
    char damage[384];       /* not "": of the input; what comes behind that place is not in the output */
};

/* Chrome JSON to .cvf: 16 bytes of memory for each call, and its args. 0 and a whole file, or -errno, err and none. */
VT_MUST_CHECK int cvf_compress(const struct cvf_opts *opts, struct cvf_result *result, struct vt_err *err);
/* .cvf to .json or .json.gz. A damaged file gives -EBADMSG and no output. */
VT_MUST_CHECK int cvf_decompress(const struct cvf_opts *opts, struct cvf_result *result, struct vt_err *err);

/* The same into an output that is open; neither committed nor aborted. opts->output is not looked at. */
VT_MUST_CHECK int cvf_pack(const struct cvf_opts *opts, struct output *out, struct cvf_result *result, struct vt_err *err);
VT_MUST_CHECK int cvf_unpack(const struct cvf_opts *opts, struct output *out, struct cvf_result *result, struct vt_err *err);

/* Shared by cvf.c and cvf_read.c. */
enum cvf_kind { CVF_CALLS = 1, CVF_PROCESS = 2, CVF_THREAD = 3, CVF_COUNTER = 4, CVF_OTHER = 5, CVF_FILE_INFO = 0x11 };
enum { CVF_ABSENT = 0x21, CVF_SAME = 0x22, CVF_INT = 0x23, CVF_DOUBLE = 0x24 };
#define CVF_VERSION 1u
#define CVF_UNIT_NS 10u
#define CVF_METADATA "viztracer_metadata" /* name of the M event that holds it */

extern const struct trace_writer_ops out_cvf; /* out_cvf.c */

#endif
