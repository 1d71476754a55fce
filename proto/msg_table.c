/* Owns the table of messages: one row per frame type. */
#include "proto/msg_table.h"

#include <stddef.h>

#include "proto/abi/record.h"
#include "proto/base.h"
#include "proto/block.h"

static bool throttled_is_valid(const ProtobufCMessage *msg) {
    return ((const Vt__Throttled *)(const void *)msg)->n_functions <= VT_THROTTLED_FUNCTIONS_MAX;
}

static bool section_is_valid(const ProtobufCMessage *msg) {
    return ((const Vt__Section *)(const void *)msg)->number < VT_SECTIONS_MAX;
}

static const struct vt_msg_desc descs[] = {
    {VT_FRAME_HEADER, "header", &vt__trace_header__descriptor, 256u << 10, 1, 0, NULL},
    {VT_FRAME_CLOCK, "clock", &vt__clock__descriptor, 256, 1, 0, NULL},
    {VT_FRAME_NAMES, "names", &vt__names__descriptor, VT_FRAME_MAX, 1, VT_NAMES_BATCH, NULL},
    {VT_FRAME_THREAD, "thread", &vt__thread__descriptor, VT_PAYLOAD_MAX + 256, 1, 0, NULL},
    {VT_FRAME_STACK, "stack", &vt__stack__descriptor, VT_FRAME_MAX, 1, 0, NULL},
    {VT_FRAME_BLOCK, "block", &vt__block__descriptor, VT_BLOCK_RAW_MAX + (64u << 10), 1, 0, NULL},
    {VT_FRAME_TASK, "task", &vt__task__descriptor, VT_PAYLOAD_MAX + 256, 1, 0, NULL},
    {VT_FRAME_DROPS, "drops", &vt__drops__descriptor, 256, 1, 0, NULL},
    {VT_FRAME_STATS, "stats", &vt__stats__descriptor, 256, 0, 0, NULL},
    {VT_FRAME_END, "end", &vt__end__descriptor, 16u << 10, 1, 0, NULL},
    {VT_FRAME_THROTTLED, "throttled", &vt__throttled__descriptor, 1u << 20, 1, VT_THROTTLED_FUNCTIONS_MAX, throttled_is_valid},
    {VT_FRAME_CPU_TIMES, "cpu times", &vt__cpu_times__descriptor, 64u << 10, 1, 0, NULL},
    {VT_FRAME_SECTION, "section", &vt__section__descriptor, 64, 1, 0, section_is_valid},
    {VT_FRAME_PROCESS, "process", &vt__process__descriptor, VT_PAYLOAD_MAX + 256, 1, 0, NULL},
    {VT_CTL_HELLO, "hello", &vt__hello__descriptor, 1024, 0, 0, NULL},
    {VT_CTL_ATTACH, "attach", &vt__attach_req__descriptor, 256u << 10, 0, 0, NULL},
    {VT_CTL_ATTACHED, "attached", &vt__attached__descriptor, 16u << 10, 0, 0, NULL},
    {VT_CTL_LAUNCH, "launch", &vt__attach_req__descriptor, 256u << 10, 0, 0, NULL},
    {VT_CTL_LAUNCHED, "launched", &vt__launched__descriptor, 16u << 10, 0, 0, NULL},
    {VT_CTL_FIRST_ENDED, "first ended", &vt__pid_req__descriptor, 64, 0, 0, NULL},
    {VT_CTL_ERROR, "error", &vt__error__descriptor, 16u << 10, 0, 0, NULL},
    {VT_CTL_STOP, "stop", &vt__pid_req__descriptor, 64, 0, 0, NULL},
    {VT_CTL_DETACH, "detach", &vt__pid_req__descriptor, 64, 0, 0, NULL},
    {VT_CTL_DETACHED, "detached", &vt__detached__descriptor, 32u << 10, 0, 0, NULL},
    {VT_CTL_STATUS, "status", NULL, 0, 0, 0, NULL},
    {VT_CTL_STATUS_REP, "status reply", &vt__status_rep__descriptor, VT_FRAME_MAX, 0, 0, NULL},
    {VT_CTL_UNINSTALL, "uninstall", &vt__pid_req__descriptor, 64, 0, 0, NULL},
    {VT_CTL_OK, "ok", &vt__ok__descriptor, 16u << 10, 0, 0, NULL},
    {VT_CTL_SAVED, "saved", NULL, 0, 0, 0, NULL},
};

const struct vt_msg_desc *vt_msg_desc(uint32_t type) {
    for (size_t i = 0; i < VT_ARRAY_LEN(descs); i++)
        if (descs[i].type == type) return &descs[i];
    return NULL;
}
