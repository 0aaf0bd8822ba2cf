#pragma once
#include <stdint.h>

/// Whether allocations are counted: with glibc only.
int mesh_counts_allocations(void);

/// How often the calling thread has asked for memory.
uint64_t mesh_allocations(void);
