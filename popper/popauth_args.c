/*
 * popauth_args: see popauth_args.h. It only reads; nothing here acts.
 */
#include "popauth_args.h"

#include <string.h>

#include "common/mem.h"
#include "settings/defaults.h"

const char popauth_usage[] =
    "usage: popauth [-scram]                          change your own secret\n"
    "       popauth -user USER [SECRET] [-scram]      add a user, or change his secret\n"
    "       popauth -delete USER                      remove a user\n"
    "       popauth -list [USER | ALL]                who has which kind of secret\n"
    "       popauth -init [-safe]                     make an empty database (-safe: unless there is one)\n"
    "       popauth -help | -version\n"
    "with each: -trace FILE, -debug, -file FILE (another database than " DEFAULT_APOP_FILE ")\n"
    "The secret is asked for, or read from a pipe. -scram keeps verifiers for SCRAM only, no secret.\n";

static const char *argument(int argc, char **argv, int *i)
{
    return *i + 1 < argc && argv[*i + 1][0] != '-' ? argv[++*i] : NULL;
}

static void choose(struct job *job, enum task task)
{
    job->task = task;
    job->tasks++;
}

/* The secret must not be seen in the list of processes any longer than can be helped. */
static void take_password(struct job *job, char *given)
{
    job->password = mem_strdup(given);
    mem_wipe(given, strlen(given));
}

/* The name of an option without its one or two dashes. */
static const char *option_name(const char *word)
{
    if (word[0] != '-')
        return "";
    return word + (word[1] == '-' ? 2 : 1);
}

/* True when word is the option and has its argument if it needs one. */
static bool read_option(struct job *job, int argc, char **argv, int *i)
{
    const char *name = option_name(argv[*i]);

    if (strcmp(name, "debug") == 0)
        return job->debug = true;
    if (strcmp(name, "safe") == 0)
        return job->safe = true;
    if (strcmp(name, "scram") == 0)
        return job->scram = true;
    if (strcmp(name, "trace") == 0)
        return (job->trace = argument(argc, argv, i)) != NULL;
    if (strcmp(name, "file") == 0) {
        job->file = argument(argc, argv, i);
        return job->file_given = job->file != NULL;
    }
    return false;
}

static bool read_task(struct job *job, int argc, char **argv, int *i)
{
    const char *name = option_name(argv[*i]);

    if (strcmp(name, "help") == 0 || strcmp(name, "h") == 0) {
        choose(job, TASK_HELP);
    } else if (strcmp(name, "version") == 0 || strcmp(name, "v") == 0) {
        choose(job, TASK_VERSION);
    } else if (strcmp(name, "init") == 0) {
        choose(job, TASK_INIT);
    } else if (strcmp(name, "list") == 0) {
        choose(job, TASK_LIST);
        job->user = argument(argc, argv, i);
        job->list_all = job->user && strcmp(job->user, "ALL") == 0;
    } else if (strcmp(name, "delete") == 0) {
        choose(job, TASK_DELETE);
        return (job->user = argument(argc, argv, i)) != NULL;
    } else if (strcmp(name, "user") == 0) {
        choose(job, TASK_CHANGE);
        job->user = argument(argc, argv, i);
        if (job->user && argument(argc, argv, i))
            take_password(job, argv[*i]);
        return job->user != NULL;
    } else {
        return false;
    }
    return true;
}

bool popauth_args_read(struct job *job, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++)
        if (!read_option(job, argc, argv, &i) && !read_task(job, argc, argv, &i))
            return false;
    return job->tasks <= 1 && (!job->safe || job->task == TASK_INIT) && (!job->scram || job->task == TASK_CHANGE);
}
