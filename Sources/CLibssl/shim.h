#pragma once
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// Macros with casts, which Swift does not import.
static inline long cmesh_ssl_set_server_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name); }
static inline long cmesh_ssl_require_tls12(SSL *ssl) { return SSL_set_min_proto_version(ssl, TLS1_2_VERSION); }
