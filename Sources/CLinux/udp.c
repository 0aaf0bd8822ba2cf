#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "cmesh_linux.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

enum { BOTH = 46, CONTROL_BYTES = 256, MAX_SINGLE = 64 };

static uint64_t load64(const uint8_t *bytes) {
  uint64_t value;
  memcpy(&value, bytes, 8);
  return be64toh(value);
}

static void store64(uint8_t *bytes, uint64_t value) {
  value = htobe64(value);
  memcpy(bytes, &value, 8);
}

static void from_in6(cmesh_address *address, const struct in6_addr *in6) {
  address->high = load64(in6->s6_addr);
  address->low = load64(in6->s6_addr + 8);
  address->family = 6;
  if (address->high == 0 && address->low >> 32 == 0xFFFF) {
    address->low &= 0xFFFFFFFF;
    address->family = 4;
  }
}

void cmesh_from_sockaddr(cmesh_address *address, const struct sockaddr_storage *from) {
  memset(address, 0, sizeof *address);
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)from;
    address->low = ntohl(in->sin_addr.s_addr);
    address->port = ntohs(in->sin_port);
    address->family = 4;
  } else if (from->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
    from_in6(address, &in6->sin6_addr);
    address->port = ntohs(in6->sin6_port);
    address->scope = IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) ? in6->sin6_scope_id : 0;
  }
}

static void to_in6(struct in6_addr *in6, const cmesh_address *address) {
  store64(in6->s6_addr, address->family == 6 ? address->high : 0);
  store64(in6->s6_addr + 8, address->family == 6 ? address->low : address->low | 0xFFFF00000000ULL);
}

socklen_t cmesh_to_sockaddr(struct sockaddr_storage *to, const cmesh_address *address, int family) {
  memset(to, 0, sizeof(struct sockaddr_in6));
  if (family == 4) {
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    in->sin_family = AF_INET;
    in->sin_port = htons(address->port);
    in->sin_addr.s_addr = htonl((uint32_t)address->low);
    return sizeof *in;
  }
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(address->port);
  in6->sin6_scope_id = address->scope;
  to_in6(&in6->sin6_addr, address);
  return sizeof *in6;
}

