/* The keys of session tickets, which only the TLS relay needs: each other process that meets strangers or libraries of
   others has wiped them before it does. The tests stand in for what it calls then. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/auth.h"
#include "process/checker.h"
#include "process/proxyreader.h"
#include "process/resolver.h"
#include "process/ticketkeys.h"
#include "tests/unit/caught_log.h"

static pid_t tester;
static volatile struct seen {
    int looks;
    size_t keys;
} *seen; /* by all processes */

static void look(void)
{
    size_t n;

    if (getpid() == tester)
        return;
    ticketkeys_get(&n);
    seen->looks++;
    seen->keys += n;
}

/* ---- what they call */

bool auth_canonical_name(const struct settings *settings, const char *given, char name_r[AUTH_NAME_MAX + 1])
{
    (void)settings;
    strcpy(name_r, given);
    return true;
}

enum auth_verdict auth_check(const struct settings *settings, const struct auth_attempt *attempt,
                             struct auth_user *user_r, struct strbuf *reason)
{
    (void)settings;
    (void)attempt;
    (void)user_r;
    (void)reason;
    look();
    return AUTH_REFUSED;
}

void auth_look_up(const struct settings *settings, const struct auth_attempt *attempt, struct auth_user *user_r,
                  struct auth_prospect *prospect_r, struct strbuf *reason)
{
    (void)settings;
    (void)attempt;
    (void)user_r;
    (void)prospect_r;
    (void)reason;
}

int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                socklen_t service_size, int flags)
{
    (void)address;
    (void)length;
    (void)host;
    (void)host_size;
    (void)service;
    (void)service_size;
    (void)flags;
    look();
    return EAI_FAIL;
}

/* Before the reader of a PROXY header reads. */
int poll(struct pollfd *fds, nfds_t n, int ms)
{
    static int (*real)(struct pollfd *, nfds_t, int);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "poll");
    if (n == 1 && fds[0].fd == 0)
        look();
    return real(fds, n, ms);
}

/* ---- each */

static void check_password(struct settings *settings)
{
    const struct auth_attempt attempt = { .how = AUTH_BY_PASSWORD, .name = "alice", .response = "secret" };
    struct strbuf reason = STRBUF_INIT(STRBUF_WHY_MAX);
    struct auth_user user;
    int session;

    ck_assert_int_eq(checker_run(settings, &attempt, -1, &user, &session, &reason), AUTH_REFUSED);
    strbuf_free(&reason);
}

static void resolve(struct settings *settings)
{
    struct peer peer = { .ip = "192.0.2.7" };
    struct resolver r;

    settings->reverse_lookup = true;
    resolver_start(&r, settings, &peer);
    resolver_finish(&r, &peer);
}

static void read_proxy_header(struct settings *settings)
{
    struct peer peer = { .ip = "192.0.2.7" };
    char network[] = "192.0.2.0/24", *items[] = { network };
    struct sockaddr_in in = { .sin_family = AF_INET };
    int ends[2];

    inet_pton(AF_INET, peer.ip, &in.sin_addr);
    peer_of_address(&peer, (struct sockaddr *)&in, sizeof in);
    settings->proxy_networks = (struct option_list){ items, 1 };
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(write(ends[1], "PROXY UNKNOWN\r\n", 15), 15);
    dup2(ends[0], 0);
    ck_assert_msg(proxyreader_run(settings, &peer), "%s", caught.data);
    settings->proxy_networks = (struct option_list){ .count = 0 };
}

static void (*const works[])(struct settings *settings) = { check_password, resolve, read_proxy_header };

START_TEST(keys_are_forgotten)
{
    struct settings *settings = settings_new();
    size_t n;

    catch_log();
    tester = getpid();
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ticketkeys_renew();
    works[_i](settings);
    ck_assert_int_gt(seen->looks, 0);
    ck_assert_uint_eq(seen->keys, 0);
    /* The monitor has them still. */
    ticketkeys_get(&n);
    ck_assert_uint_eq(n, 1);
    settings_free(&settings);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ticketkeys");
    TCase *tcase = tcase_create("ticketkeys");

    tcase_add_loop_test(tcase, keys_are_forgotten, 0, (int)(sizeof works / sizeof *works));
    suite_add_tcase(suite, tcase);
    return unit_main(suite);
}
