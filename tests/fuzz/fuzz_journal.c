/*
 * fuzz_journal: any bytes as the journal beside a maildrop of five letters, on a disk in memory. The first byte says
 * what is put right, so that the checks behind the checksums are reached: 1 checksums, 2 M's identity, 4 hashes of M, 8
 * M is longer than it was. Promised: recovery ends; what it says is settled leaves no journal behind; with wrong
 * checksums nothing of M is lost; with right ones, nothing below the first byte that any COMMIT of it names.
 */
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "mail/journal.h"
#include "mail/journal_tail.h"
#include "tests/crash/scenario.h"
#include "tests/crash/simdisk.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/journalforge.h"

enum { RIGHT_SUMS = 1, RIGHT_IDENTITY = 2, RIGHT_HASHES = 4, MAIL_FOLLOWS = 8 };
#define FUZZ_MAX 65536

static struct simdisk disk;

static void ignore_log(void *context, int priority, const char *text, size_t length)
{
    (void)context, (void)priority, (void)text, (void)length;
}

static uint64_t field(const unsigned char *slot, size_t i)
{
    return slot_get_number(slot + SLOT_FIELDS + 8 * i, 8);
}

static void set_field(unsigned char *slot, size_t i, uint64_t value)
{
    slot_put_number(slot + SLOT_FIELDS + 8 * i, value, 8);
}

static void set_hash(unsigned char *slot, size_t i, uint64_t at)
{
    uint64_t sum = 0;

    if (at <= sim_file(&disk, SIM_DROP)->now.size)
        journal_sum_before(sim_fd(&disk, SIM_DROP), at, &sum);
    set_field(slot, i, sum);
}

struct putting_right {
    unsigned what;
    uint64_t lowest; /* byte of M that a record may have changed */
};

static void put_right(unsigned char *slot, uint64_t type, void *context)
{
    struct putting_right *right = context;
    const struct simfile *drop = sim_file(&disk, SIM_DROP);
    uint64_t first = field(slot, 2); /* the old end in an INTENT */

    if (type != RECORD_INTENT && type != RECORD_COMMIT)
        return;
    if (first < right->lowest)
        right->lowest = first;
    if (right->what & RIGHT_IDENTITY) {
        set_field(slot, 0, drop->inode);
        set_field(slot, 1, 0);
    }
    if ((right->what & RIGHT_HASHES) == 0)
        return;
    if (type == RECORD_INTENT) {
        set_hash(slot, 4, first);
    } else {
        set_hash(slot, 6, first);
        set_hash(slot, 7, first + field(slot, 5));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct putting_right right = { .lowest = UINT64_MAX };
    struct expectation expect;
    struct simbytes was = { 0 };
    struct simfile *journal;
    enum journal_settled settled;
    int fd;

    if (size < 1 || size > FUZZ_MAX)
        return 0;
    log_set_sink(ignore_log, NULL);
    filecalls = &sim_filecalls;
    sim = &disk;
    sim_free(&disk);
    sim_init(&disk);
    scenario_prepare(&scenarios[0], &disk, &expect);
    if (data[0] & MAIL_FOLLOWS)
        scenario_deliver(&disk, SERIAL_DELIVERED);
    fd = sim_fd(&disk, SIM_DROP);
    sim_put(&disk, SIM_JOURNAL, data + 1, size - 1);
    journal = sim_file(&disk, SIM_JOURNAL);
    right.what = data[0];
    if (right.what & RIGHT_SUMS)
        journalforge(journal->now.bytes, journal->now.size, put_right, &right);
    sim_bytes_write(&was, 0, sim_file(&disk, SIM_DROP)->now.bytes, sim_file(&disk, SIM_DROP)->now.size);
    settled = journal_recover(&fd, &sim_host, &why);
    FUZZ_REQUIRE(settled != JOURNAL_SETTLED || disk.now[SIM_JOURNAL] < 0, "settled");
    FUZZ_REQUIRE(settled == JOURNAL_SETTLED || why.len > 0, "no reason");
    FUZZ_REQUIRE(fd == sim_fd(&disk, SIM_DROP), "another M");
    if (right.lowest > was.size)
        right.lowest = was.size;
    FUZZ_REQUIRE(sim_file(&disk, SIM_DROP)->now.size >= right.lowest, "cut to %zu",
                 sim_file(&disk, SIM_DROP)->now.size);
    FUZZ_REQUIRE(memcmp(sim_file(&disk, SIM_DROP)->now.bytes, was.bytes, (size_t)right.lowest) == 0,
                 "changed below %llu", (unsigned long long)right.lowest);
    mem_free(was.bytes);
    strbuf_free(&why);
    return 0;
}
