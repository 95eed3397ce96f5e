/*
 * fairshare: a fair share of a shared machine for each of its users.
 *
 * This is the client of the daemon fairshared as a C library. Link it with
 *
 *     cc program.c $(pkg-config --cflags --libs fairshare)
 *
 * A program makes a client, asks, and looks at the result code:
 *
 *     struct fairshare_client *client = fairshare_client_new(NULL, 5000);
 *     struct fairshare_status status = { .size = sizeof status };
 *     if (fairshare_status(client, &status) == FAIRSHARE_RESULT_OK)
 *         printf("%g CPUs\n", (double)status.cpu / 1000);
 *     else
 *         fprintf(stderr, "%s\n", fairshare_error_message(client));
 *     fairshare_client_free(client);
 *
 * Units: CPU in thousandths of a CPU (1500 is one and a half), memory in bytes, tasks as a count of
 * processes and threads. A figure is what the user has altogether, never a difference.
 *
 * Structures begin with `size`, which the program sets to sizeof of the structure before each call.
 * So they can grow at their end: a program built for an older header works with a newer library,
 * and one built for a newer header with an older library. Text is UTF-8 and ends with a NUL.
 *
 * Who is asking is what the kernel says of the calling process; the library cannot ask as somebody
 * else. Each call makes a connection of its own and closes it, and takes no longer than the
 * client's timeout and one tick of the kernel. The library starts no thread, sets no signal
 * handler, raises no SIGPIPE, prints nothing, reads no environment variable and keeps no
 * descriptor open. errno says nothing about a call.
 *
 * Two threads may use two clients at once, but not one client. After a fork, both processes may use
 * the client.
 */


#ifndef FAIRSHARE_H
#define FAIRSHARE_H

/* Made by cbindgen from the crate libfairshare: change it there. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * A figure that the daemon does not tell, and every figure that a later header has and this
 * library does not.
 */
#define FAIRSHARE_UNKNOWN UINT64_MAX

/**
 * Shrink memory even below what is in use: processes may be killed.
 */
#define FAIRSHARE_FORCE 1

/**
 * What a call returns, as an int.
 *
 * A number keeps its meaning. A later library may return further ones, so treat a number that you
 * do not know like FAIRSHARE_RESULT_REFUSED. fairshare_error_message has the sentence for people.
 */
