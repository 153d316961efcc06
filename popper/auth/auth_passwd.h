/*
 * auth_passwd: accounts whose password is a crypt(3) hash: passwd-files, and the system's passwd and shadow databases.
 * The only room that knows libcrypt. It finds and compares; who may log in is for auth to say.
 */
#ifndef AUTH_AUTH_PASSWD_H
#define AUTH_AUTH_PASSWD_H

#include <stdbool.h>

#include "auth/auth.h"

#define AUTH_HASH_MAX 384 /* bytes of a hash with its method and salt */

struct auth_account {
    struct auth_user user;
    char hash[AUTH_HASH_MAX + 1]; /* secret. Empty: no password can be right. */
    bool no_password;  /* the hash says that no password is right, which other ways to log in do not care about */
    char own_name[AUTH_NAME_MAX + 2]; /* of a user of the system: what the name service calls him, cut off; "" for others */
    char refusal[120]; /* why this account may not log in whatever the password ("account is locked"), "" when it may */
};

enum auth_found {
    AUTH_FOUND,
    AUTH_NOT_FOUND,
    AUTH_FOUND_BROKEN,     /* found, but a store that comes later cannot be read */
    AUTH_NOT_FOUND_BROKEN  /* a store cannot be read, so nobody knows */
};

/* Looks in the passwd-files in their order, then, as root, among the system's users; the first match counts. A name found in
   a passwd-file is not looked up among the system's users, which would load the name service's libraries
   (auth_passwd_system_broken makes up for it). What cannot be read is logged. name is canonical. The caller wipes
   *account_r. */
enum auth_found auth_passwd_find(const struct settings *settings, const char *name, struct auth_account *account_r);

/* Calls fn with the name of everybody there is: the entries of the passwd-files, then, as root, the system's users. The
   same name may come twice, and any text may. */
void auth_passwd_each(const struct settings *settings, void (*fn)(void *context, const char *name), void *context);

/* Whether the system's users cannot be looked up: to be asked before somebody found elsewhere is refused, so that he hears what
   a name that nobody has would hear. */
bool auth_passwd_system_broken(const struct settings *settings, const char *name);

/* A hash that no password fits, of the kind that users of this host have: for names that nobody has. */
void auth_passwd_dummy(const struct settings *settings, char hash_r[AUTH_HASH_MAX + 1]);

enum auth_match {
    AUTH_MATCH,
    AUTH_MISMATCH,
    AUTH_HASH_UNKNOWN  /* libcrypt knows no such hash; the dummy was hashed instead */
};

/* Hashes once. An empty hash, and a password that is empty or too long, match nothing: the dummy is hashed. Working
   memory is wiped. */
enum auth_match auth_passwd_match(const char *hash, const char *dummy, const char *password);

#endif
