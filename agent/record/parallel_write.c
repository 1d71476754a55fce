/* Owns payloads of threads of interpreters with a GIL of their own. */
#include "agent/record/parallel_write.h"

bool parallel_plain_payload(uint32_t kind, const uint64_t *words, uint32_t bytes) {
    uint32_t session = vt_load_acquire(&agent.session);
    uint64_t now = clock_full(), n = 1 + (bytes + 7) / 8, *cursor = parallel_room(n, now);
    if (UNLIKELY(!cursor)) return false;
    for (uint64_t i = 1; i < n; i++) cursor[i] = words[i - 1];
    arch_publish(cursor, vt_rec_make(now, vt_rec_payload_id(kind, bytes), VT_REC_PAYLOAD));
    parallel_wrote(cursor + n, session);
    return true;
}

void parallel_payload(uint32_t kind, const char *text, uint32_t bytes) {
    uint8_t *to = parallel_lock_known() ? payload_reserve(bytes) : NULL;
    if (to) {
        memcpy(to, text, bytes);
        payload_commit(kind, bytes);
    }
    parallel_unlock();
}
