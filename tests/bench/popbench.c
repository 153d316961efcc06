/*
 * popbench: the load client: sessions of one scenario, one thread a connection, each reply checked. RETR must send as many
 * octets as LIST said. Prints one JSON object: sessions, errors, bytes, and for each phase median, 95th percentile, least and
 * most, in seconds. Exit status 1 when a session failed.
 *
 *   login   USER, PASS, STAT, QUIT               fetch   STAT, LIST, RETR of everything, QUIT
 *   check   STAT, UIDL, LIST, QUIT               drain   fetch, and DELE of everything
 *   thin    STAT, LIST, DELE of every n-th, QUIT top     TOP n 0 of everything
 *   noop    1,000 NOOPs: the price of a round trip
 *   raw     connects and reads to the end        get     asks `openssl s_server -WWW` for --path and reads to the end
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ssl.h>

#include "popclient.h"

enum phase { CONNECT, TLS, AUTH, STAT, UIDL, LIST, RETR, TOP, DELE, QUIT, CLOSE, FIRST, SESSION, PHASES };
enum tls { PLAIN, IMPLICIT, STLS };

static const char *const phase_names[PHASES] = { "connect", "tls", "auth", "stat", "uidl", "list", "retr", "top", "dele", "quit",
                                                 "close", "first", "session" };

static struct {
    const char *scenario, *user, *password, *path;
    int port, connections, users, window, top_lines, every, timeout;
    enum tls tls;
    long sessions;
    double seconds;
    long messages;      /* that STAT must say; -1: any */
    bool delays_acks;
    bool tolerant;      /* sizes that are not what LIST said are counted only */
} options = { .scenario = "login", .user = "bench%02d", .password = "benchpw", .path = "/", .port = 110, .connections = 1, .users = 1,
              .every = 10, .timeout = 120, .sessions = 1, .messages = -1 };

static SSL_CTX *tls_context;
static atomic_long quota, done, failed, messages_sent, mismatches;
static atomic_ullong octets_sent;
static char first_error[1300];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct { double *values; size_t count, room; } latencies[PHASES];
static double started;

