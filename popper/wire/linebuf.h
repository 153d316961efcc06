/*
 * linebuf: bytes that came, taken out as lines with a limit. It knows no descriptor: its owner (netio) fills it.
 *
 * One block: [0, start) was consumed, [start, end) waits. A line is a piece of that block whose line end became a NUL. A line
 * over the limit keeps its first bytes at start; what follows is dropped as it comes.
 */
#ifndef WIRE_LINEBUF_H
#define WIRE_LINEBUF_H

#include <stdbool.h>
#include <stddef.h>

struct linebuf {
    char *data;
    size_t cap, start, end;
    size_t scanned;  /* [start, scanned) holds no LF */
    size_t line_max; /* bytes, CRLF not counted */
    bool skipping;   /* in the middle of a line over the limit */
};

enum linebuf_status {
    LINEBUF_LINE,     /* a line, without its CRLF or LF */
    LINEBUF_TOO_LONG, /* a line over the limit, read to its LF; its first line_max bytes are given */
    LINEBUF_PART      /* its end has not come yet; nothing is given */
};

/* Room for lines of line_max bytes, and for `least` bytes where that is more. linebuf_free wipes the block. */
void linebuf_init(struct linebuf *b, size_t line_max, size_t least);
void linebuf_free(struct linebuf *b);
void linebuf_set_line_max(struct linebuf *b, size_t line_max); /* for the lines to come; cut to what there is room for */

/* Where the next bytes go, at least one: *n_r says how many. What linebuf_line or linebuf_all gave is no longer valid.
   First take the lines out: a line over the limit makes room only so. linebuf_came: n of them came. */
char *linebuf_room(struct linebuf *b, size_t *n_r);
void linebuf_came(struct linebuf *b, size_t n);

/* The next line. *line_r points into the block (until linebuf_room; NUL-terminated, may hold NULs), *len_r is its length. */
enum linebuf_status linebuf_line(struct linebuf *b, char **line_r, size_t *len_r);

/* What waits, lines or not: its length, *bytes_r points to it. linebuf_all takes it out; linebuf_give_back returns the last
   n bytes of that. Not in the middle of a line over the limit. */
size_t linebuf_waiting(const struct linebuf *b, const char **bytes_r);
size_t linebuf_all(struct linebuf *b, const char **bytes_r);
void linebuf_give_back(struct linebuf *b, size_t n);

int linebuf_prepend(struct linebuf *b, const void *bytes, size_t n); /* in front of what waits: 0, or -1 when it does not fit */
void linebuf_discard(struct linebuf *b);       /* drops and wipes everything */
void linebuf_wipe_consumed(struct linebuf *b); /* wipes all but what waits */

#endif
