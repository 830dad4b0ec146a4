// Descriptor: a file descriptor that is closed with its owner.

#ifndef TLSPOST_COMMON_IO_DESCRIPTOR_H_
#define TLSPOST_COMMON_IO_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace tlspost::io {

class [[nodiscard]] Descriptor {
 public:
  Descriptor() = default;
  // Takes over `fd`; -1: none.
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  // It is the caller's from now on.
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_DESCRIPTOR_H_
