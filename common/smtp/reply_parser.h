// ReplyParser: one reply of the backend, collected from bytes cut anywhere.
//
// Keeps the reply as it came, all its lines, to be passed to the client
// verbatim; only the line ends are made CRLF, and a CR or NUL inside a line
// becomes a space, since the client might take it for a line end. Bounded: a
// backend that never ends its line or its reply is malformed. Never waits,
// never sends.

#ifndef TLSPOST_COMMON_SMTP_REPLY_PARSER_H_
#define TLSPOST_COMMON_SMTP_REPLY_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tlspost::smtp {

// RFC 5321 section 4.5.3.1.5 says 512; the living world says more.
inline constexpr size_t kMaxReplyLineOctets = 2048;  // without line end
// RFC 4954 section 4.5: the challenges of an authentication exchange, 334.
inline constexpr size_t kMaxChallengeLineOctets = 12288;
inline constexpr size_t kMaxReplyOctets = 64 * 1024;  // of all lines

// RFC 5321 section 4.2.1: what the first digit says.
enum class ReplyClass : uint8_t {
  kSuccess = 2,
  kIntermediate = 3,
  kTransient = 4,
  kPermanent = 5,
};
ReplyClass ClassOf(int code);

class ReplyParser {
 public:
  enum class Result : uint8_t {
    kNeedMore,   // all input consumed, the reply goes on
    kComplete,   // a reply is here; *consumed says where it ended
    kMalformed,  // this is no SMTP reply: close the connection; stays so
  };

  // Takes bytes of `input` up to the end of one reply. The call after a
  // complete reply begins the next one.
  Result Parse(std::string_view input, size_t* consumed);

  // Forgets everything, as for a new connection.
  void Reset();

  // Whether bytes of an unfinished reply are held: at rest there are none.
  bool in_reply() const { return !complete_ && !text_.empty(); }

  // About the reply that Parse has just found complete, until the next call
  // of Parse; all but the first two end with TakeText.
  int code() const { return code_; }
  ReplyClass reply_class() const { return ClassOf(code_); }
  std::string_view text() const { return text_; }
  std::string_view last_line() const;      // without its line end
  std::string_view enhanced_code() const;  // of the last line; may be empty
  // A spare string; leaves no memory behind.
  std::string TakeText();

  // Why it is malformed, in words for the log.
  std::string_view error() const { return error_; }

 private:
  Result Fail(std::string_view error);
  bool FinishLine();
  std::string_view CheckLine(std::string_view line);
  size_t LineLimit(std::string_view more) const;

  std::string text_;       // the lines so far, and the one under way
  size_t line_start_ = 0;  // in text_: the one under way
  int code_ = 0;           // 0: no line has ended yet
  bool last_ = false;      // the line that ended was the last one
  bool complete_ = false;
  std::string_view error_;
};

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_REPLY_PARSER_H_
