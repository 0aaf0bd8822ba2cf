#pragma once
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stddef.h>

/// Sets the key and the length of the tag (bytes) of a BLAKE2SMAC context. 1 on success.
static inline int mesh_blake2s_mac_start(EVP_MAC_CTX *context, const unsigned char *key, size_t key_length,
                                         size_t tag_length) {
  OSSL_PARAM parameters[2] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &tag_length),
                              OSSL_PARAM_construct_end()};
  return EVP_MAC_init(context, key, key_length, parameters);
}
