#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cmesh_linux.h"

int cmesh_epoll_create(void) {
  int descriptor = epoll_create1(EPOLL_CLOEXEC);
  return descriptor < 0 ? -errno : descriptor;
}

int cmesh_epoll_control(int epoll, int change, int descriptor, uint64_t token, int readable, int writable) {
  static const int operations[] = {EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
  struct epoll_event event = {.events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0), .data.u64 = token};
  return epoll_ctl(epoll, operations[change], descriptor, &event) == 0 ? 0 : -errno;
}

int cmesh_epoll_wait(int epoll, cmesh_event *events, int capacity, int64_t nanoseconds) {
  struct epoll_event ready[64];
  if (capacity > 64) capacity = 64;
  struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  int count = -1;
  errno = ENOSYS;
#ifdef SYS_epoll_pwait2
  count = (int)syscall(SYS_epoll_pwait2, epoll, ready, capacity, nanoseconds < 0 ? NULL : &timeout, NULL, 0);
#endif
  if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
    // Before Linux 5.11, or where a filter of system calls does not know it: whole milliseconds, rounded up so that a
    // deadline has passed when the wait is over.
    int64_t milliseconds = nanoseconds < 0 ? -1 : nanoseconds / 1000000 + (nanoseconds % 1000000 != 0);
    count = epoll_wait(epoll, ready, capacity, milliseconds > 1 << 30 ? 1 << 30 : (int)milliseconds);
  }
  if (count < 0) return -errno;
  for (int i = 0; i < count; i++) {
    events[i] = (cmesh_event){
        .token = ready[i].data.u64,
        .readable = (ready[i].events & EPOLLIN) != 0,
        .writable = (ready[i].events & EPOLLOUT) != 0,
        .failed = (ready[i].events & (EPOLLERR | EPOLLHUP)) != 0,
    };
  }
  return count;
}

int cmesh_eventfd_create(void) {
  int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return descriptor < 0 ? -errno : descriptor;
}

int cmesh_eventfd_ring(int descriptor) {
  uint64_t one = 1;
  return write(descriptor, &one, sizeof one) == sizeof one ? 0 : -errno;
}

int cmesh_eventfd_clear(int descriptor) {
  uint64_t count;
  return read(descriptor, &count, sizeof count) == sizeof count ? 0 : -errno;
}

int64_t cmesh_boottime(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void cmesh_realtime(int64_t *seconds, uint32_t *nanoseconds) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *seconds = now.tv_sec;
  *nanoseconds = (uint32_t)now.tv_nsec;
}

void cmesh_thread_setup(const char *name) {
  char shortened[16] = {0};
  strncpy(shortened, name, sizeof shortened - 1);
  pthread_setname_np(pthread_self(), shortened);
  prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
}
