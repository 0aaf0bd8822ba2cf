#pragma once
#include <sodium.h>
#include <stddef.h>
#include <sys/mman.h>

#if defined(__linux__) && !defined(MADV_WIPEONFORK)
#define MADV_WIPEONFORK 18
#endif

/// Keeps the pages out of forked children: they read zeros there. `address` and `length` are rounded out to pages
/// of the size `page`.
static inline void mesh_secret_wipe_on_fork(void *address, size_t length, size_t page) {
#ifdef MADV_WIPEONFORK
  size_t start = (size_t)address & ~(page - 1);
  size_t end = ((size_t)address + length + page - 1) & ~(page - 1);
  (void)madvise((void *)start, end - start, MADV_WIPEONFORK);
#else
  (void)address, (void)length, (void)page;
#endif
}

/// Zeroed pages of their own, or NULL.
static inline void *mesh_secret_map(size_t length) {
  void *address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return address == MAP_FAILED ? NULL : address;
}

static inline void mesh_secret_unmap(void *address, size_t length) { (void)munmap(address, length); }
