#include "common/smtp/reply.h"

namespace tlspost::smtp {
namespace {

constexpr size_t kCodeOctets = 4;  // three digits, then a blank or a hyphen

}  // namespace

std::string Greeting(std::string_view hostname, std::string_view banner) {
  std::string text("220 ");
  text.append(hostname).append(" ESMTP ").append(banner).append("\r\n");
  return text;
}

std::string HeloReply(std::string_view hostname) {
  std::string text("250 ");
  text.append(hostname).append("\r\n");
  return text;
}

std::string WithHost(const Reply& reply, std::string_view hostname) {
  const size_t enhanced = EnhancedCodeOf(reply.text()).size();
  const size_t words = kCodeOctets + (enhanced == 0 ? 0 : enhanced + 1);
  std::string text(reply.text().substr(0, words));
  text.append(hostname).append(" ").append(reply.text().substr(words));
  return text;
}

std::string FromClient(std::string reply_text, std::string_view address) {
  const size_t words_end = reply_text.find('\r');
  return reply_text.insert(words_end, std::string(" from ").append(address));
}

std::string WithoutLeaveTaking(std::string reply_text, std::string_view code) {
  for (size_t at = 0; at < reply_text.size();) {
    if (reply_text.compare(at, 3, "421") == 0) reply_text.replace(at, 3, code);
    const size_t end = reply_text.find('\n', at);
    if (end == std::string::npos) break;
    at = end + 1;
  }
  return reply_text;
}

std::string WithoutEnhancedCodes(std::string_view reply_text) {
  std::string plain;
  plain.reserve(reply_text.size());
  while (!reply_text.empty()) {
    const size_t line_end = reply_text.find('\n');
    const std::string_view line = reply_text.substr(
        0,
        line_end == std::string_view::npos ? reply_text.size() : line_end + 1);
    reply_text.remove_prefix(line.size());
    const std::string_view enhanced = EnhancedCodeOf(line);
    if (enhanced.empty()) {
      plain.append(line);
      continue;
    }
    std::string_view words = line.substr(kCodeOctets + enhanced.size());
    if (!words.empty() && words.front() == ' ') words.remove_prefix(1);
    plain.append(line.substr(0, kCodeOctets)).append(words);
  }
  return plain;
}

}  // namespace tlspost::smtp
