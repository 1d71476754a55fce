/* Names of threads, as `threading` knows them. With the main interpreter's GIL; runs no code of the target. */
#ifndef VT_AGENT_THREADS_H
#define VT_AGENT_THREADS_H

#include "agent/record/thread.h"

/* Looks for the `threading` module, which the target may import long after the start. */
void thread_names_find_module(void);
/* Writes the name of the thread of this block; true once it is known and written. */
bool thread_name_tell(struct thread *thread);
void thread_names_tell_all(void);
/* Writes the name by which multiprocessing knows the process, when it has one that was not written yet. */
void process_name_tell(void);
/* Drops the references to `threading`, and the name. */
void thread_names_forget(void);
/* A new reference to the name of a thread (pthread_self()), or NULL; native_id may be NULL, and stays as it is if it is not
 * known. */
void *thread_object_name(uint64_t ident, uint32_t *native_id);

#endif
