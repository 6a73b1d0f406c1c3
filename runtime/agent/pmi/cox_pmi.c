/* PMI-1 for Open MPI 4.x, whose flux component loads the library that FLUX_PMI_LIBRARY_PATH names.
 * Each call is a line of PMI-1's text protocol over the inherited socket PMI_FD and a line back; at
 * the other end is the job's step on this node. Calls come from one thread at a time: the component
 * holds Open MPI's lock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PMI_SUCCESS 0
#define PMI_FAIL (-1)
#define PMI_ERR_INIT 1
#define PMI_ERR_INVALID_ARG 3
#define PMI_ERR_INVALID_LENGTH 8

#define EXPORT __attribute__((visibility("default")))

enum { kLineMax = 2048, kNameMax = 256, kFirstWaitNs = 100000, kLongWaitNs = 1000000 };

static int descriptor = -1;
static int initialized;
static int own_rank;
static int job_size = 1;
static int name_max = kNameMax;
static int key_max = 64;
static int value_max = 896;
static char key_space[kNameMax];
static char unread[kLineMax];
static size_t unread_size;
static int released; /* from the barrier that this rank is in */
static void (*progress)(void);

static int number_of(const char* variable, int absent) {
  const char* text = getenv(variable);
  return text != NULL && *text != '\0' ? atoi(text) : absent;
}

