/*
 * option_rows: the rows of the option table, sorted by name. Included several times, each time with other macros; it has no guard
 * for that reason. Only options.h and options.c include it.
 *
 * OPTION_BOOL(field, name, who may set it, feature, default, help, ...)
 * OPTION_INT(field, name, who, feature, default, min, max, help, ...)
 * OPTION_BITS(field, name, who, feature, default, help, ...)           repeated settings add up
 * OPTION_STRING(field, name, who, feature, default, argument, help, ...)
 * OPTION_MNEM(field, C type, name, who, feature, default, choices, help, ...)
 * OPTION_LIST(field, name, who, feature, argument, help, ...)           may repeat
 * What follows the help are further members of struct option_row. A new option is one row here, then `make update-docs`.
 */
OPTION_INT(announce_expire, "announce-expire", CLASS_ANY, FEATURE_NONE, DEFAULT_ANNOUNCE_EXPIRE, -1, 36500,
    "Days that messages are kept, announced by CAPA as EXPIRE. -1 announces EXPIRE NEVER. Nothing enforces the number; "
    "only 0 can be made true, by auto-delete.",
    .letter = 'e', .extension = "expire", .argument = "days")
OPTION_INT(announce_login_delay, "announce-login-delay", CLASS_ANY, FEATURE_NONE, -1, -1, 86400,
    "Seconds that clients should wait between logins, announced by CAPA as LOGIN-DELAY. -1 announces nothing. It is not enforced.",
    .letter = 'e', .extension = "login_delay", .argument = "seconds")
OPTION_STRING(apop_file, "apop-file", CLASS_INIT, FEATURE_APOP, DEFAULT_APOP_FILE, "file",
    "Database of secrets for APOP and AUTH (CRAM-MD5, SCRAM). popauth(8) keeps it. It must have mode 0600.", .check = option_check_path)
OPTION_STRING(auth_file, "auth-file", CLASS_INIT, FEATURE_NONE, DEFAULT_AUTH_FILE, "file",
    "Only the users in this file may log in. One name per line, compared exactly. When the file cannot be read nobody may log in.",
    .check = option_check_path)
OPTION_BOOL(auto_delete, "auto-delete", CLASS_USER, FEATURE_NONE, DEFAULT_AUTO_DELETE,
    "Deletes a message at QUIT once it was sent in full. Unless announce-expire is set, CAPA then says EXPIRE 0.")
OPTION_INT(block_uid, "block-uid", CLASS_INIT, FEATURE_NONE, 10, 0, INT32_MAX,
    "Users with this user id or a lower one are refused. Root is always refused.", .argument = "uid")
OPTION_INT(bulldb_max_tries, "bulldb-max-tries", CLASS_ANY, FEATURE_BULLDB, 75, 1, 10000,
    "How often a bulletin database in use is tried before it counts as an error.", .argument = "tries")
OPTION_BOOL(bulldb_nonfatal, "bulldb-nonfatal", CLASS_ANY, FEATURE_BULLDB, 0,
    "Goes on without bulletins when the bulletin database cannot be opened. Otherwise the session ends.", .letter = 'B')
OPTION_STRING(bulldir, "bulldir", CLASS_ANY, FEATURE_NONE, DEFAULT_BULLDIR, "directory",
    "Directory of bulletins. Setting it turns bulletins on; it must be readable for everybody.",
    .letter = 'b', .check = option_check_path)
OPTION_STRING(cache_dir, "cache-dir", CLASS_USER, FEATURE_NONE, DEFAULT_CACHE_DIR, "directory",
    "Directory of the index files. Unless set, that of temp-dir. Users must be able to make files there: mode 1777, or 2775 and the group of the spool.", .check = option_check_path)
OPTION_STRING(cache_name, "cache-name", CLASS_USER, FEATURE_NONE, DEFAULT_CACHE_NAME, "name",
    "Name of the index file. %s stands for the user name. It begins with a dot, as no user's name does, or has a directory of its own.", .check = option_check_name_pattern)
OPTION_BOOL(check_hash_dir, "check-hash-dir", CLASS_ANY, FEATURE_NONE, DEFAULT_CHECK_HASH_DIR,
    "Makes missing directories of hash-spool, with mode, owner and group of spool-dir.")
