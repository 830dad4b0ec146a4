// Counting Received fields.

#include "common/smtp/hop_counter.h"

#include <algorithm>
#include <utility>

#include "common/smtp/text.h"

namespace tlspost::smtp {
namespace {

constexpr std::string_view kReceived = "received";

}  // namespace

HopCounter::HopCounter(std::string_view host, std::string_view mail_name) {
  own_mark_->append("by ").append(host).append(" (").append(mail_name);
  own_mark_->append(") ");
}

void HopCounter::LookAtHeader(std::string_view octets) {
  while (in_header_ && !octets.empty()) {
    const size_t end = octets.find('\n');
    const std::string_view piece = octets.substr(0, end);
    const size_t room = kMaxLineOctets - line_->size();
    line_->append(piece.substr(0, room));
    if (end == std::string_view::npos) return;
    octets.remove_prefix(end + 1);
    EndLine();
    line_->clear();
  }
  if (!in_header_) KeepSpareString(*line_);
}

void HopCounter::EndLine() {
  std::string& line = *line_;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line.empty()) {
    in_header_ = false;
    return;
  }
  const bool continues = IsBlank(line.front());
  if (!continues) {
    // As servers do, what is no field is taken for the body's first line.
    in_header_ = IsField();
    const size_t name_end = line.find_first_of(": \t");
    in_received_ =
        in_header_ && EqualsIgnoreCase(std::string_view(line).substr(
                                           0, std::min(name_end, line.size())),
                                       kReceived);
    is_own_ = false;
    if (in_received_) ++hops_;
  }
  if (!in_received_ || is_own_) return;
  is_own_ = line.find(*own_mark_) != std::string::npos;
  if (is_own_) ++own_hops_;
}

// RFC 5322 section 2.2; blanks before the colon are obsolete but seen.
bool HopCounter::IsField() const {
  const size_t colon = line_->find(':');
  if (colon == std::string::npos || colon == 0) return false;
  const std::string_view name = std::string_view(*line_).substr(0, colon);
  const size_t last = name.find_last_not_of(" \t");
  return std::all_of(name.begin(),
                     name.begin() + static_cast<ptrdiff_t>(last) + 1,
                     [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace tlspost::smtp
