/* Owns the interpreter of seccomp filters (bpf.h). Sources: bpf_check_classic in net/core/filter.c, seccomp_check_filter and
 * seccomp_run_filters in kernel/seccomp.c. Jumps go forward only, so a run is not longer than the filter.
 * One rule of the kernel is not checked, as it is not needed here: that words of memory are stored before they are loaded. */
#include "attach/bpf.h"

#include <errno.h>
#include <string.h>

#define WORD 4u

/* The instructions that seccomp takes. */
static bool is_known(const struct sock_filter *i) {
    switch (i->code) {
    case BPF_LD | BPF_W | BPF_ABS: return i->k < sizeof(struct seccomp_data) && i->k % WORD == 0;
    case BPF_ALU | BPF_DIV | BPF_K: return i->k != 0;
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K: return i->k < 32;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX: return i->k < BPF_MEMWORDS;
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_ALU | BPF_NEG:
    case BPF_ALU | BPF_ADD | BPF_K:
    case BPF_ALU | BPF_ADD | BPF_X:
    case BPF_ALU | BPF_SUB | BPF_K:
    case BPF_ALU | BPF_SUB | BPF_X:
    case BPF_ALU | BPF_MUL | BPF_K:
    case BPF_ALU | BPF_MUL | BPF_X:
    case BPF_ALU | BPF_DIV | BPF_X:
    case BPF_ALU | BPF_AND | BPF_K:
    case BPF_ALU | BPF_AND | BPF_X:
    case BPF_ALU | BPF_OR | BPF_K:
    case BPF_ALU | BPF_OR | BPF_X:
    case BPF_ALU | BPF_XOR | BPF_K:
    case BPF_ALU | BPF_XOR | BPF_X:
    case BPF_ALU | BPF_LSH | BPF_X:
    case BPF_ALU | BPF_RSH | BPF_X:
    case BPF_JMP | BPF_JA:
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JEQ | BPF_X:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_X:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_X:
    case BPF_JMP | BPF_JSET | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_X: return true;
    default: return false;
    }
}

int bpf_check(const struct sock_filter *code, size_t len) {
    if (!len || len > BPF_FILTER_MAX) return -EINVAL;
    for (size_t at = 0; at < len; at++) {
        const struct sock_filter *i = &code[at];
        size_t after = len - at - 1; /* instructions behind this one */
        if (!is_known(i)) return -EINVAL;
        if (BPF_CLASS(i->code) != BPF_JMP) continue;
        if (BPF_OP(i->code) == BPF_JA ? i->k >= after : i->jt >= after || i->jf >= after) return -EINVAL;
    }
    return BPF_CLASS(code[len - 1].code) == BPF_RET ? 0 : -EINVAL;
}

static uint32_t compute(uint16_t op, uint32_t a, uint32_t b) {
    switch (op) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_DIV: return b ? a / b : 0;
    case BPF_AND: return a & b;
    case BPF_OR: return a | b;
    case BPF_XOR: return a ^ b;
    case BPF_LSH: return a << (b & 31);
    case BPF_RSH: return a >> (b & 31);
    default: return -a; /* BPF_NEG */
    }
}

static bool compare(uint16_t op, uint32_t a, uint32_t b) {
    switch (op) {
    case BPF_JEQ: return a == b;
    case BPF_JGE: return a >= b;
    case BPF_JGT: return a > b;
    default: return a & b; /* BPF_JSET */
    }
}

uint32_t bpf_run(const struct sock_filter *code, size_t len, const struct seccomp_data *data) {
    uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = {0};
    for (size_t at = 0; at < len; at++) {
        const struct sock_filter *i = &code[at];
        uint32_t b = BPF_SRC(i->code) == BPF_X ? x : i->k;
        switch (BPF_CLASS(i->code)) {
        case BPF_LD:
            if (BPF_MODE(i->code) == BPF_ABS)
                memcpy(&a, (const char *)data + i->k, sizeof(a));
            else
                a = BPF_MODE(i->code) == BPF_MEM ? mem[i->k] : BPF_MODE(i->code) == BPF_LEN ? (uint32_t)sizeof(*data) : i->k;
            break;
        case BPF_LDX:
            x = BPF_MODE(i->code) == BPF_MEM ? mem[i->k] : BPF_MODE(i->code) == BPF_LEN ? (uint32_t)sizeof(*data) : i->k;
            break;
        case BPF_ST: mem[i->k] = a; break;
        case BPF_STX: mem[i->k] = x; break;
        case BPF_ALU:
            if (BPF_OP(i->code) == BPF_DIV && !b) return SECCOMP_RET_KILL_THREAD; /* the kernel ends the filter with 0 */
            a = compute(BPF_OP(i->code), a, b);
            break;
        case BPF_JMP:
            if (BPF_OP(i->code) == BPF_JA)
                at += i->k;
            else
                at += compare(BPF_OP(i->code), a, b) ? i->jt : i->jf;
            break;
        case BPF_RET: return BPF_RVAL(i->code) == BPF_A ? a : i->k;
        default:
            if (BPF_MISCOP(i->code) == BPF_TAX)
                x = a;
            else
                a = x;
        }
    }
    return SECCOMP_RET_KILL_PROCESS; /* not reached after bpf_check */
}

/* As the kernel does: the smaller action of two, as signed numbers. */
uint32_t bpf_stricter(uint32_t a, uint32_t b) {
    return (int32_t)(b & SECCOMP_RET_ACTION_FULL) < (int32_t)(a & SECCOMP_RET_ACTION_FULL) ? b : a;
}