OPTION_BOOL(check_old_spool_loc, "check-old-spool-loc", CLASS_ANY, FEATURE_NONE, DEFAULT_CHECK_OLD_SPOOL_LOC,
    "Looks for a leftover temporary drop in spool-dir too when hash-spool, home-dir-mail or home-dir-misc moved it elsewhere.")
OPTION_BOOL(check_password_expired, "check-password-expired", CLASS_INIT, FEATURE_NONE, DEFAULT_CHECK_PASSWORD_EXPIRED,
    "Refuses users whose password has expired by the shadow file.")
OPTION_MNEM(chunky_writes, enum chunky_writes, "chunky-writes", CLASS_ANY, FEATURE_NONE, DEFAULT_CHUNKY_WRITES, chunky_choices,
    "Whether what is sent goes out in large writes. always or default: it does; never: each line after the login is a write of its own, for "
    "clients that cannot take more; tls or ssl: in large writes inside TLS only.")
OPTION_MNEM(clear_text_password, enum clear_text, "clear-text-password", CLASS_USER, FEATURE_NONE, CLEAR_TEXT_DEFAULT, clear_text_choices,
    "Who may send a password in clear text, by PASS or AUTH PLAIN and LOGIN. default: users without a secret in apop-file; never: nobody; always: everybody; "
    "local: connections from 127.0.0.0/8 and ::1; tls or ssl: inside TLS only (needs tls-support).", .letter = 'p')
OPTION_STRING(config_file, "config-file", CLASS_ANY, FEATURE_NONE, NULL, "file",
    "Reads more options from a file, at once. What it may set is what the place that names it may set.", .letter = 'f')
OPTION_BOOL(daemon, "daemon", CLASS_INIT, FEATURE_NONE, 0,
    "Goes into the background in standalone mode. Unless set, popper stays in the foreground, as systemd wants it.")
OPTION_BOOL(debug, "debug", CLASS_ANY, FEATURE_NONE, DEFAULT_DEBUG,
    "Writes debugging records to the log. Takes effect at once, so it should come first; reset closes the trace file.", .letter = 'd')
OPTION_BOOL(downcase_user, "downcase-user", CLASS_USER, FEATURE_NONE, 0,
    "Turns user names into lower case before anything else looks at them.", .letter = 'c')
OPTION_STRING(drac_host, "drac-host", CLASS_ANY, FEATURE_DRAC, DEFAULT_DRAC_HOST, "host",
    "Host of the DRAC server that is told the IPv4 address of each login, so that mail may be sent from there for a while. configure --enable-drac makes it localhost unless set.", .letter = 'D', .check = option_check_word)
OPTION_INT(failure_delay, "failure-delay", CLASS_INIT, FEATURE_NONE, 3, 0, 60,
    "Seconds from a password to the answer that it was refused. It is the same whatever the reason and the work.",
    .argument = "seconds")
OPTION_BOOL(fast_update, "fast-update", CLASS_ANY, FEATURE_NONE, DEFAULT_FAST_UPDATE,
    "Updates by writing a new file that takes the maildrop's name, in server mode. Half the writing, and as safe against crashes; but mail "
    "delivered by a program that opened the old file before is lost, and what watches the file's inode is confused.", .letter = 'F')
OPTION_BOOL(group_bulletins, "group-bulletins", CLASS_USER, FEATURE_NONE, DEFAULT_GROUP_BULLETINS,
    "Shows a bulletin only to members of the group that is the second part of its name, between dots: 24.staff.meeting. ALL is everybody.")
OPTION_STRING(group_no_server_mode, "group-no-server-mode", CLASS_USER, FEATURE_NONE, DEFAULT_GROUP_NO_SERVER_MODE, "group",
    "Turns server-mode off for members of the group. It is looked at after group-server-mode.", .check = option_check_word)
OPTION_STRING(group_server_mode, "group-server-mode", CLASS_USER, FEATURE_NONE, DEFAULT_GROUP_SERVER_MODE, "group",
    "Turns server-mode on for members of the group.", .check = option_check_word)
OPTION_BOOL(gssapi, "gssapi", CLASS_INIT, FEATURE_GSASL, 0,
    "Offers AUTH GSSAPI: clients log in with a Kerberos ticket for pop/HOST, whose keys are in kerberos-keytab.")
