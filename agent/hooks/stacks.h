/* Frames that are open in a thread or an interpreter that is hooked later than the session's start. With its GIL. */
#ifndef VT_AGENT_STACKS_H
#define VT_AGENT_STACKS_H

/* Tells those of the current interpreter's threads that have recorded nothing yet. */
void stacks_emit_current(void);
/* Tells those of one thread. */
void stacks_emit_thread(void *tstate);

#endif
