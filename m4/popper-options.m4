# popper-options.m4: configure flags that set the default of a run-time option, the flags that old packages pass, and the optional
# parts. What differs from popper/settings/defaults.h, where the stock values stand, ends in config.h.

# POPPER_SWITCH(FLAG, MACRO, DEFAULT 0|1, HELP): --enable-FLAG and --disable-FLAG.
AC_DEFUN([POPPER_SWITCH], [
AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [$4])], [], [enableval=])
AS_CASE([$enableval], [yes], [popper_value=1], [no], [popper_value=0], [''], [popper_value=$3],
  [AC_MSG_ERROR([--enable-$1 takes no value but yes or no, not "$enableval"])])
AS_IF([test $popper_value != $3], [AC_DEFINE_UNQUOTED([$2], [$popper_value], [$4])])
])

# POPPER_NUMBER(enable|with, FLAG, MACRO, DEFAULT, LOWEST, HIGHEST, HELP)
AC_DEFUN([POPPER_NUMBER], [
popper_value=$4
m4_if([$1], [with],
  [AC_ARG_WITH([$2], [AS_HELP_STRING([--with-$2=N], [$7])], [popper_value=$withval])],
  [AC_ARG_ENABLE([$2], [AS_HELP_STRING([--enable-$2=N], [$7])], [popper_value=$enableval])])
AS_IF([test "$popper_value" = no], [popper_value=$4])
AS_CASE([$popper_value], [''|*[[!0-9]]*|??????????*], [AC_MSG_ERROR([--$1-$2 wants a number from $5 to $6, not "$popper_value"])])
AS_IF([test "$popper_value" -lt $5 || test "$popper_value" -gt $6],
  [AC_MSG_ERROR([--$1-$2 wants a number from $5 to $6, not "$popper_value"])])
AS_IF([test "$popper_value" != $4], [AC_DEFINE_UNQUOTED([$3], [$popper_value], [$7])])
])

