/*
 * popauth_args: see popauth_args.h. It only reads; nothing here acts.
 */
#include "popauth_args.h"

#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/nearest.h"
#include "settings/defaults.h"

#define SHOWN 80 /* bytes of a word */

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

/* ---- what is wrong */

static const char *const names[] = { "debug", "safe", "scram", "trace", "file", "help", "version", "init", "list", "delete", "user" };

static bool refuse(struct strbuf *why, const char *text)
{
    strbuf_fail(why, "%s", text);
    return false;
}

/* An option that is none, or that lacks its argument. */
static bool say_option(const char *word, struct strbuf *why)
{
    static const char *const wants[][2] = { { "trace", "a FILE" }, { "file", "a FILE" }, { "delete", "a USER" }, { "user", "a USER" } };
    const char *name = option_name(word);
    struct nearest nearest;

    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++)
        if (strcmp(name, wants[i][0]) == 0) {
            strbuf_fail(why, "-%s wants %s behind it", name, wants[i][1]);
            return false;
        }
    strbuf_fail(why, "unknown option \"");
    log_escape(why, word, strlen(word), SHOWN);
    strbuf_addc(why, '"');
    nearest_begin(&nearest, name, strlen(name));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        nearest_offer(&nearest, names[i]);
    nearest_say(&nearest, "-", why);
    return false;
}

/* The word at i was not understood. What does not begin with - may be a secret that stands in the wrong place, and behind -user USER anything may: that is
   shown to nobody. */
static bool say_word(const struct job *job, char **argv, int i, struct strbuf *why)
{
    const char *word = argv[i];

    if (job->task == TASK_CHANGE && job->user)
        return refuse(why, "what follows -user USER is no option, and no secret: that must be one word, which does not begin with -");
    if (word[0] == '-' && word[1])
        return say_option(word, why);
    strbuf_fail(why, "argument %d belongs to nothing; options begin with -", i);
    return false;
}

bool popauth_args_read(struct job *job, int argc, char **argv, struct strbuf *why)
{
    int i;

    for (i = 1; i < argc; i++)
        if (!read_option(job, argc, argv, &i) && !read_task(job, argc, argv, &i))
            return say_word(job, argv, i, why);
    if (job->tasks > 1)
        return refuse(why, "only one of -user, -delete, -list, -init, -help and -version can be done at a time");
    if (job->safe && job->task != TASK_INIT)
        return refuse(why, "-safe goes with -init");
    if (job->scram && job->task != TASK_CHANGE)
        return refuse(why, "-scram goes only with a new secret");
    return true;
}
