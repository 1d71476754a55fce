/* Turns the "args" of a call in a JSON trace back into the payloads of an event (abi/record.h). out_chrome does the reverse. */
#ifndef VT_CLI_ARGS_PAYLOAD_H
#define VT_CLI_ARGS_PAYLOAD_H

#include "cli/base/buf.h"

struct args_payload { /* all zero = new; used again and again */
    struct buf args, retval;
    bool has_args, has_retval;
    bool rest; /* something there fits neither: other members, values that are no strings, texts above the format's limits */
};

/* {"func_args":{"name":"repr",...},"return_value":"repr"}. 0 or -ENOMEM; anything that is not a JSON object is `rest`. */
VT_MUST_CHECK int args_payload_from_json(struct args_payload *p, const char *json, size_t len);
void args_payload_free(struct args_payload *p);

#endif
