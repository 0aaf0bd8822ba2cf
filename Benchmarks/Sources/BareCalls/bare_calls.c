#include "bare_calls.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<intel-ipsec-mb.h>)
#define HAS_IPSEC_MB 1
#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#endif
#endif

struct mesh_bare {
  int backend;
  unsigned char key[32];
  EVP_CIPHER_CTX *sealing, *opening;
  void *manager;
};

#ifdef HAS_IPSEC_MB
static void *make_manager(void) {
  void *library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return NULL;
  unsigned (*version)(void) = (unsigned (*)(void))dlsym(library, "imb_get_version");
  IMB_MGR *(*allocate)(uint64_t) = (IMB_MGR * (*)(uint64_t)) dlsym(library, "alloc_mb_mgr");
  void (*start)(IMB_MGR *, IMB_ARCH *) = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(library, "init_mb_mgr_auto");
  if (version == NULL || allocate == NULL || start == NULL || (version() >> 8) != (IMB_VERSION_NUM >> 8)) return NULL;
  IMB_MGR *manager = allocate(0);
  if (manager != NULL) start(manager, NULL);
  return manager;
}

static int run_job(const mesh_bare *bare, int seals, unsigned char *text, size_t length, const unsigned char *nonce,
                   unsigned char *tag) {
  IMB_MGR *manager = (IMB_MGR *)bare->manager;
  IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
  job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
  job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
  job->cipher_direction = seals ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
  job->chain_order = seals ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
  job->enc_keys = job->dec_keys = bare->key;
  job->key_len_in_bytes = 32;
  job->iv = nonce;
  job->iv_len_in_bytes = 12;
  job->src = job->dst = text;
  job->cipher_start_src_offset_in_bytes = job->hash_start_src_offset_in_bytes = 0;
  job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = length;
  job->u.CHACHA20_POLY1305.aad = nonce;  // of no bytes
  job->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
  job->u.CHACHA20_POLY1305.ctx = NULL;
  job->auth_tag_output = tag;
  job->auth_tag_output_len_in_bytes = 16;
  IMB_JOB *done = IMB_SUBMIT_JOB_NOCHECK(manager);
  return done == job && done->status == IMB_STATUS_COMPLETED;
}
#else
static void *make_manager(void) { return NULL; }
static int run_job(const mesh_bare *bare, int seals, unsigned char *text, size_t length, const unsigned char *nonce,
                   unsigned char *tag) {
  (void)bare, (void)seals, (void)text, (void)length, (void)nonce, (void)tag;
  return 0;
}
#endif

mesh_bare *mesh_bare_make(int backend) {
  if (sodium_init() < 0) return NULL;
  mesh_bare *bare = calloc(1, sizeof *bare);
  if (bare == NULL) return NULL;
  bare->backend = backend;
  randombytes_buf(bare->key, sizeof bare->key);
  if (backend == 1) {
    bare->sealing = EVP_CIPHER_CTX_new();
    bare->opening = EVP_CIPHER_CTX_new();
    if (EVP_EncryptInit_ex(bare->sealing, EVP_chacha20_poly1305(), NULL, bare->key, NULL) == 1 &&
        EVP_DecryptInit_ex(bare->opening, EVP_chacha20_poly1305(), NULL, bare->key, NULL) == 1) {
      return bare;
    }
  } else if (backend == 2) {
    bare->manager = make_manager();
    if (bare->manager != NULL) return bare;
  } else {
    return bare;
  }
  mesh_bare_free(bare);
  return NULL;
}

void mesh_bare_free(mesh_bare *bare) {
  EVP_CIPHER_CTX_free(bare->sealing);
  EVP_CIPHER_CTX_free(bare->opening);
  free(bare);  // a manager stays until the process ends
}

static void set_nonce(unsigned char *nonce, uint64_t counter) {
  memset(nonce, 0, 4);
  memcpy(nonce + 4, &counter, 8);
}

static int seal(const mesh_bare *bare, unsigned char *text, size_t length, uint64_t counter) {
  unsigned char nonce[12];
  int written;
  set_nonce(nonce, counter);
  switch (bare->backend) {
    case 0:
      return crypto_aead_chacha20poly1305_ietf_encrypt_detached(text, text + length, NULL, text, length, NULL, 0, NULL,
                                                                nonce, bare->key) == 0;
    case 1:
      return EVP_EncryptInit_ex(bare->sealing, NULL, NULL, NULL, nonce) == 1 &&
             EVP_EncryptUpdate(bare->sealing, text, &written, text, (int)length) == 1 &&
             EVP_EncryptFinal_ex(bare->sealing, text + length, &written) == 1 &&
             EVP_CIPHER_CTX_ctrl(bare->sealing, EVP_CTRL_AEAD_GET_TAG, 16, text + length) == 1;
    default: return run_job(bare, 1, text, length, nonce, text + length);
  }
}

static int open_sealed(const mesh_bare *bare, unsigned char *text, size_t length, uint64_t counter) {
  unsigned char nonce[12], tag[16];
  int written;
  set_nonce(nonce, counter);
  switch (bare->backend) {
    case 0:
      return crypto_aead_chacha20poly1305_ietf_decrypt_detached(text, NULL, text, length, text + length, NULL, 0, nonce,
                                                                bare->key) == 0;
    case 1:
      return EVP_DecryptInit_ex(bare->opening, NULL, NULL, NULL, nonce) == 1 &&
             EVP_CIPHER_CTX_ctrl(bare->opening, EVP_CTRL_AEAD_SET_TAG, 16, text + length) == 1 &&
             EVP_DecryptUpdate(bare->opening, text, &written, text, (int)length) == 1 &&
             EVP_DecryptFinal_ex(bare->opening, tag, &written) > 0;
    default:
      return run_job(bare, 0, text, length, nonce, tag) && sodium_memcmp(tag, text + length, 16) == 0;
  }
}

int mesh_bare_seal(mesh_bare *bare, unsigned char *memory, size_t stride, size_t slots, size_t length,
                   uint64_t counter, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!seal(bare, memory + i % slots * stride, length, counter + i)) return 0;
  }
  return 1;
}

int mesh_bare_open(mesh_bare *bare, unsigned char *memory, const unsigned char *sealed, size_t stride, size_t slots,
                   size_t length, size_t count) {
  for (size_t i = 0; i < count; i++) {
    size_t place = i % slots;
    memcpy(memory + place * stride, sealed + place * stride, length + 16);
    if (!open_sealed(bare, memory + place * stride, length, place)) return 0;
  }
  return 1;
}

int mesh_bare_round_trip(mesh_bare *bare, unsigned char *memory, size_t length, uint64_t counter, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!seal(bare, memory, length, counter + i) || !open_sealed(bare, memory, length, counter + i)) return 0;
  }
  return 1;
}
