/*
 * mangle_body: writes the chosen parts of a message as one text.
 */
#ifndef MAIL_MANGLE_BODY_H
#define MAIL_MANGLE_BODY_H

#include <gmime/gmime.h>

#include "mail/mangle_parts.h"
#include "mail/mangle_text.h"
#include "mail/manglespec.h"

#define MANGLE_PART_MAX (8u << 20) /* bytes of one part that are looked at, after decoding base64 and the like */

void mangle_body_write(const struct mangle_parts *parts, const struct manglespec *spec, GMimeParserOptions *options,
                       struct mangle_text *text);

#endif
