// The mark: a header field that names a message of the load generator, so that
// the sink can tell which one it has and whether it is whole.
//
// It is the first field that is sent; servers put theirs above it. What counts
// is everything from the mark to the end, as it goes over the wire (dots
// stuffed, the end itself left out).

#ifndef TLSPOST_BENCH_VERIFY_MARK_H_
#define TLSPOST_BENCH_VERIFY_MARK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tlspost::verify {

struct Mark {
  uint64_t run = 0;       // random: one for each run of the load generator
  uint64_t sequence = 0;  // unique within it

  friend bool operator==(const Mark&, const Mark&) = default;
};

// "X-Tlspost-Load: 0123456789abcdef-42\r\n".
std::string FormatMark(const Mark& mark);
// The part behind the colon: "0123456789abcdef-42".
std::string FormatMarkId(const Mark& mark);

struct MarkedMessage {
  Mark mark;
  uint64_t body = 0;  // fingerprint from the mark on
};

// Nothing when there is no mark in the header (looked for in the first
// kMaxHeaderOctets), or when there is a second one anywhere: two messages in
// one.
inline constexpr size_t kMaxHeaderOctets = 65536;
std::optional<MarkedMessage> ReadMarked(std::string_view data);

// Of who sent a message and to whom, in order.
uint64_t EnvelopeFingerprint(std::string_view sender,
                             const std::vector<std::string>& recipients);

}  // namespace tlspost::verify

#endif  // TLSPOST_BENCH_VERIFY_MARK_H_
