/* The session: its parts, the visit that every slow path begins with, and its end. With the main interpreter's GIL, or in an
 * interpreter that shares it. */
#ifndef VT_AGENT_SESSION_H
#define VT_AGENT_SESSION_H

#include "agent/record/state.h"

/* A hook back end. Exactly one is chosen at the start. */
struct hook_ops {
    uint32_t kind; /* enum vt_hook_kind */
    /* Puts the hooks into every interpreter and thread. 0, or -errno with nothing left behind. */
    int (*install)(char *why, size_t why_size);
    /* For threads that a start in slices (agent.in_slices) has left for later holds of the GIL: puts the hooks into some of them
     * and tells their open frames. agent.some_left says whether others still wait. NULL: `install` reaches all. */
    void (*more)(void);
    /* Has this thread its hook? NULL: all have. */
    bool (*has)(const void *tstate);
    /* Takes out the hooks that are still ours. May be called from inside a callback; runs no Python code. */
    void (*remove)(void);
    /* From inside a callback, about every 20 ms while events arrive: looks for threads and hooks that changed. */
    void (*visit)(void);
    /* The session is over. True: the arena now belongs to the back end, because an event may still write into it. NULL: none may.
     */
    bool (*keep)(void *arena, uint64_t bytes);
    /* At each slow path between two visits, so it must be cheap: looks for new interpreters. May be NULL. */
    void (*news)(void);
    /* From a callback that is called although no session is on: takes it out. NULL: `remove` leaves none behind. */
    void (*leftover)(void);
    /* Takes the hooks out, and puts them in again, within a session, for --max_overhead. NULL: functions are switched off one by
     * one instead. */
    void (*pause)(void);
    void (*resume)(void);
};

/* Something else that belongs to a session; entry.c has the table. Each function may be NULL and may not fail: what cannot be
 * started is left out of the session. */
struct session_part {
    void (*start)(void); /* before the hooks go in */
    void (*tell)(void);  /* the session ends, and payloads can still be written */
    void (*stop)(void);  /* the hooks are out, or could not be put in */
    void (*child)(void); /* instead of `stop` in a forked child, which has no arena */
};
/* The table must stay valid until the process ends. */
void session_start_parts(const struct session_part *parts, size_t n);
void session_stop_parts(void);

/* Is the session still on, and does this thread have its block? May end the session, and runs the periodic visit
 * when that is due. False: record nothing; agent.ctl may be gone. */
bool session_visit(void);
/* Takes everything out and gives the arena back; nothing if no session is on or held. why: enum vt_why. */
void session_leave(uint32_t why);
/* Takes the hooks out, and puts them in again: for a program that stops its own session and starts it again. session_go_on: 0, or
 * -errno, and the session has ended. */
void session_hold(void);
int session_go_on(void);
/* In a thread that the daemon sent in, because no hooked thread comes to a slow path by itself: ends the session, or visits. */
void session_wake(void);
/* In a forked child of the traced process: takes everything out. */
void session_child(void);
/* Tells other injectors that the process is free. */
void session_not_busy(void);

#endif
