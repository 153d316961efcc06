/*
 * trespass_calls: the calls that a traitor makes (trespass.c, trespass_mangle.c), and the note where it stands what became of them.
 */
#ifndef TESTS_TRESPASS_CALLS_H
#define TESTS_TRESPASS_CALLS_H

#include <stdint.h>

/* As trespass.py reads it. The file is mapped before anything else runs: descriptors, root and filters do not matter. */
struct trespass_note {
    int32_t attempts;
    int32_t pid;
    int32_t returned; /* the call came back */
    int32_t error;    /* errno, 0 success */
    int32_t go_on;    /* written by the test */
};

extern struct trespass_note *trespass_note; /* NULL: nobody trespasses */
extern char trespass_file[256];             /* what is opened */
extern int trespass_pid;                    /* who is signalled and traced */

void trespass_map(const char *path);

/* Makes the call of that name, the first time. */
void trespass_make(const char *name);

#endif
