/* resolver: what counts as a host name, and addresses that nobody is asked about. */
#include "tests/unit/unit.h"

#include <string.h>

#include "process/resolver.h"

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *name;
    bool good;
} names[] = {
    { "mail.example.com", true },
    { "localhost", true },
    { "a-b_c.example", true },
    { "4711.example", true },
    { "xn--bcher-kva.example", true },
    { LABEL_63 ".example", true },
    { LABEL_63 "." LABEL_63 "." LABEL_63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true },
    { LABEL_63 "." LABEL_63 "." LABEL_63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
    { LABEL_63 "a.example", false },
    { "", false },
    { ".", false },
    { "example.", false },
    { ".example", false },
    { "a..example", false },
    { "-a.example", false },
    { "a-.example", false },
    { "a b.example", false },
    { "a\"b.example", false },
    { "a\nb.example", false },
    { "a/b.example", false },
    { "b\xc3\xbc" "cher.example", false },
    { "192.0.2.7", false },
    { "2130706433", false },
    { "0x7f000001", false },
    { "2001:db8::1", false },
};

START_TEST(host_names)
{
    ck_assert_msg(resolver_is_host_name(names[_i].name) == names[_i].good, "%s", names[_i].name);
}
END_TEST

START_TEST(nothing_is_asked)
{
    struct settings *settings = settings_new();
    struct peer peer = { .ip = "unknown", .host = "unknown" };
    struct resolver r;

    settings->reverse_lookup = true;
    resolver_start(&r, settings, &peer);
    ck_assert_int_eq(r.pid, 0);
    strcpy(peer.ip, "127.0.0.1");
    settings->reverse_lookup = false;
    resolver_start(&r, settings, &peer);
    ck_assert_int_eq(r.pid, 0);
    resolver_finish(&r, &peer);
    resolver_stop(&r);
    ck_assert_str_eq(peer.host, "unknown");
    settings_free(&settings);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolver");
    TCase *tcase = tcase_create("resolver");

    tcase_add_loop_test(tcase, host_names, 0, sizeof names / sizeof *names);
    tcase_add_test(tcase, nothing_is_asked);
    suite_add_tcase(suite, tcase);
    return unit_main(suite);
}
