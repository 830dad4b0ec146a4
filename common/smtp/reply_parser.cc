#include "common/smtp/reply_parser.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/spare_string.h"
#include "common/smtp/reply.h"
#include "common/smtp/text.h"

namespace tlspost::smtp {

ReplyClass ClassOf(int code) {
  TLSPOST_REQUIRE(code >= 200 && code <= 599);
  return static_cast<ReplyClass>(code / 100);
}

ReplyParser::Result ReplyParser::Parse(std::string_view input,
                                       size_t* consumed) {
  *consumed = 0;
  if (!error_.empty()) return Result::kMalformed;
  if (complete_) Reset();
  if (text_.empty()) text_ = TakeSpareString();
  while (*consumed < input.size()) {
    const std::string_view rest = input.substr(*consumed);
    const size_t line_feed = rest.find('\n');
    const bool whole = line_feed != std::string_view::npos;
    const size_t octets = whole ? line_feed : rest.size();
    // One octet more than the limit: the CR of a line end not yet seen whole.
    if (text_.size() - line_start_ + octets > LineLimit(rest) + 1) {
      return Fail("reply line too long");
    }
    if (text_.size() + octets + 2 > kMaxReplyOctets) {
      return Fail("reply too long");
    }
    text_.append(rest.substr(0, octets));
    *consumed += octets + (whole ? 1 : 0);
    if (!whole) return Result::kNeedMore;
    if (!FinishLine()) return Result::kMalformed;
    if (last_) {
      complete_ = true;
      return Result::kComplete;
    }
  }
  return Result::kNeedMore;
}

// The line from line_start_ on has met its LF. False when it is malformed.
bool ReplyParser::FinishLine() {
  while (text_.size() > line_start_ && text_.back() == '\r') text_.pop_back();
  for (size_t i = line_start_; i < text_.size(); ++i) {
    if (text_[i] == '\r' || text_[i] == '\0') text_[i] = ' ';
  }
  const std::string_view line = std::string_view(text_).substr(line_start_);
  const std::string_view error = CheckLine(line);
  if (!error.empty()) {
    Fail(error);
    return false;
  }
  last_ = line.size() == 3 || line[3] == ' ';
  text_.append("\r\n");
  if (!last_) line_start_ = text_.size();
  return true;
}

// RFC 5321 section 4.2: Reply-line = Reply-code [ SP textstring ] or, when
// more follow, Reply-code "-" [ textstring ]; the code is the same in all.
std::string_view ReplyParser::CheckLine(std::string_view line) {
  if (line.size() > LineLimit({})) return "reply line too long";
  if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !IsDigit(line[1]) ||
      !IsDigit(line[2])) {
    return "reply does not begin with a code";
  }
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-') {
    return "no blank or hyphen after the reply code";
  }
  const int code =
      (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (code_ != 0 && code != code_) return "reply lines with different codes";
  code_ = code;
  return {};
}

// The limit of the line under way, which goes on with `more`.
size_t ReplyParser::LineLimit(std::string_view more) const {
  constexpr size_t kCodeOctets = 3;
  std::string code = text_.substr(line_start_, kCodeOctets);
  code.append(more.substr(0, kCodeOctets - code.size()));
  return code == "334" ? kMaxChallengeLineOctets : kMaxReplyLineOctets;
}

ReplyParser::Result ReplyParser::Fail(std::string_view error) {
  Reset();
  error_ = error;
  return Result::kMalformed;
}

void ReplyParser::Reset() {
  KeepSpareString(text_);  // a parser at rest has no memory
  line_start_ = 0;
  code_ = 0;
  last_ = false;
  complete_ = false;
  error_ = {};
}

std::string_view ReplyParser::last_line() const {
  TLSPOST_REQUIRE(complete_ && !text_.empty());
  std::string_view line = std::string_view(text_).substr(line_start_);
  line.remove_suffix(2);
  return line;
}

std::string_view ReplyParser::enhanced_code() const {
  return EnhancedCodeOf(last_line());
}

std::string ReplyParser::TakeText() {
  TLSPOST_REQUIRE(complete_);
  return std::exchange(text_, std::string());
}

}  // namespace tlspost::smtp
