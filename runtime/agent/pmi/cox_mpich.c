/* Preloaded into ranks of MPICH programs. MPICH 4.0 over UCX waits in MPI_Finalize until each peer
 * has answered the end of their connection, but a peer that is there already waits for a line of
 * PMI-1 and answers nothing: between nodes it hangs, under its own launcher too. Here, whoever
 * waits for a line of PMI-1 keeps UCX going meanwhile. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { kWaitNs = 100000 };

static int pmi_descriptor = -1;
static void* worker; /* MPICH has one, used by the thread that finalizes */

static void* next(const char* name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
  const char* descriptor = getenv("PMI_FD");
  const char* preload = getenv("LD_PRELOAD");
  if (descriptor != NULL) pmi_descriptor = atoi(descriptor);
  /* What the rank starts is none of ours. */
  if (preload != NULL && strchr(preload, ':') == NULL) unsetenv("LD_PRELOAD");
}

EXPORT int ucp_worker_create(void* context, const void* params, void** created) {
  int (*real)(void*, const void*, void**);
  *(void**)&real = next("ucp_worker_create");
  const int status = real(context, params, created);
  if (status == 0) worker = *created;
  return status;
}

EXPORT void ucp_worker_destroy(void* which) {
  void (*real)(void*);
  *(void**)&real = next("ucp_worker_destroy");
  if (which == worker) worker = NULL;
  real(which);
}

EXPORT ssize_t read(int descriptor, void* buffer, size_t size) {
  static unsigned (*progress)(void*);
  if (descriptor == pmi_descriptor && worker != NULL) {
    if (progress == NULL) *(void**)&progress = next("ucp_worker_progress");
    const struct timespec wait = {0, kWaitNs};
    struct pollfd watched = {descriptor, POLLIN, 0};
    while (progress != NULL && worker != NULL && ppoll(&watched, 1, &wait, NULL) == 0) {
      progress(worker);
    }
  }
  return syscall(SYS_read, descriptor, buffer, size);
}
