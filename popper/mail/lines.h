/*
 * lines: the two inner loops over message text: finding where messages may begin while counting line ends, and turning
 * stored lines into lines on the wire. The only file of the mail floor that knows vector instructions; it has no idea
 * of files, headers or sessions.
 */
#ifndef MAIL_LINES_H
#define MAIL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/vectors.h"

/* Text comes in pieces cut anywhere; the flags say what the piece before ended with. */
struct lines_scan {
    uint64_t lf;          /* line ends so far */
    uint64_t crlf;        /* those with a CR right before */
    bool nuls;            /* a NUL was among the bytes */
    bool line_start;      /* the next byte begins a line */
    bool after_empty;     /* ... which follows an empty one ("\n" or "\r\n") */
    bool cr;              /* the last byte was a CR */
    bool line_start_cr;   /* ... and the first of its line */
};

/* At the start of a text: a line start after an empty line. */
#define LINES_SCAN_START { .line_start = true, .after_empty = true }

/* Counts up to the first byte that may begin a message: an 'F' after an empty line, or a NUL at a line start (padding).
   Returns its index, or n when there is none; bytes before it are counted, it and what follows are not. To go on at
   that byte call lines_inside first. */
size_t lines_find(struct lines_scan *scan, const char *text, size_t n);

/* What comes next is in the middle of a line. */
void lines_inside(struct lines_scan *scan);

/* Between calls of lines_to_wire. Start with line_start set. */
struct lines_wire {
    bool line_start;
    bool cr;              /* the last byte was a CR */
    uint64_t stuffed;     /* dots added so far */
};

#define LINES_SLACK 64    /* bytes after the end of the input that must be readable (their content does not matter) */
#define LINES_ROOM 80     /* lines_to_wire stops when the output has less room than this */

/* Copies *in up to end to *out: LF becomes CRLF unless a CR stands before it, a dot at a line start is doubled. Moves
   both pointers; stops at end or when fewer than LINES_ROOM bytes are left before out_end (bytes between *out and
   out_end may have been scribbled on). */
void lines_to_wire(struct lines_wire *wire, const char **in, const char *end, char **out, const char *out_end);

/* For tests: the best code that may be used, if the machine has it. */
void lines_use(enum vectors most);

#endif