OPTION_INT(hash_spool, "hash-spool", CLASS_USER, FEATURE_NONE, DEFAULT_HASH_SPOOL, 0, 2,
    "Layout of the spool. 0: spool-dir/user; 1: one directory level, a letter made of the name; 2: two levels, the first and the second "
    "letter of the name.", .argument = "0|1|2")
OPTION_STRING(home_dir_mail, "home-dir-mail", CLASS_USER, FEATURE_NONE, DEFAULT_HOME_DIR_MAIL, "name",
    "The maildrop is this file in the home directory of the user, such as Mailbox or mail/inbox, not one in spool-dir.", .check = option_check_relative)
OPTION_BOOL(home_dir_misc, "home-dir-misc", CLASS_USER, FEATURE_NONE, DEFAULT_HOME_DIR_MISC,
    "Puts temporary drop and index into the home directory of the user unless temp-dir or cache-dir say otherwise.")
OPTION_BOOL(index, "index", CLASS_ANY, FEATURE_NONE, 1,
    "Keeps an index beside the maildrop, so that polling an unchanged maildrop reads nothing of it.")
OPTION_BOOL(keep_temp_drop, "keep-temp-drop", CLASS_USER, FEATURE_NONE, DEFAULT_KEEP_TEMP_DROP,
    "Leaves an empty temporary drop behind, whose time tells the last login.")
OPTION_BOOL(kerberos, "kerberos", CLASS_USER, FEATURE_KERBEROS, 0,
    "Authenticates by Kerberos before the greeting (KPOP).", .letter = 'k')
OPTION_STRING(kerberos_keytab, "kerberos-keytab", CLASS_INIT, FEATURE_KERBEROS, NULL, "file",
    "File with the service's keys. Unless set, the one that krb5.conf names, or /etc/krb5.keytab.", .check = option_check_path)
OPTION_STRING(kerberos_replay_dir, "kerberos-replay-dir", CLASS_INIT, FEATURE_KERBEROS, DEFAULT_KERBEROS_REPLAY_DIR, "directory",
    "Where it is noted which Kerberos tickets were used, so that nobody uses what he has overheard. It must belong to root and have mode 0700, and is "
    "made when it is missing.", .check = option_check_path)
OPTION_STRING(kerberos_service, "kerberos-service", CLASS_USER, FEATURE_KERBEROS, "rcmd", "service",
    "Service part of the Kerberos principal of this host. pop is also common.", .letter = 'K', .check = option_check_word)
OPTION_MNEM(log_facility, int, "log-facility", CLASS_INIT, FEATURE_NONE, DEFAULT_LOG_FACILITY, facility_choices,
    "Facility of the log records for syslog(3).", .letter = 'y')
OPTION_STRING(log_login, "log-login", CLASS_INIT, FEATURE_NONE, DEFAULT_LOG_LOGIN, "text",
    "Record written for each login. %0 is the version, %1 the user, %2 the host name and %3 the address of the client; at "
    "most four of them. Set to \"\" nothing is written.", .check = option_check_log_login)
OPTION_STRING(mail_command, "mail-command", CLASS_USER, FEATURE_NONE, DEFAULT_MAIL_COMMAND, "file",
    "Program that sends the mail of XTND XMIT. It is run as the user with the arguments -t -i -oem.", .check = option_check_path)
OPTION_INT(mail_lock_check, "mail-lock-check", CLASS_ANY, FEATURE_NONE, 5000, 1, INT32_MAX,
    "After how many messages of an update it is looked whether the dot lock is still ours. It is refreshed every 30 seconds anyway.", .letter = 'L', .argument = "messages")
OPTION_STRING(mail_locks, "mail-locks", CLASS_USER, FEATURE_NONE, "dotlock,fcntl", "methods",
    "Locks taken on the maildrop: dotlock, fcntl and flock, separated by commas. All programs of the host that change maildrops must have one in common.",
    .check = option_check_mail_locks)
OPTION_INT(max_bulletins, "max-bulletins", CLASS_ANY, FEATURE_NONE, DEFAULT_MAX_BULLETINS, 0, INT32_MAX,
    "How many of the old bulletins a user gets who polls for the first time.", .argument = "bulletins")
OPTION_INT(max_password_checks, "max-password-checks", CLASS_INIT, FEATURE_NONE, 0, 0, 10000,
    "Passwords checked at the same time in standalone mode. 0: as many as there are processors.", .argument = "checks")