# POPPER_STRING(enable|with, FLAG, MACRO, DEFAULT or empty for none, VALUE FOR yes or empty for an error, ARGUMENT, HELP)
AC_DEFUN([POPPER_STRING], [
popper_value='$4'
m4_if([$1], [with],
  [AC_ARG_WITH([$2], [AS_HELP_STRING([--with-$2=$6], [$7])], [popper_value=$withval])],
  [AC_ARG_ENABLE([$2], [AS_HELP_STRING([--enable-$2=$6], [$7])], [popper_value=$enableval])])
AS_CASE([$popper_value],
  [no], [popper_value=''],
  [yes], [m4_ifval([$5], [popper_value='$5'], [AC_MSG_ERROR([--$1-$2 wants a value: --$1-$2=$6])])])
AS_CASE([$popper_value], [*[[\"\\]]*], [AC_MSG_ERROR([--$1-$2: quotes and backslashes cannot stand in a default])])
m4_if([$6], [DIR], [POPPER_ABSOLUTE([$1-$2])], [$6], [FILE], [POPPER_ABSOLUTE([$1-$2])])
AS_CASE([$popper_value], ['$4'], [], [''], [AC_DEFINE([$3], [NULL], [$7])], [AC_DEFINE_UNQUOTED([$3], ["$popper_value"], [$7])])
])
AC_DEFUN([POPPER_ABSOLUTE],
  [AS_CASE([$popper_value], [''|/*], [], [AC_MSG_ERROR([--$1 wants a path that starts with /, not "$popper_value"])])])

# POPPER_NO_EFFECT(enable|with, FLAG, WHY)
AC_DEFUN([POPPER_NO_EFFECT], [m4_if([$1], [with],
  [AC_ARG_WITH([$2], [], [AC_MSG_WARN([--with-$2 has no effect: $3])])],
  [AC_ARG_ENABLE([$2], [], [AC_MSG_WARN([--enable-$2 and --disable-$2 have no effect: $3])])])])

# POPPER_OPTIONS: everything that sets a default.
AC_DEFUN([POPPER_OPTIONS], [
AC_ARG_WITH([popperdir], [AS_HELP_STRING([--with-popperdir=DIR], [where the program popper is installed (PREFIX/lib)])],
  [AS_CASE([$withval], [yes|no], [AC_MSG_ERROR([--with-popperdir wants a directory])])
   popperdir=$withval], [popperdir='${prefix}/lib'])
AC_SUBST([popperdir])

POPPER_STRING([enable], [spool-dir], [DEFAULT_SPOOL_DIR], [/var/mail], [], [DIR], [default of spool-dir (/var/mail)])
POPPER_STRING([enable], [temp-drop-dir], [DEFAULT_TEMP_DIR], [], [], [DIR], [default of temp-dir (spool-dir)])
POPPER_STRING([enable], [temp-drop-name], [DEFAULT_TEMP_NAME], [.%s.pop], [.%s.pop], [NAME], [default of temp-name (.%s.pop)])
POPPER_STRING([enable], [cache-dir], [DEFAULT_CACHE_DIR], [], [], [DIR], [default of cache-dir (temp-dir)])
POPPER_STRING([enable], [cache-name], [DEFAULT_CACHE_NAME], [.%s.cache], [.%s.cache], [NAME], [default of cache-name (.%s.cache)])
AS_CASE([$enable_temp_drop_name], [''|yes|no|*%s*], [], [AC_MSG_ERROR([--enable-temp-drop-name: %s must stand in it for the user])])
AS_CASE([$enable_cache_name], [''|yes|no|*%s*], [], [AC_MSG_ERROR([--enable-cache-name: %s must stand in it for the user])])
POPPER_STRING([enable], [home-dir-mail], [DEFAULT_HOME_DIR_MAIL], [], [.mail], [NAME], [default of home-dir-mail (not set)])
POPPER_SWITCH([home-dir-misc], [DEFAULT_HOME_DIR_MISC], [0], [home-dir-misc is on unless it is reset])
POPPER_STRING([enable], [auth-file], [DEFAULT_AUTH_FILE], [], [], [FILE], [default of auth-file (not set)])
POPPER_STRING([enable], [nonauth-file], [DEFAULT_NONAUTH_FILE], [], [], [FILE], [default of nonauth-file (not set)])
POPPER_STRING([enable], [server-mode-group-include], [DEFAULT_GROUP_SERVER_MODE], [], [], [GROUP],
  [default of group-server-mode (not set)])
POPPER_STRING([enable], [server-mode-group-exclude], [DEFAULT_GROUP_NO_SERVER_MODE], [], [], [GROUP],
  [default of group-no-server-mode (not set)])
POPPER_STRING([with], [sendmail], [DEFAULT_MAIL_COMMAND], [/usr/sbin/sendmail], [/usr/sbin/sendmail], [FILE],
  [default of mail-command (/usr/sbin/sendmail)])
POPPER_NUMBER([enable], [hash-spool], [DEFAULT_HASH_SPOOL], [0], [0], [2], [default of hash-spool (0)])
POPPER_NUMBER([with], [new-bulls], [DEFAULT_MAX_BULLETINS], [0], [0], [999999999], [default of max-bulletins (0)])
POPPER_NUMBER([enable], [timeout], [DEFAULT_TIMEOUT], [600], [1], [86400], [default of timeout (600)])
POPPER_SWITCH([servermode], [DEFAULT_SERVER_MODE], [0], [server-mode is on unless it is reset])
POPPER_SWITCH([shy], [DEFAULT_SHY], [0], [shy is on unless it is reset])
POPPER_SWITCH([fast-update], [DEFAULT_FAST_UPDATE], [0], [fast-update is on unless it is reset])
POPPER_SWITCH([keep-temp-drop], [DEFAULT_KEEP_TEMP_DROP], [0], [keep-temp-drop is on unless it is reset])
POPPER_SWITCH([update-abort], [DEFAULT_UPDATE_ON_ABORT], [0], [update-on-abort is on unless it is reset])
POPPER_SWITCH([status], [DEFAULT_UPDATE_STATUS_HEADERS], [0], [update-status-headers is on unless it is reset])
POPPER_SWITCH([debugging], [DEFAULT_DEBUG], [0], [debug is on unless it is reset (the code for it is always in)])
POPPER_SWITCH([timing], [DEFAULT_TIMING], [0], [timing is on unless it is reset])
POPPER_SWITCH([group-bulls], [DEFAULT_GROUP_BULLETINS], [0], [group-bulletins is on unless it is reset])
POPPER_SWITCH([reverse-lookup], [DEFAULT_REVERSE_LOOKUP], [1], [--disable: reverse-lookup is off unless it is set])
POPPER_SWITCH([check-hash-dir], [DEFAULT_CHECK_HASH_DIR], [1], [--disable: check-hash-dir is off unless it is set])
POPPER_SWITCH([old-spool-loc], [DEFAULT_CHECK_OLD_SPOOL_LOC], [1], [--disable: check-old-spool-loc is off unless it is set])
POPPER_SWITCH([check-pw-max], [DEFAULT_CHECK_PASSWORD_EXPIRED], [1], [--disable: check-password-expired is off unless it is set])

# Two spellings are in use.
AC_ARG_ENABLE([uw-kludge-flag], [], [AS_IF([test -z "$enable_uw_kludge"], [enable_uw_kludge=$enableval])])
POPPER_SWITCH([uw-kludge], [DEFAULT_UW_KLUGE], [0], [UW-kluge is on unless it is reset])

# CAPA says EXPIRE 0 where messages go as soon as they are read.
POPPER_SWITCH([auto-delete], [DEFAULT_AUTO_DELETE], [0], [auto-delete is on unless it is reset])
AS_IF([test "$popper_value" = 1], [AC_DEFINE([DEFAULT_ANNOUNCE_EXPIRE], [0], [default of announce-expire])])

AC_ARG_ENABLE([chunky-writes], [AS_HELP_STRING([--enable-chunky-writes=WHEN], [default of chunky-writes: always, never or tls])],
  [], [enableval=yes])
AS_CASE([$enableval], [yes|always|default], [popper_value=''], [no|never], [popper_value=CHUNKY_NEVER],
  [tls|ssl], [popper_value=CHUNKY_TLS], [AC_MSG_ERROR([--enable-chunky-writes wants always, never or tls, not "$enableval"])])
AS_IF([test -n "$popper_value"], [AC_DEFINE_UNQUOTED([DEFAULT_CHUNKY_WRITES], [$popper_value], [default of chunky-writes])])

AC_ARG_ENABLE([log-facility], [AS_HELP_STRING([--enable-log-facility=FAC], [default of log-facility: mail, local0 (default) to local7])],
  [], [enableval=local0])
popper_value=`AS_ECHO(["$enableval"]) | tr 'a-z' 'A-Z' | sed 's/^LOG_//'`
AS_CASE([$popper_value], [MAIL|LOCAL[[0-7]]], [],
  [AC_MSG_ERROR([--enable-log-facility wants mail or local0 to local7, not "$enableval"])])
AS_IF([test "$popper_value" != LOCAL0], [AC_DEFINE_UNQUOTED([DEFAULT_LOG_FACILITY], [LOG_$popper_value], [default of log-facility])])

AC_ARG_ENABLE([log-login], [AS_HELP_STRING([--disable-log-login], [log-login is not set unless it is set])], [], [enableval=yes])
AS_IF([test "$enableval" = no], [AC_DEFINE([DEFAULT_LOG_LOGIN], [NULL], [default of log-login])])

POPPER_SWITCH([standalone], [STANDALONE_BY_DEFAULT], [0], [serve on port 110 when no address is given, instead of what inetd started])
POPPER_STRING([with], [privsep-user], [PRIVSEP_USER], [nobody], [], [USER], [user of the processes that parse network bytes (nobody)])
AS_CASE([$popper_value], [''|root], [AC_MSG_ERROR([--with-privsep-user wants a user who is not root])])
POPPER_STRING([with], [privsep-path], [PRIVSEP_PATH], [/var/empty], [], [DIR], [empty directory that they are locked into (/var/empty)])
AS_IF([test -z "$popper_value"], [AC_MSG_ERROR([--with-privsep-path wants a directory])])
# make install makes it.
AC_SUBST([privsep_path], ["$popper_value"])

POPPER_NO_EFFECT([enable], [specialauth], [shadow passwords are always in])
POPPER_NO_EFFECT([enable], [ipv6], [IPv6 is always in])
POPPER_NO_EFFECT([enable], [32-bit], [set CC or CFLAGS instead])
POPPER_NO_EFFECT([enable], [64-bit], [set CC or CFLAGS instead])
POPPER_NO_EFFECT([enable], [poppassd], [there is no password changing server here])
POPPER_NO_EFFECT([enable], [scram], [SCRAM is in whenever the database of secrets is])
POPPER_NO_EFFECT([enable], [any-kerberos-principal], [the principal must be the user or be allowed by krb5_kuserok])
POPPER_NO_EFFECT([enable], [kuserok], [krb5_kuserok is always asked])
POPPER_NO_EFFECT([enable], [secure-nis-plus], [there is no NIS+ here; NSS is asked])
POPPER_NO_EFFECT([with], [sslplus], [SSL Plus is not supported: use --with-openssl])
])

# POPPER_PART(NAME, MACRO, BUILT yes|no, REMARK): notes an optional part for the table at the end and defines MACRO to 1 when built.
AC_DEFUN([POPPER_PART], [
AS_IF([test "$3" = yes], [AC_DEFINE([$2], [1], [$1 is built in])])
popper_summary="$popper_summary
  m4_format([%-28s], [$1]) $3$4"
])

# POPPER_GDBM_DIR(DIR): where to look for gdbm, at build time and at run time.
AC_DEFUN([POPPER_GDBM_DIR], [GDBM_CFLAGS=-I$1/include; popper_gdbm_ldflags="-L$1/lib"])

# POPPER_GDBM: sets popper_gdbm, and GDBM_SONAME for dlopen. What is linked with it is the unit tests.
AC_DEFUN([POPPER_GDBM], [
popper_save_CPPFLAGS=$CPPFLAGS; popper_save_LIBS=$LIBS
CPPFLAGS="$CPPFLAGS $GDBM_CFLAGS"; LIBS="$popper_gdbm_ldflags -lgdbm $LIBS"
AC_MSG_CHECKING([for gdbm])
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <gdbm.h>]],
    [[int *e = gdbm_errno_location(); return gdbm_fd_open(0, "", 0, GDBM_NOMMAP, NULL) ? *e : 1;]])],
  [popper_gdbm=yes
   popper_value=`grep -ao 'libgdbm\.so\.@<:@0-9@:>@*' conftest$EXEEXT | sed 1q`
   AS_IF([test -z "$popper_value"], [popper_value=libgdbm.so.6])
   AS_CASE([$with_gdbm], [''|yes], [], [popper_value=$with_gdbm/lib/$popper_value])
   AC_DEFINE([HAVE_GDBM], [1], [gdbm is there])
   AC_DEFINE_UNQUOTED([GDBM_SONAME], ["$popper_value"], [what gdbmfile loads])
   GDBM_LIBS="$popper_gdbm_ldflags -lgdbm"])
AC_MSG_RESULT([$popper_gdbm])
CPPFLAGS=$popper_save_CPPFLAGS; LIBS=$popper_save_LIBS
])

# POPPER_PARTS: the optional parts, one paragraph each. Each looks for its library,
# sets the shell variable and the AC_SUBSTs, and passes the outcome to POPPER_PART.
AC_DEFUN([POPPER_PARTS], [
popper_summary=

dnl Only the module popper-tls.so is linked with it.
AC_ARG_WITH([openssl], [AS_HELP_STRING([--with-openssl@<:@=DIR@:>@], [TLS by OpenSSL 3 (when it is there), in DIR/include and DIR/lib])],
  [], [with_openssl=auto])
popper_tls=no popper_tls_kind=
AS_CASE([$with_openssl], [no], [],
  [/*], [OPENSSL_CFLAGS="-I$with_openssl/include"; OPENSSL_LIBS="-L$with_openssl/lib -lssl -lcrypto"
    popper_saved_cppflags=$CPPFLAGS
    CPPFLAGS="$CPPFLAGS $OPENSSL_CFLAGS"
    AC_CHECK_HEADER([openssl/ssl.h], [popper_tls=yes], [AC_MSG_ERROR([--with-openssl: there is no openssl/ssl.h in $with_openssl/include])])
    CPPFLAGS=$popper_saved_cppflags],
  [PKG_CHECK_MODULES([OPENSSL], [libssl >= 3.0 libcrypto >= 3.0], [popper_tls=yes],
    [AS_IF([test "$with_openssl" != auto], [AC_MSG_ERROR([--with-openssl: install libssl-dev, OpenSSL 3.0 or newer])])])])

dnl Not by default: the security updates of a distribution must work.
AC_ARG_ENABLE([static-openssl], [AS_HELP_STRING([--enable-static-openssl], [link OpenSSL into popper-tls.so: a millisecond less for each login inside TLS, but updates of it need a new build])],
  [], [enable_static_openssl=no])
AS_IF([test "$enable_static_openssl" = yes], [
  AS_IF([test "$popper_tls" = no], [AC_MSG_ERROR([--enable-static-openssl: there is no TLS in this build])])
  OPENSSL_LIBS="`AS_ECHO(["$OPENSSL_LIBS"]) | sed 's/-lssl  *-lcrypto/-Wl,-Bstatic -lssl -lcrypto -Wl,-Bdynamic/'` -pthread -ldl"
  OPENSSL_LDFLAGS='-Wl,-Bsymbolic -Wl,--gc-sections -Wl,--exclude-libs,ALL'
  popper_tls_kind=', static'
  popper_saved_libs=$LIBS popper_saved_cflags=$CFLAGS
  LIBS="$OPENSSL_LIBS $LIBS" CFLAGS="$CFLAGS $OPENSSL_CFLAGS -fPIC -shared $OPENSSL_LDFLAGS"
  AC_MSG_CHECKING([whether OpenSSL can be linked statically])
  AC_LINK_IFELSE([AC_LANG_SOURCE([[#include <openssl/ssl.h>
const SSL_METHOD *method(void);
const SSL_METHOD *method(void) { return TLS_server_method(); }]])],
    [AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])
    AC_MSG_ERROR([--enable-static-openssl: install libssl.a and libcrypto.a (Debian has them in libssl-dev)])])
  LIBS=$popper_saved_libs CFLAGS=$popper_saved_cflags])
AC_SUBST([OPENSSL_CFLAGS])
AC_SUBST([OPENSSL_LIBS])
AC_SUBST([OPENSSL_LDFLAGS])
POPPER_PART([TLS (OpenSSL)], [WITH_TLS], [$popper_tls], [$popper_tls_kind])
AM_CONDITIONAL([TLS], [test "$popper_tls" = yes])

AC_ARG_ENABLE([apop], [AS_HELP_STRING([--enable-apop=FILE], [APOP and SCRAM, and where their secrets are (/etc/pop.auth)])])
AC_ARG_WITH([gdbm], [AS_HELP_STRING([--with-gdbm@<:@=DIR@:>@], [gdbm for the databases of secrets and bulletins])])
popper_value=$enable_apop
AS_CASE([$enable_apop], [''|yes|no], [popper_value=/etc/pop.auth])
POPPER_ABSOLUTE([enable-apop])
AS_IF([test "$popper_value" != /etc/pop.auth], [AC_DEFINE_UNQUOTED([DEFAULT_APOP_FILE], ["$popper_value"], [default of apop-file])])
AC_ARG_ENABLE([popuid], [AS_HELP_STRING([--enable-popuid=USER], [owner of the database of secrets (pop)])], [popper_user=$enableval])
AC_ARG_WITH([popuid], [AS_HELP_STRING([--with-popuid=USER], [the same])], [popper_user=$withval])
AC_ARG_WITH([apopuid], [AS_HELP_STRING([--with-apopuid=USER], [the same])], [popper_user=$withval])
AS_CASE([$popper_user], [''|yes|no], [popper_user=pop])
AS_IF([test "$popper_user" != pop], [AC_DEFINE_UNQUOTED([APOP_OWNER], ["$popper_user"], [owner of the database of secrets])])
# The library is loaded by who opens a database (gdbmfile), so nothing is linked with it; --with-gdbm=DIR: DIR/include, DIR/lib.
popper_gdbm=no
AS_CASE([$with_gdbm], [''|yes|no], [], [POPPER_GDBM_DIR([$with_gdbm])])
AS_IF([test "$with_gdbm" != no], [POPPER_GDBM])
AS_CASE([$with_gdbm/$popper_gdbm], [no/*|*/yes|/no], [], [AC_MSG_ERROR([--with-gdbm: install libgdbm-dev (1.14 or later)])])
AC_SUBST([GDBM_CFLAGS])
AC_SUBST([GDBM_LIBS])
AM_CONDITIONAL([GDBM], [test "$popper_gdbm" = yes])
AS_CASE([$popper_gdbm/$enable_apop], [yes/no|no/no], [popper_apop=no], [yes/*|no/], [popper_apop=$popper_gdbm],
  [AC_MSG_ERROR([--enable-apop needs gdbm: install libgdbm-dev])])
AM_CONDITIONAL([APOP], [test "$popper_apop" = yes])
POPPER_PART([APOP and SCRAM (gdbm)], [WITH_APOP], [$popper_apop], [])

dnl Only the module popper-pam.so is linked with it. Who asks for PAM by name gets it used; a build that only found it has it ready.
AC_ARG_WITH([pam], [AS_HELP_STRING([--with-pam@<:@=SERVICE@:>@], [PAM (when it is there); with it the default of pam-service (pop3), otherwise not set])],
  [], [with_pam=auto])
popper_pam=no popper_pam_remark=
AS_IF([test "$with_pam" != no],
  [AC_CHECK_HEADER([security/pam_appl.h], [AC_CHECK_LIB([pam], [pam_start], [popper_pam=yes; PAM_LIBS=-lpam])])])
AS_CASE([$with_pam/$popper_pam], [auto/*|no/*], [], [*/no], [AC_MSG_ERROR([--with-pam: install libpam0g-dev])])
AC_SUBST([PAM_LIBS])
AS_CASE([$with_pam], [no|auto], [popper_value=''], [yes], [popper_value=pop3], [popper_value=$with_pam])
AS_CASE([$popper_value], [*[[!a-z0-9_.-]]*|.*], [AC_MSG_ERROR([--with-pam wants the name of a file in /etc/pam.d, in lower case, not "$popper_value"])])
AS_IF([test -n "$popper_value"],
  [AC_DEFINE_UNQUOTED([DEFAULT_PAM_SERVICE], ["$popper_value"], [default of pam-service])
   popper_pam_remark=", service $popper_value"],
  [test "$popper_pam" = yes], [popper_pam_remark=", when pam-service is set"])
AM_CONDITIONAL([PAM], [test "$popper_pam" = yes])
POPPER_PART([PAM], [WITH_PAM], [$popper_pam], [$popper_pam_remark])

AC_ARG_WITH([kerberos5], [AS_HELP_STRING([--with-kerberos5@<:@=DIR@:>@], [Kerberos (KPOP)])])
AC_ARG_ENABLE([kerberos5], [AS_HELP_STRING([--enable-kerberos5], [the same])],
  [AS_IF([test -z "$with_kerberos5"], [with_kerberos5=$enableval])])
dnl Only the module popper-krb5.so is linked with it. 1.18 brought the replay cache that it uses.
popper_kerberos=no
AS_CASE([$with_kerberos5], [no], [],
  [/*], [KRB5_CFLAGS="-I$with_kerberos5/include"; KRB5_LIBS="-L$with_kerberos5/lib -lkrb5 -lk5crypto -lcom_err"
    popper_saved_cppflags=$CPPFLAGS
    CPPFLAGS="$CPPFLAGS $KRB5_CFLAGS"
    AC_CHECK_HEADER([krb5.h], [popper_kerberos=yes], [AC_MSG_ERROR([--with-kerberos5: there is no krb5.h in $with_kerberos5/include])])
    CPPFLAGS=$popper_saved_cppflags],
  [PKG_CHECK_MODULES([KRB5], [krb5 >= 1.18], [popper_kerberos=yes],
    [AS_IF([test -n "$with_kerberos5"], [AC_MSG_ERROR([--with-kerberos5: install libkrb5-dev, MIT krb5 1.18 or newer])])])])
AC_SUBST([KRB5_CFLAGS])
AC_SUBST([KRB5_LIBS])
POPPER_PART([Kerberos (MIT krb5)], [WITH_KERBEROS], [$popper_kerberos], [])
AM_CONDITIONAL([KERBEROS], [test "$popper_kerberos" = yes])

AC_ARG_WITH([gsasl], [AS_HELP_STRING([--without-gsasl], [no AUTH GSSAPI, which needs GNU SASL and Kerberos])])
dnl Only the module popper-gsasl.so is linked with it.
popper_gsasl=no
AS_IF([test "$with_gsasl" != no && test "$popper_kerberos" = yes],
  [PKG_CHECK_MODULES([GSASL], [libgsasl >= 1.8], [popper_gsasl=yes], [popper_gsasl=no])])
AS_IF([test "$with_gsasl" = yes && test "$popper_gsasl" = no],
  [AC_MSG_ERROR([--with-gsasl: install libgsasl-dev, and libkrb5-dev for --with-kerberos5])])
AC_SUBST([GSASL_CFLAGS])
AC_SUBST([GSASL_LIBS])
POPPER_PART([AUTH GSSAPI (GNU SASL)], [WITH_GSASL], [$popper_gsasl], [])
AM_CONDITIONAL([GSASL], [test "$popper_gsasl" = yes])

AC_ARG_ENABLE([drac], [AS_HELP_STRING([--enable-drac], [tell a DRAC server about logins])])
AC_ARG_WITH([drac], [AS_HELP_STRING([--with-drac], [the same])], [AS_IF([test -z "$enable_drac"], [enable_drac=$withval])])
dnl Only the module popper-drac.so is linked with it. Who asks for DRAC by name gets Qpopper's default of drac-host.
popper_drac=no
AS_IF([test "$enable_drac" != no],
  [PKG_CHECK_MODULES([TIRPC], [libtirpc], [popper_drac=yes],
    [AS_IF([test -n "$enable_drac"], [AC_MSG_ERROR([--enable-drac: install libtirpc-dev])])])])
AS_CASE([$enable_drac], [''|no], [], [yes], [AC_DEFINE([DEFAULT_DRAC_HOST], ["localhost"], [default of drac-host])],
  [AC_MSG_ERROR([--enable-drac takes no value but yes or no, not "$enable_drac"])])
POPPER_PART([DRAC (libtirpc)], [WITH_DRAC], [$popper_drac], [])
AM_CONDITIONAL([DRAC], [test "$popper_drac" = yes])

AC_ARG_ENABLE([bulletins], [AS_HELP_STRING([--enable-bulletins=DIR], [default of bulldir (not set; /var/spool/bulls without DIR)])])
AC_ARG_ENABLE([bulldb], [AS_HELP_STRING([--enable-bulldb=DIR], [the same, and keep track in a database instead of ~/.popbull])])
POPPER_STRING([enable], [popbulldir], [POPBULL_DIR], [], [], [DIR], [keep DIR/USER.popbull instead of ~/.popbull])
popper_value=$enable_bulldb
AS_CASE([$popper_value], [''|yes|no], [popper_value=$enable_bulletins])
AS_CASE([$popper_value], [''|no], [popper_value=$enable_bulldb])
AS_CASE([$popper_value], [yes], [popper_value=/var/spool/bulls], [no], [popper_value=''])
POPPER_ABSOLUTE([enable-bulletins])
AS_IF([test -n "$popper_value"], [AC_DEFINE_UNQUOTED([DEFAULT_BULLDIR], ["$popper_value"], [default of bulldir])])
dnl It is used where bulldir holds one; --enable-bulldb says that it must.
AS_CASE([$popper_gdbm/$enable_bulldb], [yes/|no/|yes/no|no/no], [],
  [yes/*], [AC_DEFINE([BULLDB_REQUIRED], [1], [bulldir must hold a database of bulletins])],
  [AC_MSG_ERROR([--enable-bulldb needs gdbm: install libgdbm-dev])])
popper_bulldb=$popper_gdbm
AS_CASE([$enable_bulldb], [no], [popper_bulldb=no])
POPPER_PART([bulletin database (gdbm)], [WITH_BULLDB], [$popper_bulldb], [])

AC_ARG_WITH([seccomp], [AS_HELP_STRING([--without-seccomp], [no system call filters])], [], [with_seccomp=auto])
popper_sandbox=no
AS_IF([test "$with_seccomp" != no],
  [PKG_CHECK_MODULES([SECCOMP], [libseccomp >= 2.5], [popper_sandbox=yes],
    [AS_IF([test "$with_seccomp" != auto], [AC_MSG_ERROR([--with-seccomp: install libseccomp-dev])])])])
POPPER_PART([sandbox (libseccomp)], [WITH_SANDBOX], [$popper_sandbox], [])
AM_CONDITIONAL([SANDBOX], [test "$popper_sandbox" = yes])

dnl Only popper-mangle is linked with these.
AC_ARG_WITH([gmime], [AS_HELP_STRING([--without-gmime], [no XMANGLE, even when GMime 3 and libxml2 are there])], [], [with_gmime=auto])
popper_mangle=no
AS_IF([test "$with_gmime" != no],
  [PKG_CHECK_MODULES([MANGLE], [gmime-3.0 >= 3.2 libxml-2.0 >= 2.9 glib-2.0 >= 2.60], [popper_mangle=yes],
    [AS_IF([test "$with_gmime" != auto], [AC_MSG_ERROR([--with-gmime: install libgmime-3.0-dev and libxml2-dev])])])])
POPPER_PART([XMANGLE (GMime, libxml2)], [WITH_GMIME], [$popper_mangle], [])
AM_CONDITIONAL([MANGLE], [test "$popper_mangle" = yes])
])

# POPPER_SUMMARY: the table at the end of configure.
AC_DEFUN([POPPER_SUMMARY], [
popper_value=`eval "echo $popperdir" | sed "s,^NONE,$ac_default_prefix,"`
AC_MSG_NOTICE([$PACKAGE_NAME $PACKAGE_VERSION, what is in:
  m4_format([%-28s], [digests]) $digest
  m4_format([%-28s], [libcrypt, libmd linked in]) $static_libs
  m4_format([%-28s], [unit tests (check)]) $have_check$popper_summary
  m4_format([%-28s], [popper is installed in]) $popper_value])
])
