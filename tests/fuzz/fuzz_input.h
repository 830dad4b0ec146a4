// FuzzInput: takes a fuzzer's octets apart into numbers and strings.
//
// Every input means something: what is missing is zeros. A failed EXPECT ends
// the process, which is how a fuzzer learns of it.

#ifndef TLSPOST_TESTS_FUZZ_FUZZ_INPUT_H_
#define TLSPOST_TESTS_FUZZ_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace tlspost::fuzz {

class FuzzInput {
 public:
  explicit FuzzInput(std::string_view octets) : rest_(octets) {}

  bool empty() const { return rest_.empty(); }

  uint8_t Octet() {
    if (rest_.empty()) return 0;
    const auto octet = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return octet;
  }

  uint16_t Number16() {
    const uint16_t high = Octet();
    return static_cast<uint16_t>(high << 8 | Octet());
  }

  // Up to `most` octets: as many as the next octet says.
  std::string_view Piece(size_t most) {
    const size_t wanted = Octet();
    return Take(wanted < most ? wanted : most);
  }

  std::string_view Take(size_t size) {
    const std::string_view piece = rest_.substr(0, size);
    rest_.remove_prefix(piece.size());
    return piece;
  }

  std::string_view Rest() { return Take(rest_.size()); }

 private:
  std::string_view rest_;
};

// Ends the process when `ok` is false.
inline void Expect(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace tlspost::fuzz

#endif  // TLSPOST_TESTS_FUZZ_FUZZ_INPUT_H_
