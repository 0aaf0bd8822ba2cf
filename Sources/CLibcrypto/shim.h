#pragma once
#ifndef OPENSSL_SUPPRESS_DEPRECATED
// The hash states that can be copied without allocation (SHA_CTX, SHA256_CTX) are among what OpenSSL 3 calls deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <stddef.h>
#include <string.h>

/// Sets the key and the length of the tag (bytes) of a BLAKE2SMAC context. 1 on success.
static inline int mesh_blake2s_mac_start(EVP_MAC_CTX *context, const unsigned char *key, size_t key_length,
                                         size_t tag_length) {
  OSSL_PARAM parameters[2] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &tag_length),
                              OSSL_PARAM_construct_end()};
  return EVP_MAC_init(context, key, key_length, parameters);
}

/// HMAC-SHA1 and HMAC-SHA256 (RFC 2104) with the key's two blocks already hashed in: computing a code copies a state and
/// allocates nothing. To be wiped with OPENSSL_cleanse.
struct mesh_hmac_key {
  SHA_CTX sha1_inner, sha1_outer;
  SHA256_CTX sha256_inner, sha256_outer;
};

static inline void mesh_hmac_key_set(struct mesh_hmac_key *key, const unsigned char *bytes, size_t length) {
  unsigned char block[64], hashed[SHA256_DIGEST_LENGTH];
  size_t index;
  memset(block, 0, sizeof block);
  if (length > sizeof block) {
    SHA1(bytes, length, hashed);
    memcpy(block, hashed, SHA_DIGEST_LENGTH);
  } else if (length != 0) {
    memcpy(block, bytes, length);
  }
  for (index = 0; index < sizeof block; index++) block[index] ^= 0x36;
  SHA1_Init(&key->sha1_inner);
  SHA1_Update(&key->sha1_inner, block, sizeof block);
  for (index = 0; index < sizeof block; index++) block[index] ^= 0x36 ^ 0x5c;
  SHA1_Init(&key->sha1_outer);
  SHA1_Update(&key->sha1_outer, block, sizeof block);

  memset(block, 0, sizeof block);
  if (length > sizeof block) {
    SHA256(bytes, length, hashed);
    memcpy(block, hashed, SHA256_DIGEST_LENGTH);
  } else if (length != 0) {
    memcpy(block, bytes, length);
  }
  for (index = 0; index < sizeof block; index++) block[index] ^= 0x36;
  SHA256_Init(&key->sha256_inner);
  SHA256_Update(&key->sha256_inner, block, sizeof block);
  for (index = 0; index < sizeof block; index++) block[index] ^= 0x36 ^ 0x5c;
  SHA256_Init(&key->sha256_outer);
  SHA256_Update(&key->sha256_outer, block, sizeof block);
  OPENSSL_cleanse(block, sizeof block);
  OPENSSL_cleanse(hashed, sizeof hashed);
}

/// The code of `first` and `second`, one behind the other. `code` takes 20 bytes.
static inline void mesh_hmac_sha1(const struct mesh_hmac_key *key, const void *first, size_t first_length,
                                  const void *second, size_t second_length, unsigned char *code) {
  SHA_CTX state = key->sha1_inner;
  if (first_length != 0) SHA1_Update(&state, first, first_length);
  if (second_length != 0) SHA1_Update(&state, second, second_length);
  SHA1_Final(code, &state);
  state = key->sha1_outer;
  SHA1_Update(&state, code, SHA_DIGEST_LENGTH);
  SHA1_Final(code, &state);
}

/// The code of `first` and `second`, one behind the other. `code` takes 32 bytes.
static inline void mesh_hmac_sha256(const struct mesh_hmac_key *key, const void *first, size_t first_length,
                                    const void *second, size_t second_length, unsigned char *code) {
  SHA256_CTX state = key->sha256_inner;
  if (first_length != 0) SHA256_Update(&state, first, first_length);
  if (second_length != 0) SHA256_Update(&state, second, second_length);
  SHA256_Final(code, &state);
  state = key->sha256_outer;
  SHA256_Update(&state, code, SHA256_DIGEST_LENGTH);
  SHA256_Final(code, &state);
}
