/*
 * A login program for the tests of the module: opens and closes sessions by the real libpam and
 * writes down what it saw.
 *
 *   host REPORT CONFDIR SERVICE USER [OPTION...]
 *
 * The report is lines of "WORD VALUE...". It goes to a file under a high descriptor, so that the
 * standard ones are the test's. Three functions of the C library and of libpam are taken over
 * here, which works because the program's own symbols come first: pam_syslog, to see what is
 * logged; socket and getpwnam_r, to count them and to let a lookup fail.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define REPORT_DESCRIPTOR 200
#define NO_USER "-"

static FILE *report;
static int sockets;
static int lookups;
static const char *lookup = "real";

static void die(const char *what)
{
	fprintf(stderr, "host: %s: %s\n", what, strerror(errno));
	exit(70);
}

void pam_syslog(const pam_handle_t *handle, int priority, const char *format, ...)
{
	char line[8192];
	va_list arguments;

	(void)handle;
	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	fprintf(report, "log %d %s\n", priority, line);
	if (strcmp(format, "%s") != 0)
		fprintf(report, "format %s\n", format);
}

int socket(int domain, int type, int protocol)
{
	/* libpam itself opens sockets of another kind, for the audit. */
	if (domain == AF_UNIX)
		sockets++;
	return (int)syscall(SYS_socket, domain, type, protocol);
}

int getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size,
	       struct passwd **found)
{
	lookups++;
	*found = NULL;
	if (strcmp(lookup, "eio") == 0)
		return EIO;
	if (strcmp(lookup, "enoent") == 0)
		return ENOENT;
	if (strcmp(lookup, "eintr") == 0)
		return EINTR;
	if (strcmp(lookup, "eintr-once") == 0 && lookups == 1)
		return EINTR;
	if (strcmp(lookup, "endless") == 0)
		return ERANGE;
	if (strcmp(lookup, "long") == 0 && size < 100000)
		return ERANGE;
	if (strcmp(lookup, "real") != 0) {
		memset(entry, 0, sizeof *entry);
		memset(buffer, 'x', size);
		entry->pw_uid = strcmp(lookup, "uid-0") == 0 ? 0 : 12345;
		*found = entry;
		return 0;
	}
	int (*real)(const char *, struct passwd *, char *, size_t, struct passwd **) =
		(int (*)(const char *, struct passwd *, char *, size_t, struct passwd **))dlsym(
			RTLD_NEXT, "getpwnam_r");
	return real(name, entry, buffer, size, found);
}

static int converse(int count, const struct pam_message **messages,
		    struct pam_response **responses, void *data)
{
	(void)data;
	for (int i = 0; i < count; i++)
		fprintf(report, "message %d %s\n", messages[i]->msg_style, messages[i]->msg);
	*responses = calloc((size_t)count, sizeof **responses);
	return *responses ? PAM_SUCCESS : PAM_BUF_ERR;
}

/* The entries of a folder of /proc/self, but for the report and the descriptor in use here. */
static int entries(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!folder)
		die(path);
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder) &&
		    atoi(entry->d_name) != REPORT_DESCRIPTOR)
			count++;
	closedir(folder);
	return count;
}

static void dispositions(struct sigaction *actions)
{
	for (int number = 1; number < NSIG; number++)
		sigaction(number, NULL, &actions[number]);
}

static size_t environment(void)
{
	size_t sum = 0;

	for (char **variable = environ; *variable; variable++)
		for (char *byte = *variable; *byte; byte++)
			sum = sum * 31 + (unsigned char)*byte;
	return sum;
}

static long address_space(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%ld", &pages) != 1)
		die("/proc/self/statm");
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

static void limit_address_space(long bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit))
		die("getrlimit");
	limit.rlim_cur = bytes < 0 ? limit.rlim_max : (rlim_t)bytes;
	if (setrlimit(RLIMIT_AS, &limit))
		die("setrlimit");
}

static double milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void timed(const char *name, int (*call)(pam_handle_t *, int), pam_handle_t *handle,
		  int flags)
{
	double start = milliseconds();
	int code = call(handle, flags);

	fprintf(report, "%s %d %.3f\n", name, code, milliseconds() - start);
}

