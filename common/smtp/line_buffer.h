// LineBuffer: command lines out of bytes cut anywhere.
//
// A line that lies whole in one chunk is a view into it; only one that is cut
// is copied, and that copy's memory goes when the line was taken. An idle
// LineBuffer holds no heap memory; one that is fed an endless line never holds
// more than its limit. Does not look at what lines say, except that AUTH may
// say more than others, and that what follows a BDAT is no line.

#ifndef TLSPOST_COMMON_SMTP_LINE_BUFFER_H_
#define TLSPOST_COMMON_SMTP_LINE_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tlspost::smtp {

// Postfix line_length_limit. RFC 5321 section 4.5.3.1.4 asks for 512.
inline constexpr size_t kDefaultLineLengthLimit = 2048;
// RFC 4954 section 4.5: lines of an authentication exchange, of which an AUTH
// command is the first.
inline constexpr size_t kAuthLineLengthLimit = 12288;

class LineBuffer {
 public:
  // `limit` octets may stand before the line end; kAuthLineLengthLimit, if that
  // is more, in a line that begins with AUTH.
  explicit LineBuffer(size_t limit = kDefaultLineLengthLimit);

  enum class Kind : uint8_t {
    kLine,      // `line` is one, without CRLF or bare LF
    kNeedMore,  // everything was consumed and no line has ended
    kTooLong,   // a line over the limit has ended; it is gone
  };
  // All that is left of a line that was too long and may have been a BDAT, of
  // which nobody knows the size now.
  static constexpr std::string_view kLostBdat = "BDAT";
  struct Result {
    Kind kind;
    // Until the next call, and while the chunk lives. With kTooLong kLostBdat,
    // or empty.
    std::string_view line;
    size_t consumed;  // octets of `unread` that are done with
  };

  // Looks for one line in what is left over and `unread`. What lies behind
  // `consumed` is untouched: more lines, or, behind DATA, a message.
  Result Next(std::string_view unread);

  // Forgets a line under way, as for the plaintext before TLS.
  void Clear();

  void set_limit(size_t limit) { limit_ = static_cast<uint32_t>(limit); }

  // The heap memory it uses now.
  size_t heap_octets() const {
    return carry_ == nullptr ? 0 : sizeof(*carry_) + carry_->capacity() + 1;
  }

  // Whether a line is under way.
  bool in_line() const { return skipping_ || (!taken_ && carry_ != nullptr); }

 private:
  std::string_view carried() const;
  size_t LimitOf(std::string_view piece) const;
  static std::string_view WhatIsLeft(std::string_view start);
  Result Skip(size_t line_feed, std::string_view unread);

  // The start of a cut line. On the heap: hardly any line is cut.
  std::unique_ptr<std::string> carry_;
  uint32_t limit_;
  bool taken_ = false;      // carry_ was given out as a line
  bool skipping_ = false;   // inside a line over the limit
  bool lost_bdat_ = false;  // of which kLostBdat is left
};

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_LINE_BUFFER_H_
