/*
 * maildrop_look: what a session would find in a maildrop, for --check: the same reading as maildrop_open's, without
 * locks, recovery, bulletins, and without writing anything.
 */
#ifndef MAIL_MAILDROP_LOOK_H
#define MAIL_MAILDROP_LOOK_H

#include "mail/maildrop.h"
#include "mail/mailindex.h"

struct maildrop_view {
    enum mailindex_state index; /* what it is good for; NONE also where there is none */
    size_t messages;            /* in all */
    size_t leftover;            /* of them in a temp drop that was left */
    uint64_t octets;
    bool moving;                /* M changed meanwhile: the numbers may be wrong */
};

/* files: journal and bulletins do not count. OK; otherwise what a client would be told, and why. */
enum maildrop_status maildrop_look(const struct maildrop_files *files, const struct settings *settings,
                                   struct maildrop_view *view_r, struct strbuf *why);

#endif
