/* Turns annotations of a Perfetto event into the text of a JSON object. perfetto_args.h does the reverse. */
#ifndef VT_CLI_PERFETTO_JSON_H
#define VT_CLI_PERFETTO_JSON_H

#include "cli/base/buf.h"
#include "cli/base/text_map.h"
#include "cli/format/perfetto/perfetto_subset.pb-c.h"
#include "proto/base.h"

/* Annotations that are not arguments. */
struct perfetto_notes {
    bool from_attach, raised, unfinished, resumed, suspended;
    bool has_count;
    uint64_t count;             /* a top-level "count", of the instant "events dropped" */
    ProtobufCBinaryData object; /* "object" and "id" of marks */
    ProtobufCBinaryData id;
};

/* Texts that the sequence has interned, by their iids (u64): struct perfetto_text. */
struct perfetto_texts {
    struct text_map names, strings;
};
struct perfetto_text {
    size_t len;
    uint8_t data[];
};
/* The first text of a number counts. -ENOMEM. */
VT_MUST_CHECK int perfetto_texts_add(struct text_map *map, uint64_t id, ProtobufCBinaryData text);
void perfetto_texts_free(struct perfetto_texts *texts);

/* One DebugAnnotation as the next member of the object that `json` holds without its end ("{" is written first); a
 * repr that was typed becomes text again. Notes are taken, not written: is_call says which kind. -EBADMSG, -ENOMEM. */
VT_MUST_CHECK int perfetto_json_member(struct buf *json, const struct perfetto_texts *texts, const Pf__Annotation *annotation,
                                       bool is_call, struct perfetto_notes *notes);

#endif