static int set(int descriptor, int level, int option, int value) {
  return setsockopt(descriptor, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

int cmesh_udp_set_fragmentation(int descriptor, int family, int allowed) {
  int result = 0;
  if (family != 6)
    result = set(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, allowed ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
  if (family != 4 && result == 0)
    result = set(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, allowed ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE);
  return result;
}

static int configure(int descriptor, int family, int buffer_bytes) {
  int result = 0;
  if (family != 4) {
    result = set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, family == 6);
    if (result == 0) result = set(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (result == 0) result = set(descriptor, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  }
  if (family != 6) {
    if (result == 0) result = set(descriptor, IPPROTO_IP, IP_PKTINFO, 1);
    if (result == 0) result = set(descriptor, IPPROTO_IP, IP_RECVTOS, 1);
  }
  if (result == 0) result = cmesh_udp_set_fragmentation(descriptor, family, 0);
  // The rest makes it faster where the kernel has it.
  set(descriptor, SOL_UDP, UDP_GRO, 1);
  if (set(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes) != 0)
    set(descriptor, SOL_SOCKET, SO_RCVBUF, buffer_bytes);
  if (set(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, buffer_bytes) != 0)
    set(descriptor, SOL_SOCKET, SO_SNDBUF, buffer_bytes);
  return result;
}

static int open_family(const cmesh_address *address, int buffer_bytes, int family) {
  int descriptor = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  int result = configure(descriptor, family, buffer_bytes);
  if (result == 0) {
    struct sockaddr_storage to;
    cmesh_address any = *address;
    if (any.family == 0) any.family = family == 4 ? 4 : 6;
    socklen_t length = cmesh_to_sockaddr(&to, &any, family);
    if (bind(descriptor, (struct sockaddr *)&to, length) != 0) result = -errno;
  }
  if (result == 0) return descriptor;
  close(descriptor);
  return result;
}

int cmesh_udp_open(const cmesh_address *address, int buffer_bytes, int *family) {
  *family = address->family == 0 ? BOTH : address->family;
  int result = open_family(address, buffer_bytes, *family);
  if (address->family == 0 && (result == -EAFNOSUPPORT || result == -EADDRNOTAVAIL)) {
    *family = 4;
    result = open_family(address, buffer_bytes, 4);
  }
  return result;
}

int cmesh_udp_local(int descriptor, cmesh_address *local) {
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  if (getsockname(descriptor, (struct sockaddr *)&name, &length) != 0) return -errno;
  cmesh_from_sockaddr(local, &name);
  return 0;
}

int cmesh_udp_route(const cmesh_address *destination, cmesh_address *source) {
  int family = destination->family == 4 ? 4 : 6;
  int descriptor = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  struct sockaddr_storage to;
  socklen_t length = cmesh_to_sockaddr(&to, destination, family);
  int result = connect(descriptor, (struct sockaddr *)&to, length) == 0 ? cmesh_udp_local(descriptor, source) : -errno;
  close(descriptor);
  return result;
}

int cmesh_udp_has_gro(int descriptor) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(descriptor, SOL_UDP, UDP_GRO, &value, &length) == 0 && value != 0;
}

int cmesh_close(int descriptor) { return close(descriptor) == 0 ? 0 : -errno; }

// MARK: Receiving

struct cmesh_receive_batch {
  int messages;
  size_t bytes_each;
  struct mmsghdr *headers;
  struct iovec *vectors;
  struct sockaddr_storage *names;
  uint8_t (*controls)[CONTROL_BYTES];
  cmesh_received *received;
  uint8_t *bytes;
};

cmesh_receive_batch *cmesh_receive_batch_create(int messages, size_t bytes_each) {
  cmesh_receive_batch *batch = calloc(1, sizeof *batch);
  if (batch == NULL) return NULL;
  batch->messages = messages;
  batch->bytes_each = bytes_each;
  batch->headers = calloc((size_t)messages, sizeof *batch->headers);
  batch->vectors = calloc((size_t)messages, sizeof *batch->vectors);
  batch->names = calloc((size_t)messages, sizeof *batch->names);
  batch->controls = calloc((size_t)messages, sizeof *batch->controls);
  batch->received = calloc((size_t)messages, sizeof *batch->received);
  batch->bytes = calloc((size_t)messages, bytes_each);
  if (!batch->headers || !batch->vectors || !batch->names || !batch->controls || !batch->received || !batch->bytes) {
    cmesh_receive_batch_destroy(batch);
    return NULL;
  }
  return batch;
}

void cmesh_receive_batch_destroy(cmesh_receive_batch *batch) {
  free(batch->headers);
  free(batch->vectors);
  free(batch->names);
  free(batch->controls);
  free(batch->received);
  free(batch->bytes);
  free(batch);
}

const cmesh_received *cmesh_receive_batch_message(const cmesh_receive_batch *batch, int index) {
  return &batch->received[index];
}

uint8_t *cmesh_receive_batch_bytes(cmesh_receive_batch *batch, int index) {
  return batch->bytes + (size_t)index * batch->bytes_each;
}

static void describe(cmesh_received *received, struct mmsghdr *header) {
  struct msghdr *message = &header->msg_hdr;
  memset(received, 0, sizeof *received);
  cmesh_from_sockaddr(&received->source, message->msg_name);
  received->length = header->msg_len;
  received->segment = header->msg_len;
  received->truncated = (message->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int segment;
      memcpy(&segment, CMSG_DATA(c), sizeof segment);
      if (segment > 0 && (uint32_t)segment < received->length) received->segment = (uint32_t)segment;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      memcpy(&received->traffic_class, CMSG_DATA(c), 1);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      int value;
      memcpy(&value, CMSG_DATA(c), sizeof value);
      received->traffic_class = (uint8_t)value;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(c), sizeof info);
      // Not the header's destination, which may be a broadcast address: answers come from here.
      received->local.high = 0;
      received->local.low = ntohl(info.ipi_spec_dst.s_addr);
      received->local.scope = 0;
      received->local.family = 4;
      received->interface = (uint32_t)info.ipi_ifindex;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(c), sizeof info);
      if (received->local.family == 4) continue;  // IPv4 through a socket of both families says it twice
      from_in6(&received->local, &info.ipi6_addr);
      received->interface = info.ipi6_ifindex;
      received->local.scope = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
    }
  }
}

int cmesh_receive(cmesh_receive_batch *batch, int descriptor) {
  for (int i = 0; i < batch->messages; i++) {
    batch->vectors[i] = (struct iovec){cmesh_receive_batch_bytes(batch, i), batch->bytes_each};
    batch->headers[i].msg_hdr = (struct msghdr){
        .msg_name = &batch->names[i],
        .msg_namelen = sizeof batch->names[i],
        .msg_iov = &batch->vectors[i],
        .msg_iovlen = 1,
        .msg_control = batch->controls[i],
        .msg_controllen = CONTROL_BYTES,
    };
  }
  int count = recvmmsg(descriptor, batch->headers, (unsigned)batch->messages, MSG_DONTWAIT, NULL);
  if (count < 0) return -errno;
  for (int i = 0; i < count; i++) describe(&batch->received[i], &batch->headers[i]);
  return count;
}

// MARK: Sending

struct cmesh_send_batch {
  int runs;
  size_t bytes_each;
  cmesh_run *run;
  uint8_t *bytes;
  int headers_count;
  struct mmsghdr *headers;
  struct iovec *vectors;
  struct sockaddr_storage *names;
  uint8_t (*controls)[CONTROL_BYTES];
};

