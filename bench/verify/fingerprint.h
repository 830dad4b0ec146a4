// Fingerprint: 64 bits that differ when octets differ, for telling whether a
// message came through as it was sent. Fast (eight octets a step), the same in
// every process, however the octets are cut into calls; no defence against
// somebody who wants two messages to look alike.

#ifndef TLSPOST_BENCH_VERIFY_FINGERPRINT_H_
#define TLSPOST_BENCH_VERIFY_FINGERPRINT_H_

#include <cstdint>
#include <string_view>

namespace tlspost::verify {

class Fingerprint {
 public:
  void Add(std::string_view octets);
  // Of all octets so far.
  uint64_t value() const;

 private:
  void Mix(uint64_t word);

  uint64_t state_ = 0x243f6a8885a308d3u;
  uint64_t length_ = 0;
  uint64_t pending_ = 0;  // the length_ % 8 octets that make no word yet
};

}  // namespace tlspost::verify

#endif  // TLSPOST_BENCH_VERIFY_FINGERPRINT_H_
