// FixedText: a few octets of text in place, for records that never allocate.
//
// What does not fit is cut off. The text is as it was given: who shows it to
// people escapes it.

#ifndef TLSPOST_PROXY_FIXED_TEXT_H_
#define TLSPOST_PROXY_FIXED_TEXT_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tlspost {

template <size_t kCapacity>
class FixedText {
 public:
  static_assert(kCapacity <= 255);

  FixedText() = default;
  explicit FixedText(std::string_view text)
      : size_(static_cast<uint8_t>(std::min(text.size(), kCapacity))) {
    std::copy_n(text.data(), size_, octets_.data());
  }

  std::string_view view() const { return {octets_.data(), size_}; }

 private:
  std::array<char, kCapacity> octets_{};
  uint8_t size_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_FIXED_TEXT_H_
