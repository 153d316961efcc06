/*
 * journal_record: the format of the journal J and how it is read and appended to. It knows records, not what they mean
 * for the maildrop.
 *
 * J begins with a slot (JOURNAL_SLOT bytes) that holds the magic line, so that it can never be mail. Every record fills
 * one slot and begins on a slot, so that writing it touches no sector of an earlier one; numbers are little-endian.
 * Some carry a payload, which starts on the next slot. A record's checksum covers the one before it, so that records of
 * an older journal in the same blocks never count.
 *
 *   offset 0 "PJR1", 4 type (4 bytes), 8 sequence, 16 length of the payload, 24 fields of 8 bytes each, 504 checksum
 *
 *   INTENT   who M is, its end, how far newlines may be appended; the nonce
 *   DATA     payload: bytes for M
 *   SAMPLES  payload: short pieces of M as it was (few of them stand in the COMMIT instead)
 *   PLAN     the new tail T as segments, 16 bytes each: in the slot when they are few, otherwise payload
 *   COMMIT   T shall be made (struct journal_commit); payload: two slots for MARKs, when parts of T move inside M
 *   MARK     so many bytes of T stand in M
 *   COPIED   all of T stands in M
 *   DONE     only J itself is left to remove
 *
 * J is append-only: no record is overwritten, and the last valid one wins. But MARKs take turns in two slots, each over
 * the older one, so that a journal takes no more room the longer it works: all of its room is reserved at the start,
 * and deleting must work on a full disk. (And journal_refresh writes again what stands there already.)
 *
 * The owner of the maildrop can write J: every number read is checked against the sizes of the files.
 */
#ifndef MAIL_JOURNAL_RECORD_H
#define MAIL_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_SLOT 512
#define JOURNAL_NONCE 16
#define JOURNAL_BEFORE 4096       /* bytes before a place whose hash tells whether M is the same */
#define JOURNAL_SAMPLE 32         /* bytes of a sample, unless all of the range fits */
#define JOURNAL_SAMPLES_MAX 4096  /* bytes of all samples */
#define JOURNAL_SAMPLES_SHORT 256 /* so few need no record of their own: they stand in the COMMIT */
#define JOURNAL_SEGMENTS_MAX (1u << 22)

enum journal_phase {
    JOURNAL_EMPTY,     /* no valid record: M is as it was */
    JOURNAL_INTENT,    /* M may have been extended by newlines from old_end to intent_end */
    JOURNAL_COMMITTED, /* M shall become M[0..first) + T; mark says how much of T certainly stands in M */
    JOURNAL_COPIED,    /* T stands in M from first on; M is to be cut to new_end (nonce at new_end tells) */
    JOURNAL_DONE       /* nothing is left but to remove J */
};

struct journal_identity {
    uint64_t inode;
    uint64_t birth; /* 0: not known */
};

struct journal_intent {
    struct journal_identity identity;
    uint64_t old_end, intent_end;
    uint64_t before; /* hash of the bytes before old_end */
    bool orphan;     /* M is not the file this journal was made for: it gets what it lacks, and J is kept */
};

/* A stretch of T: bytes of J, or bytes of M between first and old_end that move down. */
struct journal_segment {
    uint64_t at;     /* position in T */
    uint64_t offset; /* in J or M */
    uint64_t length;
    bool in_drop;
};

/* T. */
struct journal_plan {
    struct journal_segment *segments; /* owned */
    size_t count, cap;
    bool broken; /* read from a journal, and not what was written */
};

struct journal_commit {
    struct journal_identity identity;
    uint64_t first, old_end, new_end;
    uint64_t moved;                /* bytes of T that stood in M already when this record was written */
    uint64_t before;               /* hash of the bytes before first */
    uint64_t moved_sum;            /* hash of the bytes before first + moved */
    uint64_t data_sum;             /* of the DATA so far, see journal_data_sum */
    uint64_t loose_from, loose_to; /* where the nonces of earlier COMMITs of this journal may stand in M */
    bool orphan;                   /* J is set aside in the end, not removed */
    bool more;                     /* when M is right, mail of this J is still to be looked for in M (journal_orphan) */
    bool set_popbull;
    uint64_t popbull;
    uint64_t leftover_inode, leftover_size; /* of the temp drop whose mail went into T; 0: none */
};

/* A range of a file. */
struct journal_extent {
    uint64_t offset, length;
};

