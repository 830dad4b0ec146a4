// MessageText: the words that all messages are made of.
//
// Messages are slices of one long text of whole lines, so that making one
// costs next to nothing; a header of its own and the mark make each unique.

#ifndef TLSPOST_BENCH_LOAD_MESSAGE_TEXT_H_
#define TLSPOST_BENCH_LOAD_MESSAGE_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/verify/mark.h"

namespace tlspost::load {

// One message as it goes over the wire, without its end. `body` is a slice of
// the text and lives as long as that.
struct OutgoingMessage {
  std::string header;  // begins with the mark, ends with the empty line
  std::string_view body;

  size_t octets() const { return header.size() + body.size(); }
  uint64_t fingerprint() const;
};

class MessageText {
 public:
  // Of a line, CRLF included.
  static constexpr size_t kLineOctets = 78;
  // Every so many lines one begins with a stuffed dot.
  static constexpr size_t kDotEvery = 32;

  // For messages of up to `largest` octets.
  explicit MessageText(size_t largest);

  // A message of exactly `octets`, or of its header alone where that is more.
  // `random` chooses the slice.
  OutgoingMessage Make(const verify::Mark& mark, std::string_view sender,
                       std::string_view recipient, size_t octets,
                       uint64_t random) const;

 private:
  std::string text_;
  size_t spare_lines_;  // a slice may begin at any of the first so many
};

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_MESSAGE_TEXT_H_
