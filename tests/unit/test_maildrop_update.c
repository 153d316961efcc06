/* maildrop_update: what UPDATE leaves, whatever other programs did meanwhile; update-status-headers. */
#include "config.h"

#include "common/mem.h"
#include "mail/uidl.h"
#include "tests/unit/maildropsession.h"

/* ---- UPDATE */

START_TEST(deletions)
{
    older_by = 10;
    /* Which of four messages go, as a bit mask. */
    for (unsigned mask = 0; mask < 16; mask++) {
        const char *kept[5];
        size_t count = 0;
        char ids[4][80];

        put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c"), mail(3, "d")));
        login();
        for (unsigned i = 0; i < 4; i++) {
            if (mask >> i & 1) {
                delete(i + 1);
            } else {
                strcpy(ids[count], id(i + 1));
                kept[count++] = mail((int)i, (const char *[]){ "a", "b", "c", "d" }[i]);
            }
        }
        kept[count] = "";
        quit();
        ck_assert_int_eq(h.locked, mask ? 2 : 1);
        assert_file(LOCALHOST_DROP, kept, count + 1);
        login();
        ck_assert_int_eq(h.locked, 0); /* the index knows */
        ck_assert_uint_eq(visible(), count);
        for (size_t i = 0; i < count; i++) {
            ck_assert_str_eq(id(i + 1), ids[i]);
            ck_assert_uint_eq(retrieve(i + 1), MAILDROP_OK);
        }
        logout();
    }
}
END_TEST

static unsigned lock_looks;

static bool lock_is_lost_at_second_look(void *context)
{
    (void)context;
    return ++lock_looks < 2;
}

START_TEST(a_dot_lock_that_is_broken_while_the_update_is_planned)
{
    const char *before[5];

    put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c"), mail(3, "d"), mail(4, "e")));
    settings->mail_lock_check = 2;
    h.host.lock_is_ours = lock_is_lost_at_second_look;
    lock_looks = 0;
    login();
    delete(1);
    ck_assert_int_eq(maildrop_update(drop, &why), MAILDROP_TEMP);
    ck_assert_ptr_nonnull(strstr(why.data, "broke the dot lock"));
    ck_assert_uint_eq(lock_looks, 2);
    logout();
    for (int i = 0; i < 5; i++)
        before[i] = mail(i, (const char *[]){ "a", "b", "c", "d", "e" }[i]);
    assert_file(LOCALHOST_DROP, before, 5);
}
END_TEST

static int (*really_open)(void *context, enum mailfile which, enum mailopen how, struct strbuf *reason);
static int new_drop;
static off_t taken; /* of the disk by the new maildrop, when the journal is begun */

static int open_and_look(void *context, enum mailfile which, enum mailopen how, struct strbuf *reason)
{
    int fd = really_open(context, which, how, reason);
    struct stat st;

    if (which == MAILFILE_TEMPDROP && how == MAILOPEN_NEW)
        new_drop = dup(fd); /* as the keeper does */
    if (which == MAILFILE_JOURNAL && how == MAILOPEN_NEW && fstat(new_drop, &st) == 0)
        taken = st.st_size;
    return fd;
}

static ssize_t copy_on_a_full_disk(int from, off_t from_at, int to, off_t to_at, size_t n)
{
    errno = ENOSPC;
    return to_at >= 100 ? -1 : filecalls_os.copy_range(from, from_at, to, to_at, n < 100 ? n : 100);
}

/* What a new file has taken of a full disk is what the journal needs. */
START_TEST(a_maildrop_that_cannot_be_replaced_leaves_room_for_the_journal)
{
    settings->fast_update = settings->server_mode = true;
    settings->update_status_headers = false;
    put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c")));
    login();
    delete(1);
    really_open = h.host.open;
    h.host.open = open_and_look;
    counting.copy_range = copy_on_a_full_disk;
    new_drop = -1;
    taken = -1;
    ck_assert_int_eq(update(), MAILDROP_TEMP); /* the journal has no room either, in this test */
    ck_assert_ptr_nonnull(strstr(caught.data, "no fast-update"));
    ck_assert_int_ge(new_drop, 0);
    ck_assert_int_eq(taken, 0);
    close(new_drop);
}
END_TEST

