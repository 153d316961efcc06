/*
 * fuzz_mailindex: any bytes as an index, with the checksum, the lengths and M's status put right where the input asks
 * for it, so that the checks behind them are reached. Promised: what is accepted covers M without gaps, has valid ids
 * and no flags of a session, and can be sent and stored again without harm.
 */
#include <errno.h>
#include <string.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/mem.h"
#include "mail/filecalls.h"
#include "mail/mailindex.h"
#include "mail/msgsend.h"
#include "mail/uidl.h"
#include "tests/fuzz/fuzz.h"

#define INDEX 3
#define DROP 4
#define OUTPUT 5
#define DROP_SIZE 2000

/* Places in the header of the file (mailindex.c). */
enum {
    ORDER_AT = 8,
    VERSION_AT = 12,
    RULES_AT = 16,
    RACY_AT = 19,
    DEV_AT = 24,
    SIZE_AT = 40,
    COUNT_AT = 72,
    IDS_AT = 80,
    SUM_AT = 88,
    HEADER = 112,
    RECORD = 40
};

static unsigned char *file;
static size_t file_size;
static char drop_bytes[DROP_SIZE];
static unsigned char *output;
static size_t output_size, output_cap;

static ssize_t mem_pread(int fd, void *buf, size_t n, off_t at)
{
    const void *bytes = fd == DROP ? (const void *)drop_bytes : fd == OUTPUT ? output : file;
    size_t size = fd == DROP ? DROP_SIZE : fd == OUTPUT ? output_size : file_size;

    if ((uint64_t)at >= size)
        return 0;
    if (n > size - (size_t)at)
        n = size - (size_t)at;
    memcpy(buf, (const char *)bytes + at, n);
    return (ssize_t)n;
}

static ssize_t mem_pwrite(int fd, const void *buf, size_t n, off_t at)
{
    FUZZ_REQUIRE(fd == OUTPUT, "wrote to %d", fd);
    mem_reserve(&output, &output_cap, (size_t)at + n, 1);
    memcpy(output + at, buf, n);
    if ((size_t)at + n > output_size)
        output_size = (size_t)at + n; /* what lies between was never looked at: the header comes last */
    return (ssize_t)n;
}

static int mem_ftruncate(int fd, off_t size)
{
    FUZZ_REQUIRE(fd == OUTPUT, "truncated %d", fd);
    mem_reserve(&output, &output_cap, (size_t)size, 1);
    output_size = (size_t)size;
    return 0;
}

static struct stat drop_status(void)
{
    return (
        struct stat){ .st_dev = 7, .st_ino = 8, .st_size = DROP_SIZE, .st_mtim = { 100, 5 }, .st_ctim = { 100, 6 } };
}

static int mem_fstat(int fd, struct stat *st)
{
    *st = drop_status();
    if (fd != DROP)
        st->st_size = (off_t)(fd == OUTPUT ? output_size : file_size);
    return 0;
}

static const struct filecalls in_memory = {
    .pread = mem_pread, .pwrite = mem_pwrite, .ftruncate = mem_ftruncate, .fstat = mem_fstat
};

static void no_log(void *context, int priority, const char *text, size_t length)
{
    (void)context;
    (void)priority;
    (void)text;
    (void)length;
}

static void put(size_t at, uint64_t value)
{
    memcpy(file + at, &value, 8);
}

static uint64_t get(size_t at)
{
    uint64_t value;

    memcpy(&value, file + at, 8);
    return value;
}

static uint64_t sum_pieces(uint64_t sum, const unsigned char *p, size_t n)
{
    for (; n > 65536; n -= 65536, p += 65536)
        sum = digest_sum64(sum, p, 65536);
    return digest_sum64(sum, p, n);
}

/* What the checks of the header want, as far as the bits of `which` say. */
static void put_right(unsigned which)
{
    size_t body = file_size - HEADER;
    uint64_t count = get(COUNT_AT);
    uint64_t sum;

    if (which & 1) {
        memcpy(file, "PopIndx\0\4\3\2\1\1\0\50\0", 16);
        file[VERSION_AT] = MAILINDEX_VERSION;
        memset(file + RULES_AT, 0, 3);
        file[RACY_AT] &= 1;
    }
    if (which & 2) {
        put(DEV_AT, 7);
        put(DEV_AT + 8, 8);
        put(SIZE_AT, which & 16 ? DROP_SIZE : DROP_SIZE - 1 - get(SIZE_AT) % (DROP_SIZE - 1));
        put(SIZE_AT + 8, which & 16 ? UINT64_C(100000000005) : 5);
        put(SIZE_AT + 16, which & 16 ? UINT64_C(100000000006) : 6);
    }
    if (which & 4) {
        count = count > body / RECORD ? body / RECORD : count;
        put(COUNT_AT, count);
        put(IDS_AT, body - count * RECORD);
    }
    if (which & 8 && count <= body / RECORD) {
        put(SUM_AT, 0);
        sum = digest_sum64(0, file, HEADER);
        sum = sum_pieces(sum, file + HEADER, count * RECORD);
        sum = sum_pieces(sum, file + HEADER + count * RECORD, body - count * RECORD);
        put(SUM_AT, sum);
    }
}

