/* Owns finding our agent in a target: whether one is mapped, whether it traces and for whom, and whether an inert one can be
 * used again. It only reads target memory, and checks all values. */
#include "attach/advice.h"
#include "attach/attach_priv.h"

#include <errno.h>
#include <string.h>

#include "proto/abi/arena.h"
#include "proto/abi/clock.h"

#define SPANS_PER_SECOND 50u /* vt_ctl.span is about 20 ms in clock ticks */

static bool info_ok(const struct vt_agent_info *info) {
    return info->magic == VT_AGENT_INFO_MAGIC && info->abi_major == VT_ABI_MAJOR &&
           memchr(info->build, '\0', sizeof(info->build));
}

/* Reads vt_agent_info of the agent mapped as `mod`, and its entry. -ENOEXEC when it is not our agent. */
static int read_agent(struct mem *mem, const struct maps *maps, const struct map_module *mod, struct vt_agent_info *info,
                      uint64_t *info_addr, uint64_t *entry) {
    struct elf e;
    int rc = module_open(mem, maps, mod, &e);
    if (rc) return rc;
    uint64_t vaddr = elf_symbol(&e, "vt_agent_info"), main_vaddr = elf_symbol(&e, "vt_agent_main");
    uint64_t bias = module_bias(mod, &e);
    elf_close(&e);
    if (!vaddr || !main_vaddr) return -ENOEXEC;
    uint64_t addr = vaddr + bias, code = main_vaddr + bias;
    const struct map_line *line = maps_find_line(maps, code);
    if (maps_find(maps, addr) != mod || maps_find(maps, code) != mod || !line || !line->x) return -ENOEXEC;
    rc = mem->read(mem, addr, info, sizeof(*info));
    if (rc) return rc;
    if (!info_ok(info)) return -ENOEXEC;
    *info_addr = addr;
    *entry = code;
    return 0;
}

/* Remaining time of the lease on the agent's clock. */
static uint64_t lease_left(const struct vt_ctl *ctl, uint64_t lease) {
    uint64_t hz = 1000000000u, now = vt_mono_ns();
    if (ctl->clock == VT_CLOCK_TSC) {
        now = vt_tsc();
        hz = ctl->span > UINT64_MAX / SPANS_PER_SECOND ? 0 : ctl->span * SPANS_PER_SECOND;
    }
    if (!hz || lease <= now) return 0;
    return (uint64_t)((double)(lease - now) * 1e9 / (double)hz);
}

/* Reads from the arena's control area which process traces. */
static int read_owner(struct mem *mem, const struct maps *maps, uint64_t addr, struct attach_agent *a) {
    const struct map_line *line = maps_find_line(maps, addr);
    if (!line || line->end - addr < VT_CTL_SIZE) return -EFAULT;
    const struct map_module *mod = maps_find(maps, addr);
    if (!mod || mod->kind != MAP_ARENA) return -EFAULT;
    struct vt_ctl ctl; /* 60 KB; only its head is read */
    size_t head = offsetof(struct vt_ctl, free);
    memset(&ctl, 0, sizeof(ctl));
    int rc = mem->read(mem, addr, &ctl, head);
    if (rc) return rc;
    if (ctl.magic != VT_ARENA_MAGIC || ctl.abi_major != VT_ABI_MAJOR) return -EINVAL;
    a->ctl_addr = addr;
    a->filters_known = ctl.filters_known;
    a->owner_pid = ctl.owner_pid;
    a->owner_uid = ctl.owner_uid;
    a->session_start = ctl.session_start;
    _Static_assert(sizeof(a->owner_name) == sizeof(ctl.owner_name), "owner_name");
    memcpy(a->owner_name, ctl.owner_name, sizeof(a->owner_name));
    a->owner_name[sizeof(a->owner_name) - 1] = '\0';
    /* the hooks are out; `busy` will be cleared in a moment */
    bool over = ctl.state == VT_AGENT_GONE || ctl.state == VT_AGENT_REFUSED;
    a->lease_left_ns = over ? 0 : lease_left(&ctl, ctl.lease);
    return 0;
}

int agent_find(struct mem *mem, const struct maps *maps, struct attach_agent *a) {
    *a = (struct attach_agent){0};
    for (size_t i = 0; i < maps->nmods && !a->busy; i++) {
        struct vt_agent_info info;
        uint64_t addr, entry;
        if (maps->mods[i].kind != MAP_AGENT) continue;
        int rc = read_agent(mem, maps, &maps->mods[i], &info, &addr, &entry);
        if (rc == -ESRCH || rc == -EPERM) return rc;
        if (rc) continue;
        *a = (struct attach_agent){.present = true, .busy = info.busy != 0, .info_addr = addr};
        /* busy without an arena: the agent is just starting or leaving */
        if (a->busy && info.ctl && read_owner(mem, maps, info.ctl, a)) a->lease_left_ns = 0;
    }
    return 0;
}

int agent_find_inert(struct mem *mem, const struct maps *maps, const char build[32], uint64_t *entry, uint64_t *info_addr) {
    *entry = *info_addr = 0;
    for (size_t i = 0; i < maps->nmods; i++) {
        struct vt_agent_info info;
        uint64_t addr, code;
        if (maps->mods[i].kind != MAP_AGENT) continue;
        int rc = read_agent(mem, maps, &maps->mods[i], &info, &addr, &code);
        if (rc == -ESRCH || rc == -EPERM) return rc;
        if (rc || info.busy || memcmp(info.build, build, sizeof(info.build))) continue;
        *entry = code;
        *info_addr = addr;
        return 0;
    }
    return 0;
}

int agent_file_info(const struct elf *e, struct vt_agent_info *out) {
    uint64_t vaddr = elf_symbol(e, "vt_agent_info"), offset;
    if (!vaddr || elf_offset(e, vaddr, &offset) || e->len - offset < sizeof(*out)) return -ENOEXEC;
    memcpy(out, e->img + offset, sizeof(*out));
    return info_ok(out) ? 0 : -ENOEXEC;
}

int attach_find_agent(pid_t pid, struct attach_agent *a, struct vt_err *err) {
    *a = (struct attach_agent){0};
    struct maps maps;
    struct mem mem;
    int rc = maps_read(pid, &maps);
    if (rc) return vt_err_set(err, rc, "cannot read the memory map of process %d: %s%s", pid, strerror(-rc), attach_advice(-rc));
    rc = mem_open(&mem, pid);
    if (!rc) rc = agent_find(&mem, &maps, a);
    if (rc) vt_err_set(err, rc, "cannot read the memory of process %d: %s%s", pid, strerror(-rc), attach_advice(-rc));
    mem_close(&mem);
    maps_free(&maps);
    return rc;
}
