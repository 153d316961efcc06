/*
 * option_check: what the value of a string option must look like, one function per form; for the check column of the table.
 * They look at the text only, never at files, networks or users.
 *
 * Each returns 0, or -1 and why: "must ...", to stand behind the name of the option. The value is never empty and has no
 * control characters.
 */
#ifndef SETTINGS_OPTION_CHECK_H
#define SETTINGS_OPTION_CHECK_H

#include "common/strbuf.h"

/* An absolute path. */
int option_check_path(const char *value, struct strbuf *why);

/* A path below some directory: not absolute, no component "..". */
int option_check_relative(const char *value, struct strbuf *why);

/* No blanks. */
int option_check_word(const char *value, struct strbuf *why);

/* A file name with one %s for the user. */
int option_check_name_pattern(const char *value, struct strbuf *why);

/* A text with at most four of %0 to %3 and no other %. */
int option_check_log_login(const char *value, struct strbuf *why);

/* The name of a file for PAM. */
int option_check_pam_service(const char *value, struct strbuf *why);

/* A list as maillock_parse takes it. */
int option_check_mail_locks(const char *value, struct strbuf *why);

/* "all", or a list as saslname_barred takes it. */
int option_check_sasl_mechanisms(const char *value, struct strbuf *why);

/* One or more ADDRESS[/BITS], separated by commas. */
int option_check_network(const char *value, struct strbuf *why);

#endif
