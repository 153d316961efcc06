/*
 * log: one way for every process to say something to the administrator: syslog, a copy in the trace file, and
 * escaping of what strangers wrote.
 *
 * A process that may not open sockets (preauth, session, any sandboxed helper) sets a sink; its records then travel
 * to the monitor or keeper, which writes them with log_record. A record is one line; control characters in it are
 * always written as \xnn, bytes above 127 pass except U+0080 to U+009F (names may be UTF-8). Records never contain
 * secrets: callers mask. All processes of a session log under the pid that inetd started (log_open remembers it).
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <syslog.h> /* the priorities LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG and the facilities */

#include "common/strbuf.h"

#define LOG_RECORD_MAX 1000 /* bytes of a record; longer ones are cut and end in "..." */

/* argv0's base name becomes the tag; facility is LOG_MAIL, LOG_LOCAL0, ... Connects to /dev/log at once, so that a
   later chroot does not cut it off; connects anew when syslogd was restarted; never waits for it: what it has no room
   for is lost, and the next record says how many. May be called again (in a session that standalone forked): takes
   the pid of the moment. Before the first call records go to the sink or nowhere. */
void log_open(const char *argv0, int facility);
void log_set_facility(int facility);

/* The same in a fork that is no part of its parent's session: tag and facility stay. */
void log_reopen(void);

/* Lets go of /dev/log and the trace file, in a process that must not hold them; records then go to the sink or
   nowhere. */
void log_close(void);

/* The descriptors that log uses now, at most three, for callers that close all others. Returns how many. */
size_t log_descriptors(int fds_r[3]);

/* For tests only: another socket in place of /dev/log, from the next connection on. */
void log_set_socket_path(const char *path);

/* Whether LOG_DEBUG records are written (default no). */
void log_set_debug(bool on);
bool log_debugging(void);

/* From now on every record is also appended to the file at path, with a stamp in milliseconds and the pid (facts page
   4.3). Created 0600, opened O_APPEND|O_NOFOLLOW with the effective ids of the moment; must be a regular file with
   one link that belongs to the effective uid or root (anybody can put a file into /tmp first). 0, or -1 and why. An
   earlier trace file is closed. log_trace_close ends tracing. */
int log_trace_open(const char *path, struct strbuf *why);
void log_trace_close(void);
bool log_tracing(void); /* for tests */

/* A second trace file, which somebody asked for who does not rule the first one: gets the same records. Opened likewise. */
int log_copy_open(const char *path, struct strbuf *why);
void log_copy_close(void);

/* Hands every record (text already escaped and bounded, no newline) to fn instead of writing it. NULL ends that. What
   fn itself logs is dropped. */
typedef void log_sink(void *context, int priority, const char *text, size_t length);
void log_set_sink(log_sink *fn, void *context);

/* Says one record. errno is kept. %m is not to be used: say strerror(errno) so that sinks see the text. */
void log_write(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes a record that another process sent: its bytes are escaped and bounded again, since the sender may be hostile.
   Priorities outside LOG_ERR..LOG_DEBUG count as LOG_NOTICE. LOG_DEBUG is not filtered here: the sender did. */
void log_record(int priority, const char *text, size_t length);

/* Appends bytes to sb for use inside a record or reply: control characters, '"' and '\\' as \xnn, at most max bytes of
   input, then "..." if there was more. Adds no quotes of its own. */
void log_escape(struct strbuf *sb, const void *bytes, size_t n, size_t max);

#endif
