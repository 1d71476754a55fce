/* What the Python package starts beside a program that traces itself. Not for people: no help names it. */
#ifndef VT_CLI_PYTHON_SESSION_H
#define VT_CLI_PYTHON_SESSION_H

#define PYTHON_SESSION "--python-session"

/* argv[0] is PYTHON_SESSION; then options as of attach. Returns in a process of its own, when the program has closed its end. */
int python_session(int argc, char **argv);

#endif
