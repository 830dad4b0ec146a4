#include "common/smtp/queue_id.h"

#include <algorithm>
#include <cstddef>

namespace tlspost::smtp {
namespace {

constexpr size_t kMaxQueueId = 64;

// Words in front of the id.
constexpr std::string_view kBefore[] = {
    " queued as ",        // Postfix
    " queued with id ",   // Stalwart
    " id=",               // Exim
    " ids=",              // KumoMTA
    "[InternalId=",       // Exchange
    " Message Queued (",  // Haraka
    " qp ",               // qmail
};

// Sendmail, OpenSMTPD: the id stands in front of them.
constexpr std::string_view kBehind = " Message accepted for delivery";

bool IsIdOctet(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
         (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
}

// "2.0.0", which is no id.
bool IsEnhancedCode(std::string_view word) {
  return word.find_first_not_of("0123456789.") == std::string_view::npos &&
         std::count(word.begin(), word.end(), '.') == 2;
}

std::string_view Checked(std::string_view id) {
  while (id.ends_with('.')) id.remove_suffix(1);
  if (id.size() > kMaxQueueId || IsEnhancedCode(id)) return {};
  return id;
}

}  // namespace

std::string_view QueueIdIn(std::string_view reply) {
  for (const std::string_view words : kBefore) {
    const size_t at = reply.find(words);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = reply.substr(at + words.size());
    const auto* end = std::find_if_not(rest.begin(), rest.end(), IsIdOctet);
    return Checked(rest.substr(0, static_cast<size_t>(end - rest.begin())));
  }
  const size_t end = reply.find(kBehind);
  if (end == std::string_view::npos) return {};
  size_t begin = end;
  while (begin > 0 && IsIdOctet(reply[begin - 1])) --begin;
  // "250 Message accepted for delivery": that is the reply's code.
  if (begin == 0) return {};
  return Checked(reply.substr(begin, end - begin));
}

}  // namespace tlspost::smtp
