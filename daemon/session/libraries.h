/* Where the two libraries are that go into a target: the agent, and the launch library, which is preloaded. */
#ifndef VT_DAEMON_LIBRARIES_H
#define VT_DAEMON_LIBRARIES_H

#include "proto/base.h"

#define LIBRARY_PATH_MAX 512

/* The path under which this process opens the agent: $VIZTRACER_AGENT, else an agent that is linked into this program (a
 * wheel's), else one in ../lib or ../lib/viztracerd beside this program. 0 or -errno with a message. Called once; keeps a
 * descriptor. */
VT_MUST_CHECK int libraries_find_agent(char path[LIBRARY_PATH_MAX], struct vt_err *err);
/* The path of the launch library for that agent, fit for LD_PRELOAD. Every program that is started with it reads the file, so it
 * is an installed one, with its agent beside it. 0 or -errno with a message. */
VT_MUST_CHECK int libraries_find_launch(const char *agent_path, char path[LIBRARY_PATH_MAX], struct vt_err *err);
/* True for a path that leads to a descriptor of this process: another process has to be handed the descriptor. */
bool libraries_is_descriptor(const char *path);

#endif
