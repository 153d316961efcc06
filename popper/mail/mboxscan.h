/*
 * mboxscan: finds the messages in an mbox file: one pass, by blocks, without per-line calls into stdio.
 *
 * A message starts at a From_ line (mbox(5), facts page 5.3): "From " at the start of a line, after an empty line or at
 * the start of the file, with a date in one of ten layouts, at most MBOXSCAN_FROM_MAX bytes long. So what follows an
 * over-long line is never one: only an empty line makes way, and lines have no maximum length at which they would be
 * cut. A run of NULs between a line end and "From " is padding that a delivery agent left: "From " then counts as
 * standing at the line start. The run stays in place as the end of the message before (not sent), or as a hidden
 * message at the start of the file; logged once. Sizes are those of msgsend: the two rooms share the rule (msgsend.h)
 * and a test holds them together (I6). The scanner never trusts content: Content-Length is ignored, a header has no
 * length limit, memory does not grow with line length.
 */
#ifndef MAIL_MBOXSCAN_H
#define MAIL_MBOXSCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "mail/msglist.h"
#include "mail/uidl.h"

#define MBOXSCAN_FROM_MAX 4096 /* with its line end */

struct mboxscan_rules {
    enum uidl_format format;
    bool status_headers;   /* update-status-headers: messages are sent with X-UIDL added, stored X-UIDL and
                              Content-Length fields left out */
    bool uw_kluge;         /* hide the UW folder-internal first message (facts 5.3) */
};

enum mboxscan_result {
    MBOXSCAN_OK,
    MBOXSCAN_NOT_MBOX,  /* the first line is no From_ line: nothing may be served or changed */
    MBOXSCAN_IO         /* read error, or the file was shorter than end */
};

/* Adds the messages of the bytes start..end of fd to the list with the given source. start is 0 or the offset of a
   From_ line. imap_validity_r (may be NULL) carries X-IMAPbase between calls; it is read from the first such field of
   the first message of the file only; for a leftover it says M's, which counts in place of its own. Unique ids are final except for duplicates (uidl_resolve_duplicates is the caller's). On anything but OK
   (why) the messages added are of no use. */
enum mboxscan_result mboxscan_file(int fd, uint64_t start, uint64_t end, enum msglist_source source,
                                   const struct mboxscan_rules *rules, uint32_t *imap_validity_r, struct msglist *list, struct strbuf *why);

/* For tests: bytes a read (1 .. MBOXSCAN_BLOCK), and the header length from which header_len says UINT32_MAX. 0: the
   normal value. */
#define MBOXSCAN_BLOCK (1024 * 1024) /* with 256 KiB a scan takes 6 % longer */
void mboxscan_set_limits(size_t block, uint32_t header_max);

/* Whether the n bytes of a line (without line end) are a From_ line with a valid date. */
bool mboxscan_is_from(const char *line, size_t n);

#endif
