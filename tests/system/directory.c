/*
 * directory: loaded into the server by LD_PRELOAD, it makes the name service one that takes other spellings of a user's name, as
 * SSSD and winbind do: upper case, and with @ and a domain. Tests only.
 */
#include <ctype.h>
#include <dlfcn.h>
#include <pwd.h>
#include <string.h>

int getpwnam_r(const char *name, struct passwd *entry, char *space, size_t size, struct passwd **found)
{
    int (*next)(const char *, struct passwd *, char *, size_t, struct passwd **);
    char small[100];
    size_t n = strcspn(name, "@");

    *(void **)&next = dlsym(RTLD_NEXT, "getpwnam_r");
    if (n >= sizeof small)
        return next(name, entry, space, size, found);
    for (size_t i = 0; i < n; i++)
        small[i] = (char)tolower((unsigned char)name[i]);
    small[n] = '\0';
    return next(small, entry, space, size, found);
}
