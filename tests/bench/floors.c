/*
 * floors: what the machine itself needs, for the ratios. Each prints one JSON object of medians in milliseconds.
 *
 *   floors scan FILE N           reads FILE in blocks of 256 KiB and lets memchr look at every byte, N times
 *   floors copy FILE NEW N       writes FILE as NEW and syncs it, N times; NEW is removed
 *   floors crypt HASH PASSWORD N verifies the password, N times
 *   floors serve PORT FILE       serves FILE by sendfile(2) to who connects to 127.0.0.1, until it is killed
 */
#include <arpa/inet.h>
#include <crypt.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (256 * 1024)
#define RUNS_MAX 1000

static char block[BLOCK];

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median_ms(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2] * 1e3;
}

static int serve(int port, const char *file)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (struct sockaddr *)&at, sizeof at) < 0 || listen(s, 128) < 0) {
        perror("floors serve");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int client = accept(s, NULL, NULL), fd = open(file, O_RDONLY);

        if (client < 0 || fd < 0)
            return 1;
        while (sendfile(client, fd, NULL, 1 << 30) > 0) {
        }
        close(fd);
        close(client);
    }
}

/* Looks for a byte that no maildrop has, so that memchr sees all of them; what it found is printed, so that no compiler leaves the work out. A
   memchr for each line instead would be three times as slow: no floor, but a scanner. */
static int scan(const char *file, int n)
{
    double took[RUNS_MAX];
    long found = 0;
    int i;

    for (i = 0; i < n; i++) {
        double since = now();
        int fd = open(file, O_RDONLY);
        ssize_t got;

        while ((got = read(fd, block, BLOCK)) > 0)
            found += memchr(block, '\0', (size_t)got) != NULL;
        close(fd);
        took[i] = now() - since;
    }
    printf("{\"scan\":%.4f,\"found\":%ld}\n", median_ms(took, n), found);
    return 0;
}

static int copy(const char *file, const char *copy, int n)
{
    double took[RUNS_MAX], synced[RUNS_MAX];
    int i;

    for (i = 0; i < n; i++) {
        int in = open(file, O_RDONLY), out;
        double since = now(), then;
        ssize_t got;

        out = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        while ((got = read(in, block, BLOCK)) > 0)
            if (write(out, block, (size_t)got) != got)
                return 1;
        then = now();
        if (fsync(out) < 0)
            return 1;
        took[i] = now() - since;
        synced[i] = now() - then;
        close(in);
        close(out);
        unlink(copy);
    }
    printf("{\"copy\":%.4f,\"fsync\":%.4f}\n", median_ms(took, n), median_ms(synced, n));
    return 0;
}

static int verify(const char *hash, const char *password, int n)
{
    static struct crypt_data data;
    double took[RUNS_MAX];
    int i;

    for (i = 0; i < n; i++) {
        double since = now();
        const char *result = crypt_r(password, hash, &data);

        took[i] = now() - since;
        if (!result || strcmp(result, hash) != 0)
            return 1;
    }
    printf("{\"crypt\":%.4f}\n", median_ms(took, n));
    return 0;
}

int main(int argc, char **argv)
{
    int n = argc > 3 ? atoi(argv[argc - 1]) : 0;

    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return serve(atoi(argv[2]), argv[3]);
    if (n < 1 || n > RUNS_MAX)
        return 2;
    if (argc == 4 && strcmp(argv[1], "scan") == 0)
        return scan(argv[2], n);
    if (argc == 5 && strcmp(argv[1], "copy") == 0)
        return copy(argv[2], argv[3], n);
    if (argc == 5 && strcmp(argv[1], "crypt") == 0)
        return verify(argv[2], argv[3], n);
    return 2;
}
