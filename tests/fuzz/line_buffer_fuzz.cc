// The same octets in one piece and in many must be the same lines.

#include <string>
#include <utility>
#include <vector>

#include "common/smtp/line_buffer.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/targets.h"

namespace tlspost::fuzz {
namespace {

using Kind = smtp::LineBuffer::Kind;
using Lines = std::vector<std::pair<Kind, std::string>>;

constexpr size_t kLimit = 64;

void Feed(smtp::LineBuffer& buffer, std::string_view piece, Lines& lines) {
  while (true) {
    const auto result = buffer.Next(piece);
    Expect(result.consumed <= piece.size(), "no more is taken than there is");
    piece.remove_prefix(result.consumed);
    if (result.kind == Kind::kNeedMore) {
      Expect(piece.empty(), "all is taken when more is needed");
      return;
    }
    Expect(result.line.find('\n') == std::string_view::npos,
           "a line has no end in it");
    Expect(result.line.size() <= smtp::kAuthLineLengthLimit,
           "a line is not over the limit");
    lines.emplace_back(result.kind, result.line);
  }
}

}  // namespace

void LineBuffer(std::string_view octets) {
  FuzzInput input(octets);
  const size_t cut = 1 + input.Octet() % 7;
  const std::string_view text = input.Rest();
  Lines whole;
  smtp::LineBuffer one(kLimit);
  Feed(one, text, whole);
  Lines parts;
  smtp::LineBuffer many(kLimit);
  for (size_t at = 0; at < text.size(); at += cut) {
    // A copy of its own, so that a view into the last piece shows.
    const std::string piece(text.substr(at, cut));
    Feed(many, piece, parts);
    Expect(many.heap_octets() < 2 * smtp::kAuthLineLengthLimit,
           "what is carried over is bounded");
  }
  Expect(whole == parts, "the lines are the same however they are cut");
  Expect(one.in_line() == many.in_line(), "so is what is left over");
}

}  // namespace tlspost::fuzz
