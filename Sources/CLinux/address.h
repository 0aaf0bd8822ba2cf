// Addresses as the system has them. Not part of the module's interface.
#pragma once
#include <sys/socket.h>

#include "cmesh_linux.h"

void cmesh_from_sockaddr(cmesh_address *address, const struct sockaddr_storage *from);
// The form that a socket of `family` (4, 6, or 46 for both) takes: IPv4 goes mapped through one of both families.
socklen_t cmesh_to_sockaddr(struct sockaddr_storage *to, const cmesh_address *address, int family);
