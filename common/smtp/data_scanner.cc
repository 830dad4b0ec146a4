#include "common/smtp/data_scanner.h"

#include "common/base/check.h"

namespace tlspost::smtp {

DataScanner::DataScanner(BareNewline policy, FindIrregularFunction find)
    : find_(find), policy_(policy) {}

DataScanner::Result DataScanner::Scan(std::string_view input,
                                      std::string& scratch) {
  TLSPOST_REQUIRE(!ended());
  Result result;
  if (input.empty()) return result;
  if (HoldsCr() && MayPass(input[0])) {
    // The cut lay in a CRLF, and its CR is no longer in any input.
    Advance(input[0]);
    result.consumed = 1;
    result.output = "\r\n";
  } else {
    result.consumed = Pass(input, 0);
    result.output = input.substr(0, result.consumed - (HoldsCr() ? 1 : 0));
    if (result.consumed == 0) {
      scratch.clear();
      result.consumed = Rewrite(input, scratch);
      result.output = scratch;
    }
  }
  if (refused()) result.output = {};
  result.end = ended();
  consumed_ += result.consumed;
  return result;
}

// Whether `c` may go out as it came in, and so may a CR that is held back.
bool DataScanner::MayPass(char c) const {
  if (state_ == State::kTextCr) return c == '\n';
  // A line "." that did not begin behind a CRLF is no end: it needs a dot.
  if (state_ == State::kDotCr) return c == '\n' && behind_crlf_;
  return c != '\n' && c != '\0';
}

// Steps over `c`, which may pass.
void DataScanner::Advance(char c) {
  if (c == '\n') {
    state_ = state_ == State::kDotCr ? State::kEnded : State::kLineStart;
    behind_crlf_ = true;
  } else if (c == '\r') {
    state_ = state_ == State::kDot ? State::kDotCr : State::kTextCr;
  } else if (c == '.' && state_ == State::kLineStart) {
    state_ = State::kDot;
    ++line_dots_;
  } else {
    state_ = State::kText;
  }
}

// Steps over all octets from `position` on that may pass; returns where it
// stopped: before one that may not, behind the end of the message, or at the
// end of the input.
size_t DataScanner::Pass(std::string_view input, size_t position) {
  while (position < input.size() && !ended()) {
    // A dot at the start of a line is looked at octet by octet, and so is the
    // first octet, whose predecessor is only known as a state.
    const bool after_dot = state_ == State::kDot || state_ == State::kDotCr;
    if (position > 0 && !after_dot) {
      const size_t stop = find_(input.data(), position, input.size());
      if (stop > position) {
        const char last = input[stop - 1];
        state_ = last == '\n'   ? State::kLineStart
                 : last == '\r' ? State::kTextCr
                                : State::kText;
        if (last == '\n') behind_crlf_ = true;
        position = stop;
        continue;
      }
    }
    if (!MayPass(input[position])) break;
    Advance(input[position]);
    ++position;
  }
  return position;
}

// Writes what stands in the place of `c`, which may not pass, or of the CR
// held back before it. Returns the octets done with: 0 when it was the CR.
size_t DataScanner::Repair(char c, std::string& out) {
  if (HoldsCr() && c != '\n') {
    violations_.bare_cr = true;
    out += ' ';
    state_ = State::kText;
    return 0;
  }
  if (c == '\0') {
    violations_.nul = true;
    out += ' ';
    state_ = State::kText;
    return 1;
  }
  // A bare LF, or the CRLF of a line "." that began behind a bare LF.
  const bool bare = !HoldsCr();
  if (bare) violations_.bare_lf = true;
  if (state_ == State::kDot || state_ == State::kDotCr) out += '.';
  out += "\r\n";
  state_ = State::kLineStart;
  behind_crlf_ = !bare;
  return 1;
}

// The way of text that needs repairs: all of `input`, or up to the end of the
// message, is written to `out`.
size_t DataScanner::Rewrite(std::string_view input, std::string& out) {
  size_t position = 0;
  while (position < input.size() && !ended()) {
    position += Repair(input[position], out);
    const size_t stop = Pass(input, position);
    const size_t passed = stop - position;
    // A CR that is held back is not written; one that Repair has replaced is
    // not held any more, so what is held was passed just now.
    out.append(input.substr(position, passed - (HoldsCr() ? 1 : 0)));
    position = stop;
  }
  return position;
}

}  // namespace tlspost::smtp
