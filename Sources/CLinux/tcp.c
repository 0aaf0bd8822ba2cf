#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "cmesh_linux.h"

static int open_socket(int family) {
  int descriptor = socket(family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return descriptor < 0 ? -errno : descriptor;
}

int cmesh_tcp_listen(const cmesh_address *address) {
  int family = address->family == 0 ? 46 : address->family;
  int descriptor = open_socket(family);
  if (descriptor == -EAFNOSUPPORT && family == 46) {
    family = 4;
    descriptor = open_socket(family);
  }
  if (descriptor < 0) return descriptor;
  int on = 1, off = family == 6;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family != 4) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  struct sockaddr_storage to;
  cmesh_address any = *address;
  if (any.family == 0) any.family = family == 4 ? 4 : 6;
  socklen_t length = cmesh_to_sockaddr(&to, &any, family);
  if (bind(descriptor, (struct sockaddr *)&to, length) == 0 && listen(descriptor, 128) == 0) return descriptor;
  int result = -errno;
  close(descriptor);
  return result;
}

int cmesh_tcp_accept(int listener, cmesh_address *peer) {
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  int descriptor = accept4(listener, (struct sockaddr *)&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (descriptor < 0) return -errno;
  int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  cmesh_from_sockaddr(peer, &name);
  return descriptor;
}

int cmesh_tcp_connect(const cmesh_address *address) {
  int descriptor = open_socket(address->family);
  if (descriptor < 0) return descriptor;
  int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_storage to;
  socklen_t length = cmesh_to_sockaddr(&to, address, address->family);
  if (connect(descriptor, (struct sockaddr *)&to, length) == 0 || errno == EINPROGRESS) return descriptor;
  int result = -errno;
  close(descriptor);
  return result;
}

int cmesh_tcp_error(int descriptor) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return -errno;
  return -error;
}

int64_t cmesh_tcp_read(int descriptor, void *bytes, size_t count) {
  ssize_t result = recv(descriptor, bytes, count, 0);
  return result < 0 ? -errno : result;
}

int64_t cmesh_tcp_write(int descriptor, const void *bytes, size_t count) {
  ssize_t result = send(descriptor, bytes, count, MSG_NOSIGNAL);
  return result < 0 ? -errno : result;
}
