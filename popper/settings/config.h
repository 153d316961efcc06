/*
 * config: reads options from the command line, from configuration files and from the files of one user, and prints them again.
 *
 * Syntax: the manual's ABNF with the rules of the facts page 1.2: `set NAME = VALUE`, `set BOOL`, `reset BOOL`, # to the end of the
 * line; names, words and keywords in any case. It never decides whether a user's file may be trusted: the caller opens it, as
 * the user, and says which source it is. It never writes to a file or a client.
 */
#ifndef SETTINGS_CONFIG_H
#define SETTINGS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"
#include "settings/options.h"

#define CONFIG_LINE_MAX 1023 /* bytes of a line without its line end */
#define CONFIG_FILES_MAX 100 /* files read because one named another */
#define CONFIG_BAD_MAX 10    /* bad lines of a user's files that are reported; then the rest is not read */
#define CONFIG_COMPLAINTS_MAX 100 /* the same of an administrator's */
#define CONFIG_BYTES_MAX (1 << 20) /* bytes of a file; nobody writes that much by hand */
#define CONFIG_WHY_MAX 2000  /* room for `why`: a place with a long path, and the choices of an option */

enum config_task {
    CONFIG_SERVE,
    CONFIG_VERSION,     /* -v, --version and everything that starts with --v */
    CONFIG_HELP,        /* -h, --help */
    CONFIG_PRINT,       /* --print-config */
    CONFIG_LIST,        /* --list-options */
    CONFIG_CHECK,       /* --check [USER] */
    CONFIG_RECOVER      /* --recover [USER] */
};

/* What the command line asks for. All texts are argv's. */
struct config_action {
    enum config_task task;
    const char *user;       /* of --check and --recover, or NULL */
    char **addresses;       /* leading arguments that start with ':', '[' or a digit, as given */
    size_t address_count;
    bool standalone;        /* addresses were given, or the build is standalone by default */
};

/* For whoever wants to hear of all bad lines, which are then skipped. */
struct config_complaints {
    settings_report *report; /* told of each: one sentence with file and line, at most CONFIG_WHY_MAX bytes */
    settings_report *opened; /* told the path of each file that is read; NULL: nobody */
    void *context;
    size_t count;            /* how many there were */
};

/* Reads the command line, in order, files named by -f included. Sets log_at_once unless the task is only to tell something.
   -v and -h end the reading. 0; or -1 and why (give it CONFIG_WHY_MAX), to be printed before exit status 1. With complaints
   (otherwise NULL) only what is wrong on the command line itself is such an end: what is wrong in files, and a file that cannot be
   read, are reported, up to CONFIG_COMPLAINTS_MAX. */
int config_argv(struct settings *s, int argc, char **argv, struct config_action *action_r, struct config_complaints *complaints,
                struct strbuf *why);

/* Whether one of the arguments is the long one of that task, for who must know before anything is read. */
bool config_asks_for(int argc, char **argv, enum config_task task);

/* Reads a configuration file and what it names; the first error ends it, unless there are complaints (or NULL). 0; or -1 and why:
   file, line, word, valid choices. */
int config_file(struct settings *s, const char *path, enum option_source source, const char *where, struct config_complaints *complaints,
                struct strbuf *why);

/* Reads the file of a user from fd (any position; not closed), named `shown` in messages. Bad lines are reported and skipped. s should be
   a clone. Returns the number of bad lines. Files that it names by config-file are opened with the effective ids of the moment. */
size_t config_fd(struct settings *s, int fd, const char *shown, enum option_source source, settings_report *report, void *context);

/* Every option with its effective value, as a configuration file: `set NAME = VALUE  # from WHERE`. Options whose feature is not built
   and config-file stand in comments, so that reading it gives the same settings. */
void config_print(const struct settings *s, struct strbuf *out);

/* One line per option: name, type, switch (-R for one that turns it off), sources that may set it, feature, built (yes or no), default;
   separated by tabs, "-" for nothing. For scripts and tests. */
void config_list(struct strbuf *out);

/* What -h prints, from the table; and the line of -v. */
void config_help(const char *argv0, struct strbuf *out);
void config_version(struct strbuf *out);

#endif
