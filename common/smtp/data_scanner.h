// DataScanner: the message behind DATA, up to the one end it can have.
//
// Only CRLF "." CRLF ends a message (RFC 5321 section 4.1.1.4), wherever the
// bytes are cut. Clean text comes out as views of what came in, dot-stuffing
// and all; nothing is copied and there is no byte state machine on its way.
// Text with bare CR, bare LF or NUL comes out repaired (or not at all), so that
// no backend, however tolerant, can see an end where we see none: what comes
// out holds no bare CR, bare LF or NUL, and CRLF "." CRLF once, as its end.
//
// Repairs (bare_newline = normalize), after Postfix 3.9:
//   bare LF   becomes CRLF. A line that is "." alone, if either of the line
//             ends around it was not CRLF, becomes "..": the backend reads ".".
//             Another line with a first dot is taken for stuffed (edge 73).
//   bare CR   becomes a space, as with cleanup_replace_stray_cr_lf. As a line
//             end it would make lines nobody wrote, perhaps in the header.
//   NUL       becomes a space. Removed it could bring an end together (CRLF
//             NUL "." CRLF), and left in, a backend might remove it.
//
// Does not count Received headers, does not talk to anyone.

#ifndef TLSPOST_COMMON_SMTP_DATA_SCANNER_H_
#define TLSPOST_COMMON_SMTP_DATA_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/smtp/irregular_finder.h"

namespace tlspost::smtp {

enum class BareNewline : uint8_t {
  kNormalize,  // repair and pass on
  kReject,     // pass nothing more on; the owner answers 550 at the end
};

class DataScanner {
 public:
  explicit DataScanner(BareNewline policy,
                       FindIrregularFunction find = BestFindIrregular());

  struct Result {
    size_t consumed = 0;      // octets of the input that are done with
    std::string_view output;  // for the backend: into the input, or `scratch`,
                              // or for ever; may be empty
    bool end = false;         // the message is over; input behind `consumed`
                              // is the client's next command
  };

  // Looks at `input`, which follows what earlier calls consumed. Call again
  // with the rest until all of it is consumed or the message has ended; at
  // most three calls are needed. `scratch` is only touched for repairs, and
  // holds at most twice the input and one. A CR at the end of the input is
  // consumed but comes out later: the next octet says what it was.
  Result Scan(std::string_view input, std::string& scratch);

  bool ended() const { return state_ == State::kEnded; }

  // What was wrong so far.
  struct Violations {
    bool bare_cr = false;
    bool bare_lf = false;
    bool nul = false;
    bool any() const { return bare_cr || bare_lf || nul; }
  };
  const Violations& violations() const { return violations_; }

  // Under kReject: something was wrong, and no output comes any more. What
  // came before must not be ended with a dot.
  bool refused() const {
    return policy_ == BareNewline::kReject && violations_.any();
  }

  // RFC 1870 section 3: the octets of the message so far, line ends counted,
  // stuffed dots and the end itself not.
  uint64_t message_octets() const {
    return consumed_ - line_dots_ - (ended() ? 2 : 0);
  }

 private:
  // Where in its line the next octet stands.
  enum class State : uint8_t {
    kText,       // somewhere in it
    kTextCr,     // behind a CR that is held back
    kLineStart,  // at its start
    kDot,        // behind the dot that starts it
    kDotCr,      // behind that dot and a CR that is held back
    kEnded,
  };

  bool HoldsCr() const {
    return state_ == State::kTextCr || state_ == State::kDotCr;
  }
  bool MayPass(char c) const;
  void Advance(char c);
  size_t Pass(std::string_view input, size_t position);
  size_t Repair(char c, std::string& out);
  size_t Rewrite(std::string_view input, std::string& out);

  FindIrregularFunction find_;
  uint64_t consumed_ = 0;
  uint64_t line_dots_ = 0;  // dots at the start of a line
  BareNewline policy_;
  // The DATA command's CRLF is the one before the first line (RFC 5321 section
  // 4.1.1.4), so an empty message is "." CRLF.
  State state_ = State::kLineStart;
  bool behind_crlf_ = true;  // this line began behind a CRLF, no bare LF
  Violations violations_;
};

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_DATA_SCANNER_H_
