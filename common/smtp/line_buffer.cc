#include "common/smtp/line_buffer.h"

#include <algorithm>
#include <cstdint>

#include "common/base/check.h"
#include "common/smtp/command.h"
#include "common/smtp/text.h"

namespace tlspost::smtp {
namespace {

// RFC 5321 section 2.3.8 ends lines with CRLF; people who type into nc end
// them with LF alone, and a command line may.
std::string_view WithoutCr(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

}  // namespace

LineBuffer::LineBuffer(size_t limit) : limit_(static_cast<uint32_t>(limit)) {
  TLSPOST_REQUIRE(limit > 0 && limit <= UINT32_MAX);
}

LineBuffer::Result LineBuffer::Next(std::string_view unread) {
  if (taken_) Clear();
  const size_t line_feed = unread.find('\n');
  const bool whole = line_feed != std::string_view::npos;
  const std::string_view piece = unread.substr(0, line_feed);
  const size_t limit = LimitOf(piece);
  if (!skipping_ && carry_ == nullptr && whole) {
    const std::string_view line = WithoutCr(piece);
    const Kind kind = line.size() > limit ? Kind::kTooLong : Kind::kLine;
    const std::string_view what =
        kind == Kind::kLine ? line : WhatIsLeft(line.substr(0, limit));
    return {kind, what, line_feed + 1};
  }
  // One octet over the limit may yet prove to be the CR of the line end.
  if (!skipping_ && carried().size() + piece.size() > limit + 1) {
    std::string start(carried());
    start.append(piece.substr(0, limit));
    Clear();
    skipping_ = true;
    lost_bdat_ = !WhatIsLeft(std::string_view(start).substr(0, limit)).empty();
  }
  if (skipping_) return Skip(line_feed, unread);
  if (piece.empty() && !whole) return {Kind::kNeedMore, "", unread.size()};
  if (carry_ == nullptr) carry_ = std::make_unique<std::string>();
  // In one step to the limit: growing by doubling would pass it.
  if (carry_->size() + piece.size() > carry_->capacity()) {
    carry_->reserve(limit + 1);
  }
  carry_->append(piece);
  if (!whole) return {Kind::kNeedMore, "", unread.size()};
  const std::string_view line = WithoutCr(*carry_);
  if (line.size() > limit) {
    const std::string_view what = WhatIsLeft(line.substr(0, limit));
    Clear();
    return {Kind::kTooLong, what, line_feed + 1};
  }
  taken_ = true;
  return {Kind::kLine, line, line_feed + 1};
}

std::string_view LineBuffer::carried() const {
  return carry_ == nullptr ? std::string_view() : *carry_;
}

// The limit of the line that goes on with `piece`.
size_t LineBuffer::LimitOf(std::string_view piece) const {
  constexpr std::string_view kAuth = "AUTH ";
  std::string start(carried().substr(0, kAuth.size()));
  start.append(piece.substr(0, kAuth.size() - start.size()));
  if (!StartsWithIgnoreCase(start, kAuth)) return limit_;
  return std::max<size_t>(limit_, kAuthLineLengthLimit);
}

// `start`: as much of a line as the limit allows, however it was cut.
std::string_view LineBuffer::WhatIsLeft(std::string_view start) {
  return MayBeBdat(start, /*cut=*/true) ? kLostBdat : std::string_view();
}

LineBuffer::Result LineBuffer::Skip(size_t line_feed, std::string_view unread) {
  if (line_feed == std::string_view::npos) {
    return {Kind::kNeedMore, "", unread.size()};
  }
  skipping_ = false;
  return {Kind::kTooLong, lost_bdat_ ? kLostBdat : std::string_view(),
          line_feed + 1};
}

void LineBuffer::Clear() {
  carry_.reset();
  taken_ = false;
  skipping_ = false;
}

}  // namespace tlspost::smtp
