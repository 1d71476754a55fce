/* Seccomp filters of this process, for tests. */
#ifndef VT_TESTS_FILTERS_H
#define VT_TESTS_FILTERS_H

#include <stdbool.h>

/* The kernel shows filters to CAP_SYS_ADMIN that is under none itself. */
bool filters_can_be_read(void);
/* This process, and what it starts, may not read filters from now on. False: it may not say so. */
bool filters_forbid_reading(void);
/* Puts this process, and what it starts, under a filter that allows everything. */
bool filters_allow_all(void);

#endif
