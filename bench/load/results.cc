#include "bench/load/results.h"

namespace tlspost::load {

void Results::Failed(const std::string& kind, std::string_view example) {
  auto found = errors_.find(kind);
  if (found == errors_.end()) {
    const bool full = errors_.size() >= kMaxErrorKinds;
    found = errors_.try_emplace(full ? "other" : kind).first;
    if (found->second.example.empty()) found->second.example = example;
  }
  ++found->second.count;
}

void Results::Merge(const Results& other) {
  for (size_t i = 0; i < phases_.size(); ++i) {
    phases_[i].Merge(other.phases_[i]);
  }
  for (const auto& [kind, error] : other.errors_) {
    Error& mine = errors_[kind];
    mine.count += error.count;
    if (mine.example.empty()) mine.example = error.example;
  }
  sessions += other.sessions;
  messages += other.messages;
  octets += other.octets;
  handshakes += other.handshakes;
  resumed += other.resumed;
  missed += other.missed;
  if (tls.empty()) tls = other.tls;
  sent.insert(sent.end(), other.sent.begin(), other.sent.end());
}

void Results::StartOver() {
  phases_ = {};
  sessions = messages = octets = handshakes = resumed = 0;
}

uint64_t Results::error_count() const {
  uint64_t count = 0;
  for (const auto& [kind, error] : errors_) count += error.count;
  return count;
}

}  // namespace tlspost::load
