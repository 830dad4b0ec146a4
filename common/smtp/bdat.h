// BDAT: the size of a chunk, read and written (RFC 3030 section 2).
//
// A chunk is counted, never looked at. Where its size is not certain nothing
// behind the command can be: the owner has to close the connection. Holds no
// state.

#ifndef TLSPOST_COMMON_SMTP_BDAT_H_
#define TLSPOST_COMMON_SMTP_BDAT_H_

#include <cstdint>
#include <string>

#include "common/smtp/command.h"
#include "common/smtp/reply.h"

namespace tlspost::smtp {

// No chunk is larger: sums of a few stay far from the end of the type.
inline constexpr uint64_t kMaxChunkOctets = uint64_t{1} << 62;

struct BdatArguments {
  uint64_t size = 0;
  bool last = false;
};

// `command` is a BDAT, of whatever shape. The refusal means that its chunk's
// size is unknown (edge 95).
ReplyOr<BdatArguments> ParseBdat(const Command& command);

// Appends "BDAT 123 LAST\r\n".
void AppendBdat(const BdatArguments& chunk, std::string& out);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_BDAT_H_
