/* What an open call is told while it runs: assignments in it (VT_PL_STEP) and values by name (VT_PL_NOTE). Each is added to one
 * text, the "args" object of the call as JSON. The bytes come from the traced process: what does not fit or is no JSON is left
 * out. */
#ifndef VT_CLI_CALL_NOTES_H
#define VT_CLI_CALL_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call_notes; /* of one call; NULL = nothing yet */

/* Both make *notes when it is NULL. `most`: bytes that the notes may grow to. 0 or -ENOMEM. */
int call_notes_step(struct call_notes **notes, const uint8_t *text, uint32_t len, size_t most);
int call_notes_member(struct call_notes **notes, const uint8_t *payload, uint32_t len, size_t most);

/* The whole text, owned by `notes` and whole until the next change. `notes` is not NULL. -ENOMEM gives an empty object. */
const char *call_notes_json(struct call_notes *notes, size_t *len);

size_t call_notes_bytes(const struct call_notes *notes); /* memory held, 0 for NULL */
void call_notes_free(struct call_notes *notes);

/* The program has made the text itself: is it JSON that may go into a file as it is? */
bool call_notes_is_json(const char *json, size_t len);

#endif
