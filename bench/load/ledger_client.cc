#include "bench/load/ledger_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/io/endpoint.h"

namespace tlspost::load {
namespace {

constexpr timeval kPatience = {.tv_sec = 30, .tv_usec = 0};
constexpr size_t kMaxPageOctets = size_t{1} << 30;

absl::Status Wrong(std::string_view address, std::string_view what) {
  return absl::UnavailableError(
      absl::StrFormat("--verify=%s: %s", address, what));
}

// Everything that the peer says to `question` until it closes.
absl::StatusOr<std::string> AskOn(int fd, const std::string& question) {
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  const ssize_t sent = send(fd, question.data(), question.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(question.size())) {
    return absl::UnavailableError(strerror(errno));
  }
  std::string answer;
  std::string piece(65536, '\0');
  while (answer.size() < kMaxPageOctets) {
    const ssize_t got = recv(fd, piece.data(), piece.size(), 0);
    if (got < 0) return absl::UnavailableError(strerror(errno));
    if (got == 0) return answer;
    answer.append(piece, 0, static_cast<size_t>(got));
  }
  return absl::ResourceExhaustedError("the ledger is too long");
}

}  // namespace

absl::StatusOr<verify::LedgerPage> FetchLedger(std::string_view address,
                                               uint64_t run) {
  const auto endpoints = io::ResolveEndpoints(address);
  if (!endpoints.ok()) return Wrong(address, MessageOf(endpoints.status()));
  sockaddr_storage storage;
  const socklen_t length = endpoints->front().ToSockaddr(storage);
  const int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Wrong(address, strerror(errno));
  absl::StatusOr<std::string> answer = absl::UnavailableError("");
  if (connect(fd, reinterpret_cast<sockaddr*>(&storage), length) == 0) {
    answer = AskOn(fd, absl::StrFormat("LEDGER %016x\n", run));
  } else {
    answer = absl::UnavailableError(strerror(errno));
  }
  close(fd);
  if (!answer.ok()) return Wrong(address, MessageOf(answer.status()));
  auto page = verify::ParseLedgerPage(*answer, run);
  if (!page.ok()) return Wrong(address, MessageOf(page.status()));
  return page;
}

}  // namespace tlspost::load
