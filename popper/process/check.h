/*
 * check: `popper --check [USER]`: says what would go wrong with these settings and how to mend it, without
 * serving anybody. A line for each finding on standard output: "ok: ", "warning: " or "error: " and a sentence.
 *
 * It uses the code that serves: what that code would write to the log is a finding here. It changes nothing but for
 * scratch files of its own in spool, temp and index directories, which have unique names (".popper-check.") or none
 * and are gone when it ends. Files of a user are looked at by a process that is the user.
 */
#ifndef PROCESS_CHECK_H
#define PROCESS_CHECK_H

#include "common/strbuf.h"
#include "settings/options.h"

/* Exit statuses: the worst finding. */
enum check_level { CHECK_OK, CHECK_WARNING, CHECK_ERROR };

/* From here on what this process would log is a finding, and goes to standard output. First of all. */
void check_begin(void);

/* user: whose maildrop and login are looked at, too; NULL nobody's. The exit status. */
int check_run(const struct settings *settings, const char *user);

/* Something is wrong on the command line or in a configuration file. The context is not looked at. */
void check_wrong_setting(void *context, const char *text);

/* That configuration file was read. The context is not looked at. */
void check_opened_config(void *context, const char *path);

/* Then nothing else can be looked at: says so. The exit status. */
int check_end(void);

#endif
