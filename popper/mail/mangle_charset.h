/*
 * mangle_charset: character sets of mail to UTF-8 and from UTF-8 to the one that a client wants, by iconv(3).
 *
 * Mail lies about its charset: what calls itself ISO-8859-1 is read as Windows-1252, GB 2312 as GB 18030 and so on, as
 * browsers do; what names no charset, or one that is not known, is UTF-8 when it is valid as that, else Windows-1252.
 * Nothing fails: what cannot be read becomes U+FFFD, what cannot be written something similar or a question mark.
 */
#ifndef MAIL_MANGLE_CHARSET_H
#define MAIL_MANGLE_CHARSET_H

#include <iconv.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

/* Loads the converters of all charsets that mail is seen in, so that none needs a file later. Once in a process. */
void mangle_charset_load(void);

/* Appends n bytes of text in that charset (any name, NULL: not known) to out as UTF-8, as far as out has room. */
void mangle_charset_decode(const char *charset, const char *bytes, size_t n, struct strbuf *out);

/* The charset that HTML itself names in a <meta> at its beginning, in name; false when it names none, or one in which that
   <meta> could not be read as what it is. */
bool mangle_charset_of_html(const char *bytes, size_t n, char *name, size_t size);

/* For text on its way out. A charset that mail cannot be written in (UTF-16) is not known. */
struct mangle_encoder {
    bool utf8;         /* nothing to do */
    bool seven_bits;   /* bytes above 127 never come out */
    iconv_t cd, similar; /* to the charset; to something similar in ASCII; (iconv_t)-1 for UTF-8 */
};
bool mangle_encoder_open(struct mangle_encoder *encoder, const char *charset);
void mangle_encoder_close(struct mangle_encoder *encoder);

/* Appends the UTF-8 text (a line or some, whole characters) in that charset; it ends in the charset's initial state. */
void mangle_encoder_add(struct mangle_encoder *encoder, const char *text, size_t n, struct strbuf *out);

#endif