OPTION_INT(max_preauth, "max-preauth", CLASS_INIT, FEATURE_NONE, 100, 1, 100000,
    "Sessions that have not logged in yet in standalone mode. When there are more, the oldest one of the address with most of them ends.", .argument = "sessions")
OPTION_INT(max_sessions, "max-sessions", CLASS_INIT, FEATURE_NONE, 1000, 1, 1000000,
    "Sessions at the same time in standalone mode. Whoever is one too many hears -ERR [SYS/TEMP].", .argument = "sessions")
OPTION_INT(max_sessions_per_address, "max-sessions-per-address", CLASS_INIT, FEATURE_NONE, 50, 1, 1000000,
    "Sessions at the same time from one client address (IPv6: from its first 64 bits) in standalone mode. Whoever is one too many hears "
    "-ERR [SYS/TEMP].", .argument = "sessions")
OPTION_BOOL(no_atomic_open, "no-atomic-open", CLASS_USER, FEATURE_NONE, 0,
    "Makes dot locks by link(2) of a temporary file only. Otherwise, where link(2) is impossible, by exclusive creation, which old network file systems do not have.")
OPTION_STRING(nonauth_file, "nonauth-file", CLASS_INIT, FEATURE_NONE, DEFAULT_NONAUTH_FILE, "file",
    "The users in this file may not log in. One name per line, compared exactly. When the file cannot be read nobody is refused by it.",
    .check = option_check_path)
OPTION_BOOL(old_style_uid, "old-style-uid", CLASS_ANY, FEATURE_NONE, 0,
    "The same as uidl-format = md5. A uidl-format that is set counts more.")
OPTION_STRING(pam_service, "pam-service", CLASS_INIT, FEATURE_PAM, DEFAULT_PAM_SERVICE, "service",
    "Asks PAM about the users of the system, in place of the shadow file. The service is the name of a file in /etc/pam.d; pop3 is usual. "
    "Unless set, passwords are checked without PAM.", .check = option_check_pam_service)
OPTION_BOOL(pam_session, "pam-session", CLASS_INIT, FEATURE_PAM, 0,
    "Opens a PAM session for each login that PAM has judged. It keeps one more process, as root, until the end of the POP session.")
OPTION_LIST(passwd_file, "passwd-file", CLASS_INIT, FEATURE_NONE, "file",
    "File in passwd(5) format with hashes of crypt(3) in its second field: users beside those of the system. May be given several times; "
    "the files are searched in that order, before the system.", .check = option_check_path)
OPTION_STRING(pid_file, "pid-file", CLASS_INIT, FEATURE_NONE, NULL, "file",
    "Where the process id is written in standalone mode.", .check = option_check_path)
OPTION_INT(preauth_timeout, "preauth-timeout", CLASS_INIT, FEATURE_NONE, 60, 1, 86400,
    "Seconds in all that a client may take to log in.", .argument = "seconds")
OPTION_INT(prefork, "prefork", CLASS_INIT, FEATURE_NONE, 4, 0, 64,
    "Clients that standalone mode is prepared for before they come: for each, up to three processes wait, which makes the greeting and the login faster. "
    "0: nobody waits. Read again at SIGHUP; without effect under inetd.",
    .argument = "clients")
OPTION_LIST(proxy_networks, "proxy-networks", CLASS_INIT, FEATURE_NONE, "networks",
    "Addresses or networks of proxies that must begin each connection with a PROXY protocol header. ADDRESS or ADDRESS/BITS, separated by "
    "commas (192.0.2.10,2001:db8::/64); may be given several times.", .check = option_check_network)
OPTION_BOOL(reverse_lookup, "reverse-lookup", CLASS_USER, FEATURE_NONE, DEFAULT_REVERSE_LOOKUP,
    "Looks up the name of the client address. -R is the same as reverse-lookup = false.", .letter = 'R', .letter_off = true)
OPTION_MNEM(sandbox, enum sandbox_mode, "sandbox", CLASS_INIT, FEATURE_NONE, SANDBOX_MODE_ENFORCE, sandbox_choices,
    "What happens to a system call that the filters do not allow. enforce: a dangerous one ends the process, any other fails; log: the kernel notes it in its own log (dmesg, "
    "audit) and does it; off: nothing is watched.")
