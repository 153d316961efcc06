/*
 * background: how standalone mode leaves the terminal (option daemon) and says which process it is (option pid-file).
 */
#ifndef PROCESS_BACKGROUND_H
#define PROCESS_BACKGROUND_H

#include "common/strbuf.h"
#include "settings/options.h"

/* Goes on in a process of its own, without terminal. The process that was started ends with status 0 once
   background_ready was called, with 1 when the new one ended before. ready_r is for background_ready. 0; or -1 and
   why. */
int background_enter(int *ready_r, struct strbuf *why);
void background_ready(int ready); /* -1: nothing to do */

/* Writes the process id into pid-file, if set, mode 0644. 0, or -1 and why. */
int background_write_pid_file(const struct settings *settings, struct strbuf *why);

/* Removes the one that was written, whatever pid-file is now, if it still says our id. */
void background_remove_pid_file(void);

#endif