static int discard(void *context, const char *bytes, size_t n)
{
    (void)context;
    (void)bytes;
    (void)n;
    return 0;
}

static void check_list(const struct msglist *list, uint64_t size)
{
    uint64_t end = list->count > 0 ? list->messages[0].offset : size;
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct msgwindow window = MSGWINDOW_INIT;
    struct outbuf out;

    outbuf_init(&out, 4096, discard, NULL);
    for (size_t i = 0; i < list->count; i++) {
        const struct message *m = &list->messages[i];
        const char *id = msglist_uid(list, m);

        FUZZ_REQUIRE(m->offset == end && m->length > 0, "message %zu", i);
        FUZZ_REQUIRE(uidl_valid(id, strlen(id)), "id of message %zu", i);
        FUZZ_REQUIRE((m->flags & (MSG_DELETED | MSG_RETRIEVED | MSG_TOUCHED)) == 0 && m->source == MSGSRC_DROP,
                     "message %zu", i);
        end += m->length;
        msgsend_message(&window, DROP, i % 3 ? UINT64_MAX : 0, m, id, i % 2 ? 3 : MSGSEND_ALL, &out, NULL, &why);
    }
    msgwindow_free(&window);
    FUZZ_REQUIRE(end == size, "ends at %llu", (unsigned long long)end);
    outbuf_free(&out);
    strbuf_free(&why);
}

static void check_store(const struct msglist *list, const struct dropmark *mark, const struct mboxscan_rules *rules,
                        uint32_t validity)
{
    struct stat st = drop_status();
    struct msglist again;
    struct dropmark ignored;

    if (mark->size != DROP_SIZE)
        return;
    output_size = 0;
    FUZZ_REQUIRE(mailindex_store(OUTPUT, mark, rules, list, validity) == 0, "%s", strerror(errno));
    msglist_init(&again);
    FUZZ_REQUIRE(mailindex_load(OUTPUT, DROP, &st, rules, &again, &ignored, &validity) != MAILINDEX_NONE,
                 "its own index");
    FUZZ_REQUIRE(again.count == list->count, "%zu messages", again.count);
    msglist_free(&again);
}

/* What put_right makes is let through: otherwise no input would reach anything. */
static void check_reach(void)
{
    struct mboxscan_rules rules = { .format = UIDL_QPOPPER };
    struct message m = { .length = DROP_SIZE, .octets = DROP_SIZE, .header_len = 13, .from_len = 7 };
    struct stat st = drop_status();
    struct msglist list, again;
    struct dropmark mark;
    uint32_t validity;

    msglist_init(&list);
    msglist_init(&again);
    msglist_add(&list, &m, "id");
    dropmark_take(&mark, DROP, &st);
    FUZZ_REQUIRE(mailindex_store(OUTPUT, &mark, &rules, &list, 0) == 0, "%s", strerror(errno));
    file_size = output_size;
    file = mem_new(file_size, 1);
    memcpy(file, output, file_size);
    memset(file, 0, RULES_AT);
    put_right(1 | 8);
    FUZZ_REQUIRE(mailindex_load(INDEX, DROP, &st, &rules, &again, &mark, &validity) != MAILINDEX_NONE, "an index of version %d is not let through",
                 file[VERSION_AT]);
    msglist_free(&list);
    msglist_free(&again);
    mem_free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mboxscan_rules rules = { .format = UIDL_QPOPPER };
    struct stat st = drop_status();
    struct dropmark mark;
    struct msglist list;
    static bool reached;
    uint32_t validity;

    if (size < 1)
        return 0;
    log_set_sink(no_log, NULL);
    filecalls = &in_memory;
    memset(drop_bytes, 'x', sizeof drop_bytes);
    memcpy(drop_bytes, "From x\nA: b\n\n", 13);
    if (!reached)
        check_reach();
    reached = true;
    file_size = size - 1;
    file = mem_new(size, 1);
    memcpy(file, data + 1, size - 1);
    if (file_size >= HEADER)
        put_right(data[0]);
    msglist_init(&list);
    if (mailindex_load(INDEX, DROP, &st, &rules, &list, &mark, &validity) != MAILINDEX_NONE) {
        check_list(&list, mark.size);
        check_store(&list, &mark, &rules, validity);
        uidl_resolve_duplicates(&list, 0);
        msglist_number(&list);
    }
    msglist_free(&list);
    mem_free(file);
    return 0;
}
