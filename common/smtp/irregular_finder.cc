#include "common/smtp/irregular_finder.h"

#include <bit>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tlspost::smtp {

size_t FindIrregularPortable(const char* data, size_t begin, size_t size) {
  for (size_t i = begin; i < size; ++i) {
    const bool line_feed = data[i] == '\n';
    const bool behind_cr = data[i - 1] == '\r';
    const bool dot_first = data[i] == '.' && data[i - 1] == '\n';
    if (line_feed != behind_cr || data[i] == '\0' || dot_first) return i;
  }
  return size;
}

#if defined(__x86_64__)

namespace {

// The irregular octets among the 16 at `at`, as 0xff each.
inline __m128i Irregular16(const char* at) {
  const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i before =
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(at - 1));
  const __m128i line_feed = _mm_cmpeq_epi8(here, _mm_set1_epi8('\n'));
  const __m128i behind_cr = _mm_cmpeq_epi8(before, _mm_set1_epi8('\r'));
  const __m128i dot = _mm_cmpeq_epi8(here, _mm_set1_epi8('.'));
  const __m128i behind_lf = _mm_cmpeq_epi8(before, _mm_set1_epi8('\n'));
  const __m128i nul = _mm_cmpeq_epi8(here, _mm_setzero_si128());
  return _mm_or_si128(_mm_xor_si128(line_feed, behind_cr),
                      _mm_or_si128(nul, _mm_and_si128(dot, behind_lf)));
}

size_t FindSse2(const char* data, size_t begin, size_t size) {
  constexpr size_t kStep = 16;
  if (size - begin < kStep) return FindIrregularPortable(data, begin, size);
  // The last step is moved back to end at `size`: the octets it sees again
  // were found regular.
  for (size_t i = begin;; i += kStep) {
    if (i + kStep > size) i = size - kStep;
    const auto mask =
        static_cast<uint32_t>(_mm_movemask_epi8(Irregular16(data + i)));
    if (mask != 0) return i + static_cast<size_t>(std::countr_zero(mask));
    if (i + kStep == size) return size;
  }
}

__attribute__((target("avx2"))) inline __m256i Irregular32(const char* at) {
  const __m256i here = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  const __m256i before =
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at - 1));
  const __m256i line_feed = _mm256_cmpeq_epi8(here, _mm256_set1_epi8('\n'));
  const __m256i behind_cr = _mm256_cmpeq_epi8(before, _mm256_set1_epi8('\r'));
  const __m256i dot = _mm256_cmpeq_epi8(here, _mm256_set1_epi8('.'));
  const __m256i behind_lf = _mm256_cmpeq_epi8(before, _mm256_set1_epi8('\n'));
  const __m256i nul = _mm256_cmpeq_epi8(here, _mm256_setzero_si256());
  return _mm256_or_si256(
      _mm256_xor_si256(line_feed, behind_cr),
      _mm256_or_si256(nul, _mm256_and_si256(dot, behind_lf)));
}

__attribute__((target("avx2"))) size_t FindAvx2(const char* data, size_t begin,
                                                size_t size) {
  constexpr size_t kStep = 32;
  if (size - begin < kStep) return FindSse2(data, begin, size);
  size_t i = begin;
  // Two steps for one test; what it finds is found again below.
  for (; size - i >= 2 * kStep; i += 2 * kStep) {
    const __m256i both =
        _mm256_or_si256(Irregular32(data + i), Irregular32(data + i + kStep));
    if (!_mm256_testz_si256(both, both)) break;
  }
  for (;; i += kStep) {
    if (i + kStep > size) i = size - kStep;
    const auto mask =
        static_cast<uint32_t>(_mm256_movemask_epi8(Irregular32(data + i)));
    if (mask != 0) return i + static_cast<size_t>(std::countr_zero(mask));
    if (i + kStep == size) return size;
  }
}

}  // namespace

FindIrregularFunction FindIrregularSse2() { return FindSse2; }

FindIrregularFunction FindIrregularAvx2() {
  return __builtin_cpu_supports("avx2") ? FindAvx2 : nullptr;
}

#else

FindIrregularFunction FindIrregularSse2() { return nullptr; }
FindIrregularFunction FindIrregularAvx2() { return nullptr; }

#endif

FindIrregularFunction BestFindIrregular() {
  static const FindIrregularFunction kBest = [] {
    if (FindIrregularAvx2() != nullptr) return FindIrregularAvx2();
    if (FindIrregularSse2() != nullptr) return FindIrregularSse2();
    return FindIrregularFunction{FindIrregularPortable};
  }();
  return kBest;
}

}  // namespace tlspost::smtp