START_TEST(the_index_is_right_after_an_update)
{
    struct stat st;

    put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c")));
    login();
    append(mail(3, "d"));
    delete(2);
    quit();
    /* It was made while M was young; once that is known not to matter nothing of M is read. */
    let_rest();
    login();
    logout();
    login();
    ck_assert_int_eq(h.locked, 0);
    ck_assert_uint_eq(visible(), 3);
    ck_assert_int_eq(fstat(h.drop, &st), 0);
    ck_assert_uint_eq(at(3)->offset + at(3)->length, (uint64_t)st.st_size);
    assert_body(1, "a\r\n");
    assert_body(2, "c\r\n");
    assert_body(3, "d\r\n");
}
END_TEST

/* NULs that a delivery agent left at the start of M: by themselves they would be no mbox any more. */
START_TEST(padding_goes_with_the_last_message)
{
    char all[8192] = "";
    size_t n, left;
    char *is;

    strcpy(all + 8, mail(0, "a"));
    strcat(all + 8, mail(1, "b"));
    n = 8 + strlen(all + 8);
    localhost_write(&h, LOCALHOST_DROP, all, n);
    login();
    delete(1);
    quit();
    is = localhost_read(&h, LOCALHOST_DROP, &left);
    ck_assert_uint_eq(left, 8 + strlen(mail(1, "b")));
    ck_assert_mem_eq(is, all, 8);
    ck_assert_str_eq(is + 8, mail(1, "b"));
    free(is);
    login();
    ck_assert_uint_eq(visible(), 1);
    if (_i == 1)
        append(mail(2, "c"));
    delete(1);
    quit();
    is = localhost_read(&h, LOCALHOST_DROP, &left);
    ck_assert_uint_eq(left, _i == 1 ? 8 + strlen(mail(2, "c")) : 0);
    free(is);
    with_index = false;
    login();
    ck_assert_uint_eq(visible(), (size_t)_i);
}
END_TEST

START_TEST(the_base_of_imap_ids_behind_padding)
{
    const char *base = "From x@y Sat Nov 22 10:00:00 2025\nX-IMAPbase: 17 9\nX-UID: 4\n\na\n\n";
    const char *next = "From x@y Sat Nov 22 10:01:00 2025\nX-UID: 5\n\nb\n\n";
    char all[1024] = "";

    strcpy(all + 8, base);
    strcat(all + 8, next);
    localhost_write(&h, LOCALHOST_DROP, all, 8 + strlen(all + 8));
    settings->uidl_format = UIDL_DOVECOT;
    with_index = false;
    login();
    ck_assert_str_eq(id(1), "0000000400000011");
    ck_assert_str_eq(id(2), "0000000500000011");
    delete(_i == 0 ? 1 : 2);
    quit();
    login();
    ck_assert_str_eq(id(1), _i == 0 ? "0000000500000011" : "0000000400000011");
    if (_i == 1)
        ck_assert_uint_eq(at(1)->length, strlen(base));
}
END_TEST

START_TEST(mail_that_arrives_meanwhile_survives_unseen)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    append(mail(2, "new"));
    ck_assert_uint_eq(visible(), 2);
    delete(1);
    delete(2);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(2, "new")));
    login();
    ck_assert_uint_eq(visible(), 1);
}
END_TEST

START_TEST(a_message_that_became_longer_is_not_deleted)
{
    put_drop(PARTS(mail(0, "a"), "From x@y Sat Nov 22 10:00:00 2025\nSubject: s\n\nhalf"));
    login();
    delete(1);
    delete(2);
    append(" and half\n\n");
    append(mail(2, "new"));
    quit();
    ck_assert_msg(strstr(caught.data, "became longer; it is not deleted"), "%s", caught.data);
    assert_file(LOCALHOST_DROP,
                PARTS("From x@y Sat Nov 22 10:00:00 2025\nSubject: s\n\nhalf and half\n\n", mail(2, "new")));
}
END_TEST

START_TEST(a_last_line_end_that_came_later_does_not_matter)
{
    put_drop(PARTS(mail(0, "a"), "From x@y Sat Nov 22 10:00:00 2025\nSubject: s\n\nno line end"));
    login();
    delete(2);
    append("\n\n");
    append(mail(2, "new"));
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(0, "a"), mail(2, "new")));
}
END_TEST