static int send_line(const char* line) {
  size_t size = strlen(line);
  while (size > 0) {
    const ssize_t sent = send(descriptor, line, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return PMI_FAIL;
    line += sent;
    size -= (size_t)sent;
  }
  return PMI_SUCCESS;
}

/* Takes a line off what was read. */
static int take_line(char* line) {
  char* const end = memchr(unread, '\n', unread_size);
  if (end == NULL) return 0;
  const size_t size = (size_t)(end - unread);
  memcpy(line, unread, size);
  line[size] = '\0';
  unread_size -= size + 1;
  memmove(unread, end + 1, unread_size);
  return 1;
}

static int read_line(char* line) {
  while (!take_line(line)) {
    if (unread_size == sizeof unread) return PMI_FAIL;
    const ssize_t got = recv(descriptor, unread + unread_size, sizeof unread - unread_size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return PMI_FAIL;
    unread_size += (size_t)got;
  }
  return PMI_SUCCESS;
}

/* The value of NAME=value in a line; NULL when it is not there. What is named value is the last of
 * its line and may hold blanks: Open MPI's are padded with them. */
static const char* member(char* line, const char* name) {
  const size_t size = strlen(name);
  for (char* at = line; at != NULL; at = strchr(at, ' ')) {
    while (*at == ' ') ++at;
    if (strncmp(at, name, size) != 0 || at[size] != '=') continue;
    char* const value = at + size + 1;
    if (strcmp(name, "value") != 0) value[strcspn(value, " ")] = '\0';
    return value;
  }
  return NULL;
}

static int succeeded(const char* line) {
  char copy[kLineMax];
  snprintf(copy, sizeof copy, "%s", line);
  const char* rc = member(copy, "rc");
  return rc == NULL || atoi(rc) == 0;
}

static int is_release(const char* line) { return strncmp(line, "cmd=barrier_out", 15) == 0; }

/* One line there, one line back. What MPI does while it waits in a barrier may ask, too: then the
 * barrier's end may come first. */
static int ask(const char* question, char* answer) {
  if (send_line(question) != PMI_SUCCESS) return PMI_FAIL;
  while (read_line(answer) == PMI_SUCCESS) {
    if (!is_release(answer)) return succeeded(answer) ? PMI_SUCCESS : PMI_FAIL;
    released = 1;
  }
  return PMI_FAIL;
}

static int ask_number(const char* question, const char* name, int* number) {
  char answer[kLineMax];
  if (ask(question, answer) != PMI_SUCCESS) return PMI_FAIL;
  const char* text = member(answer, name);
  if (text == NULL) return PMI_FAIL;
  *number = atoi(text);
  return PMI_SUCCESS;
}

/* Waits for the barrier's end and keeps MPI going meanwhile: a peer may need what this rank has
 * queued before it comes to the barrier. */
static int await_release(void) {
  struct timespec wait = {0, kFirstWaitNs};
  char line[kLineMax];
  for (int rounds = 0; !released; ++rounds) {
    if (take_line(line)) {
      if (!is_release(line)) return PMI_FAIL;
      released = 1;
      break;
    }
    struct pollfd watched = {descriptor, POLLIN, 0};
    if (rounds == 100) wait.tv_nsec = kLongWaitNs;
    const int ready = ppoll(&watched, 1, progress != NULL ? &wait : NULL, NULL);
    if (ready < 0 && errno != EINTR) return PMI_FAIL;
    if (ready > 0) {
      if (unread_size == sizeof unread) return PMI_FAIL;
      const ssize_t got = recv(descriptor, unread + unread_size, sizeof unread - unread_size, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return PMI_FAIL;
      unread_size += (size_t)got;
    } else if (progress != NULL) {
      progress();
    }
  }
  return PMI_SUCCESS;
}

EXPORT int PMI_Init(int* spawned) {
  char answer[kLineMax];
  descriptor = number_of("PMI_FD", -1);
  own_rank = number_of("PMI_RANK", 0);
  job_size = number_of("PMI_SIZE", 1);
  if (spawned != NULL) *spawned = 0;
  if (descriptor < 0) return PMI_ERR_INIT;
  if (ask("cmd=init pmi_version=1 pmi_subversion=1\n", answer) != PMI_SUCCESS) return PMI_ERR_INIT;
  if (ask("cmd=get_maxes\n", answer) != PMI_SUCCESS) return PMI_ERR_INIT;
  char copy[kLineMax];
  memcpy(copy, answer, sizeof copy);
  const char* text = member(copy, "keylen_max");
  if (text != NULL) key_max = atoi(text);
  text = member(answer, "vallen_max");
  if (text != NULL) value_max = atoi(text);
  if (ask("cmd=get_my_kvsname\n", answer) != PMI_SUCCESS) return PMI_ERR_INIT;
  text = member(answer, "kvsname");
  if (text == NULL) return PMI_ERR_INIT;
  snprintf(key_space, sizeof key_space, "%s", text);
  /* Looked up in the library that is loaded already, wherever it was loaded from. */
  void* const library = dlopen("libopen-pal.so.40", RTLD_LAZY | RTLD_NOLOAD);
  if (library != NULL) *(void**)&progress = dlsym(library, "opal_progress");
  initialized = 1;
  return PMI_SUCCESS;
}

EXPORT int PMI_Initialized(int* answer) {
  if (answer == NULL) return PMI_ERR_INVALID_ARG;
  *answer = initialized;
  return PMI_SUCCESS;
}

EXPORT int PMI_Finalize(void) {
  char answer[kLineMax];
  if (!initialized) return PMI_ERR_INIT;
  initialized = 0;
  return ask("cmd=finalize\n", answer);
}

EXPORT int PMI_Get_size(int* size) {
  *size = job_size;
  return PMI_SUCCESS;
}

EXPORT int PMI_Get_rank(int* rank) {
  *rank = own_rank;
  return PMI_SUCCESS;
}

EXPORT int PMI_Get_universe_size(int* size) {
  return ask_number("cmd=get_universe_size\n", "size", size);
}

EXPORT int PMI_Get_appnum(int* number) { return ask_number("cmd=get_appnum\n", "appnum", number); }

EXPORT int PMI_Barrier(void) {
  released = 0;
  if (send_line("cmd=barrier_in\n") != PMI_SUCCESS) return PMI_FAIL;
  return await_release();
}

/* Does not return: the step ends all ranks, this one too. */
EXPORT int PMI_Abort(int exit_code, const char message[]) {
  char line[kLineMax];
  (void)message; /* Open MPI has printed it */
  snprintf(line, sizeof line, "cmd=abort exitcode=%d\n", exit_code);
  if (descriptor >= 0 && send_line(line) == PMI_SUCCESS) {
    while (read_line(line) == PMI_SUCCESS) {
    }
  }
  _exit(exit_code);
}

EXPORT int PMI_KVS_Get_my_name(char name[], int size) {
  if (name == NULL || (int)strlen(key_space) >= size) return PMI_ERR_INVALID_LENGTH;
  memcpy(name, key_space, strlen(key_space) + 1);
  return PMI_SUCCESS;
}

EXPORT int PMI_KVS_Get_name_length_max(int* length) {
  *length = name_max;
  return PMI_SUCCESS;
}

EXPORT int PMI_KVS_Get_key_length_max(int* length) {
  *length = key_max;
  return PMI_SUCCESS;
}

EXPORT int PMI_KVS_Get_value_length_max(int* length) {
  *length = value_max;
  return PMI_SUCCESS;
}

EXPORT int PMI_KVS_Put(const char name[], const char key[], const char value[]) {
  char line[kLineMax];
  char answer[kLineMax];
  const int size =
      snprintf(line, sizeof line, "cmd=put kvsname=%s key=%s value=%s\n", name, key, value);
  if (size < 0 || size >= (int)sizeof line) return PMI_ERR_INVALID_LENGTH;
  return ask(line, answer);
}

EXPORT int PMI_KVS_Commit(const char name[]) {
  (void)name; /* keys travel with the next barrier */
  return PMI_SUCCESS;
}

EXPORT int PMI_KVS_Get(const char name[], const char key[], char value[], int size) {
  char line[kLineMax];
  char answer[kLineMax];
  const int written = snprintf(line, sizeof line, "cmd=get kvsname=%s key=%s\n", name, key);
  if (written < 0 || written >= (int)sizeof line) return PMI_ERR_INVALID_LENGTH;
  if (ask(line, answer) != PMI_SUCCESS) return PMI_FAIL;
  const char* text = member(answer, "value");
  if (text == NULL) return PMI_FAIL;
  if ((int)strlen(text) >= size) return PMI_ERR_INVALID_LENGTH;
  memcpy(value, text, strlen(text) + 1);
  return PMI_SUCCESS;
}

/* Ranks of this node: COX_PMI_LOCAL_RANKS is "0,1". */
EXPORT int PMI_Get_clique_size(int* size) {
  const char* list = getenv("COX_PMI_LOCAL_RANKS");
  *size = 1;
  for (; list != NULL && *list != '\0'; ++list) *size += *list == ',';
  return PMI_SUCCESS;
}

EXPORT int PMI_Get_clique_ranks(int ranks[], int size) {
  const char* list = getenv("COX_PMI_LOCAL_RANKS");
  int wanted = 0;
  PMI_Get_clique_size(&wanted);
  if (list == NULL || size < wanted) return PMI_ERR_INVALID_LENGTH;
  for (int i = 0; i < wanted; ++i) {
    ranks[i] = atoi(list);
    list = strchr(list, ',');
    if (list == NULL) break;
    ++list;
  }
  return PMI_SUCCESS;
}
