// A message in one piece and in many must come out as the same octets, and end
// for a backend where it ends for us, and nowhere else.

#include <string>

#include "common/smtp/data_scanner.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/targets.h"

namespace tlspost::fuzz {
namespace {

struct Outcome {
  std::string text;
  size_t consumed = 0;
  bool ended = false;
  bool refused = false;
  uint64_t octets = 0;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome Scan(smtp::BareNewline policy, std::string_view text, size_t cut) {
  Outcome outcome;
  smtp::DataScanner scanner(policy);
  std::string scratch;
  for (size_t at = 0; at < text.size() && !scanner.ended(); at += cut) {
    const std::string piece(text.substr(at, cut));
    std::string_view rest = piece;
    for (int calls = 0; !rest.empty() && !scanner.ended(); ++calls) {
      Expect(calls < 3, "three calls are enough");
      const auto result = scanner.Scan(rest, scratch);
      Expect(result.consumed <= rest.size(), "no more is taken than there is");
      Expect(result.end == scanner.ended(), "both say whether it is the end");
      outcome.text += result.output;
      outcome.consumed += result.consumed;
      rest.remove_prefix(result.consumed);
    }
  }
  outcome.ended = scanner.ended();
  outcome.refused = scanner.refused();
  outcome.octets = scanner.message_octets();
  return outcome;
}

// What any backend, however tolerant, could take for an end.
void ExpectOneEnd(const Outcome& outcome) {
  const std::string seen = "\r\n" + outcome.text;
  for (size_t i = 0; i < seen.size(); ++i) {
    Expect(seen[i] != '\0', "no NUL comes out");
    const bool after_cr = i > 0 && seen[i - 1] == '\r';
    Expect(seen[i] != '\n' || after_cr, "no bare LF comes out");
    const bool before_lf = i + 1 == seen.size() || seen[i + 1] == '\n';
    Expect(seen[i] != '\r' || before_lf, "no bare CR comes out");
  }
  const size_t end = seen.find("\r\n.\r\n");
  if (!outcome.ended || outcome.refused) {
    Expect(end == std::string::npos, "there is no end but the end");
  } else {
    Expect(end + 5 == seen.size(), "the end is where it ends");
  }
}

}  // namespace

void Scanner(std::string_view octets) {
  FuzzInput input(octets);
  const uint8_t how = input.Octet();
  const smtp::BareNewline policy =
      how % 2 == 0 ? smtp::BareNewline::kNormalize : smtp::BareNewline::kReject;
  const std::string_view text = input.Rest();
  const Outcome whole = Scan(policy, text, text.size() + 1);
  ExpectOneEnd(whole);
  Expect(Scan(policy, text, 1 + how / 2 % 8) == whole,
         "it is the same however it is cut");
}

}  // namespace tlspost::fuzz
