// Steps and hexadecimal dumps.

#include "proxy/tls_log_trace.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

constexpr size_t kOctetsPerLine = 16;

// "0010 16 03 01 ...  ....": offset, octets, and those that can be printed.
std::string DumpLine(size_t offset, std::string_view octets) {
  std::string line = absl::StrFormat("%04x", offset);
  std::string printable;
  for (const char octet : octets) {
    line += absl::StrFormat(" %02x", static_cast<uint8_t>(octet));
    printable += octet >= ' ' && octet <= '~' ? octet : '.';
  }
  line.append(3 * (kOctetsPerLine - octets.size()) + 2, ' ');
  return line + printable;
}

}  // namespace

TlsLogTrace::TlsLogTrace(Log& log, std::string name, bool dump)
    : log_(log), name_(std::move(name)), dump_(dump) {}

void TlsLogTrace::State(std::string_view state) {
  log_.Info(absl::StrFormat("%s: %s", name_, state));
}

void TlsLogTrace::Wire(bool sent, std::string_view ciphertext) {
  if (!dump_) return;
  log_.Info(absl::StrFormat("%s: %s %d octets", name_, sent ? "write" : "read",
                            ciphertext.size()));
  for (size_t at = 0; at < ciphertext.size(); at += kOctetsPerLine) {
    log_.Info(absl::StrFormat(
        "%s: %s", name_, DumpLine(at, ciphertext.substr(at, kOctetsPerLine))));
  }
}

}  // namespace tlspost