START_TEST(another_program_deleted_and_rewrote)
{
    struct stat st;

    put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c"), mail(3, "d"), mail(4, "e")));
    login();
    delete(1); /* deleted by the other program too */
    delete(2);
    delete(4);
    usleep(12000);
    ck_assert_int_eq(fstat(h.drop, &st), 0);
    put_drop(PARTS(mail(4, "e"),
                   "From sender@example.org Sat Nov 22 10:01:00 2025\nReceived: from a by b; 1\nMessage-Id: <1@x>\n"
                   "Subject: number 1\nStatus: RO\n\nb\n\n",
                   mail(3, "d"), mail(2, "c"), mail(7, "new")));
    ck_assert_int_eq(futimens(h.drop, (struct timespec[]){ st.st_atim, st.st_mtim }), 0);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(4, "e"), mail(2, "c"), mail(7, "new")));
    ck_assert_msg(strstr(caught.data, "notice another program changed the maildrop ")
                      && strstr(caught.data, ": 2 deleted messages were found again, 1 were not"),
                  "%s", caught.data);
    login();
    ck_assert_uint_eq(visible(), 3);
}
END_TEST

START_TEST(copies_are_never_mistaken_for_one_another)
{
    static const struct copies {
        const char *name;
        const char *before, *deleted, *after,
            *left; /* a letter a message; all have the same id, length tells A from B */
    } cases[] = {
        { "one of two, both still there", "AA", "1", "AA", "AA" },
        { "one of two, one gone", "AA", "1", "A", "A" },
        { "both, both there", "AA", "12", "AA", "" },
        { "both, one gone", "AA", "12", "A", "" },
        { "both, a third came", "AA", "12", "AAA", "AAA" },
        { "told apart by length, reordered", "AB", "1", "BA", "B" },
        { "told apart by length, it is gone", "AB", "1", "B", "B" },
        { "only one before, two now", "A", "1", "AB", "B" },
    };

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char text[2000] = "", *is;

        for (const char *p = cases[c].before; *p; p++)
            strcat(text, mail(1, *p == 'A' ? "aa" : "bbbb"));
        localhost_write(&h, LOCALHOST_DROP, text, strlen(text));
        login();
        for (const char *p = cases[c].deleted; *p; p++)
            delete((uint64_t)(*p - '0'));
        usleep(12000);
        strcpy(text, mail(9, "moved to the front by the other program"));
        for (const char *p = cases[c].after; *p; p++)
            strcat(text, mail(1, *p == 'A' ? "aa" : "bbbb"));
        localhost_write(&h, LOCALHOST_DROP, text, strlen(text));
        quit();
        strcpy(text, mail(9, "moved to the front by the other program"));
        for (const char *p = cases[c].left; *p; p++)
            strcat(text, mail(1, *p == 'A' ? "aa" : "bbbb"));
        is = localhost_read(&h, LOCALHOST_DROP, NULL);
        ck_assert_msg(strcmp(is, text) == 0, "%s: %s", cases[c].name, is);
        free(is);
    }
}
END_TEST

/* A computed id is made of little where a program sends mail without Message-Id or Date: the second of two in a second
   has that of the first, which another program has taken out. The client has not seen it. */
START_TEST(new_mail_with_the_id_of_what_is_gone_is_kept)
{
    const char *seen = "From cron@x Sat Nov 22 10:00:00 2025\nSubject: report\n\nfirst\n\n";
    const char *unseen = "From cron@x Sat Nov 22 10:00:00 2025\nSubject: report\n\nthe second\n\n";

    put_drop(PARTS(seen, mail(1, "b")));
    login();
    delete(1);
    usleep(12000);
    put_drop(PARTS(mail(1, "b"), unseen));
    catch_log();
    ck_assert_int_eq(update(), MAILDROP_OK);
    logout();
    ck_assert_ptr_nonnull(strstr(caught.data, "0 deleted messages were found again, 1 were not"));
    assert_file(LOCALHOST_DROP, PARTS(mail(1, "b"), unseen));
}
END_TEST

