/* Owns the checks of payload layout (proto/abi/record.h). */
#include "daemon/drain/payload.h"

#include <errno.h>
#include <string.h>

static int head_copy(void *head, size_t size, const uint8_t *p, uint32_t len) {
    if (len < size) return -EPROTO;
    memcpy(head, p, size);
    return 0;
}

int payload_name(const uint8_t *p, uint32_t len, struct vt_pl_name *head, struct text *name, struct text *file) {
    int rc = head_copy(head, sizeof(*head), p, len);
    if (rc) return rc;
    if (len - sizeof(*head) < (size_t)head->namelen + head->filelen) return -EPROTO;
    *name = (struct text){p + sizeof(*head), head->namelen};
    *file = (struct text){name->p + name->len, head->filelen};
    return 0;
}

int payload_thread(const uint8_t *p, uint32_t len, struct vt_pl_thread *head, struct text *name) {
    int rc = head_copy(head, sizeof(*head), p, len);
    if (rc) return rc;
    if (len - sizeof(*head) < head->namelen) return -EPROTO;
    *name = (struct text){p + sizeof(*head), head->namelen};
    return 0;
}

int payload_task(const uint8_t *p, uint32_t len, struct vt_pl_task *head, struct text *name) {
    int rc = head_copy(head, sizeof(*head), p, len);
    if (rc) return rc;
    if (len - sizeof(*head) < head->namelen) return -EPROTO;
    *name = (struct text){p + sizeof(*head), head->namelen};
    return 0;
}

int payload_stack(const uint8_t *p, uint32_t len, struct vt_pl_stack *head, struct text *name, const uint8_t **ids,
                  const uint8_t **lines) {
    int rc = head_copy(head, sizeof(*head), p, len);
    if (rc) return rc;
    uint32_t namelen = head->part ? 0 : head->namelen;
    uint32_t rest = len - (uint32_t)sizeof(*head);
    bool has_lines = head->flags & VT_STACK_HAS_LINES;
    if (rest < namelen || (rest - namelen) / (has_lines ? 8 : 4) < head->nframes) return -EPROTO;
    *name = (struct text){p + sizeof(*head), namelen};
    *ids = name->p + namelen;
    *lines = has_lines ? *ids + head->nframes * 4u : NULL;
    return 0;
}