OPTION_STRING(sasl_mechanisms, "sasl-mechanisms", CLASS_INIT, FEATURE_NONE, "all", "mechanisms",
    "Mechanisms of AUTH that are offered where they are possible. all, or names separated by commas, such as PLAIN,LOGIN; \"\": none. Clients take the best one that CAPA "
    "names without asking who has a secret in apop-file: name none of CRAM-MD5 and SCRAM where only some users have.", .check = option_check_sasl_mechanisms)
OPTION_BOOL(server_mode, "server-mode", CLASS_ANY, FEATURE_NONE, DEFAULT_SERVER_MODE,
    "Serves the maildrop itself without making a temporary drop. For users who read their mail by POP only.", .letter = 'S')
OPTION_BOOL(shy, "shy", CLASS_INIT, FEATURE_NONE, DEFAULT_SHY,
    "Hides name and version from clients that have not logged in.")
OPTION_STRING(spool_dir, "spool-dir", CLASS_USER, FEATURE_NONE, DEFAULT_SPOOL_DIR, "directory",
    "Directory of the maildrops.", .check = option_check_path)
OPTION_BOOL(spool_options, "spool-options", CLASS_USER, FEATURE_NONE, 0,
    "Reads options from .USER.qpopper-options in spool-dir after the login, after those of user-options.", .letter = 'U')
OPTION_BOOL(statistics, "statistics", CLASS_ANY, FEATURE_NONE, 0,
    "Writes a Stats record at the end of each session: messages and bytes deleted and left.", .letter = 's')
OPTION_INT(takeover_idle, "takeover-idle", CLASS_USER, FEATURE_NONE, 30, 0, 86400,
    "Seconds of silence after which a session gives way to a new login of the same user. 0: never.", .argument = "seconds")
OPTION_STRING(temp_dir, "temp-dir", CLASS_USER, FEATURE_NONE, DEFAULT_TEMP_DIR, "directory",
    "Directory of the temporary drops. Unless set, spool-dir.", .check = option_check_path)
OPTION_STRING(temp_name, "temp-name", CLASS_USER, FEATURE_NONE, DEFAULT_TEMP_NAME, "name",
    "Name of the temporary drop. %s stands for the user name. It begins with a dot, as no user's name does, or has a directory of its own.", .check = option_check_name_pattern)
OPTION_INT(timeout, "timeout", CLASS_ANY, FEATURE_NONE, DEFAULT_TIMEOUT, 1, 86400,
    "Seconds without a byte from the client, or to it, after which the session ends. RFC 1939 asks for at least 600.",
    .letter = 'T', .argument = "seconds")
OPTION_BOOL(timing, "timing", CLASS_ANY, FEATURE_NONE, DEFAULT_TIMING,
    "Writes a record of how long login, opening and update took.")
OPTION_STRING(tls_cipher_list, "tls-cipher-list", CLASS_INIT, FEATURE_TLS, NULL, "ciphers",
    "Ciphers up to TLS 1.2, in the notation of openssl-ciphers(1). Unless set, those with forward secrecy and authenticated encryption.", .check = option_check_word)
OPTION_STRING(tls_ciphersuites, "tls-ciphersuites", CLASS_INIT, FEATURE_TLS, NULL, "ciphersuites",
    "Ciphersuites of TLS 1.3, separated by colons. Unless set, those of the library.", .check = option_check_word)
OPTION_STRING(tls_identity_file, "tls-identity-file", CLASS_INIT, FEATURE_SSLPLUS, NULL, "file",
    "Identity file of SSL Plus.", .check = option_check_path)
OPTION_INT(tls_linger, "tls-linger", CLASS_INIT, FEATURE_TLS, 0, 0, 86400,
    "Under inetd, seconds for which a process that has the TLS library loaded stays after a session with TLS, so that the next ones need not load it. "
    "0: each session loads it. Of no use in standalone mode, which has such a process, nor with popper@.service, where systemd ends whatever a session leaves.", .argument = "seconds")
OPTION_BITS(tls_options, "tls-options", CLASS_USER, FEATURE_TLS, 0,
    "Option bits for the TLS library, in the numbers of its SSL_OP_ constants.", .argument = "bits")
OPTION_STRING(tls_passphrase, "tls-passphrase", CLASS_INIT, FEATURE_SSLPLUS, NULL, "text",
    "Passphrase of the identity file of SSL Plus.")