cmesh_send_batch *cmesh_send_batch_create(int runs, size_t bytes_each) {
  cmesh_send_batch *batch = calloc(1, sizeof *batch);
  if (batch == NULL) return NULL;
  batch->runs = runs;
  batch->bytes_each = bytes_each;
  batch->headers_count = runs > MAX_SINGLE ? runs : MAX_SINGLE;
  size_t headers = (size_t)batch->headers_count;
  batch->run = calloc((size_t)runs, sizeof *batch->run);
  batch->bytes = calloc((size_t)runs, bytes_each);
  batch->headers = calloc(headers, sizeof *batch->headers);
  batch->vectors = calloc(headers, sizeof *batch->vectors);
  batch->names = calloc(headers, sizeof *batch->names);
  batch->controls = calloc(headers, sizeof *batch->controls);
  if (!batch->run || !batch->bytes || !batch->headers || !batch->vectors || !batch->names || !batch->controls) {
    cmesh_send_batch_destroy(batch);
    return NULL;
  }
  return batch;
}

void cmesh_send_batch_destroy(cmesh_send_batch *batch) {
  free(batch->run);
  free(batch->bytes);
  free(batch->headers);
  free(batch->vectors);
  free(batch->names);
  free(batch->controls);
  free(batch);
}

cmesh_run *cmesh_send_batch_run(cmesh_send_batch *batch, int index) { return &batch->run[index]; }

uint8_t *cmesh_send_batch_bytes(cmesh_send_batch *batch, int index) {
  return batch->bytes + (size_t)index * batch->bytes_each;
}

static void append(struct msghdr *message, int level, int type, const void *data, size_t length) {
  // CMSG_NXTHDR would read what is not written yet: the next header begins where the written ones end.
  struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)message->msg_control + message->msg_controllen);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(length);
  memcpy(CMSG_DATA(c), data, length);
  message->msg_controllen += CMSG_SPACE(length);
}

static void prepare(cmesh_send_batch *batch, int slot, const cmesh_run *run, uint8_t *bytes, uint32_t length,
                    int segmented, int family) {
  struct msghdr *message = &batch->headers[slot].msg_hdr;
  batch->vectors[slot] = (struct iovec){bytes, length};
  memset(batch->controls[slot], 0, CONTROL_BYTES);
  *message = (struct msghdr){
      .msg_name = &batch->names[slot],
      .msg_namelen = cmesh_to_sockaddr(&batch->names[slot], &run->destination, family),
      .msg_iov = &batch->vectors[slot],
      .msg_iovlen = 1,
      .msg_control = batch->controls[slot],
      .msg_controllen = 0,
  };
  if (segmented) {
    uint16_t segment = (uint16_t)run->segment;
    append(message, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
  }
  int is_v4 = run->destination.family == 4;
  if (run->traffic_class != 0) {
    int value = run->traffic_class;
    if (is_v4)
      append(message, IPPROTO_IP, IP_TOS, &value, sizeof value);
    else
      append(message, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value);
  }
  if (run->source.family == run->destination.family) {
    if (is_v4) {
      struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl((uint32_t)run->source.low)};
      append(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
      struct in6_pktinfo info = {.ipi6_ifindex = run->source.scope};
      to_in6(&info.ipi6_addr, &run->source);
      append(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
  }
  if (message->msg_controllen == 0) message->msg_control = NULL;
}

static int send_prepared(cmesh_send_batch *batch, int descriptor, int count) {
  int sent = sendmmsg(descriptor, batch->headers, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -errno : sent;
}

// A destination that the socket's family cannot reach is refused as the kernel would.
static int reachable(const cmesh_run *run, int family) {
  return family == BOTH || run->destination.family == family;
}

int cmesh_send_runs(cmesh_send_batch *batch, int descriptor, int family, int first, int count) {
  int prepared = 0;
  for (; prepared < count; prepared++) {
    const cmesh_run *run = &batch->run[first + prepared];
    if (!reachable(run, family)) break;
    prepare(batch, prepared, run, cmesh_send_batch_bytes(batch, first + prepared), run->length,
            run->length > run->segment, family);
  }
  return prepared == 0 ? -EAFNOSUPPORT : send_prepared(batch, descriptor, prepared);
}

int cmesh_send_single(cmesh_send_batch *batch, int descriptor, int family, int index) {
  cmesh_run *run = &batch->run[index];
  if (!reachable(run, family)) return -EAFNOSUPPORT;
  uint8_t *bytes = cmesh_send_batch_bytes(batch, index);
  uint32_t offset = run->sent;
  int count = 0;
  while (offset < run->length && count < MAX_SINGLE) {
    uint32_t length = run->length - offset < run->segment ? run->length - offset : run->segment;
    prepare(batch, count++, run, bytes + offset, length, 0, family);
    offset += length;
  }
  int sent = send_prepared(batch, descriptor, count);
  for (int i = 0; i < sent; i++) run->sent += (uint32_t)batch->vectors[i].iov_len;
  return sent;
}
