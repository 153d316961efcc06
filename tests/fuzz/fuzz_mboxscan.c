/*
 * fuzz_mboxscan: any bytes as a maildrop. Promised: the messages cover the file without gaps; what msgsend sends is as
 * long as mboxscan said (I6) and is what the slow model says; blocks of any size give the same answers; every id is
 * valid and, after uidl_resolve_duplicates, the only one. What UPDATE writes in place of a header begins with the From_ line as it
 * is, says the id once, and is what it would write again; a field that is put in stands in a line of its own.
 */
#include <string.h>

#include "common/log.h"
#include "mail/lines.h"
#include "mail/mboxscan.h"
#include "mail/msgsend.h"
#include "mail/writeback.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/mboxmodel.h"
#include "tests/unit/memfile.h"

static struct strbuf sent = STRBUF_INIT(1 << 26);
static struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

static int keep(void *context, const char *bytes, size_t n)
{
    (void)context;
    strbuf_add(&sent, bytes, n);
    return 0;
}

static void no_log(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    (void)priority;
    (void)text;
    (void)length;
}

static void unstuff(void)
{
    size_t o = 0;

    for (size_t i = 0; i < sent.len; i++) {
        if (sent.data[i] == '.' && (i == 0 || sent.data[i - 1] == '\n')) {
            i++;
            FUZZ_REQUIRE(i < sent.len && sent.data[i] != '\r', "a line of one dot at %zu", i);
        }
        sent.data[o++] = sent.data[i];
    }
    strbuf_truncate(&sent, o);
}

static enum mboxscan_result scan(struct msglist *list, size_t size, size_t block, const struct mboxscan_rules *rules)
{
    uint32_t validity = 0;

    msglist_init(list);
    mboxscan_set_limits(block, 0);
    return mboxscan_file(3, 0, size, MSGSRC_DROP, rules, &validity, list, &why);
}

static void check_same(const struct msglist *a, const struct msglist *b, size_t block)
{
    FUZZ_REQUIRE(a->count == b->count, "%zu messages with blocks of %zu bytes, else %zu", b->count, block, a->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct message *m = &a->messages[i], *o = &b->messages[i];

        FUZZ_REQUIRE(memcmp(m, o, sizeof *m) == 0, "message %zu with blocks of %zu bytes", i, block);
        FUZZ_REQUIRE(strcmp(msglist_uid(a, m), msglist_uid(b, o)) == 0, "id %zu with blocks of %zu bytes", i, block);
    }
}

static struct msgwindow window = MSGWINDOW_INIT;

static void check_ids(struct msglist *list)
{
    uidl_resolve_duplicates(list, 0);
    for (size_t i = 0; i < list->count; i++) {
        const char *id = msglist_uid(list, &list->messages[i]);

        FUZZ_REQUIRE(uidl_valid(id, strlen(id)), "id %s", id);
        for (size_t k = 0; k < i && i < 200; k++)
            FUZZ_REQUIRE(strcmp(id, msglist_uid(list, &list->messages[k])) != 0, "id %s, messages %zu and %zu", id, k, i);
    }
}

static void check_sent(const struct msglist *list, size_t i, uint64_t ahead, struct model *model, const char *file)
{
    const struct message *m = &list->messages[i];
    const struct model_message *want = &model->messages[i];
    const char *id = msglist_uid(list, m);
    struct outbuf out;
    uint64_t octets = 0;

    mboxmodel_text(model, i, file, m->flags & MSG_EDITED ? id : NULL);
    FUZZ_REQUIRE(m->offset == want->offset && m->length == want->length, "place of message %zu", i);
    FUZZ_REQUIRE(m->header_len == want->header_len && m->from_len == want->from_len, "header of message %zu", i);
    FUZZ_REQUIRE(m->octets == want->octets, "message %zu, model %zu", i, want->octets);
    strbuf_reset(&sent);
    outbuf_init(&out, 256, keep, NULL);
    FUZZ_REQUIRE(msgsend_message(&window, 3, ahead, m, id, MSGSEND_ALL, &out, &octets, &why) == 0, "%s", why.data);
    outbuf_flush(&out);
    outbuf_free(&out);
    unstuff();
    FUZZ_REQUIRE(octets == m->octets && sent.len == octets, "message %zu: sent %zu", i, sent.len);
    FUZZ_REQUIRE(memcmp(sent.data, want->text, sent.len) == 0, "text of message %zu", i);
}

