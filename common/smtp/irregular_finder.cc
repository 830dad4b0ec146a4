// Octet by octet, and 16 or 32 of them at a time.

#include "common/smtp/irregular_finder.h"

#include <bit>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
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

#if defined(__x86_64__) || defined(__aarch64__)

namespace {

#if defined(__x86_64__)

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

// The same as a number, and how many of its bits stand for an octet.
constexpr int kBitsPerOctet = 1;
inline uint64_t Mask16(const char* at) {
  return static_cast<uint32_t>(_mm_movemask_epi8(Irregular16(at)));
}

#else

// NEON has no movemask: each octet becomes four bits.
constexpr int kBitsPerOctet = 4;
inline uint64_t Mask16(const char* at) {
  const uint8x16_t here = vld1q_u8(reinterpret_cast<const uint8_t*>(at));
  const uint8x16_t before = vld1q_u8(reinterpret_cast<const uint8_t*>(at - 1));
  const uint8x16_t line_feed = vceqq_u8(here, vdupq_n_u8('\n'));
  const uint8x16_t behind_cr = vceqq_u8(before, vdupq_n_u8('\r'));
  const uint8x16_t dot = vceqq_u8(here, vdupq_n_u8('.'));
  const uint8x16_t behind_lf = vceqq_u8(before, vdupq_n_u8('\n'));
  const uint8x16_t nul = vceqzq_u8(here);
  const uint8x16_t irregular = vorrq_u8(
      veorq_u8(line_feed, behind_cr), vorrq_u8(nul, vandq_u8(dot, behind_lf)));
  const uint8x8_t narrow = vshrn_n_u16(vreinterpretq_u16_u8(irregular), 4);
  return vget_lane_u64(vreinterpret_u64_u8(narrow), 0);
}

#endif

size_t FindBy16(const char* data, size_t begin, size_t size) {
  constexpr size_t kStep = 16;
  if (size - begin < kStep) return FindIrregularPortable(data, begin, size);
  // The last step is moved back to end at `size`: the octets it sees again
  // were found regular.
  for (size_t i = begin;; i += kStep) {
    if (i + kStep > size) i = size - kStep;
    const uint64_t mask = Mask16(data + i);
    if (mask != 0) {
      return i + static_cast<size_t>(std::countr_zero(mask) / kBitsPerOctet);
    }
    if (i + kStep == size) return size;
  }
}

#if defined(__x86_64__)

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
  if (size - begin < kStep) return FindBy16(data, begin, size);
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

#endif

}  // namespace

FindIrregularFunction FindIrregularBy16() { return FindBy16; }

#else

FindIrregularFunction FindIrregularBy16() { return nullptr; }

#endif

FindIrregularFunction FindIrregularBy32() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return FindAvx2;
#endif
  return nullptr;
}

FindIrregularFunction BestFindIrregular() {
  static const FindIrregularFunction kBest = [] {
    if (FindIrregularBy32() != nullptr) return FindIrregularBy32();
    if (FindIrregularBy16() != nullptr) return FindIrregularBy16();
    return FindIrregularFunction{FindIrregularPortable};
  }();
  return kBest;
}

}  // namespace tlspost::smtp
