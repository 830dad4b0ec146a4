// LineBuffer: command lines out of bytes cut anywhere.
//
// A line that lies whole in one chunk is a view into it; only one that is cut
// is copied, and that copy's memory goes when the line was taken. An idle
// LineBuffer holds no heap memory; one that is fed an endless line never holds
// more than its limit. Does not look at what lines say.

#ifndef TLSPOST_COMMON_SMTP_LINE_BUFFER_H_
#define TLSPOST_COMMON_SMTP_LINE_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tlspost::smtp {

// Postfix line_length_limit. RFC 5321 section 4.5.3.1.4 asks for 512.
inline constexpr size_t kDefaultLineLengthLimit = 2048;
// RFC 4954 section 4.5: lines of an authentication exchange.
inline constexpr size_t kAuthLineLengthLimit = 12288;

class LineBuffer {
 public:
  // `limit` octets may stand before the line end.
  explicit LineBuffer(size_t limit = kDefaultLineLengthLimit);

  enum class Kind : uint8_t {
    kLine,      // `line` is one, without CRLF or bare LF
    kNeedMore,  // everything was consumed and no line has ended
    kTooLong,   // a line over the limit has ended; it is gone
  };
  struct Result {
    Kind kind;
    std::string_view line;  // until the next call, and while the chunk lives
    size_t consumed;        // octets of `unread` that are done with
  };

  // Looks for one line in what is left over and `unread`. What lies behind
  // `consumed` is untouched: more lines, or, behind DATA, a message.
  Result Next(std::string_view unread);

  // Forgets a line under way, as for the plaintext before TLS.
  void Clear();

  void set_limit(size_t limit) { limit_ = limit; }

  // The heap memory it uses now.
  size_t heap_octets() const {
    const size_t in_place = std::string().capacity();
    return carry_.capacity() > in_place ? carry_.capacity() + 1 : 0;
  }

  // Whether a line is under way.
  bool in_line() const { return skipping_ || (!taken_ && !carry_.empty()); }

 private:
  Result Skip(size_t line_feed, std::string_view unread);

  size_t limit_;
  std::string carry_;      // the start of a cut line
  bool taken_ = false;     // carry_ was given out as a line
  bool skipping_ = false;  // inside a line over the limit
};

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_LINE_BUFFER_H_
