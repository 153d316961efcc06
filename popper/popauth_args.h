/*
 * popauth_args: what popauth was asked to do, read from its command line.
 */
#ifndef POPAUTH_ARGS_H
#define POPAUTH_ARGS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/apopdb.h"
#include "common/setuid.h"

/* Exit statuses; popauth(8) has them, too. */
enum { DONE = 0, USAGE = 1, FORBIDDEN = 2, UNKNOWN_USER = 3, NO_DATABASE = 4, BAD_SECRET = 5 };

/* Those from TASK_LIST on only say something. */
enum task { TASK_CHANGE, TASK_INIT, TASK_DELETE, TASK_LIST, TASK_HELP, TASK_VERSION };

struct job {
    enum task task;
    unsigned tasks;      /* how many were asked for */
    const char *user;    /* NULL: the caller */
    char *password;      /* of the command line, or NULL */
    const char *file;
    const char *trace;
    bool debug, safe, scram, list_all, file_given;
    struct setuid ids;
    uid_t owner;         /* who may own the database besides root; (uid_t)-1: nobody */
    gid_t owner_group;
    char name[APOPDB_NAME_MAX + 1]; /* whom it is about */
    bool is_own;         /* the caller's name */
};

extern const char popauth_usage[];

/* Fills task and what belongs to it. The secret is overwritten in argv. False and why: it is to be told how popauth is used; a word
   that may be a secret is not in it. */
bool popauth_args_read(struct job *job, int argc, char **argv, struct strbuf *why);

#endif
