/*
 * popauth_say: what popauth says on standard error and to the log. Who calls it decides how long that takes (a pipe that nobody reads,
 * a stopped terminal, a trace file on a file system of his own), so nothing is said while a database is locked: it waits until then.
 */
#ifndef POPAUTH_SAY_H
#define POPAUTH_SAY_H

enum popauth_say {
    POPAUTH_SAY_LOG,   /* to the log and the trace file only */
    POPAUTH_SAY_DEBUG, /* also on standard error, with -debug */
    POPAUTH_SAY_ERROR  /* what is wrong */
};

void popauth_say(enum popauth_say kind, const char *text);

/* From here on nothing is said, until popauth_say_now, which says it all. */
void popauth_say_later(void);
void popauth_say_now(void);

#endif
