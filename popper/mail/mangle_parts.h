/*
 * mangle_parts: which parts of a MIME message a person is shown, in order, and as what.
 *
 * One of multipart/alternative, the root of multipart/related, what multipart/signed signs, the text of multipart/report
 * without the rest; included messages with a short header; everything else as a note. Bounded: at most
 * MANGLE_DEPTH_MAX levels, MANGLE_NOTES_MAX notes.
 */
#ifndef MAIL_MANGLE_PARTS_H
#define MAIL_MANGLE_PARTS_H

#include <gmime/gmime.h>
#include <stdbool.h>
#include <stddef.h>

#define MANGLE_DEPTH_MAX 60
#define MANGLE_NOTES_MAX 100

enum mangle_kind {
    MANGLE_TEXT,
    MANGLE_HTML,
    MANGLE_ATTACHMENT, /* a note with name, type and size */
    MANGLE_INCLUDED,   /* the header of an included message, whose parts follow */
    MANGLE_PREAMBLE,   /* the text of a multipart in which no part could be found */
    MANGLE_REMARK      /* a note of ours */
};

struct mangle_item {
    enum mangle_kind kind;
    void *object;        /* GMimePart, GMimeMessage or GMimeMultipart; borrowed from the message */
    const char *remark;
};

struct mangle_parts {
    struct mangle_item *items;
    size_t count, cap;
    size_t notes, unlisted; /* notes among the items; parts that got none because there are too many */
    bool prefer_html, has_html;
};

/* parts: all zero but prefer_html. */
void mangle_parts_choose(struct mangle_parts *parts, GMimeMessage *message);
void mangle_parts_free(struct mangle_parts *parts);

#endif
