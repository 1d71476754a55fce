/* The options of a launch for which Python code of ours runs in the program: python/viztracer/_extras.py, which is carried in the
 * agent. On the thread that starts the program, with the GIL. */
#ifndef VT_AGENT_EXTRAS_H
#define VT_AGENT_EXTRAS_H

/* Before the hooks are in, and before instrument_start. 0, or -errno with vt_ctl.err filled in. */
int extras_start(void);
/* What tells values in place of repr() (--log_func_with_objprint), borrowed; NULL = repr(). */
void *extras_repr(void);

#endif
