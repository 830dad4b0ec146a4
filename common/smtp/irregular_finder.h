// FindIrregular: the vectorised look at message text.
//
// One pass over the bytes that finds everything the end-of-data scanner has to
// think about: a CR and an LF that do not stand together, a NUL, and a dot at
// the start of a line. In clean text that is next to nothing, so the scanner's
// own care costs nothing there. Knows no state; changes nothing.

#ifndef TLSPOST_COMMON_SMTP_IRREGULAR_FINDER_H_
#define TLSPOST_COMMON_SMTP_IRREGULAR_FINDER_H_

#include <cstddef>

namespace tlspost::smtp {

// The first i in [begin, size) where data[i], seen with data[i - 1], is
//   an LF not behind a CR, or anything but an LF behind a CR,
//   a NUL, or
//   a '.' behind an LF;
// `size` if there is none. Requires 1 <= begin <= size: there is an octet
// before the first one judged.
using FindIrregularFunction = size_t (*)(const char* data, size_t begin,
                                         size_t size);

// The fastest one this processor can run.
FindIrregularFunction BestFindIrregular();

// The ones there are, slowest first; all give the same answers. The last ones
// are null where the processor or the compiler's target has no such thing.
size_t FindIrregularPortable(const char* data, size_t begin, size_t size);
FindIrregularFunction FindIrregularBy16();  // octets: SSE2, or NEON
FindIrregularFunction FindIrregularBy32();  // AVX2

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_IRREGULAR_FINDER_H_