#define BASE "X-IMAPbase: 17 9\n"

static struct strbuf written = STRBUF_INIT(2 * WRITEBACK_MAX), again = STRBUF_INIT(2 * WRITEBACK_MAX);

static void check_put_in(const struct message *m, const char *file)
{
    size_t before;
    const char *at;

    if (writeback_start(3, m, &written, &why) != 1)
        return;
    before = written.len;
    FUZZ_REQUIRE(before >= m->from_len && memcmp(written.data, file + m->offset, before) == 0, "start of the message at %zu", (size_t)m->offset);
    writeback_insert(&written, BASE);
    FUZZ_REQUIRE(memcmp(written.data, file + m->offset, m->from_len) == 0, "From_ line of the message at %zu", (size_t)m->offset);
    at = written.data + written.len - strlen(BASE);
    FUZZ_REQUIRE(memcmp(at, BASE, strlen(BASE)) == 0 && at[-1] == '\n', "the field in the message at %zu", (size_t)m->offset);
}

static void check_written(const struct message *m, const char *id, const char *file)
{
    struct message next = *m;

    if (m->from_len == 0)
        return;
    FUZZ_REQUIRE(writeback_imapbase(3, m, &again, &why) == 0, "%s", why.data);
    FUZZ_REQUIRE(again.len == 0 || again.data[again.len - 1] == '\n', "base of the message at %zu", (size_t)m->offset);
    (void)writeback_has_message_id(3, m);
    check_put_in(m, file);
    if (writeback_header(3, m, id, &written, &why) != 1)
        return;
    FUZZ_REQUIRE(memcmp(written.data, file + m->offset, m->from_len) == 0, "rewritten From_ line of the message at %zu", (size_t)m->offset);
    FUZZ_REQUIRE(memmem(written.data, written.len, id, strlen(id)) != NULL, "id in the message at %zu", (size_t)m->offset);
    next.offset = 0;
    next.from_len = (uint16_t)(m->from_len + (file[m->offset + m->from_len - 1] != '\n'));
    next.length = written.len;
    next.header_len = (uint32_t)written.len;
    memfile_use(written.data, written.len);
    FUZZ_REQUIRE(writeback_header(3, &next, id, &again, &why) == 1 && again.len == written.len &&
                     memcmp(again.data, written.data, again.len) == 0, "rewritten twice: the message at %zu", (size_t)m->offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t dice = digest_sum64(1, data, size);
    struct mboxscan_rules rules = { (enum uidl_format)(dice % 3), .status_headers = dice >> 8 & 1,
                                    .uw_kluge = dice >> 9 & 1 };
    size_t block = 1 + (dice >> 16 & 127);
    struct msglist list, blocks;
    struct model model;
    enum mboxscan_result result;

    log_set_sink(no_log, NULL);
    lines_use((enum vectors)((dice >> 40 & 15) % (VECTORS_BEST + 1)));
    msgsend_set_block(dice >> 11 & 1 ? 16 + (dice >> 24 & 63) : 0);
    memfile_use((const char *)data, size);
    msgwindow_forget(&window);
    mboxmodel_make(&model, (const char *)data, size);
    result = scan(&list, size, 0, &rules);
    FUZZ_REQUIRE((result == MBOXSCAN_OK) == model.is_mbox, "%s", why.data);
    FUZZ_REQUIRE(scan(&blocks, size, block, &rules) == result, "result with blocks of %zu bytes", block);
    if (result == MBOXSCAN_OK) {
        FUZZ_REQUIRE(list.count == model.count, "%zu messages, model %zu", list.count, model.count);
        check_same(&list, &blocks, block);
        check_ids(&list);
        for (size_t i = 0; i < list.count; i++)
            check_sent(&list, i, dice >> 13 & 1 ? size : 0, &model, (const char *)data);
        for (size_t i = 0; i < list.count; i++) {
            check_written(&list.messages[i], msglist_uid(&list, &list.messages[i]), (const char *)data);
            memfile_use((const char *)data, size);
        }
    }
    msglist_free(&list);
    msglist_free(&blocks);
    mboxmodel_free(&model);
    return 0;
}
