#include "common/smtp/bdat.h"

#include <optional>

#include "common/smtp/text.h"

namespace tlspost::smtp {

ReplyOr<BdatArguments> ParseBdat(const Command& command) {
  if (HasControlOctets(command.line)) return reply::kSyntaxBdat;
  std::string_view rest = command.argument;
  const std::optional<uint64_t> size = ParseNumber(TakeWord(rest));
  if (!size.has_value() || *size > kMaxChunkOctets) return reply::kSyntaxBdat;
  BdatArguments chunk;
  chunk.size = *size;
  chunk.last = EqualsIgnoreCase(rest, "LAST");
  if (!chunk.last && !rest.empty()) return reply::kSyntaxBdat;
  return chunk;
}

void AppendBdat(const BdatArguments& chunk, std::string& out) {
  out.append("BDAT ").append(std::to_string(chunk.size));
  out.append(chunk.last ? " LAST\r\n" : "\r\n");
}

}  // namespace tlspost::smtp
