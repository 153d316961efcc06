/*
 * defaults: what an option is when nobody sets it. configure flags put other values into config.h; the documentation
 * is made from the values here (OPTIONS_STOCK_DEFAULTS), so that it does not depend on how somebody built it.
 */
#ifndef SETTINGS_DEFAULTS_H
#define SETTINGS_DEFAULTS_H

#ifdef OPTIONS_STOCK_DEFAULTS
#define DEFAULT_ANNOUNCE_EXPIRE (-1)
#define DEFAULT_APOP_FILE "/etc/pop.auth"
#define DEFAULT_AUTH_FILE NULL
#define DEFAULT_AUTO_DELETE 0
#define DEFAULT_BULLDIR NULL
#define DEFAULT_CACHE_DIR NULL
#define DEFAULT_CACHE_NAME ".%s.cache"
#define DEFAULT_CHECK_HASH_DIR 1
#define DEFAULT_CHECK_OLD_SPOOL_LOC 1
#define DEFAULT_CHECK_PASSWORD_EXPIRED 1
#define DEFAULT_CHUNKY_WRITES CHUNKY_ALWAYS
#define DEFAULT_DEBUG 0
#define DEFAULT_FAST_UPDATE 0
#define DEFAULT_GROUP_BULLETINS 0
#define DEFAULT_GROUP_NO_SERVER_MODE NULL
#define DEFAULT_GROUP_SERVER_MODE NULL
#define DEFAULT_HASH_SPOOL 0
#define DEFAULT_HOME_DIR_MAIL NULL
#define DEFAULT_HOME_DIR_MISC 0
#define DEFAULT_KEEP_TEMP_DROP 0
#define DEFAULT_LOG_FACILITY LOG_LOCAL0
#define DEFAULT_LOG_LOGIN "(v%0) POP login by user \"%1\" at (%2) %3"
#define DEFAULT_MAIL_COMMAND "/usr/sbin/sendmail"
#define DEFAULT_MAX_BULLETINS 0
#define DEFAULT_NONAUTH_FILE NULL
#define DEFAULT_PAM_SERVICE "pop3"
#define DEFAULT_REVERSE_LOOKUP 1
#define DEFAULT_SERVER_MODE 0
#define DEFAULT_SHY 0
#define DEFAULT_SPOOL_DIR "/var/mail"
#define DEFAULT_TEMP_DIR NULL
#define DEFAULT_TEMP_NAME ".%s.pop"
#define DEFAULT_TIMEOUT 600
#define DEFAULT_TIMING 0
#define DEFAULT_UPDATE_ON_ABORT 0
#define DEFAULT_UPDATE_STATUS_HEADERS 0
#define DEFAULT_UW_KLUGE 0
#define WITH_APOP 0
#define WITH_BULLDB 0
#define WITH_BULLETINS 0
#define WITH_DRAC 0
#define WITH_GMIME 0
#define WITH_KERBEROS 0
#define WITH_PAM 0
#define WITH_TLS 0
#else
#include <config.h>
#endif

#endif
