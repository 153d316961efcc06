"""mutants.py: every one of these changes to the sources must make the crash matrix fail; otherwise the matrix proves nothing.

Each mutant is one source file with one text replaced (the text must be there, so that the list cannot go stale), compiled
and linked before the library, with which the matrix must find a case that goes wrong: in the scenarios named, or else in any.
Prints TAP. Run in the build directory.

mutants.py [NAME-PART]; POPPER_TESTS=short takes a few, to show that they work from an archive and with other flags.
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile

MAIL = "popper/mail/"
UPDATE = MAIL + "mboxupdate.c"
FINISH = MAIL + "journal_finish.c"
RECORD = MAIL + "journal_record.c"
LOAD = MAIL + "journal_load.c"
RECOVER = MAIL + "journal_recover.c"
TAIL = MAIL + "journal_tail.c"
UNDO = MAIL + "journal_undo.c"
ORPHAN = MAIL + "journal_orphan.c"
REPLACE = MAIL + "mboxreplace.c"

MUTANTS = [
    # ---- a sync is missing
    ("T is not synced before the COMMIT", "", FINISH,
     """    if (filecalls->fsync(journal->fd) != 0)
        return strbuf_fail(why, "cannot sync the journal: %s", strerror(errno));
    *doubt_r = true;""", "    *doubt_r = true;"),
    ("the COMMIT is not synced", "", FINISH,
     """        return strbuf_fail(why, "cannot write the journal: %s", strerror(errno));
    if (filecalls->fsync(journal->fd) != 0)
        return strbuf_fail(why, "cannot sync the journal: %s", strerror(errno));
    return 0;""", "        return -1;\n    return 0;"),
    ("the journal's name is not synced", "", UPDATE,
     "u->host->sync_dir(u->host->context, MAILFILE_JOURNAL, u->why) != 0", "0"),
    ("the INTENT is not synced before M grows", "status headers, nothing", UPDATE, "filecalls->fsync(u->journal.fd) != 0 || still_its_size(u)", "still_its_size(u)"),
    ("the newlines are not synced", "status headers, nothing", UNDO, "return result != 0 ? result : filecalls->fsync(drop_fd);", "return result;"),
    ("M is not synced before COPIED", "", FINISH, "if (filecalls->fsync(drop_fd) != 0 || journal_sum_before(drop_fd, end, &sum) != 0)",
     "if (journal_sum_before(drop_fd, end, &sum) != 0)"),
    ("COPIED is not synced", "", FINISH, "    return filecalls->fsync(journal->fd);\n}", "    return 0;\n}"),
    ("the cut is not synced", "", FINISH,
     """        return -1;
    return filecalls->fsync(drop_fd);""", "        return -1;\n    return 0;"),
    ("DONE is not synced", "", FINISH, "journal_append_done(journal) == 0 && filecalls->fsync(journal->fd) == 0",
     "journal_append_done(journal) == 0"),
    ("a cut without journal is not synced", "", UPDATE, "if (filecalls->fsync(u->drop_fd) == 0)", "if (1)"),
    ("a batch is not synced before its MARK", "move down: delete the first", FINISH, "if (filecalls->fdatasync(drop_fd) != 0 ||", "if ("),
    ("a MARK is not synced before the next batch", "move down: delete the first", FINISH, "|| filecalls->fdatasync(journal->fd) != 0)", ")"),
    ("the leftover's emptying is not synced", "leftover goes", FINISH, "filecalls->ftruncate(fd, 0) != 0 || filecalls->fsync(fd) != 0",
     "filecalls->ftruncate(fd, 0) != 0"),
    ("recovery does not sync M first", "", RECOVER, "(*drop_fd_r >= 0 && filecalls->fsync(*drop_fd_r) != 0) || ", ""),
    ("new mail is not synced before it is committed", "", FINISH,
     """    if (filecalls->fsync(drop_fd) != 0)
        return strbuf_fail(why, "cannot sync new mail""", """    if (0)
        return strbuf_fail(why, "cannot sync new mail"""),
    # ---- failed syncs
    ("a failed sync of M is tried again", "", FINISH, "if (filecalls->fsync(drop_fd) != 0 || journal_sum_before(drop_fd, end, &sum) != 0)",
     "if ((filecalls->fsync(drop_fd) != 0 && filecalls->fsync(drop_fd) != 0) || journal_sum_before(drop_fd, end, &sum) != 0)"),
    ("a failed sync of T is tried again", "", FINISH,
     """    if (filecalls->fsync(journal->fd) != 0)
        return strbuf_fail(why, "cannot sync the journal: %s", strerror(errno));
    *doubt_r = true;""",
     """    if (filecalls->fsync(journal->fd) != 0 && filecalls->fsync(journal->fd) != 0)
        return strbuf_fail(why, "cannot sync the journal: %s", strerror(errno));
    *doubt_r = true;"""),
    ("recovery believes what a failed sync left in memory", "move down: in short", RECOVER, "journal_refresh(journal) != 0 || ", ""),
    ("a COMMIT in doubt is left standing", "status headers, nothing", UPDATE, "if (u->commit_at > 0)", "if (0)"),
    # ---- steps in another order
    ("COPIED before M is synced", "", FINISH,
     """    if (filecalls->fsync(drop_fd) != 0 || journal_sum_before(drop_fd, end, &sum) != 0)
        return -1;
    if (journal_append_copied(journal, sum) != 0)
        return -1;
    return filecalls->fsync(journal->fd);""",
     """    if (journal_sum_before(drop_fd, end, &sum) != 0 || journal_append_copied(journal, sum) != 0)
        return -1;
    return filecalls->fsync(journal->fd) != 0 ? -1 : filecalls->fsync(drop_fd);"""),
    ("cut before COPIED", "", FINISH, "    if (journal_append_copied(journal, sum) != 0)",
     "    if (filecalls->ftruncate(drop_fd, (off_t)end) != 0 || journal_append_copied(journal, sum) != 0)"),
    ("the journal retires before the cut", "", FINISH, "if (next_stage(journal, drop_fd, &size) != STAGE_CUT)",
     "host->remove(host->context, MAILFILE_JOURNAL, why);\n            if (next_stage(journal, drop_fd, &size) != STAGE_CUT)"),
    ("the journal retires before .popbull is written", "bulletins", FINISH,
     """    if (journal->commit.set_popbull)
        bulletin_note(journal->commit.popbull, host);
    return say_done(journal, host, why);""",
     """    enum journal_finished early = say_done(journal, host, why);
    bulletin_note(journal->commit.popbull, host);
    return early;"""),
    ("the leftover is consumed before the COMMIT", "leftover goes", UPDATE, "    if (note_leftover(u, &record) != 0)",
     "    if (u->along->leftover_consumed)\n        u->host->remove(u->host->context, MAILFILE_TEMPDROP, u->why);\n    if (note_leftover(u, &record) != 0)"),
    ("M grows before the journal exists on disk", "status headers, nothing", UPDATE,
     """    if (u->host->sync_dir(u->host->context, MAILFILE_JOURNAL, u->why) != 0)
        return give_up(u);
    if (grow(u) != 0) {""",
     """    if (grow(u) == 0 && u->host->sync_dir(u->host->context, MAILFILE_JOURNAL, u->why) != 0)
        return give_up(u);
    else if (u->plan->length > u->size && !u->extended) {"""),
    # ---- a record or step is missing
    ("no INTENT", "status headers, nothing", UPDATE, ".intent_end = u->plan->length > u->size ? u->plan->length : u->size", ".intent_end = u->size"),
    ("newlines are not taken back", "status headers, nothing", UNDO, "    if (is_longer == 0)", "    if (is_longer >= 0)"),
    ("newlines are not taken back when mail followed", "status headers, nothing", UNDO, "    if (start < old_end + newlines ||", "    if (end < size ||"),
    ("COPIED is not written", "", RECORD, "if (append(journal, &slot, RECORD_COPIED, 0) != 0)", "if (0)"),
    ("MARKs are not written", "move down: delete the first", RECORD, "if (filecalls_write(journal->fd, slot.bytes, JOURNAL_SLOT, (off_t)cell) != 0)", "if (0)"),
    ("MARKs overwrite the last one", "move down: delete the first", RECORD, "journal->marks % MARK_CELLS", "0"),
    ("MARKs have no room when the COMMIT is made", "full disk", RECORD, "marks_at > 0 && filecalls_write", "0 && filecalls_write"),
    ("the earlier MARK counts", "move down: delete the first", LOAD, "sequence <= journal->marks ||", "0 ||"),
    ("the nonce is not written", "", FINISH, "if (nonce > 0 && filecalls_write", "if (0 && filecalls_write"),
    ("the nonce is not looked for: always cut", "", TAIL, "return n > 0 && (size_t)got == n && memcmp(bytes, journal->nonce, n) == 0;",
     "return 1;"),
    ("the nonce is not looked for: never cut", "", TAIL, "return n > 0 && (size_t)got == n && memcmp(bytes, journal->nonce, n) == 0;",
     "return 0;"),
    ("batches may overlap", "move down: delete the first", TAIL, "    *in_place_r = false;\n    for (", "    *in_place_r = false;\n    return tail_length(journal) - pos;\n    for ("),
    ("mail behind the old end is not looked for", "", FINISH, "return size < commit->old_end ? STAGE_SHRANK : STAGE_GREW;",
     "return size < commit->old_end ? STAGE_SHRANK : journal->phase == JOURNAL_COPIED ? STAGE_CUT : STAGE_COPY;"),
    ("mail behind the old end keeps a wrong separator", "status headers, nothing", FINISH, "*start_r = at;", "*start_r = from;"),
    ("the dot lock is not checked before the cut", "", FINISH, "if (!host->lock_is_ours(host->context))", "if (0)"),
    ("what a broken recovery left in the journal may count", "delete one in", RECOVER, "if (clear_rest(journal) != 0 ||", "if ("),
    ("a long journal is read to its end", "status headers, mail", RECOVER, "if (size > journal->end + REST_MAX) {", "if (0) {"),
    ("a long journal is cut into its records", "delete every second", RECOVER, "        size = journal->end + REST_MAX;", "        size = journal->end - JOURNAL_SLOT;"),
    ("a failed update leaves its newlines", "status headers, nothing", UPDATE, "    if (u->extended)\n", "    if (0)\n"),
    # ---- fast-update
    ("a new maildrop is not synced", "replace", REPLACE, "    if (filecalls->fsync(r->new_fd) != 0)", "    if (0)"),
    ("a new maildrop's name is not synced", "replace", REPLACE,
     "host->sync_dir(host->context, MAILFILE_DROP, why) == 0 ?", "1 ?"),
    ("mail that came to the old maildrop is not taken over", "replace", REPLACE, "if ((uint64_t)st.st_size <= r->size)", "if (1)"),
    ("a new maildrop takes the name although the dot lock is broken", "replace", REPLACE, "if (!r->host->lock_is_ours(r->host->context))", "if (0)"),
    ("a record of an older journal may count", "", RECORD, "fill_in(slot, type, journal->sequence, payload, journal->chain)", "fill_in(slot, type, journal->sequence, payload, 0)"),
    # ---- other programs
    ("the name of a maildrop that was replaced is not synced", "replaced by another program: delete the last", UPDATE,
     "return u->host->sync_dir(u->host->context, MAILFILE_DROP, u->why);", "return 0;"),
    ("the data of a maildrop that was replaced are not synced", "without a sync", UPDATE,
     "    if (filecalls->fsync(u->drop_fd) != 0)\n        return -1;\n    return u->host->sync_dir(u->host->context, MAILFILE_DROP, u->why);",
     "    return u->host->sync_dir(u->host->context, MAILFILE_DROP, u->why);"),
    ("another file counts as M", "", TAIL, "!journal_same_file(&identity, &commit->identity)", "0"),
    ("samples are not compared", "", TAIL, "journal->phase == JOURNAL_COPIED ? copied_matches(journal, drop_fd) : samples_match(journal, drop_fd)",
     "journal->phase == JOURNAL_COPIED ? copied_matches(journal, drop_fd) : 1"),
    ("what was copied is not compared", "a longer", TAIL, "journal->phase == JOURNAL_COPIED ? copied_matches(journal, drop_fd) : samples_match(journal, drop_fd)",
     "journal->phase == JOURNAL_COPIED ? 1 : samples_match(journal, drop_fd)"),
    ("whatever M is, the journal is replayed", "", TAIL, "int journal_tail_trusted(const struct journal *journal, int drop_fd)\n{",
     "int journal_tail_trusted(const struct journal *journal, int drop_fd)\n{\n    return 1;"),
    ("an orphan's mail is not put back", "", ORPHAN, "if (missing.count == 0)", "if (1)"),
    ("an orphan's mail is known by its id alone", "", ORPHAN,
     "if (add_body(&hash, fd, m->offset + m->header_len, m->offset + m->length) != 0)", "if (0 && add_body(&hash, fd, 0, 0) != 0)"),
    ("T begins in the middle of a message", "status headers, nothing", UPDATE, "u->first = u->plan->mark;", "u->first += 0;"),
]


