#include "bench/load/message_text.h"

#include <algorithm>

#include "bench/verify/fingerprint.h"
#include "common/base/check.h"

namespace tlspost::load {
namespace {

constexpr size_t kSpareLines = 4096;
constexpr std::string_view kLetters =
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789";

// A header line that takes up to a line's octets and carries nothing.
constexpr std::string_view kPadField = "X-Pad: ";
constexpr size_t kSmallestPad = kPadField.size() + 2;

}  // namespace

uint64_t OutgoingMessage::fingerprint() const {
  verify::Fingerprint fingerprint;
  fingerprint.Add(header);
  fingerprint.Add(body);
  return fingerprint.value();
}

MessageText::MessageText(size_t largest) : spare_lines_(kSpareLines) {
  const size_t lines = largest / kLineOctets + kSpareLines + 1;
  text_.reserve(lines * kLineOctets);
  // The same text in every run: what differs between runs is the server.
  uint64_t state = 1;
  for (size_t line = 0; line < lines; ++line) {
    const size_t begin = text_.size();
    for (size_t i = 2; i < kLineOctets; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text_ += kLetters[(state >> 33) % kLetters.size()];
    }
    text_ += "\r\n";
    if (line % kDotEvery == 0) text_.replace(begin, 2, "..");
  }
}

OutgoingMessage MessageText::Make(const verify::Mark& mark,
                                  std::string_view sender,
                                  std::string_view recipient, size_t octets,
                                  uint64_t random) const {
  OutgoingMessage message;
  std::string& header = message.header;
  header = verify::FormatMark(mark);
  header.append("Message-ID: <").append(verify::FormatMarkId(mark));
  header.append("@load.example>\r\nFrom: <").append(sender);
  header.append(">\r\nTo: <").append(recipient);
  header.append(">\r\nSubject: Load test\r\n");
  const size_t least = header.size() + kSmallestPad + 2;
  const size_t rest = octets > least ? octets - least : 0;
  const size_t lines = rest / kLineOctets;
  header.append(kPadField).append(rest % kLineOctets, 'x');
  header.append("\r\n\r\n");
  const size_t first = random % spare_lines_;
  TLSPOST_CHECK((first + lines) * kLineOctets <= text_.size());
  message.body =
      std::string_view(text_).substr(first * kLineOctets, lines * kLineOctets);
  return message;
}

}  // namespace tlspost::load
