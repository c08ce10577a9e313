/*
 * Preloaded into a process, it lets the wall clock jump: the time of day is what the system says
 * plus the nanoseconds that the file RAFT_KV_TEST_CLOCK holds at that moment. The monotonic clock,
 * which leases and timers live by, is left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#define SECOND 1000000000LL

static int (*system_clock)(clockid_t, struct timespec *);
static volatile const int64_t *jump;

__attribute__((constructor)) static void open_clock(void) {
  system_clock = dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("RAFT_KV_TEST_CLOCK");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) jump = page;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (system_clock == NULL) open_clock();
  int result = system_clock(clock, time);
  if (result != 0 || jump == NULL) return result;
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return result;
  int64_t now = time->tv_sec * SECOND + time->tv_nsec + *jump;
  time->tv_sec = now / SECOND;
  time->tv_nsec = now % SECOND;
  return result;
}

int gettimeofday(struct timeval *time, void *zone) {
  (void)zone;
  struct timespec now;
  int result = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return result;
}
