#pragma once
// Intel's Multi-Buffer Crypto for IPSec, if its header is there when this is compiled and its library when this runs.
// Nothing links against it.
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<intel-ipsec-mb.h>)
#define MESH_HAS_IPSEC_MB 1
#endif
#endif

#ifdef MESH_HAS_IPSEC_MB
#include <dlfcn.h>
#include <intel-ipsec-mb.h>

static inline void *mesh_ipsec_mb_library(void) { return dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL); }

/// A manager, which one thread at a time may use, or NULL. The library's structures change between releases under one
/// soname, so it must be the release that this was compiled for.
static inline void *mesh_ipsec_mb_make(void) {
  void *library = mesh_ipsec_mb_library();
  if (library == NULL) return NULL;
  unsigned (*version)(void) = (unsigned (*)(void))dlsym(library, "imb_get_version");
  IMB_MGR *(*allocate)(uint64_t) = (IMB_MGR * (*)(uint64_t)) dlsym(library, "alloc_mb_mgr");
  void (*start)(IMB_MGR *, IMB_ARCH *) = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(library, "init_mb_mgr_auto");
  if (version == NULL || allocate == NULL || start == NULL || (version() >> 8) != (IMB_VERSION_NUM >> 8)) return NULL;
  IMB_MGR *manager = allocate(0);
  if (manager == NULL) return NULL;
  IMB_ARCH architecture = IMB_ARCH_NONE;
  start(manager, &architecture);
  return manager;
}

static inline void mesh_ipsec_mb_free(void *manager) {
  void *library = mesh_ipsec_mb_library();
  if (library == NULL) return;
  void (*release)(IMB_MGR *) = (void (*)(IMB_MGR *))dlsym(library, "free_mb_mgr");
  if (release != NULL) release((IMB_MGR *)manager);
}

/// ChaCha20-Poly1305 in place. Writes the 16-byte tag of the ciphertext to `tag`, also when it decrypts: the caller
/// compares. 1 on success.
static inline int mesh_ipsec_mb_run(void *opaque, int encrypts, const unsigned char *key, const unsigned char *nonce,
                                    unsigned char *text, size_t length, unsigned char *tag) {
  IMB_MGR *manager = (IMB_MGR *)opaque;
  IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
  job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
  job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
  job->cipher_direction = encrypts ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
  job->chain_order = encrypts ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
  job->enc_keys = key;
  job->dec_keys = key;
  job->key_len_in_bytes = 32;
  job->iv = nonce;
  job->iv_len_in_bytes = 12;
  job->src = text;
  job->dst = text;
  job->cipher_start_src_offset_in_bytes = 0;
  job->msg_len_to_cipher_in_bytes = length;
  job->hash_start_src_offset_in_bytes = 0;
  job->msg_len_to_hash_in_bytes = length;
  job->u.CHACHA20_POLY1305.aad = nonce;  // of no bytes
  job->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
  job->u.CHACHA20_POLY1305.ctx = NULL;
  job->auth_tag_output = tag;
  job->auth_tag_output_len_in_bytes = 16;
  IMB_JOB *done = IMB_SUBMIT_JOB_NOCHECK(manager);
  return done == job && done->status == IMB_STATUS_COMPLETED;
}
#else
static inline void *mesh_ipsec_mb_make(void) { return NULL; }
static inline void mesh_ipsec_mb_free(void *manager) { (void)manager; }
static inline int mesh_ipsec_mb_run(void *manager, int encrypts, const unsigned char *key, const unsigned char *nonce,
                                    unsigned char *text, size_t length, unsigned char *tag) {
  (void)manager, (void)encrypts, (void)key, (void)nonce, (void)text, (void)length, (void)tag;
  return 0;
}
#endif