enum fairshare_result {
  /**
   * It is done.
   */
  FAIRSHARE_RESULT_OK = 0,
  /**
   * An argument is wrong: a NULL where none may be, text that is not UTF-8, a number out of
   * range, a size that no version of the structure has. Nothing was asked.
   */
  FAIRSHARE_RESULT_INVALID_ARGUMENT = 1,
  /**
   * Nothing listens on the socket: the daemon is not running, or not installed.
   */
  FAIRSHARE_RESULT_NO_DAEMON = 2,
  /**
   * No answer within the timeout, or the connection failed. Whether the request was carried out
   * is not known; ask again.
   */
  FAIRSHARE_RESULT_NO_ANSWER = 3,
  /**
   * The answer was not understood: library and daemon do not fit together.
   */
  FAIRSHARE_RESULT_BAD_REPLY = 4,
  /**
   * A fault of the library's own.
   */
  FAIRSHARE_RESULT_FAULT = 5,
  /**
   * The daemon refused, for a reason that this version of the library has no number for.
   */
  FAIRSHARE_RESULT_REFUSED = 16,
  /**
   * The daemon could not read the request.
   */
  FAIRSHARE_RESULT_BAD_REQUEST = 17,
  /**
   * The request is too long: a service's name of many thousand letters.
   */
  FAIRSHARE_RESULT_LINE_TOO_LONG = 18,
  /**
   * The daemon is older than the library and does not know the request.
   */
  FAIRSHARE_RESULT_UNKNOWN_TYPE = 19,
  /**
   * The daemon does not take a value: it is out of range, or no process has that ID.
   */
  FAIRSHARE_RESULT_INVALID_VALUE = 20,
  /**
   * More than policy's maximum for the user.
   */
  FAIRSHARE_RESULT_ABOVE_MAXIMUM = 21,
  /**
   * Less than the user's default: a grant lies above it.
   */
  FAIRSHARE_RESULT_BELOW_DEFAULT = 22,
  /**
   * The machine has not that much left for grants.
   */
  FAIRSHARE_RESULT_NO_CAPACITY = 23,
  /**
   * The user holds a grant already.
   */
  FAIRSHARE_RESULT_GRANT_HELD = 24,
  /**
   * The user holds no grant.
   */
  FAIRSHARE_RESULT_NO_GRANT = 25,
  /**
   * The user has no open session, or the session named is not open.
   */
  FAIRSHARE_RESULT_NO_SESSION = 26,
  /**
   * Policy does not cover the user: root, a system account, or exempt.
   */
  FAIRSHARE_RESULT_NOT_COVERED = 27,
  /**
   * The calling process may not ask this: sessions are root's to open and close.
   */
  FAIRSHARE_RESULT_NOT_PERMITTED = 28,
  /**
   * Less memory than is in use; FAIRSHARE_FORCE overrides, and processes may be killed.
   */
  FAIRSHARE_RESULT_MEMORY_IN_USE = 29,
  /**
   * The limits could not be set, or not yet.
   */
  FAIRSHARE_RESULT_NOT_ENFORCED = 30,
  /**
   * Requests come faster than the daemon takes them from one user; wait and ask again.
   */
  FAIRSHARE_RESULT_RATE_LIMITED = 31,
  /**
   * The daemon has too much to do; ask again.
   */
  FAIRSHARE_RESULT_BUSY = 32,
  /**
   * A fault of the daemon's own; its log says more.
   */
  FAIRSHARE_RESULT_INTERNAL = 33,
  /**
   * Longer than policy lets a grant last.
   */
  FAIRSHARE_RESULT_ABOVE_LEASE = 34,
  /**
   * Less than the minimum that policy has beside the default.
   */
  FAIRSHARE_RESULT_BELOW_MINIMUM = 35,
  /**
   * The budget of a group of the user's has not that much left.
   */
  FAIRSHARE_RESULT_OVER_BUDGET = 36,
  /**
   * So many requests wait already that no further one may.
   */
  FAIRSHARE_RESULT_QUEUE_FULL = 37,
  /**
   * The user has a request that waits already.
   */
  FAIRSHARE_RESULT_ALREADY_WAITING = 38,
  /**
   * The time that a request might wait has passed.
   */
  FAIRSHARE_RESULT_WAIT_ENDED = 39,
  /**
   * The grant has no lease.
   */
  FAIRSHARE_RESULT_NO_LEASE = 40,
  /**
   * The policy files have errors.
   */
  FAIRSHARE_RESULT_POLICY_WRONG = 41,
};

/**
 * A client of the daemon. Made by fairshare_client_new, ended by fairshare_client_free.
 */
struct fairshare_client;

/**
 * A session as the daemon opened it.
 */
struct fairshare_session {
  /**
   * sizeof(struct fairshare_session), set before the call.
   */
  size_t size;
  /**
   * The session's number, for fairshare_close_session. 0 where there is nothing to limit: the
   * user is not covered by policy, or the process stays in the session of another user. The
   * figures are FAIRSHARE_UNKNOWN then.
   */
  uint64_t session;
  /**
   * CPU time that the user has now, in thousandths of a CPU.
   */
  uint64_t cpu;
  /**
   * Memory that the user has now, in bytes.
   */
  uint64_t mem;
  /**
   * Processes and threads that the user may have now.
   */
  uint64_t tasks;
};

/**
 * What the calling user has, uses and may ask for. A figure is FAIRSHARE_UNKNOWN where the daemon
 * does not tell it.
 */
struct fairshare_status {
  /**
   * sizeof(struct fairshare_status), set before the call.
   */
  size_t size;
  /**
   * CPU time that the user has, in thousandths of a CPU. Always told.
   */
  uint64_t cpu;
  /**
   * Memory that the user has, in bytes. Always told.
   */
  uint64_t mem;
  /**
   * Processes and threads that the user may have.
   */
  uint64_t tasks;
  /**
   * Swap that the user may fill, in bytes.
   */
  uint64_t swap;
  /**
   * What policy gives at login: CPU time, in thousandths of a CPU.
   */
  uint64_t default_cpu;
  /**
   * What policy gives at login: memory, in bytes.
   */
  uint64_t default_mem;
  /**
   * What policy gives at login: processes and threads.
   */
  uint64_t default_tasks;
  /**
   * The most that policy lets the user hold: CPU time, in thousandths of a CPU.
   */
  uint64_t max_cpu;
  /**
   * The most that policy lets the user hold: memory, in bytes.
   */
  uint64_t max_mem;
  /**
   * The most that policy lets the user hold: processes and threads.
   */
  uint64_t max_tasks;
  /**
   * Memory in use that cannot be taken back without swap, in bytes; page cache is left out.
   */
  uint64_t mem_used;
  /**
   * Page cache, in bytes, which the kernel takes back when memory is short.
   */
  uint64_t mem_cache;
  /**
   * Processes and threads that exist.
   */
  uint64_t tasks_used;
  /**
   * Open sessions of the user.
   */
  uint64_t sessions;
  /**
   * 1 where the user holds a grant, 0 where not.
   */
  uint64_t grant;
  /**
   * In how many points the kernel enforces something else than the figures above say. The
   * command `fairshare status` tells which.
   */
  uint64_t differences;
};

