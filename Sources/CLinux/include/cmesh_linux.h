// System calls of Linux that Swift cannot make by itself: their structures and macros are not importable.
// Every function that can fail returns -errno. Nothing here keeps state but the two batches.
#pragma once
#include <stddef.h>
#include <stdint.h>

// An address as the stack keeps it: the bits of IPv4 in `low`, of IPv6 in both, as numbers of this machine.
// An IPv4-mapped IPv6 address never appears: it is IPv4.
typedef struct cmesh_address {
  uint64_t high;
  uint64_t low;
  uint32_t scope;  // of a link-local IPv6 address, else 0
  uint16_t port;
  uint8_t family;  // 4, 6, or 0 for none
} cmesh_address;

// MARK: UDP sockets

// Opens a nonblocking UDP socket and binds it. `address->family` 0 is both families, or IPv4 alone where there is no
// IPv6. Sets `*family` to 46 (both), 4 or 6. Returns the descriptor.
int cmesh_udp_open(const cmesh_address *address, int buffer_bytes, int *family);
int cmesh_udp_local(int descriptor, cmesh_address *local);
// The address of this machine that datagrams to `destination` leave from. Sends nothing.
int cmesh_udp_route(const cmesh_address *destination, cmesh_address *source);
// Whether sent datagrams may be fragmented on their way (DF off), for all sends from now on.
int cmesh_udp_set_fragmentation(int descriptor, int family, int allowed);
// Whether a socket has UDP_GRO.
int cmesh_udp_has_gro(int descriptor);
int cmesh_close(int descriptor);

// MARK: Receiving

typedef struct cmesh_received {
  cmesh_address source;
  cmesh_address local;  // where it was sent to; port 0
  uint32_t length;      // bytes of the message
  uint32_t segment;     // bytes of each datagram in it but the last
  uint32_t interface;   // index of the interface that it came by; 0 unknown
  uint8_t traffic_class;
  uint8_t truncated;
} cmesh_received;

typedef struct cmesh_receive_batch cmesh_receive_batch;

cmesh_receive_batch *cmesh_receive_batch_create(int messages, size_t bytes_each);
void cmesh_receive_batch_destroy(cmesh_receive_batch *batch);
// Fills the batch with what is there, without waiting. Returns the number of messages.
int cmesh_receive(cmesh_receive_batch *batch, int descriptor);
const cmesh_received *cmesh_receive_batch_message(const cmesh_receive_batch *batch, int index);
uint8_t *cmesh_receive_batch_bytes(cmesh_receive_batch *batch, int index);

// MARK: Sending

// Datagrams of one size (the last may be shorter), to one destination, back to back in one buffer.
typedef struct cmesh_run {
  cmesh_address destination;
  cmesh_address source;  // family 0: as the kernel chooses
  uint32_t length;
  uint32_t segment;
  uint32_t sent;  // bytes gone already, when sent datagram by datagram
  uint8_t traffic_class;
  uint8_t may_fragment;
} cmesh_run;

typedef struct cmesh_send_batch cmesh_send_batch;

cmesh_send_batch *cmesh_send_batch_create(int runs, size_t bytes_each);
void cmesh_send_batch_destroy(cmesh_send_batch *batch);
cmesh_run *cmesh_send_batch_run(cmesh_send_batch *batch, int index);
uint8_t *cmesh_send_batch_bytes(cmesh_send_batch *batch, int index);
// Sends `count` whole runs from `first` on, each as one message (UDP_SEGMENT when it holds several datagrams).
// `family` is that of the socket. Returns how many went; an error only when none did.
int cmesh_send_runs(cmesh_send_batch *batch, int descriptor, int family, int first, int count);
// Sends the rest of one run datagram by datagram, up to 64 at a time. Returns the number of datagrams that went.
int cmesh_send_single(cmesh_send_batch *batch, int descriptor, int family, int index);

// MARK: TCP

// Nonblocking sockets. Family 0 listens on both families, or on IPv4 alone where there is no IPv6.
int cmesh_tcp_listen(const cmesh_address *address);
// The next connection, or -EAGAIN.
int cmesh_tcp_accept(int listener, cmesh_address *peer);
// Begins to connect: the socket is writable when that has ended, and `cmesh_tcp_error` tells how.
int cmesh_tcp_connect(const cmesh_address *address);
// The error that the socket has kept, as -errno; 0 for none.
int cmesh_tcp_error(int descriptor);
// The number of bytes; 0 at the end of the stream.
int64_t cmesh_tcp_read(int descriptor, void *bytes, size_t count);
int64_t cmesh_tcp_write(int descriptor, const void *bytes, size_t count);

// MARK: Waiting

typedef struct cmesh_event {
  uint64_t token;
  uint8_t readable;
  uint8_t writable;
  uint8_t failed;
} cmesh_event;

int cmesh_epoll_create(void);
// Adds, changes or (both 0, `change` 2) removes a descriptor; `change` is 0 add, 1 modify, 2 remove.
int cmesh_epoll_control(int epoll, int change, int descriptor, uint64_t token, int readable, int writable);
// Waits up to `nanoseconds`, for ever when negative. Returns the number of events, at most `capacity` (64 at most).
int cmesh_epoll_wait(int epoll, cmesh_event *events, int capacity, int64_t nanoseconds);
int cmesh_eventfd_create(void);
int cmesh_eventfd_ring(int descriptor);
int cmesh_eventfd_clear(int descriptor);

// Nanoseconds of CLOCK_BOOTTIME: monotonic, and runs on while the machine sleeps.
int64_t cmesh_boottime(void);
// CLOCK_REALTIME.
void cmesh_realtime(int64_t *seconds, uint32_t *nanoseconds);
// Names the calling thread (the first 15 bytes) and lets its timers fire on time.
void cmesh_thread_setup(const char *name);
