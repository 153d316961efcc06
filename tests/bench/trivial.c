/*
 * trivial: the floor of a login: the least that a POP3 service under inetd can do. It answers, checks nothing, has no
 * maildrop. Linked statically.
 */
#include <string.h>
#include <unistd.h>

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        _exit(1);
}

int main(void)
{
    char buffer[1024];

    say("+OK ready\r\n");
    while (read(0, buffer, sizeof buffer) > 0) {
        if (buffer[0] == 'Q') {
            say("+OK bye\r\n");
            return 0;
        }
        say(buffer[0] == 'S' ? "+OK 0 0\r\n" : "+OK\r\n");
    }
    return 0;
}