START_TEST(ids_of_copies_stay)
{
    char ids[5][80];

    older_by = _i ? 10 : -10; /* with a valid index and with one that has to be verified */
    put_drop(PARTS(mail(1, "a"), mail(1, "bb"), mail(1, "ccc"), mail(1, "dddd")));
    login();
    for (int i = 0; i < 4; i++) {
        strcpy(ids[i], id((uint64_t)i + 1));
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(ids[i], ids[j]);
    }
    delete(1);
    delete(3);
    quit();
    login();
    ck_assert_int_eq(h.locked, _i ? 0 : 1);
    ck_assert_str_eq(id(1), ids[1]);
    ck_assert_str_eq(id(2), ids[3]);
    logout();
    append(mail(1, "eeeee"));
    login();
    ck_assert_str_eq(id(1), ids[1]);
    ck_assert_str_eq(id(2), ids[3]);
    strcpy(ids[4], id(3));
    for (int i = 0; i < 4; i++)
        ck_assert_str_ne(ids[4], ids[i]);
    delete(1);
    append(mail(1, "ffffff"));
    quit();
    login();
    ck_assert_uint_eq(visible(), 3);
    ck_assert_str_eq(id(1), ids[3]);
    ck_assert_str_eq(id(2), ids[4]);
    ck_assert_str_ne(id(3), ids[3]);
    ck_assert_str_ne(id(3), ids[4]);
}
END_TEST

START_TEST(a_copy_that_arrives_meanwhile_gets_an_id_of_its_own)
{
    older_by = 10;
    put_drop(PARTS(mail(1, "a"), mail(2, "b")));
    login();
    append(mail(1, "cc"));
    delete(2);
    quit();
    login();
    ck_assert_int_eq(h.locked, 0);
    ck_assert_uint_eq(visible(), 2);
    ck_assert_str_ne(id(1), id(2));
}
END_TEST

static void replace_by(const char *const *parts, size_t count)
{
    localhost_write(&h, "other", "", 0);
    for (size_t i = 0; i < count; i++)
        localhost_append(&h, "other", parts[i], strlen(parts[i]));
    ck_assert_int_eq(renameat(h.dirfd, "other", h.dirfd, LOCALHOST_DROP), 0);
}

START_TEST(a_replaced_maildrop_is_not_read)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    delete(1);
    replace_by(PARTS(mail(5, "x")));
    ck_assert_int_eq(retrieve(2), MAILDROP_TEMP);
    logout();
    assert_file(LOCALHOST_DROP, PARTS(mail(5, "x")));
}
END_TEST

/* What is to go is found again in the new file; what is new there stays, and so does the old one's inode. */
START_TEST(deletions_go_to_the_file_that_replaced_the_maildrop)
{
    struct stat st, after;

    put_drop(PARTS(mail(0, "a"), mail(1, "b"), mail(2, "c"), mail(3, "d")));
    login();
    delete(2);
    delete(4);
    replace_by(PARTS(mail(7, "x"), mail(1, "b"), mail(2, "c")));
    ck_assert_int_eq(fstatat(h.dirfd, LOCALHOST_DROP, &st, 0), 0);
    catch_log();
    ck_assert_int_eq(update(), MAILDROP_OK);
    logout();
    ck_assert_ptr_nonnull(strstr(caught.data, "put a new file in place of the maildrop"));
    ck_assert_ptr_nonnull(strstr(caught.data, "1 deleted messages were found again, 1 were not and are left alone"));
    assert_file(LOCALHOST_DROP, PARTS(mail(7, "x"), mail(2, "c")));
    ck_assert_int_eq(fstatat(h.dirfd, LOCALHOST_DROP, &after, 0), 0);
    ck_assert_uint_eq(after.st_ino, st.st_ino);
    login();
    ck_assert_uint_eq(visible(), 2);
}
END_TEST

START_TEST(a_removed_maildrop_stays_removed)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    delete(1);
    ck_assert_int_eq(unlinkat(h.dirfd, LOCALHOST_DROP, 0), 0);
    catch_log();
    ck_assert_int_eq(update(), MAILDROP_OK);
    logout();
    ck_assert_ptr_nonnull(strstr(caught.data, "nothing is left to delete"));
    ck_assert_ptr_null(localhost_read(&h, LOCALHOST_DROP, NULL));
}
END_TEST

/* The mail of an old temp drop needs a maildrop again. */
START_TEST(a_removed_maildrop_is_made_for_the_leftover)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    localhost_write(&h, LOCALHOST_TEMPDROP, mail(9, "old"), strlen(mail(9, "old")));
    login();
    ck_assert_uint_eq(visible(), 3);
    delete(2);
    ck_assert_int_eq(unlinkat(h.dirfd, LOCALHOST_DROP, 0), 0);
    ck_assert_int_eq(update(), MAILDROP_OK);
    logout();
    assert_file(LOCALHOST_DROP, PARTS(mail(9, "old")));
}
END_TEST

