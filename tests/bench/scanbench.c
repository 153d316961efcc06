/*
 * scanbench FILE [ROUNDS [BLOCK]]: how fast the scanner and the sender are against what the machine can do, in one run:
 * MB/s of
 *   read   pread of the file by blocks of 256 KiB
 *   floor  the same and a memchr for every line end
 *   scan   mboxscan_file
 *   dups   uidl_resolve_duplicates (ms)
 *   send   msgsend_message of every message into an output that drops it
 *   top    msgsend_message with no body lines (ms)
 * BLOCK: bytes a read of scan and send. Rounds are interleaved; medians are printed. It asserts nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "mail/mboxscan.h"
#include "mail/msgsend.h"

#define BLOCK (256 * 1024)
#define ROUNDS_MAX 1000

enum { READ, FLOOR, SCAN, DUPS, SEND, TOP, KINDS };

static const char *const names[KINDS] = { "read", "floor", "scan", "dups", "send", "top" };
static double seconds[KINDS][ROUNDS_MAX];
static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
static char block[BLOCK];
static volatile uint64_t lines;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void read_all(int fd, bool count)
{
    ssize_t n;

    for (off_t at = 0; (n = pread(fd, block, sizeof block, at)) > 0; at += n)
        if (count)
            for (const char *p = block, *end = block + n; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
                lines++;
}

static void scan(int fd, uint64_t size, struct msglist *list)
{
    struct mboxscan_rules rules = { .format = UIDL_QPOPPER };

    msglist_init(list);
    if (mboxscan_file(fd, 0, size, MSGSRC_DROP, &rules, NULL, list, &why) != MBOXSCAN_OK) {
        fprintf(stderr, "scanbench: %s\n", why.data);
        exit(1);
    }
}

static int drop_bytes(void *context, const char *bytes, size_t n)
{
    (void)context;
    (void)bytes;
    (void)n;
    return 0;
}

static void send_all(int fd, uint64_t ahead, const struct msglist *list, uint64_t body_lines)
{
    struct msgwindow window = MSGWINDOW_INIT;
    struct outbuf out;
    uint64_t octets;

    outbuf_init(&out, 65536, drop_bytes, NULL);
    for (size_t i = 0; i < list->count; i++) {
        const struct message *m = &list->messages[i];

        if (msgsend_message(&window, fd, ahead, m, msglist_uid(list, m), body_lines, &out, &octets, &why) < 0 ||
            (body_lines && octets != m->octets)) {
            fprintf(stderr, "scanbench: message %zu: %s\n", i + 1, why.data);
            exit(1);
        }
    }
    msgwindow_free(&window);
    outbuf_free(&out);
}

static void one_round(int fd, uint64_t size, int round, uint64_t *messages_r, uint64_t *octets_r)
{
    struct msglist list;
    double t[KINDS + 1];
    uint64_t hidden;

    t[0] = now();
    read_all(fd, false);
    t[1] = now();
    read_all(fd, true);
    t[2] = now();
    scan(fd, size, &list);
    t[3] = now();
    uidl_resolve_duplicates(&list, 0);
    t[4] = now();
    send_all(fd, size, &list, MSGSEND_ALL);
    t[5] = now();
    send_all(fd, size, &list, 0);
    t[6] = now();
    for (int kind = 0; kind < KINDS; kind++)
        seconds[kind][round] = t[kind + 1] - t[kind];
    msglist_totals(&list, messages_r, octets_r, &hidden);
    msglist_free(&list);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1, rounds = argc > 2 ? atoi(argv[2]) : 11;
    struct stat st;
    uint64_t messages = 0, octets = 0;
    double floor;

    if (fd < 0 || fstat(fd, &st) < 0 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: scanbench FILE [ROUNDS [BLOCK]]\n");
        return 2;
    }
    mboxscan_set_limits(argc > 3 ? strtoul(argv[3], NULL, 10) : 0, 0);
    msgsend_set_block(argc > 3 ? strtoul(argv[3], NULL, 10) : 0);
    for (int i = 0; i < rounds; i++)
        one_round(fd, (uint64_t)st.st_size, i, &messages, &octets);
    printf("%s: %.1f MB, %llu messages, %llu octets, %d rounds\n", argv[1], (double)st.st_size / 1e6,
           (unsigned long long)messages, (unsigned long long)octets, rounds);
    for (int kind = 0; kind < KINDS; kind++)
        qsort(seconds[kind], (size_t)rounds, sizeof seconds[kind][0], by_size);
    floor = seconds[FLOOR][rounds / 2];
    for (int kind = 0; kind < KINDS; kind++) {
        double median = seconds[kind][rounds / 2];

        printf("%-5s %9.2f ms %9.0f MB/s %6.2f x floor   (%.2f .. %.2f ms)\n", names[kind], median * 1e3,
               (double)st.st_size / 1e6 / median, median / floor, seconds[kind][0] * 1e3,
               seconds[kind][rounds - 1] * 1e3);
    }
    return 0;
}