def main():
    source_dir = os.environ.get("srcdir", ".")
    with open("tests/crash/mutants.flags") as f:
        compile_command, link_flags = (shlex.split(line) for line in f.read().splitlines()[:2])
    objects = sorted("tests/crash/" + n for n in os.listdir("tests/crash") if re.fullmatch(r"matrix-.*\.o", n))
    chosen = [m for m in MUTANTS if len(sys.argv) < 2 or sys.argv[1] in m[0]]
    if os.environ.get("POPPER_TESTS") == "short":
        chosen = chosen[::11]
    failed = 0
    print("1..%d" % len(chosen), flush=True)
    with tempfile.TemporaryDirectory() as work:
        for number, (name, hint, path, old, new) in enumerate(chosen, 1):
            with open(os.path.join(source_dir, path)) as f:
                text = f.read()
            verdict, notes = try_mutant(work, compile_command, link_flags, objects, text, old, new, hint)
            failed += verdict != "ok"
            print("%s %d - %s" % (verdict, number, name))
            for line in notes:
                print("# " + line)
            sys.stdout.flush()
    return 1 if failed else 0


def find(text, old):
    """The place of old in text, however its lines are broken. None unless there is exactly one."""
    pattern = r"\s+".join(re.escape(word) for word in old.split())
    places = list(re.finditer(pattern, text))
    return places[0] if len(places) == 1 else None


def try_mutant(work, compile_command, link_flags, objects, text, old, new, hint):
    place = find(text, old)
    if place is None:
        return "not ok", ["the text to replace is not there exactly once"]
    mutant = os.path.join(work, "mutant.c")
    with open(mutant, "w") as f:
        f.write(text[:place.start()] + new + text[place.end():])
    build = subprocess.run(compile_command + ["-w", "-O1", "-o", os.path.join(work, "matrix"), mutant] + objects + link_flags,
                           capture_output=True, text=True)
    if build.returncode != 0:
        return "not ok", ["does not compile:"] + build.stderr.splitlines()[:10]
    for part in sorted({hint, ""}, reverse=True):
        try:
            run = subprocess.run([os.path.join(work, "matrix"), "--stop-at-first", part], capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return "ok", ["it never ends"]
        if run.returncode != 0:
            break
    if run.returncode == 0:
        return "not ok", ["the matrix sees nothing wrong with it"]
    return "ok", [line[2:] for line in run.stdout.splitlines() if line.startswith("# ")][:1]


sys.exit(main())
