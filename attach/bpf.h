/* Classic BPF as seccomp uses it: what a filter answers to a system call. Filters come from other processes. */
#ifndef VT_ATTACH_BPF_H
#define VT_ATTACH_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base.h"

#define BPF_FILTER_MAX 4096u /* instructions: the kernel's BPF_MAXINSNS */

/* 0: bpf_run ends and stays inside `code` and `data`. -EINVAL: the kernel would not take this filter either. */
VT_MUST_CHECK int bpf_check(const struct sock_filter *code, size_t len);
/* The filter's answer: an action with its data (SECCOMP_RET_*). Only after bpf_check. Runs each instruction once at most. */
uint32_t bpf_run(const struct sock_filter *code, size_t len, const struct seccomp_data *data);
/* The answer of two filters of a chain together: the more restrictive one, by its action. */
uint32_t bpf_stricter(uint32_t a, uint32_t b);

#endif
