// A backend's octets in one piece and in many must be the same replies.

#include <string>
#include <vector>

#include "common/smtp/reply.h"
#include "common/smtp/reply_parser.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/targets.h"

namespace tlspost::fuzz {
namespace {

using Result = smtp::ReplyParser::Result;

// False when the parser gave up.
bool Feed(smtp::ReplyParser& parser, std::string_view piece,
          std::vector<std::string>& replies) {
  while (!piece.empty()) {
    size_t consumed = 0;
    const Result result = parser.Parse(piece, &consumed);
    Expect(consumed <= piece.size(), "no more is taken than there is");
    piece.remove_prefix(consumed);
    if (result == Result::kMalformed) {
      Expect(!parser.error().empty(), "it says why");
      return false;
    }
    if (result == Result::kNeedMore) {
      Expect(piece.empty(), "all is taken when more is needed");
      return true;
    }
    Expect(parser.code() >= 200 && parser.code() <= 599, "the code is one");
    std::string text = parser.TakeText();
    Expect(text.size() <= smtp::kMaxReplyOctets, "a reply is bounded");
    smtp::WithoutEnhancedCodes(text);
    smtp::WithoutLeaveTaking(text, "451");
    replies.push_back(std::move(text));
  }
  return true;
}

}  // namespace

void Reply(std::string_view octets) {
  FuzzInput input(octets);
  const size_t cut = 1 + input.Octet() % 7;
  const std::string_view text = input.Rest();
  std::vector<std::string> whole;
  smtp::ReplyParser one;
  const bool good = Feed(one, text, whole);
  std::vector<std::string> parts;
  smtp::ReplyParser many;
  bool still_good = true;
  for (size_t at = 0; still_good && at < text.size(); at += cut) {
    still_good = Feed(many, std::string(text.substr(at, cut)), parts);
  }
  Expect(good == still_good && whole == parts,
         "the replies are the same however they are cut");
}

}  // namespace tlspost::fuzz
