/*
 * Opens a session for a user, says what the user has now, and closes the session: what a notebook
 * spawner's hook does around the notebook, in one program.
 *
 *     cc session.c $(pkg-config --cflags --libs fairshare) -o session
 *     sudo ./session 1000 4711
 *
 * 1000 is the user's ID and 4711 the process that the session lasts as long as. A third argument
 * is the daemon's socket, if it is not the usual one.
 *
 * Exit code: 0 done, 1 the daemon refused or did not answer, 2 wrong usage.
 */

#include <errno.h>
#include <fairshare.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A hook holds somebody's login up: better no limits for a moment than no notebook. */
#define TIMEOUT_MS 2000

/* Reads a whole number from 0 to most. Returns 0 where the text is none. */
static int read_number(const char *text, unsigned long most, unsigned long *number)
{
    char *end = NULL;

    if (*text < '0' || *text > '9')
        return 0;
    errno = 0;
    *number = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0' && *number <= most;
}

static void complain(const struct fairshare_client *client, const char *what, int result)
{
    fprintf(stderr, "session: cannot %s: %s (%d)\n", what, fairshare_error_message(client), result);
}

int main(int argc, char **argv)
{
    struct fairshare_client *client;
    struct fairshare_session session;
    unsigned long uid, pid;
    int result;

    if (argc < 3 || argc > 4 || !read_number(argv[1], UINT32_MAX, &uid) ||
        !read_number(argv[2], INT_MAX, &pid)) {
        fprintf(stderr, "usage: session UID PID [SOCKET]\n");
        return 2;
    }

    client = fairshare_client_new(argc == 4 ? argv[3] : NULL, TIMEOUT_MS);

    memset(&session, 0, sizeof session);
    session.size = sizeof session;
    result = fairshare_open_session(client, (uid_t)uid, (pid_t)pid, "session-example", &session);
    if (result != FAIRSHARE_RESULT_OK) {
        complain(client, "open a session", result);
        /* The daemon may have opened it without being able to say so in time. */
        if (result == FAIRSHARE_RESULT_NO_ANSWER || result == FAIRSHARE_RESULT_NOT_ENFORCED)
            fairshare_close_session_by_leader(client, (uid_t)uid, (pid_t)pid);
        fairshare_client_free(client);
        return 1;
    }

    if (session.session == 0)
        printf("user %lu is not limited\n", uid);
    else
        printf("session %" PRIu64 ": user %lu has %g CPUs, %" PRIu64 " MiB memory, %" PRIu64
               " tasks\n",
               session.session, uid, (double)session.cpu / 1000, session.mem / (1024 * 1024),
               session.tasks);

    /* Here the hook would start the notebook and wait for its end. */

    result = fairshare_close_session(client, session.session);
    if (result != FAIRSHARE_RESULT_OK)
        complain(client, "close the session", result);
    fairshare_client_free(client);
    return result == FAIRSHARE_RESULT_OK ? 0 : 1;
}
