# POPPER_HARDENING: compiler and linker flags that make errors in memory harder to use, each only where the tools take it.
# --disable-hardening leaves all but one out. Sets HARDENING_CFLAGS, HARDENING_LDFLAGS (for everything) and PIE_CFLAGS, PIE_LDFLAGS
# (for programs only: a module is -fPIC -shared instead), and hardening_summary for configure's table.

# POPPER_COMPILER_TAKES(FLAG, VARIABLE): appends FLAG to VARIABLE when a program compiles and links with it without a warning.
AC_DEFUN([POPPER_COMPILER_TAKES], [
  AS_VAR_PUSHDEF([cache], [popper_cv_flag_$1])
  AC_CACHE_CHECK([whether $CC takes $1], [cache], [
    popper_saved_cflags=$CFLAGS
    CFLAGS="$CFLAGS -Werror $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [[char a[64]; return a == (char *)0;]])], [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    CFLAGS=$popper_saved_cflags])
  AS_VAR_IF([cache], [yes], [$2="$$2 $1"; hardening_summary="$hardening_summary $1"], [hardening_missing="$hardening_missing $1"])
  AS_VAR_POPDEF([cache])
])

AC_DEFUN([POPPER_HARDENING], [
  AC_ARG_ENABLE([hardening],
    [AS_HELP_STRING([--disable-hardening], [do not add stack protector, fortified library calls, PIE, full RELRO and the like])],
    [], [enable_hardening=yes])
  HARDENING_CFLAGS= HARDENING_LDFLAGS= PIE_CFLAGS= PIE_LDFLAGS= hardening_summary= hardening_missing=
  dnl In any case: ld.so saves the vector registers on the stack when it binds a call lazily, and with them what was copied last, such as a password.
  POPPER_COMPILER_TAKES([-Wl,-z,now], [HARDENING_LDFLAGS])
  AS_IF([test "x$enable_hardening" = xno], [hardening_summary="$hardening_summary, no more (--disable-hardening)"], [
    POPPER_COMPILER_TAKES([-fstack-protector-strong], [HARDENING_CFLAGS])
    POPPER_COMPILER_TAKES([-fstack-clash-protection], [HARDENING_CFLAGS])
    POPPER_COMPILER_TAKES([-fcf-protection], [HARDENING_CFLAGS])
    POPPER_COMPILER_TAKES([-Wl,-z,relro], [HARDENING_LDFLAGS])
    POPPER_COMPILER_TAKES([-Wl,-z,noexecstack], [HARDENING_LDFLAGS])
    dnl Fortified calls need an optimising compiler, and sanitizers check more than they do; a level that somebody chose stays.
    AC_CACHE_CHECK([whether to fortify library calls], [popper_cv_fortify], [
      AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#if !defined __OPTIMIZE__ || defined _FORTIFY_SOURCE || defined __SANITIZE_ADDRESS__
#error
#endif
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#error
#endif
#endif
]])], [popper_cv_fortify=yes], [popper_cv_fortify=no])])
    AS_IF([test "$popper_cv_fortify" = yes], [
      HARDENING_CFLAGS="$HARDENING_CFLAGS -D_FORTIFY_SOURCE=2"; hardening_summary="$hardening_summary -D_FORTIFY_SOURCE=2"])
    AC_CACHE_CHECK([whether $CC makes position-independent programs], [popper_cv_pie], [
      popper_saved_cflags=$CFLAGS popper_saved_ldflags=$LDFLAGS
      CFLAGS="$CFLAGS -Werror -fPIE" LDFLAGS="$LDFLAGS -pie"
      AC_LINK_IFELSE([AC_LANG_PROGRAM()], [popper_cv_pie=yes], [popper_cv_pie=no])
      CFLAGS=$popper_saved_cflags LDFLAGS=$popper_saved_ldflags])
    AS_IF([test "$popper_cv_pie" = yes], [PIE_CFLAGS=-fPIE PIE_LDFLAGS=-pie; hardening_summary="$hardening_summary -fPIE -pie"])
    AS_IF([test -n "$hardening_missing"], [AC_MSG_NOTICE([hardening flags that this compiler does not take:$hardening_missing])])
  ])
  AC_SUBST([HARDENING_CFLAGS])
  AC_SUBST([HARDENING_LDFLAGS])
  AC_SUBST([PIE_CFLAGS])
  AC_SUBST([PIE_LDFLAGS])
])