/* Mail came to a user who had no maildrop, but a leftover. */
START_TEST(a_maildrop_that_appears_is_kept)
{
    localhost_write(&h, LOCALHOST_TEMPDROP, mail(9, "old"), strlen(mail(9, "old")));
    login();
    ck_assert_uint_eq(visible(), 1);
    localhost_write(&h, LOCALHOST_DROP, mail(3, "new"), strlen(mail(3, "new")));
    catch_log();
    ck_assert_int_eq(update(), MAILDROP_OK);
    logout();
    ck_assert_ptr_nonnull(strstr(caught.data, "has made the maildrop"));
    ck_assert_ptr_null(strstr(caught.data, "found again"));
    assert_file(LOCALHOST_DROP, PARTS(mail(9, "old"), mail(3, "new")));
}
END_TEST

START_TEST(a_maildrop_that_is_no_mbox_any_more_is_not_touched)
{
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    delete(1);
    usleep(12000);
    put_drop(PARTS("garbage\n", mail(0, "a")));
    ck_assert_int_eq(update(), MAILDROP_PERM);
    assert_file(LOCALHOST_DROP, PARTS("garbage\n", mail(0, "a")));
}
END_TEST

/* ---- update-status-headers */

START_TEST(status_headers_are_written_back)
{
    char want[2000], *is;
    char ids[3][80];
    uint64_t octets[3];

    older_by = 10;
    settings->update_status_headers = true;
    put_drop(PARTS("From x@y Sat Nov 22 10:00:00 2025\nSubject: one\nX-UIDL: bad id\n folded\n\none\n\n",
                   "From x@y Sat Nov 22 10:00:00 2025\nSubject: two\nStatus: O\nX-Status: F\n\ntwo\n\n",
                   "From x@y Sat Nov 22 10:00:00 2025\nSubject: three\nX-UIDL: stored-id\nStatus: O\n\nthree\n\n"));
    login();
    assert_body(2, "two\r\n");
    for (int i = 0; i < 3; i++)
        strcpy(ids[i], id((uint64_t)i + 1));
    ck_assert_str_eq(ids[2], "stored-id");
    quit();
    snprintf(want, sizeof want,
             "From x@y Sat Nov 22 10:00:00 2025\nX-UIDL: %s\nSubject: one\nStatus: U\n\none\n\n"
             "From x@y Sat Nov 22 10:00:00 2025\nX-UIDL: %s\nSubject: two\nStatus: RO\nX-Status: F\n\ntwo\n\n"
             "From x@y Sat Nov 22 10:00:00 2025\nSubject: three\nX-UIDL: stored-id\nStatus: O\n\nthree\n\n",
             ids[0], ids[1]);
    is = localhost_read(&h, LOCALHOST_DROP, NULL);
    ck_assert_str_eq(is, want);
    free(is);
    login();
    ck_assert_int_eq(h.locked, 0); /* the index is that of the new headers */
    ck_assert_uint_eq(visible(), 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(id((uint64_t)i + 1), ids[i]);
        assert_body((uint64_t)i + 1, (const char *[]){ "one", "two", "three" }[i]); /* and octets are what is sent */
        octets[i] = at((uint64_t)i + 1)->octets;
        at((uint64_t)i + 1)->flags &= (uint8_t)~MSG_RETRIEVED;
    }
    ck_assert(at(2)->flags & MSG_SEEN);
    quit();
    ck_assert_int_eq(h.locked, 1); /* to copy: there was nothing to update */
    is = localhost_read(&h, LOCALHOST_DROP, NULL);
    ck_assert_str_eq(is, want);
    free(is);
    login();
    ck_assert_int_eq(h.locked, 0);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(at((uint64_t)i + 1)->octets, octets[i]);
}
END_TEST

