/*
 * What the header promises, held against a daemon that answers with canned lines. Prints the number
 * of the line whose promise is broken.
 */

#include <fairshare.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "contract.c:%d: %s: '%s'\n", __LINE__, #condition,                     \
                    fairshare_error_message(client));                                              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The structure as a later header may have it. */
struct later_status {
    struct fairshare_status now;
    uint64_t one_more;
};

struct later_wish {
    struct fairshare_wish now;
    uint64_t one_more;
};

int main(int argc, char **argv)
{
    struct fairshare_client *client = NULL;
    struct fairshare_status status;
    struct fairshare_session session;
    struct fairshare_wish wish;
    struct later_status later;
    struct later_wish later_wish;

    if (argc != 2)
        return 2;
    memset(&status, 0, sizeof status);
    memset(&session, 0, sizeof session);
    memset(&wish, 0, sizeof wish);
    memset(&later, 0, sizeof later);
    memset(&later_wish, 0, sizeof later_wish);

    /* A client that is NULL is an error and no crash. */
    CHECK(fairshare_status(NULL, &status) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(fairshare_release(NULL, 0) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(fairshare_error_message(NULL)[0] != '\0');
    fairshare_client_free(NULL);
    CHECK(strchr(fairshare_version(), '.') != NULL);

    client = fairshare_client_new(argv[1], 10000);
    CHECK(client != NULL);
    CHECK(strcmp(fairshare_error_message(client), "") == 0);

    /* So is a structure that is NULL or has not said its size. */
    CHECK(fairshare_status(client, NULL) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(strstr(fairshare_error_message(client), "NULL") != NULL);
    CHECK(fairshare_status(client, &status) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(strstr(fairshare_error_message(client), "sizeof") != NULL);
    status.size = sizeof status - 1;
    CHECK(fairshare_status(client, &status) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    status.size = (size_t)-1;
    CHECK(fairshare_status(client, &status) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(fairshare_resize(client, NULL, 0) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(fairshare_open_session(client, 1000, 1, "x", NULL) == FAIRSHARE_RESULT_INVALID_ARGUMENT);

    status.size = sizeof status;
    CHECK(fairshare_status(client, &status) == FAIRSHARE_RESULT_OK);
    CHECK(strcmp(fairshare_error_message(client), "") == 0);
    CHECK(status.size == sizeof status);
    CHECK(status.cpu == 500);
    CHECK(status.mem == (uint64_t)512 << 20);
    CHECK(status.tasks == 500);
    CHECK(status.swap == 0);
    CHECK(status.default_cpu == 500 && status.default_mem == (uint64_t)512 << 20);
    CHECK(status.max_cpu == 2000 && status.max_mem == (uint64_t)1 << 30);
    CHECK(status.default_tasks == 500 && status.max_tasks == 2000);
    CHECK(status.mem_used == 4 << 20);
    CHECK(status.mem_cache == FAIRSHARE_UNKNOWN);
    CHECK(status.tasks_used == 9);
    CHECK(status.sessions == 1 && status.grant == 0 && status.differences == 2);

    /* A longer structure: the rest is unknown, and nothing behind it is touched. */
    later.now.size = sizeof later;
    CHECK(fairshare_status(client, &later.now) == FAIRSHARE_RESULT_OK);
    CHECK(later.now.size == sizeof later);
    CHECK(later.now.cpu == 500 && later.now.differences == 2);
    CHECK(later.one_more == FAIRSHARE_UNKNOWN);
    later.now.size = sizeof later.now;
    later.one_more = 5;
    CHECK(fairshare_status(client, &later.now) == FAIRSHARE_RESULT_OK);
    CHECK(later.one_more == 5);

    /* A wish. */
    wish.size = sizeof wish;
    CHECK(fairshare_resize(client, &wish, 0) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    wish.cpu = 1500;
    wish.mem = (uint64_t)16 << 30;
    CHECK(fairshare_resize(client, &wish, 2) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(fairshare_resize(client, &wish, FAIRSHARE_FORCE) == FAIRSHARE_RESULT_OK);
    wish.cpu = 16000;
    CHECK(fairshare_resize(client, &wish, 0) == FAIRSHARE_RESULT_ABOVE_MAXIMUM);
    CHECK(strcmp(fairshare_error_message(client), "Requested CPU (16) exceeds maximum allowed (8)")
          == 0);
    wish.cpu = 9;
    CHECK(fairshare_resize(client, &wish, 0) == FAIRSHARE_RESULT_INVALID_ARGUMENT);

    /* A longer wish: what this library does not know must be zero. */
    later_wish.now.size = sizeof later_wish;
    later_wish.now.tasks = 300;
    CHECK(fairshare_resize(client, &later_wish.now, 0) == FAIRSHARE_RESULT_OK);
    later_wish.one_more = 1;
    CHECK(fairshare_resize(client, &later_wish.now, 0) == FAIRSHARE_RESULT_INVALID_ARGUMENT);

    CHECK(fairshare_release(client, 0) == FAIRSHARE_RESULT_NO_GRANT);
    CHECK(fairshare_release(client, FAIRSHARE_FORCE) == FAIRSHARE_RESULT_REFUSED);
    CHECK(fairshare_release(client, 4) == FAIRSHARE_RESULT_INVALID_ARGUMENT);

    /* Sessions. */
    session.size = sizeof session;
    CHECK(fairshare_open_session(client, 1000, 4711, "jupyter", &session) == FAIRSHARE_RESULT_OK);
    CHECK(session.session == 7 && session.cpu == 2000 && session.tasks == 4096);
    CHECK(session.mem == (uint64_t)8 << 30);
    CHECK(fairshare_open_session(client, 1000, 4712, NULL, &session) == FAIRSHARE_RESULT_OK);
    CHECK(fairshare_open_session(client, 0, 1, NULL, &session) == FAIRSHARE_RESULT_OK);
    CHECK(session.session == 0 && session.cpu == FAIRSHARE_UNKNOWN);
    CHECK(fairshare_open_session(client, 1000, -1, NULL, &session) ==
          FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(fairshare_open_session(client, 1000, 0, NULL, &session) ==
          FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(fairshare_open_session(client, 1000, 1, "\xff", &session) ==
          FAIRSHARE_RESULT_INVALID_ARGUMENT);
    CHECK(fairshare_close_session(client, 7) == FAIRSHARE_RESULT_OK);
    CHECK(fairshare_close_session(client, 0) == FAIRSHARE_RESULT_OK);
    CHECK(fairshare_close_session_by_leader(client, 1000, 4711) == FAIRSHARE_RESULT_OK);
    CHECK(fairshare_close_session_by_leader(client, 1000, 0) == FAIRSHARE_RESULT_INVALID_ARGUMENT);
    fairshare_client_free(client);

    /* No daemon. */
    client = fairshare_client_new("/nonexistent/fairshare.sock", 0);
    CHECK(fairshare_status(client, &status) == FAIRSHARE_RESULT_NO_DAEMON);
    CHECK(strstr(fairshare_error_message(client), "/nonexistent/fairshare.sock") != NULL);
    fairshare_client_free(client);
    puts("kept");
    return 0;
}