OPTION_LIST(tls_private_key_file, "tls-private-key-file", CLASS_INIT, FEATURE_TLS, "file",
    "Private key, PEM, not encrypted. Unless set, it is looked for in the certificate file; the n-th one belongs to the n-th "
    "tls-server-cert-file.", .check = option_check_path)
OPTION_LIST(tls_server_cert_file, "tls-server-cert-file", CLASS_INIT, FEATURE_TLS, "file",
    "Certificate and its chain, PEM. May be given several times; the client's SNI chooses, the first one serves the rest.",
    .check = option_check_path)
OPTION_MNEM(tls_support, enum tls_support, "tls-support", CLASS_INIT, FEATURE_TLS, TLS_SUPPORT_NONE, tls_support_choices,
    "How TLS is offered. none or default: not; stls: by the command STLS; alternate-port: TLS begins at once (port 995).", .letter = 'l')
OPTION_STRING(tls_ticket_key_file, "tls-ticket-key-file", CLASS_INIT, FEATURE_TLS, NULL, "file",
    "Keys by which clients resume TLS sessions in later connections: 80 random bytes for each, at most four; the first one seals. "
    "Unless set, nothing is resumed, but in standalone mode and with tls-linger a key is made.", .check = option_check_path)
OPTION_MNEM(tls_version, enum tls_version, "tls-version", CLASS_INIT, FEATURE_TLS, TLS_VERSION_DEFAULT, tls_version_choices,
    "Versions of TLS. default: 1.2 and 1.3; TLSv1.2, TLSv1.3: that one; all: every one that the library still has. The names of older "
    "ones mean default and are warned about.")
OPTION_BOOL(tls_workarounds, "tls-workarounds", CLASS_USER, FEATURE_TLS, 0,
    "Turns on the library's workarounds for faults of other implementations.")
OPTION_STRING(tracefile, "tracefile", CLASS_ANY, FEATURE_NONE, NULL, "file",
    "Appends every log record to this file, and turns debug on. Takes effect at once, so it should come first. In a user's option file it "
    "is opened as the user and gets a copy of what the site logs.",
    .letter = 't', .check = option_check_path)
OPTION_BOOL(trim_domain, "trim-domain", CLASS_USER, FEATURE_NONE, 0,
    "Cuts user names at the first @.", .letter = 'C')
OPTION_MNEM(uidl_format, enum uidl_format, "uidl-format", CLASS_ANY, FEATURE_NONE, UIDL_QPOPPER, uidl_choices,
    "How unique ids look that are not stored in the message. qpopper: 20 characters; md5: 32 hexadecimal digits, Qpopper's old style; "
    "dovecot: made of X-UID and X-IMAPbase where a message has them, as Dovecot does by default; uw: the same numbers the other way round, as the "
    "University of Washington's ipop3d does.")
OPTION_BOOL(update_on_abort, "update-on-abort", CLASS_ANY, FEATURE_NONE, DEFAULT_UPDATE_ON_ABORT,
    "Deletes what was marked although the client vanished without QUIT. RFC 1939 forbids it.")
OPTION_BOOL(update_status_headers, "update-status-headers", CLASS_ANY, FEATURE_NONE, DEFAULT_UPDATE_STATUS_HEADERS,
    "Writes Status and X-UIDL headers into the maildrop. Off, reading mail writes nothing.")
OPTION_BOOL(user_options, "user-options", CLASS_USER, FEATURE_NONE, 0,
    "Reads options from .qpopper-options in the home directory after the login.", .letter = 'u')
OPTION_BOOL(uw_kluge, "UW-kluge", CLASS_ANY, FEATURE_NONE, DEFAULT_UW_KLUGE,
    "Hides the message that IMAP servers of the University of Washington keep at the start of a maildrop.", .alias = "UW-kludge")
OPTION_BOOL(xmangle, "xmangle", CLASS_USER, FEATURE_GMIME, 1,
    "Lets clients ask for mail as plain text: XMANGLE, and -no-mime behind the user's name.")
OPTION_BOOL(xmit, "xmit", CLASS_USER, FEATURE_NONE, 1,
    "Lets clients send mail by XTND XMIT.")

#undef OPTION_BOOL
#undef OPTION_INT
#undef OPTION_BITS
#undef OPTION_STRING
#undef OPTION_MNEM
#undef OPTION_LIST
