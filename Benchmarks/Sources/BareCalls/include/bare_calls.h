#pragma once
#include <stddef.h>
#include <stdint.h>

/// ChaCha20-Poly1305 of one library, in loops that are all C: what a layer can cost at least.
typedef struct mesh_bare mesh_bare;

/// `backend`: 0 libsodium, 1 libcrypto, 2 intel-ipsec-mb. NULL when the library is not there.
mesh_bare *mesh_bare_make(int backend);
void mesh_bare_free(mesh_bare *bare);

/// Seals `count` messages of `length` bytes in place, each in the next of `slots` places `stride` bytes apart; the tag
/// follows the message. The first has the counter `counter`. 0 when the library failed.
int mesh_bare_seal(mesh_bare *bare, unsigned char *memory, size_t stride, size_t slots, size_t length,
                   uint64_t counter, size_t count);

/// Opens `count` messages, each after it was copied from the same place of `sealed`; place n was sealed with counter n.
int mesh_bare_open(mesh_bare *bare, unsigned char *memory, const unsigned char *sealed, size_t stride, size_t slots,
                   size_t length, size_t count);

/// Seals and opens `count` messages in place.
int mesh_bare_round_trip(mesh_bare *bare, unsigned char *memory, size_t length, uint64_t counter, size_t count);
