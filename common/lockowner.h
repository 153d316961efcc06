/*
 * lockowner: which process wrote a lock, in a form that tells later whether it still lives: pid, host, boot id, start
 * time, pid name space.
 *
 * A pid alone says little: it may be another process by now, or one of another machine or container. What cannot be
 * believed is "unknown", never "gone".
 */
#ifndef COMMON_LOCKOWNER_H
#define COMMON_LOCKOWNER_H

#include <stdbool.h>
#include <stddef.h>

#define LOCKOWNER_MAX 300 /* bytes of a text, its NUL included */

/* "pid host boot-id start pid-name-space\n" of the calling process. Returns its length. */
size_t lockowner_text(char text_r[LOCKOWNER_MAX]);

enum lockowner_state {
    LOCKOWNER_UNKNOWN, /* not our form (whole, to the newline), another machine or boot or container */
    LOCKOWNER_ALIVE,   /* that very process runs (or may: /proc hides it) */
    LOCKOWNER_GONE     /* it ended (also when its parent has not waited for it yet) */
};

/* What the n bytes of text say. pid_r is set unless unknown. */
enum lockowner_state lockowner_judge(const char *text, size_t n, long *pid_r);

/* The start time of process pid in clock ticks since boot (proc(5), stat field 22), as digits. False when there is no
   such process to be seen. */
bool lockowner_start(long pid, char *start_r, size_t size);

#endif