int main(int argc, char **argv)
{
	static const struct pam_conv conversation = { converse, NULL };
	static const struct pam_conv none = { NULL, NULL };
	static struct sigaction before[NSIG], after[NSIG];
	const char *stack = "session";
	int rounds = 1, flags = 0, pairs = 1, mute = 0, close_it = 1;
	long slack = -1, settled = 0;

	if (argc < 5)
		return 64;
	int file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (file < 0 || dup3(file, REPORT_DESCRIPTOR, O_CLOEXEC) < 0)
		die(argv[1]);
	close(file);
	report = fdopen(REPORT_DESCRIPTOR, "a");
	if (!report)
		die("fdopen");
	setvbuf(report, malloc(1 << 16), _IOLBF, 1 << 16);
	signal(SIGPIPE, SIG_DFL);
	/* A call that hangs ends the program, and with it the test. */
	alarm(120);

	for (int i = 5; i < argc; i++) {
		const char *option = argv[i];
		if (strncmp(option, "rounds=", 7) == 0)
			rounds = atoi(option + 7);
		else if (strncmp(option, "pairs=", 6) == 0)
			pairs = atoi(option + 6);
		else if (strncmp(option, "lookup=", 7) == 0)
			lookup = option + 7;
		else if (strncmp(option, "stack=", 6) == 0)
			stack = option + 6;
		else if (strncmp(option, "address-space=", 14) == 0)
			limit_address_space(atol(option + 14));
		else if (strncmp(option, "slack=", 6) == 0)
			slack = atol(option + 6);
		else if (strcmp(option, "silent") == 0)
			flags = PAM_SILENT;
		else if (strcmp(option, "mute") == 0)
			mute = 1;
		else if (strcmp(option, "leave-open") == 0)
			close_it = 0;
		else if (strcmp(option, "close-standard") == 0)
			for (int fd = 0; fd <= 2; fd++)
				close(fd);
		else
			return 64;
	}

	const char *user = strcmp(argv[4], NO_USER) == 0 ? NULL : argv[4];
	int open_before = entries("/proc/self/fd");
	size_t environment_before = environment();
	dispositions(before);

	for (int round = 0; round < rounds; round++) {
		pam_handle_t *handle = NULL;
		if (pam_start_confdir(argv[3], user, mute ? &none : &conversation, argv[2],
				      &handle) != PAM_SUCCESS)
			return 71;
		if (strcmp(stack, "auth") == 0) {
			timed("authenticate", pam_authenticate, handle, flags);
			timed("setcred", pam_setcred, handle, PAM_ESTABLISH_CRED);
		} else if (strcmp(stack, "account") == 0) {
			timed("account", pam_acct_mgmt, handle, flags);
		} else if (strcmp(stack, "password") == 0) {
			timed("password", pam_chauthtok, handle, flags);
		} else for (int pair = 0; pair < pairs; pair++) {
			if (slack >= 0)
				limit_address_space(address_space() + slack);
			timed("open", pam_open_session, handle, flags);
			if (slack >= 0)
				limit_address_space(-1);
			char **variables = pam_getenvlist(handle);
			for (char **variable = variables; variable && *variable; variable++) {
				fprintf(report, "env %s\n", *variable);
				free(*variable);
			}
			free(variables);
			fprintf(report, "left-in-session %d\n", entries("/proc/self/fd") - open_before);
			if (close_it)
				timed("close", pam_close_session, handle, flags);
		}
		fprintf(report, "end %d\n", pam_end(handle, PAM_SUCCESS));
		if (round == rounds / 2)
			settled = address_space();
	}

	dispositions(after);
	fprintf(report, "left-open %d\n", entries("/proc/self/fd") - open_before);
	fprintf(report, "growth %ld\n", address_space() - settled);
	fprintf(report, "threads %d\n", entries("/proc/self/task"));
	int changed = 0;
	for (int number = 1; number < NSIG; number++)
		changed += before[number].sa_handler != after[number].sa_handler ||
			   before[number].sa_flags != after[number].sa_flags;
	fprintf(report, "signals-changed %d\n", changed);
	fprintf(report, "environment-changed %d\n", environment() != environment_before);
	fprintf(report, "sockets %d\n", sockets);
	fprintf(report, "lookups %d\n", lookups);
	fprintf(report, "pid %d\n", (int)getpid());
	fprintf(report, "done 0\n");
	return 0;
}
