/*
 * sendauth HOST PORT SERVICE [VERSION [SOURCE]]: a client of KPOP on libkrb5 for kpop.py: connects (from address SOURCE), krb5_sendauth with the
 * tickets of KRB5CCNAME for SERVICE/localhost, prints "proved" or "refused: WHY", then copies standard input to the server and what that says to
 * standard output.
 */
#include <arpa/inet.h>
#include <krb5.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static krb5_context context;

static void must(krb5_error_code code, const char *what)
{
    if (code == 0)
        return;
    printf("%s: %s\n", what, krb5_get_error_message(context, code));
    exit(2);
}

static int connect_to(const char *host, const char *port, const char *source)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) }, from = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, host, &to.sin_addr);
    if (source && inet_pton(AF_INET, source, &from.sin_addr) == 1 && bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        perror("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("connect");
        exit(2);
    }
    return fd;
}

static void copy(int fd)
{
    struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    char buf[4096];

    while (poll(p, 2, -1) > 0) {
        ssize_t n;

        if (p[0].revents) {
            n = read(0, buf, sizeof buf);
            if (n <= 0)
                p[0].fd = -1;
            else if (write(fd, buf, (size_t)n) != n)
                return;
        }
        if (p[1].revents) {
            n = read(fd, buf, sizeof buf);
            if (n <= 0 || write(1, buf, (size_t)n) != n)
                return;
        }
    }
}

int main(int argc, char **argv)
{
    krb5_auth_context auth = NULL;
    krb5_principal client, server;
    krb5_error_code code;
    krb5_error *error = NULL;
    krb5_ccache cache;
    char version[64] = "KPOPV1.0";
    int fd;

    if (argc < 4)
        return 2;
    if (argc > 4)
        snprintf(version, sizeof version, "%s", argv[4]);
    must(krb5_init_context(&context), "init");
    must(krb5_cc_default(context, &cache), "tickets");
    must(krb5_cc_get_principal(context, cache, &client), "tickets");
    must(krb5_sname_to_principal(context, "localhost", argv[3], KRB5_NT_SRV_HST, &server), "server");
    fd = connect_to(argv[1], argv[2], argc > 5 ? argv[5] : NULL);
    code = krb5_sendauth(context, &auth, &fd, version, client, server, AP_OPTS_MUTUAL_REQUIRED, NULL, NULL, cache, &error, NULL, NULL);
    if (code)
        printf("refused: %s\n", krb5_get_error_message(context, code));
    else
        printf("proved\n");
    fflush(stdout);
    copy(fd);
    return code != 0;
}
