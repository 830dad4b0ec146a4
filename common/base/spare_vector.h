// SpareVector: a vector that begins with the memory of an earlier one of its
// kind and thread, and leaves its own to the next.
//
// For what is made and thrown away with every message, as spare_string.h has
// it for strings.

#ifndef TLSPOST_COMMON_BASE_SPARE_VECTOR_H_
#define TLSPOST_COMMON_BASE_SPARE_VECTOR_H_

#include <cstddef>
#include <utility>
#include <vector>

namespace tlspost {

template <typename T>
class SpareVector : private std::vector<T> {
  using Base = std::vector<T>;

 public:
  // What a thread keeps of each kind: so many, none for more elements.
  static constexpr size_t kMaxSpare = 64;
  static constexpr size_t kMaxElements = 128;

  SpareVector() {
    if (Spare().empty()) return;
    Base::operator=(std::move(Spare().back()));
    Spare().pop_back();
  }
  SpareVector(const SpareVector&) = delete;
  SpareVector& operator=(const SpareVector&) = delete;
  ~SpareVector() {
    Base::clear();
    const bool is_kept = Base::capacity() > 0 &&
                         Base::capacity() <= kMaxElements &&
                         Spare().size() < kMaxSpare;
    if (is_kept) Spare().push_back(std::move(static_cast<Base&>(*this)));
  }

  using Base::begin;
  using Base::clear;
  using Base::data;
  using Base::emplace_back;
  using Base::empty;
  using Base::end;
  using Base::front;
  using Base::push_back;
  using Base::size;
  using Base::operator[];

 private:
  static std::vector<Base>& Spare() {
    static thread_local std::vector<Base> spare;
    return spare;
  }
};

}  // namespace tlspost

#endif  // TLSPOST_COMMON_BASE_SPARE_VECTOR_H_