START_TEST(ids_of_an_imap_server_survive_the_first_message)
{
    settings->uidl_format = UIDL_DOVECOT;
    put_drop(PARTS(
        "From x@y Sat Nov 22 10:00:00 2025\nX-IMAPbase: 1700000000 0000000003 $Junk\nX-UID: 1\nSubject: one\n\none\n\n",
        "From x@y Sat Nov 22 10:00:00 2025\nX-UID: 2\nSubject: two\n\ntwo\n\n",
        "From x@y Sat Nov 22 10:00:00 2025\nX-UID: 3\nSubject: three\n\nthree\n\n"));
    for (int i = 0; i < 2; i++) {
        older_by = 10;
        with_index = i;
        login();
        ck_assert_uint_eq(visible(), (size_t)(3 - i));
        ck_assert_str_eq(id((uint64_t)(3 - i)), "000000036553f100");
        delete(1);
        quit();
        if (i == 0)
            assert_file(LOCALHOST_DROP,
                        PARTS("From x@y Sat Nov 22 10:00:00 2025\nX-IMAPbase: 1700000000 0000000003 $Junk\nX-UID: "
                              "2\nSubject: two\n\ntwo\n\n",
                              "From x@y Sat Nov 22 10:00:00 2025\nX-UID: 3\nSubject: three\n\nthree\n\n"));
        else
            assert_file(LOCALHOST_DROP, PARTS("From x@y Sat Nov 22 10:00:00 2025\nX-IMAPbase: 1700000000 0000000003 "
                                              "$Junk\nX-UID: 3\nSubject: three\n\nthree\n\n"));
    }
    login();
    ck_assert_int_eq(h.locked, 0);
    assert_body(1, "three");
    ck_assert_str_eq(id(1), "000000036553f100");
}
END_TEST

/* What was delivered only in part has no line end behind which the field could stand. _i: the last line. */
START_TEST(a_base_is_not_put_into_a_line_without_end)
{
    static const char *const ends[] = { "From x@y Sat Nov 22 10:01:00 2025", "From x@y Sat Nov 22 10:01:00 2025\n\tcontinues nothing" };
    char want[200];

    settings->uidl_format = UIDL_DOVECOT;
    settings->update_status_headers = false;
    with_index = false;
    put_drop(PARTS("From x@y Sat Nov 22 10:00:00 2025\nX-IMAPbase: 17 9\nX-UID: 4\n\na\n\n", ends[_i]));
    login();
    ck_assert_uint_eq(visible(), 2);
    delete(1);
    quit();
    snprintf(want, sizeof want, "%s\nX-IMAPbase: 17 9\n", ends[_i]);
    assert_file(LOCALHOST_DROP, PARTS(want));
    login();
    ck_assert_uint_eq(visible(), 1);
}
END_TEST

/* Anybody can send a message with X-IMAPbase in it. */
START_TEST(ids_of_an_imap_server_survive_a_forged_base)
{
    static const char *const first[] = { "From x@y Sat Nov 22 10:00:00 2025\nX-IMAPbase: 17 9\nX-UID: 4\n\na\n\n", "From x@y Sat Nov 22 10:00:00 2025\nX-UID: 4\n\na\n\n" };
    char ids[2][UIDL_MAX + 1];

    settings->uidl_format = UIDL_DOVECOT;
    settings->update_status_headers = false;
    with_index = false;
    put_drop(PARTS(first[_i], "From x@y Sat Nov 22 10:01:00 2025\nX-IMAPbase: 5 5\nX-UID: 8\n\nb\n\n", "From x@y Sat Nov 22 10:02:00 2025\nX-UID: 9\n\nc\n\n",
                   "From x@y Sat Nov 22 10:03:00 2025\nX-UID: 10\n\nd\n\n"));
    login();
    for (uint64_t n = 3; n < 5; n++)
        strcpy(ids[n - 3], id(n));
    ck_assert_uint_eq(strlen(ids[0]), _i == 0 ? 16 : 20);
    delete(1);
    quit();
    login();
    ck_assert_str_eq(id(2), ids[0]);
    ck_assert_str_eq(id(3), ids[1]);
    delete(1);
    quit();
    login();
    ck_assert_str_eq(id(1), ids[0]);
    delete(1);
    quit();
    assert_file(LOCALHOST_DROP, _i == 0 ? (const char *const[]){ "From x@y Sat Nov 22 10:03:00 2025\nX-IMAPbase: 17 9\nX-UID: 10\n\nd\n\n" }
                                        : (const char *const[]){ "From x@y Sat Nov 22 10:03:00 2025\nX-UID: 10\n\nd\n\n" }, 1);
    login();
    ck_assert_str_eq(id(1), ids[1]);
}
END_TEST

