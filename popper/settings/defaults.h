/*
 * defaults: what an option is when nobody sets it. configure flags put other values into config.h. The documentation is made from
 * the values here (OPTIONS_STOCK_DEFAULTS), so that it does not depend on how somebody built it.
 */
#ifndef SETTINGS_DEFAULTS_H
#define SETTINGS_DEFAULTS_H

#ifndef OPTIONS_STOCK_DEFAULTS
#include <config.h>
#endif

#ifndef DEFAULT_ANNOUNCE_EXPIRE
#define DEFAULT_ANNOUNCE_EXPIRE (-1)
#endif
#ifndef DEFAULT_APOP_FILE
#define DEFAULT_APOP_FILE "/etc/pop.auth"
#endif
#ifndef DEFAULT_AUTH_FILE
#define DEFAULT_AUTH_FILE NULL
#endif
#ifndef DEFAULT_AUTO_DELETE
#define DEFAULT_AUTO_DELETE 0
#endif
#ifndef DEFAULT_BULLDIR
#define DEFAULT_BULLDIR NULL
#endif
#ifndef DEFAULT_CACHE_DIR
#define DEFAULT_CACHE_DIR NULL
#endif
#ifndef DEFAULT_CACHE_NAME
#define DEFAULT_CACHE_NAME ".%s.cache"
#endif
#ifndef DEFAULT_CHECK_HASH_DIR
#define DEFAULT_CHECK_HASH_DIR 1
#endif
#ifndef DEFAULT_CHECK_OLD_SPOOL_LOC
#define DEFAULT_CHECK_OLD_SPOOL_LOC 1
#endif
#ifndef DEFAULT_CHECK_PASSWORD_EXPIRED
#define DEFAULT_CHECK_PASSWORD_EXPIRED 1
#endif
#ifndef DEFAULT_CHUNKY_WRITES
#define DEFAULT_CHUNKY_WRITES CHUNKY_ALWAYS
#endif
#ifndef DEFAULT_DEBUG
#define DEFAULT_DEBUG 0
#endif
#ifndef DEFAULT_DRAC_HOST
#define DEFAULT_DRAC_HOST NULL
#endif
#ifndef DEFAULT_FAST_UPDATE
#define DEFAULT_FAST_UPDATE 0
#endif
#ifndef DEFAULT_GROUP_BULLETINS
#define DEFAULT_GROUP_BULLETINS 0
#endif
#ifndef DEFAULT_GROUP_NO_SERVER_MODE
#define DEFAULT_GROUP_NO_SERVER_MODE NULL
#endif
#ifndef DEFAULT_GROUP_SERVER_MODE
#define DEFAULT_GROUP_SERVER_MODE NULL
#endif
#ifndef DEFAULT_HASH_SPOOL
#define DEFAULT_HASH_SPOOL 0
#endif
#ifndef DEFAULT_HOME_DIR_MAIL
#define DEFAULT_HOME_DIR_MAIL NULL
#endif
#ifndef DEFAULT_HOME_DIR_MISC
#define DEFAULT_HOME_DIR_MISC 0
#endif
#ifndef DEFAULT_KEEP_TEMP_DROP
#define DEFAULT_KEEP_TEMP_DROP 0
#endif
#ifndef DEFAULT_KERBEROS_REPLAY_DIR
#define DEFAULT_KERBEROS_REPLAY_DIR "/var/lib/popper"
#endif
#ifndef DEFAULT_LOG_FACILITY
#define DEFAULT_LOG_FACILITY LOG_LOCAL0
#endif
#ifndef DEFAULT_LOG_LOGIN
#define DEFAULT_LOG_LOGIN "(v%0) POP login by user \"%1\" at (%2) %3"
#endif
#ifndef DEFAULT_MAIL_COMMAND
#define DEFAULT_MAIL_COMMAND "/usr/sbin/sendmail"
#endif
#ifndef DEFAULT_MAX_BULLETINS
#define DEFAULT_MAX_BULLETINS 0
#endif
#ifndef DEFAULT_NONAUTH_FILE
#define DEFAULT_NONAUTH_FILE NULL
#endif
#ifndef DEFAULT_PAM_SERVICE
#define DEFAULT_PAM_SERVICE NULL
#endif
#ifndef DEFAULT_REVERSE_LOOKUP
#define DEFAULT_REVERSE_LOOKUP 1
#endif
#ifndef DEFAULT_SERVER_MODE
#define DEFAULT_SERVER_MODE 0
#endif
#ifndef DEFAULT_SHY
#define DEFAULT_SHY 0
#endif
#ifndef DEFAULT_SPOOL_DIR
#define DEFAULT_SPOOL_DIR "/var/mail"
#endif
#ifndef DEFAULT_TEMP_DIR
#define DEFAULT_TEMP_DIR NULL
#endif
#ifndef DEFAULT_TEMP_NAME
#define DEFAULT_TEMP_NAME ".%s.pop"
#endif
#ifndef DEFAULT_TIMEOUT
#define DEFAULT_TIMEOUT 600
#endif
#ifndef DEFAULT_TIMING
#define DEFAULT_TIMING 0
#endif
#ifndef DEFAULT_UPDATE_ON_ABORT
#define DEFAULT_UPDATE_ON_ABORT 0
#endif
#ifndef DEFAULT_UPDATE_STATUS_HEADERS
#define DEFAULT_UPDATE_STATUS_HEADERS 0
#endif
#ifndef DEFAULT_UW_KLUGE
#define DEFAULT_UW_KLUGE 0
#endif
#ifndef WITH_APOP
#define WITH_APOP 0
#endif
#ifndef BULLDB_REQUIRED
#define BULLDB_REQUIRED 0
#endif
#ifndef WITH_BULLDB
#define WITH_BULLDB 0
#endif
#ifndef WITH_DRAC
#define WITH_DRAC 0
#endif
#ifndef WITH_GMIME
#define WITH_GMIME 0
#endif
#ifndef WITH_GSASL
#define WITH_GSASL 0
#endif
#ifndef WITH_KERBEROS
#define WITH_KERBEROS 0
#endif
#ifndef WITH_PAM
#define WITH_PAM 0
#endif
#ifndef WITH_TLS
#define WITH_TLS 0
#endif
#ifndef APOP_OWNER
#define APOP_OWNER "pop"
#endif
#ifndef POPBULL_DIR
#define POPBULL_DIR NULL
#endif
#ifndef PRIVSEP_PATH
#define PRIVSEP_PATH "/var/empty"
#endif
#ifndef PRIVSEP_USER
#define PRIVSEP_USER "nobody"
#endif
#ifndef STANDALONE_BY_DEFAULT
#define STANDALONE_BY_DEFAULT 0
#endif
/* The manual's: a port that needs no root, for those who build with -D_DEBUG. */
#ifdef _DEBUG
#define STANDALONE_PORT 8765
#else
#define STANDALONE_PORT 110
#endif

#endif
