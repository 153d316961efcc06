/*
 * headerline: picks one header field out of a message's text as msgsend produces it: for XTND XLST and EUIDL.
 */
#ifndef PROTOCOL_HEADERLINE_H
#define PROTOCOL_HEADERLINE_H

#include "mail/maildrop.h"
#include "common/strbuf.h"

#define HEADERLINE_MAX 900 /* bytes of a field that are shown */

/* The body (without blanks around it, continuation lines joined by one blank, control characters as blanks) of the first field called `name`
   (without colon, any case) of message m replaces *body; empty when there is none. What maildrop_send says. The drop must be ready. */
enum maildrop_status headerline_find(struct maildrop *drop, const struct message *m, const char *name, struct strbuf *body, struct strbuf *why);

#endif