/* _i: it was said before by another message, or a forged one does not count. */
START_TEST(ids_of_an_imap_server_survive_a_first_header_that_is_too_long)
{
    static const char *const first[] = { "X-IMAPbase: 17 9\nX-UID: 4", "Subject: s" };
    size_t n = 300000;
    char *text = mem_new(n + 1000, 1), before[UIDL_MAX + 1];

    sprintf(text, "From x@y Sat Nov 22 10:00:00 2025\n%s\n\na\n\nFrom x@y Sat Nov 22 10:01:00 2025\n of nothing\nX-UID: 5\nSubject: ", first[_i]);
    memset(text + strlen(text), 'x', n);
    strcat(text, "\nX-IMAPbase: 5 5\n\nbody\n\n");
    localhost_write(&h, LOCALHOST_DROP, text, strlen(text));
    settings->uidl_format = UIDL_DOVECOT;
    settings->update_status_headers = true;
    with_index = false;
    login();
    strcpy(before, id(2));
    if (_i == 0)
        ck_assert_str_eq(before, "0000000500000011");
    delete(1);
    quit();
    login();
    ck_assert_str_eq(id(1), before);
    assert_body(1, "body\r\n");
    mem_free(text);
}
END_TEST

/* What can never be written is no work that each session would begin anew (I5). */
START_TEST(a_header_that_is_too_long_to_be_rewritten_is_no_work)
{
    size_t n = 300000;
    char *text = mem_new(n + 200, 1);

    strcpy(text, "From x@y Sat Nov 22 10:00:00 2025\nSubject: ");
    memset(text + strlen(text), 'x', n);
    strcat(text, "\n\nbody\n\n");
    localhost_write(&h, LOCALHOST_DROP, text, strlen(text));
    settings->update_status_headers = true;
    older_by = 10;
    login();
    ck_assert_uint_eq(retrieve(1), MAILDROP_OK);
    quit();
    login();
    ck_assert_int_eq(h.locked, 0);
    bytes_written = 0;
    quit();
    ck_assert_int_eq(h.locked, 0);
    ck_assert_uint_eq(bytes_written, 0);
    mem_free(text);
}
END_TEST

START_TEST(headers_are_not_touched_without_the_option)
{
    settings->update_status_headers = false;
    put_drop(PARTS(mail(0, "a"), mail(1, "b")));
    login();
    assert_body(1, "a");
    delete(2);
    quit();
    assert_file(LOCALHOST_DROP, PARTS(mail(0, "a")));
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_test(tc, deletions);
    tcase_add_test(tc, a_dot_lock_that_is_broken_while_the_update_is_planned);
    tcase_add_test(tc, a_maildrop_that_cannot_be_replaced_leaves_room_for_the_journal);
    tcase_add_test(tc, the_index_is_right_after_an_update);
    tcase_add_loop_test(tc, padding_goes_with_the_last_message, 0, 2);
    tcase_add_loop_test(tc, the_base_of_imap_ids_behind_padding, 0, 2);
    tcase_add_test(tc, mail_that_arrives_meanwhile_survives_unseen);
    tcase_add_test(tc, a_message_that_became_longer_is_not_deleted);
    tcase_add_test(tc, a_last_line_end_that_came_later_does_not_matter);
    tcase_add_test(tc, another_program_deleted_and_rewrote);
    tcase_add_test(tc, copies_are_never_mistaken_for_one_another);
    tcase_add_test(tc, new_mail_with_the_id_of_what_is_gone_is_kept);
    tcase_add_loop_test(tc, ids_of_copies_stay, 0, 2);
    tcase_add_test(tc, a_copy_that_arrives_meanwhile_gets_an_id_of_its_own);
    tcase_add_test(tc, a_replaced_maildrop_is_not_read);
    tcase_add_test(tc, deletions_go_to_the_file_that_replaced_the_maildrop);
    tcase_add_test(tc, a_removed_maildrop_stays_removed);
    tcase_add_test(tc, a_removed_maildrop_is_made_for_the_leftover);
    tcase_add_test(tc, a_maildrop_that_appears_is_kept);
    tcase_add_test(tc, a_maildrop_that_is_no_mbox_any_more_is_not_touched);
    tcase_add_test(tc, status_headers_are_written_back);
    tcase_add_test(tc, ids_of_an_imap_server_survive_the_first_message);
    tcase_add_loop_test(tc, a_base_is_not_put_into_a_line_without_end, 0, 2);
    tcase_add_loop_test(tc, ids_of_an_imap_server_survive_a_forged_base, 0, 2);
    tcase_add_loop_test(tc, ids_of_an_imap_server_survive_a_first_header_that_is_too_long, 0, 2);
    tcase_add_test(tc, a_header_that_is_too_long_to_be_rewritten_is_no_work);
    tcase_add_test(tc, headers_are_not_touched_without_the_option);
}

int main(void)
{
    return session_main("maildrop_update", add);
}
