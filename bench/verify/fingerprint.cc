#include "bench/verify/fingerprint.h"

#include <bit>
#include <cstring>

namespace tlspost::verify {
namespace {

constexpr size_t kWord = sizeof(uint64_t);
// Odd constants with about as many ones as zeros.
constexpr uint64_t kMultiplierA = 0x9e3779b97f4a7c15u;
constexpr uint64_t kMultiplierB = 0xc2b2ae3d27d4eb4fu;

uint64_t Scramble(uint64_t state, uint64_t word) {
  return std::rotl(state ^ (word * kMultiplierA), 29) * kMultiplierB;
}

}  // namespace

void Fingerprint::Mix(uint64_t word) { state_ = Scramble(state_, word); }

void Fingerprint::Add(std::string_view octets) {
  while (!octets.empty()) {
    const size_t filled = length_ % kWord;
    if (filled == 0 && octets.size() >= kWord) {
      uint64_t word;
      std::memcpy(&word, octets.data(), kWord);
      Mix(word);
      octets.remove_prefix(kWord);
      length_ += kWord;
      continue;
    }
    pending_ |= uint64_t{static_cast<uint8_t>(octets.front())} << (8 * filled);
    octets.remove_prefix(1);
    ++length_;
    if (filled + 1 == kWord) {
      Mix(pending_);
      pending_ = 0;
    }
  }
}

uint64_t Fingerprint::value() const {
  const uint64_t last = Scramble(Scramble(state_, pending_), length_);
  return last ^ (last >> 32);
}

}  // namespace tlspost::verify
