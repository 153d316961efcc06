/*
 * journal_tail: T, the new tail of the maildrop that a journal's plan describes: reading it wherever its bytes lie,
 * copying it over M, and telling whether M is still the file that the journal speaks of. It writes to M only in
 * journal_tail_copy, and never where bytes of T that did not move yet lie.
 */
#ifndef MAIL_JOURNAL_TAIL_H
#define MAIL_JOURNAL_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "mail/journal_record.h"

/* Who the file is. -1 with errno. */
int journal_identify(int drop_fd, struct stat *st_r, struct journal_identity *identity_r);
bool journal_same_file(const struct journal_identity *a, const struct journal_identity *b);

/* Hash of the (at most JOURNAL_BEFORE) bytes of M before `at`. -1 with errno. */
int journal_sum_before(int drop_fd, uint64_t at, uint64_t *sum_r);

/* Reads n bytes of T from position pos on; they must not have moved yet (pos >= journal->moved, or in J). -1 with
 * errno. */
int journal_tail_read(const struct journal *journal, int drop_fd, uint64_t pos, void *bytes, size_t n);

/* How many bytes of T from pos on may be copied at once without writing where bytes lie that are still to be moved.
 *in_place_r: they stand there already. At least 1 while pos is before the end of T. */
uint64_t journal_tail_batch(const struct journal *journal, uint64_t pos, bool *in_place_r);

/* Copies n bytes of T from pos on over M (no more than journal_tail_batch says). -1 with errno. */
int journal_tail_copy(const struct journal *journal, int drop_fd, uint64_t pos, uint64_t n);

/* Whether a part of T lies in M: then it has to be moved in batches with marks. */
bool journal_tail_moves(const struct journal *journal);

/* Bytes of the nonce that stand in M at new_end when T has been copied; 0 when nothing is to be cut. */
size_t journal_nonce_length(const struct journal *journal);

/* Whether the nonce stands in M: T was copied and M has not been cut since. 1, 0, or -1 with errno. */
int journal_nonce_stands(const struct journal *journal, int drop_fd);

/* Whether M is the file that the (committed or copied) journal speaks of, and nobody but us changed it below the old
   end, as far as samples and hashes tell; and whether J's own bytes are those that were committed. 1, 0, or -1 with
   errno. */
int journal_tail_trusted(const struct journal *journal, int drop_fd);

#endif