/* Pieces of M as it was before anything was copied, by which recovery sees whether somebody else changed it. */
struct journal_samples {
    struct journal_extent pieces; /* in J; length 0: none */
    uint64_t from, to;            /* the range of M they stand for */
    size_t count, length;         /* so many pieces of so many bytes each */
    uint64_t sum;
};

struct journal {
    int fd;
    uint64_t end; /* where the next record goes */
    uint64_t sequence, chain;
    bool damaged; /* behind the last valid record stands something that no crash leaves there */
    enum journal_phase phase;
    unsigned char nonce[JOURNAL_NONCE];
    struct journal_intent intent;        /* of the last INTENT */
    struct journal_commit commit;        /* of the last COMMIT; plan and samples are its */
    struct journal_plan plan, next_plan; /* next_: records that wait for their COMMIT */
    struct journal_samples samples, next_samples;
    unsigned char short_samples[JOURNAL_SAMPLES_SHORT]; /* of next_samples, while they wait for the COMMIT */
    uint64_t moved, moved_sum;                          /* by the last COMMIT, MARK or COPIED */
    uint64_t marks_at;                                  /* where MARKs go; 0: nowhere */
    uint64_t marks_chain;                               /* what their checksums go on from: the COMMIT's */
    uint64_t marks;                                     /* how many there were */
    struct journal_extent *data;                        /* payloads of all DATA records */
    size_t data_count, data_cap;
    size_t data_committed; /* how many of them the last COMMIT vouches for */
};

/* All of these return 0, or -1 with errno when the file cannot be read or written. */

/* Begins a new journal in the empty file fd with a fresh nonce: writes the magic line. */
int journal_start(struct journal *journal, int fd);

enum journal_load {
    JOURNAL_LOADED,
    JOURNAL_FOREIGN /* not ours */,
    JOURNAL_NEWER /* of a later version */,
    JOURNAL_LOAD_IO
};
enum journal_load journal_load(struct journal *journal, int fd);

/* Frees the arrays; the descriptor is the caller's. */
void journal_free(struct journal *journal);

int journal_append_intent(struct journal *journal, const struct journal_intent *intent);
/* The caller then writes `length` bytes at *at_r of the file. */
int journal_append_data(struct journal *journal, uint64_t length, uint64_t *at_r);
/* Reads `count` pieces spread over from..to of drop_fd (fewer where they would overlap; none when it is empty) and
 * keeps them. */
int journal_append_samples(struct journal *journal, int drop_fd, uint64_t from, uint64_t to, size_t pieces);
int journal_append_plan(struct journal *journal, const struct journal_plan *plan);
int journal_append_commit(struct journal *journal, const struct journal_commit *commit);
int journal_append_mark(struct journal *journal, uint64_t moved, uint64_t sum);
int journal_append_copied(struct journal *journal, uint64_t sum);
int journal_append_done(struct journal *journal);

/* Makes the file end where the last valid record does, so that nothing behind it can ever count; durable only after a
 * sync. */
int journal_cut(struct journal *journal);

/* Writes everything from the start to the end once more, byte for byte as it is. A page whose write-back failed counts
   as clean afterwards, so what is read may not be what the disk holds; recovery must not build on that. */
int journal_refresh(struct journal *journal);

/* For the two files of this room: takes the waiting plan and samples into use; notes a payload;
   says where MARKs go from now on. */
void journal_adopt_commit(struct journal *journal, const struct journal_commit *commit);
void journal_note_data(struct journal *journal, uint64_t offset, uint64_t length);
void journal_begin_marks(struct journal *journal, uint64_t at);

/* Appends a segment, setting its position in T behind the last one. */
void journal_add_segment(struct journal_plan *plan, uint64_t offset, uint64_t length, bool in_drop);
void journal_copy_plan(struct journal_plan *to, const struct journal_plan *from);

/* Bytes in J that a DATA record of `length` bytes, or the smallest journal with `samples` bytes of samples and so many
 * segments and marks, takes up. */
uint64_t journal_data_room(uint64_t length);
uint64_t journal_room(uint64_t data, size_t samples, size_t segments, bool marks);

/* Where in M piece i of the samples was taken. */
uint64_t journal_sample_at(const struct journal_samples *samples, size_t i);

/* A hash over the lengths, beginnings, ends and a few samples of the first `count` DATA payloads: made after they were
   synced, so it finds a mix-up, not a single bad bit. */
int journal_data_sum(const struct journal *journal, size_t count, uint64_t *sum_r);

#endif
