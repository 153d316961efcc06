/*
 * mangle_uu: files that were put into text by uuencode(5), before there was MIME.
 */
#ifndef MAIL_MANGLE_UU_H
#define MAIL_MANGLE_UU_H

#include <stdbool.h>
#include <stddef.h>

struct mangle_uu {
    size_t start, end;  /* in the text: from "begin" to behind the line of "end" */
    const char *name;   /* into the text, up to the end of its line */
    size_t name_length;
    size_t size;        /* of the file */
};

/* The first complete one in the text. Linear in n: a "begin" without good lines and end is text. */
bool mangle_uu_find(const char *text, size_t n, struct mangle_uu *found_r);

#endif
