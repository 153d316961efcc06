/*
 * child: how a process of ours waits for one that it made and does not trust.
 */
#ifndef PROCESS_CHILD_H
#define PROCESS_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#define CHILD_LINGER_MS 1000

/* Waits for the end of pid and returns its wait status. A child that is about to end (it said so, or closed its end)
   gets CHILD_LINGER_MS to do it, so that how it ends is seen; any other, and one that lingers, is killed. Afterwards it
   is gone for certain. */
int child_reap(pid_t pid, bool about_to_end);

/* The same in two halves, for one that has nothing more to say: it is killed now and waited for later, so that the kernel
   takes it apart while we go on. child_gone: 0 (nobody) is allowed. */
void child_dismiss(pid_t pid);
int child_gone(pid_t pid);

/* Whether it has ended, or ends within that time; it is not waited for. */
bool child_has_ended(pid_t pid);
bool child_ends_within(pid_t pid, int ms);

/* A descriptor for poll(2) that is readable when it has ended, or -1 where there is none; after *look_ms_r at the latest one
   asks child_has_ended. */
int child_pin(pid_t pid, int *look_ms_r);
/* Whether there are such descriptors here; false with errno. */
bool child_can_be_pinned(void);

/* Waits until `end` (-1: nothing) has something to read or was closed: 1; 0 as soon as the other side of `asker` (-1: nobody) is gone;
   -1 after timeout_ms or when poll(2) fails (errno; ETIMEDOUT). Goes on after EINTR. */
int child_wait(int end, int asker, int timeout_ms);

/* In a child that will execute another program: all signals as they are at first, none blocked. */
void child_fresh_signals(void);

#endif
