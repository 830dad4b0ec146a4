// A NameResolver that asks DNS (and /etc/hosts) by c-ares, on a thread of its
// own for the whole process.

#ifndef TLSPOST_COMMON_IO_ARES_RESOLVER_H_
#define TLSPOST_COMMON_IO_ARES_RESOLVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/io/name_resolver.h"

namespace tlspost::io {

struct AresOptions {
  // "192.0.2.53", "[2001:db8::53]:5353"; empty: those of /etc/resolv.conf.
  std::vector<std::string> servers;
  // Questions under way or waiting at a time; one more is answered kLater.
  size_t max_questions = 4096;
  // How long each server is waited for, each of the two times it is asked.
  Duration server_timeout = std::chrono::milliseconds(1000);
};

// The error is one line.
absl::StatusOr<std::unique_ptr<NameResolver>> CreateAresResolver(
    const AresOptions& options);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_ARES_RESOLVER_H_
