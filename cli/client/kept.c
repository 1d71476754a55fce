/* Owns looking for kept traces. */
#include "cli/client/kept.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/client/client.h"

struct each {
    int (*fn)(void *ctx, const struct spooldir_file *k);
    void *ctx;
};

static int each_in(void *ctx, const char *dir) {
    const struct each *each = ctx;
    return spooldir_each(dir, geteuid(), each->fn, each->ctx);
}

int kept_each(int (*fn)(void *ctx, const struct spooldir_file *k), void *ctx) {
    struct each each = {fn, ctx};
    return spooldir_each_own(each_in, &each);
}

struct search {
    pid_t pid;
    struct spooldir_file *best;
    bool found;
};

static int newer(void *ctx, const struct spooldir_file *k) {
    struct search *s = ctx;
    if (k->pid != s->pid || (s->found && k->saved_ns <= s->best->saved_ns)) return 0;
    *s->best = *k;
    s->found = true;
    return 0;
}

static int ask(void *ctx, struct client *c) {
    struct search *s = ctx;
    ProtobufCMessage *reply;
    if (client_request(c, VT_CTL_STATUS, NULL, VT_CTL_STATUS_REP, &reply, NULL)) return 0;
    const Vt__StatusRep *m = (const Vt__StatusRep *)reply;
    for (size_t i = 0; i < m->n_sessions; i++) {
        const Vt__SessionInfo *info = m->sessions[i];
        struct spooldir_file k = {
            .pid = (pid_t)info->pid, .uid = info->owner_uid, .bytes = info->bytes, .saved_ns = info->start_real_ns};
        if (!info->spool[0] || snprintf(k.path, sizeof(k.path), "%s", info->spool) >= (int)sizeof(k.path)) continue;
        newer(s, &k);
    }
    vt_msg_free(reply);
    return 0;
}

int kept_find(pid_t pid, struct spooldir_file *out) {
    struct search s = {pid, out, false};
    struct client c;
    kept_each(newer, &s);
    if (!s.found && !client_open_system(&c, NULL)) {
        ask(&s, &c);
        client_close(&c);
    }
    return s.found ? 0 : -ENOENT;
}