/**
 * What to ask for. A resource that is 0 stays as it is; at least one must not be 0.
 */
struct fairshare_wish {
  /**
   * sizeof(struct fairshare_wish).
   */
  size_t size;
  /**
   * CPU time, in thousandths of a CPU: 10 to 100000000.
   */
  uint64_t cpu;
  /**
   * Memory, in bytes.
   */
  uint64_t mem;
  /**
   * Processes and threads.
   */
  uint64_t tasks;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The library's version, such as "0.1.0".
 */
const char *fairshare_version(void);

/**
 * Makes a client of the daemon that listens on `socket`, or on /run/fairshare.sock where it is
 * NULL.
 *
 * A call with the client takes `timeout_ms` milliseconds at the most, connecting included; 0 is 30
 * seconds. Nothing is connected yet, so this works whether or not the daemon runs. Returns NULL
 * only for a fault in the library; the other functions take that NULL and say
 * FAIRSHARE_RESULT_INVALID_ARGUMENT. End the client with fairshare_client_free.
 */
struct fairshare_client *fairshare_client_new(const char *socket, uint32_t timeout_ms);

/**
 * Ends a client and frees its memory. NULL is allowed. Sessions and grants stay as they are.
 */
void fairshare_client_free(struct fairshare_client *client);

/**
 * Why the last call with this client failed: one sentence in English, without a line break; empty
 * after a success. It belongs to the client and is valid until the next call with it.
 */
const char *fairshare_error_message(const struct fairshare_client *client);

/**
 * Tells the daemon that the user `uid` has logged in, and waits until the limits hold. For login
 * programs without PAM; only root may.
 *
 * `pid` is the session's leader: a process of the session whose end ends the session, should
 * nobody close it. Opening again with the same user and leader gives the same session. `service`
 * names the program for the daemon's log, such as "jupyterhub"; it may be NULL. On success
 * `session` is filled; its `session` is 0 where there is nothing to limit, which is no failure.
 *
 * After FAIRSHARE_RESULT_NO_ANSWER or FAIRSHARE_RESULT_NOT_ENFORCED the session may be open all the
 * same. The leader's end closes it, and so does fairshare_close_session_by_leader.
 */
int fairshare_open_session(struct fairshare_client *client,
                           uid_t uid,
                           pid_t pid,
                           const char *service,
                           struct fairshare_session *session);

/**
 * Tells the daemon that a session has ended. `session` is the number that fairshare_open_session
 * gave; 0, the number of no session, is done at once. Only root may.
 *
 * With the user's last session their grant ends. What they left running stays limited.
 */
int fairshare_close_session(struct fairshare_client *client, uint64_t session);

/**
 * Like fairshare_close_session for a program that did not keep the number: the session is named by
 * its user and leader, as it was opened.
 */
int fairshare_close_session_by_leader(struct fairshare_client *client, uid_t uid, pid_t pid);

/**
 * Asks what the calling user has, and fills `status`.
 */
int fairshare_status(struct fairshare_client *client, struct fairshare_status *status);

/**
 * Asks for more for the calling user, or changes the grant that they hold, and waits until the
 * kernel enforces it. The figures are absolute. `flags` is 0 or FAIRSHARE_FORCE.
 *
 * The grant ends with fairshare_release, with the user's last session, or with the lease that
 * policy gives it.
 */
int fairshare_resize(struct fairshare_client *client,
                     const struct fairshare_wish *wish,
                     uint32_t flags);

/**
 * Gives the calling user's grant back: what they have is the default again. `flags` is 0 or
 * FAIRSHARE_FORCE.
 */
int fairshare_release(struct fairshare_client *client, uint32_t flags);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FAIRSHARE_H */
