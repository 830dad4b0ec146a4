#include "common/io/uring_restrictions.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

namespace tlspost::io {
namespace {

// A new operation of the loop or its sockets is entered here as well.
constexpr std::array kOperations = {
    IORING_OP_ACCEPT,       IORING_OP_CONNECT, IORING_OP_RECV,
    IORING_OP_SEND,         IORING_OP_SENDMSG,
    IORING_OP_READ,  // the eventfd of PostRemote
    IORING_OP_ASYNC_CANCEL,
};

// What the end of a ring takes back.
constexpr std::array kRegistrations = {
    IORING_UNREGISTER_PBUF_RING,
    IORING_UNREGISTER_RING_FDS,
};

// liburing 2.3 declares functions for these two calls and does not export them.
int Register(const io_uring& ring, unsigned what, void* argument,
             size_t count) {
  const long result = syscall(SYS_io_uring_register, ring.ring_fd, what,
                              argument, static_cast<unsigned>(count));
  return result < 0 ? errno : 0;
}

}  // namespace

int RestrictAndEnable(io_uring& ring) {
  std::vector<io_uring_restriction> restrictions;
  for (const auto operation : kOperations) {
    io_uring_restriction& allowed = restrictions.emplace_back();
    allowed = {};
    allowed.opcode = IORING_RESTRICTION_SQE_OP;
    allowed.sqe_op = static_cast<uint8_t>(operation);
  }
  for (const auto registration : kRegistrations) {
    io_uring_restriction& allowed = restrictions.emplace_back();
    allowed = {};
    allowed.opcode = IORING_RESTRICTION_REGISTER_OP;
    allowed.register_op = static_cast<uint8_t>(registration);
  }
  io_uring_restriction& flags = restrictions.emplace_back();
  flags = {};
  flags.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  flags.sqe_flags = IOSQE_BUFFER_SELECT;
  const int restricted = Register(ring, IORING_REGISTER_RESTRICTIONS,
                                  restrictions.data(), restrictions.size());
  if (restricted != 0) return restricted;
  return Register(ring, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

}  // namespace tlspost::io