struct session {
    struct popclient client;
    double took[PHASES];    /* -1: not in this session */
    long messages;
    uint64_t *sizes;        /* from LIST, by message number */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int took(struct session *s, enum phase phase, double since)
{
    s->took[phase] = (s->took[phase] < 0 ? 0 : s->took[phase]) + now() - since;
    return 0;
}

/* ---- many commands of one kind */

struct run {
    enum phase phase;
    const char *verb, *argument;
    bool numbered, body;
    long step;
};

static int take_body(struct session *s, const struct run *run, long number)
{
    struct popclient_body body;

    if (popclient_body(&s->client, &body) < 0)
        return -1;
    octets_sent += body.octets;
    messages_sent++;
    if (run->phase != RETR || !s->sizes || s->sizes[number] == body.octets)
        return 0;
    mismatches++;
    return options.tolerant ? 0
                            : popclient_fail(&s->client, "RETR %ld: %llu octets, LIST said %llu", number,
                                             (unsigned long long)body.octets, (unsigned long long)s->sizes[number]);
}

/* Sends commands from *next_r on until the window is full. */
static int send_window(struct session *s, const struct run *run, long answered, long *next_r, int window)
{
    char text[8192];
    size_t n = 0;

    while (*next_r <= s->messages && (*next_r - answered) / run->step < window && n < sizeof text - 64) {
        if (run->numbered)
            n += (size_t)sprintf(text + n, "%s %ld%s\r\n", run->verb, *next_r, run->argument);
        else
            n += (size_t)sprintf(text + n, "%s\r\n", run->verb);
        *next_r += run->step;
    }
    return popclient_send(&s->client, text, n);
}

/* The command for every step-th message, with as many unanswered ones as --window says. */
static int run_all(struct session *s, const struct run *run)
{
    int window = options.window < 1 ? 1 : options.window;
    double since = now();
    long next = 1, answered;

    for (answered = 1; answered <= s->messages; answered += run->step) {
        if (next <= s->messages && (next - answered) / run->step <= window / 2 && send_window(s, run, answered, &next, window) < 0)
            return -1;
        if (popclient_ok(&s->client, run->verb) < 0)
            return -1;
        if (run->body && answered == 1)
            took(s, FIRST, since);
        if (run->body && take_body(s, run, answered) < 0)
            return -1;
    }
    return took(s, run->phase, since);
}

/* ---- the steps of a session */

static int take_listing_line(struct session *s, bool sizes, long expected)
{
    struct popclient *c = &s->client;
    char *end;
    long number = strtol(c->line, &end, 10);

    if (number != expected || *end != ' ' || number > s->messages || !end[1])
        return popclient_fail(c, "a bad listing line: %s", c->line);
    if (sizes)
        s->sizes[number] = strtoull(end + 1, NULL, 10);
    return 0;
}

static int listing(struct session *s, enum phase phase)
{
    struct popclient *c = &s->client;
    double since = now();
    long count = 0;

    if (phase == LIST)
        s->sizes = calloc((size_t)s->messages + 2, sizeof *s->sizes);
    if (popclient_ask(c, phase == LIST ? "LIST" : "UIDL") < 0)
        return -1;
    for (;;) {
        if (popclient_line(c) < 0)
            return -1;
        if (strcmp(c->line, ".") == 0)
            break;
        if (take_listing_line(s, phase == LIST, ++count) < 0)
            return -1;
    }
    if (count != s->messages)
        return popclient_fail(c, "a listing of %ld lines, STAT said %ld", count, s->messages);
    return took(s, phase, since);
}

static int greet(struct session *s)
{
    struct popclient *c = &s->client;
    double since = now();

    if (options.tls == IMPLICIT && popclient_start_tls(c, tls_context) < 0)
        return -1;
    if (popclient_ok(c, "greeting") < 0)
        return -1;
    took(s, CONNECT, since);
    if (options.tls != STLS)
        return 0;
    since = now();
    if (popclient_ask(c, "STLS") < 0 || popclient_start_tls(c, tls_context) < 0)
        return -1;
    return took(s, TLS, since);
}

static int login(struct session *s, int who)
{
    struct popclient *c = &s->client;
    unsigned long long octets;
    char user[128];
    double since = now();

    /* The format is the caller's: this is no server. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(user, sizeof user, options.user, 1 + who % options.users);
#pragma GCC diagnostic pop
    if (popclient_say(c, "USER %s", user) < 0 || popclient_ok(c, "USER") < 0)
        return -1;
    if (popclient_say(c, "PASS %s", options.password) < 0 || popclient_ok(c, "PASS") < 0)
        return -1;
    took(s, AUTH, since);
    since = now();
    if (popclient_ask(c, "STAT") < 0)
        return -1;
    if (sscanf(c->line, "+OK %ld %llu", &s->messages, &octets) != 2)
        return popclient_fail(c, "STAT: %s", c->line);
    if (options.messages >= 0 && s->messages != options.messages)
        return popclient_fail(c, "STAT says %ld messages instead of %ld", s->messages, options.messages);
    return took(s, STAT, since);
}

static int work(struct session *s)
{
    const char *scenario = options.scenario;
    const struct run retr = { RETR, "RETR", "", true, true, 1 }, dele = { DELE, "DELE", "", true, false, 1 };
    char lines[32];

    if (strcmp(scenario, "check") == 0)
        return listing(s, UIDL) < 0 ? -1 : listing(s, LIST);
    if (strcmp(scenario, "fetch") == 0)
        return listing(s, LIST) < 0 ? -1 : run_all(s, &retr);
    if (strcmp(scenario, "drain") == 0)
        return listing(s, LIST) < 0 || run_all(s, &retr) < 0 ? -1 : run_all(s, &dele);
    if (strcmp(scenario, "thin") == 0)
        return listing(s, LIST) < 0 ? -1 : run_all(s, &(struct run){ DELE, "DELE", "", true, false, options.every });
    if (strcmp(scenario, "top") == 0) {
        snprintf(lines, sizeof lines, " %d", options.top_lines);
        return run_all(s, &(struct run){ TOP, "TOP", lines, true, true, 1 });
    }
    if (strcmp(scenario, "noop") == 0) {
        s->messages = 1000;
        return run_all(s, &(struct run){ DELE, "NOOP", "", false, false, 1 });
    }
    return 0;
}

static int quit(struct session *s)
{
    struct popclient *c = &s->client;
    double since = now();

    if (popclient_ask(c, "QUIT") < 0)
        return -1;
    took(s, QUIT, since);
    since = now();
    if (popclient_drain(c, false) < 0)
        return -1;
    return took(s, CLOSE, since);
}

static int read_all(struct session *s)
{
    struct popclient *c = &s->client;

    if (options.tls == IMPLICIT && popclient_start_tls(c, tls_context) < 0)
        return -1;
    if (strcmp(options.scenario, "get") == 0 && popclient_say(c, "GET %s HTTP/1.0\r\n", options.path) < 0)
        return -1;
    if (popclient_drain(c, true) < 0)
        return -1;
    octets_sent += c->received;
    return 0;
}

static int converse(struct session *s, int who)
{
    double since = now();

    if (popclient_open(&s->client, options.port, options.delays_acks, options.timeout) < 0)
        return -1;
    if (strcmp(options.scenario, "raw") == 0 || strcmp(options.scenario, "get") == 0) {
        if (read_all(s) < 0)
            return -1;
    } else if (greet(s) < 0 || login(s, who) < 0 || work(s) < 0 || quit(s) < 0)
        return -1;
    return took(s, SESSION, since);
}

/* ---- sessions, threads, results */

static void note(const struct session *s)
{
    enum phase i;

    done++;
    for (i = 0; i < PHASES; i++) {
        if (s->took[i] < 0)
            continue;
        if (latencies[i].count == latencies[i].room) {
            latencies[i].room = latencies[i].room ? latencies[i].room * 2 : 256;
            latencies[i].values = realloc(latencies[i].values, latencies[i].room * sizeof(double));
        }
        latencies[i].values[latencies[i].count++] = s->took[i];
    }
}

static int one_session(int who)
{
    struct session s = { .client.fd = -1 };
    enum phase i;
    int result;

    for (i = 0; i < PHASES; i++)
        s.took[i] = -1;
    result = converse(&s, who);
    pthread_mutex_lock(&mutex);
    if (result == 0)
        note(&s);
    else if (failed++ == 0)
        snprintf(first_error, sizeof first_error, "%s", s.client.why);
    pthread_mutex_unlock(&mutex);
    popclient_close(&s.client);
    free(s.sizes);
    return result;
}

static void *worker(void *argument)
{
    int who = (int)(long)argument, bad = 0;

    while (bad < 3) {
        if (options.seconds > 0 ? now() - started >= options.seconds : atomic_fetch_sub(&quota, 1) <= 0)
            break;
        bad += one_session(who) < 0;
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void print_results(double wall)
{
    const char *comma = "";
    char *p;
    enum phase i;

    for (p = first_error; *p; p++)
        if (*p == '"' || *p == '\\' || (unsigned char)*p < 32)
            *p = '\'';
    printf("{\"ok\":%ld,\"errors\":%ld,\"wall\":%.6f,\"messages\":%ld,\"octets\":%llu,\"mismatches\":%ld,\"first_error\":\"%s\",\"phases\":{",
           (long)done, (long)failed, wall, (long)messages_sent, (unsigned long long)octets_sent, (long)mismatches, first_error);
    for (i = 0; i < PHASES; i++) {
        size_t n = latencies[i].count;
        double *v = latencies[i].values;

        if (n == 0)
            continue;
        qsort(v, n, sizeof *v, by_value);
        printf("%s\"%s\":{\"n\":%zu,\"med\":%.6f,\"p95\":%.6f,\"min\":%.6f,\"max\":%.6f}", comma, phase_names[i], n, v[n / 2],
               v[(size_t)((double)(n - 1) * .95)], v[0], v[n - 1]);
        comma = ",";
    }
    puts("}}");
}

static enum tls tls_of(const char *word)
{
    return strcmp(word, "implicit") == 0 ? IMPLICIT : strcmp(word, "stls") == 0 ? STLS : PLAIN;
}

static void take_option(int letter)
{
    switch (letter) {
    case 'p': options.port = atoi(optarg); break;
    case 's': options.scenario = optarg; break;
    case 'c': options.connections = atoi(optarg); break;
    case 'n': options.sessions = atol(optarg); break;
    case 'd': options.seconds = atof(optarg); break;
    case 'u': options.user = optarg; break;
    case 'U': options.users = atoi(optarg) > 0 ? atoi(optarg) : 1; break;
    case 'P': options.password = optarg; break;
    case 'w': options.window = atoi(optarg); break;
    case 't': options.tls = tls_of(optarg); break;
    case 'l': options.top_lines = atoi(optarg); break;
    case 'k': options.every = atoi(optarg) > 0 ? atoi(optarg) : 1; break;
    case 'T': options.timeout = atoi(optarg); break;
    case 'D': options.delays_acks = true; break;
    case 'm': options.messages = atol(optarg); break;
    case 'x': options.tolerant = true; break;
    case 'g': options.path = optarg; break;
    default: exit(2);
    }
}

static void take_options(int argc, char **argv)
{
    static const struct option names[] = {
        { "port", 1, 0, 'p' }, { "scenario", 1, 0, 's' }, { "connections", 1, 0, 'c' }, { "sessions", 1, 0, 'n' },
        { "seconds", 1, 0, 'd' }, { "user", 1, 0, 'u' }, { "users", 1, 0, 'U' }, { "password", 1, 0, 'P' },
        { "window", 1, 0, 'w' }, { "tls", 1, 0, 't' }, { "top-lines", 1, 0, 'l' }, { "every", 1, 0, 'k' },
        { "timeout", 1, 0, 'T' }, { "delayed-acks", 0, 0, 'D' }, { "messages", 1, 0, 'm' }, { "tolerant", 0, 0, 'x' },
        { "path", 1, 0, 'g' }, { 0 }
    };
    int letter;

    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1)
        take_option(letter);
}

int main(int argc, char **argv)
{
    pthread_t *threads;
    long i;

    take_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (options.tls != PLAIN) {
        tls_context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_mode(tls_context, SSL_MODE_AUTO_RETRY);
    }
    quota = options.sessions;
    threads = calloc((size_t)options.connections, sizeof *threads);
    started = now();
    for (i = 0; i < options.connections; i++)
        pthread_create(&threads[i], NULL, worker, (void *)i);
    for (i = 0; i < options.connections; i++)
        pthread_join(threads[i], NULL);
    print_results(now() - started);
    return failed > 0;
}
