/*
 * maildropsession: sessions over real files and locks, for the test programs of maildrop: what the user does, what is read of the files, and times as a
 * test wants them.
 */
#ifndef TESTS_MAILDROPSESSION_H
#define TESTS_MAILDROPSESSION_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mail/filecalls.h"
#include "mail/maildrop.h"
#include "mail/msgsend.h"
#include "tests/unit/caught_log.h"
#include "tests/unit/localhost.h"
#include "tests/unit/unit.h"

static struct localhost h;
static struct settings *settings;
static struct maildrop *drop;
static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
static struct strbuf sent = STRBUF_INIT(8 << 20);
static bool with_index;
static uint64_t drop_bytes_read, bytes_written;
static unsigned reads; /* of any file */

static inline ssize_t counting_pread(int fd, void *buf, size_t n, off_t at)
{
    ssize_t got = pread(fd, buf, n, at);

    reads++;
    if (fd == h.drop && got > 0)
        drop_bytes_read += (uint64_t)got;
    return got;
}

static inline ssize_t counting_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    bytes_written += n;
    return pwrite(fd, buf, n, at);
}

/* Makes file times older, so that no index is racy, or stand still, as if everything happened within a tick of the
   clock. */
static int64_t older_by;
static bool frozen;
static struct timespec frozen_at;

static inline int shifting_fstat(int fd, struct stat *st)
{
    if (fstat(fd, st) != 0)
        return -1;
    st->st_mtim.tv_sec -= older_by;
    st->st_ctim.tv_sec -= older_by;
    if (frozen)
        st->st_mtim = st->st_ctim = frozen_at;
    return 0;
}

static struct filecalls counting;

static inline void setup(void)
{
    localhost_init(&h);
    settings = settings_new();
    with_index = true;
    counting = filecalls_os;
    counting.pread = counting_pread;
    counting.pwrite = counting_pwrite;
    counting.fstat = shifting_fstat;
    older_by = 0;
    frozen = false;
    filecalls = &counting;
    catch_log();
}

static inline void teardown(void)
{
    maildrop_close(&drop);
    maildrop_set_copy_beside(0);
    localhost_remove(&h);
    settings_free(&settings);
    filecalls = &filecalls_os;
}

/* Message n; its text depends on n and the body. */
static inline const char *mail(int n, const char *body)
{
    static char text[8][2000];
    static int next;
    char *t = text[next++ % 8];

    snprintf(t, sizeof text[0],
             "From sender@example.org Sat Nov 22 10:%02d:00 2025\nReceived: from a by b; %d\nMessage-Id: <%d@x>\n"
             "Subject: number %d\n\n%s\n\n", n % 60, n, n, n, body);
    return t;
}

static inline char *joined(const char *const *parts, size_t count)
{
    char *all = calloc(1, 100000);

    for (size_t i = 0; i < count; i++)
        strcat(all, parts[i]);
    return all;
}

#define PARTS(...) (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

static inline void put_drop(const char *const *parts, size_t count)
{
    char *all = joined(parts, count);

    localhost_write(&h, LOCALHOST_DROP, all, strlen(all));
    free(all);
}

static inline void append(const char *text)
{
    usleep(12000); /* the clock of file times goes on */
    localhost_append(&h, LOCALHOST_DROP, text, strlen(text));
}

/* Long enough for an index not to be racy. */
static inline void let_rest(void)
{
    usleep(70000);
}

static inline void assert_file(const char *name, const char *const *parts, size_t count)
{
    char *want = joined(parts, count), *is = localhost_read(&h, name, NULL);

    ck_assert_ptr_nonnull(is);
    ck_assert_str_eq(is, want);
    free(want);
    free(is);
}

static inline enum maildrop_status try_open(void)
{
    struct maildrop_files files;

    maildrop_close(&drop);
    files = localhost_files(&h, with_index);
    h.locked = 0;
    drop_bytes_read = bytes_written = 0;
    strbuf_reset(&caught);
    return maildrop_open(&drop, &files, settings, &h.host, &why);
}

static inline struct msglist *login(void)
{
    enum maildrop_status status = try_open();

    ck_assert_msg(status == MAILDROP_OK, "%s", why.data);
    return maildrop_list(drop);
}

static inline void logout(void)
{
    maildrop_close(&drop);
}

static inline enum maildrop_status update(void)
{
    return maildrop_update(drop, &why);
}

static inline void quit(void)
{
    enum maildrop_status status = update();

    ck_assert_msg(status == MAILDROP_OK, "%s", why.data);
    logout();
}

static inline struct message *at(uint64_t number)
{
    struct message *m = msglist_get(maildrop_list(drop), number);

    ck_assert_ptr_nonnull(m);
    return m;
}

static inline void delete(uint64_t number)
{
    at(number)->flags |= MSG_DELETED;
}

static inline const char *id(uint64_t number)
{
    return msglist_uid(maildrop_list(drop), at(number));
}

static void (*at_first_bytes)(void); /* what happens when the client gets the first bytes of a text */

static inline int take(void *context, const char *bytes, size_t n)
{
    (void)context;
    if (at_first_bytes)
        at_first_bytes();
    at_first_bytes = NULL;
    strbuf_add(&sent, bytes, n);
    return 0;
}

/* RETR: the status; the text is in sent. */
static inline enum maildrop_status retrieve(uint64_t number)
{
    struct outbuf out;
    enum maildrop_status status = maildrop_ready(drop, at(number), MSGSEND_ALL, &why);

    strbuf_reset(&sent);
    if (status != MAILDROP_OK)
        return status;
    outbuf_init(&out, 4096, take, NULL);
    status = maildrop_send(drop, at(number), MSGSEND_ALL, &out, &why);
    outbuf_flush(&out);
    outbuf_free(&out);
    if (status == MAILDROP_OK)
        ck_assert_uint_eq(sent.len, at(number)->octets); /* I6; no line of these tests begins with a dot */
    at(number)->flags |= MSG_RETRIEVED;
    return status;
}

static inline void assert_body(uint64_t number, const char *body)
{
    ck_assert_msg(retrieve(number) == MAILDROP_OK, "%s", why.data);
    ck_assert_msg(strstr(sent.data, body) != NULL, "%s is not in %s", body, sent.data);
}

static inline size_t visible(void)
{
    return maildrop_list(drop)->visible;
}

static inline int session_main(const char *name, void (*add)(TCase *tc))
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    add(tc);
    return unit_main(suite);
}

#endif
