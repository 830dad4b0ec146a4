// The messages of a session: envelope, content, what the client was told.

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/load/load_session.h"
#include "bench/measure/clock.h"
#include "common/base/co_try.h"

namespace tlspost::load {
namespace {

using measure::NowExactly;

// A message up to this size goes out in one write; more would only be copied.
constexpr size_t kOnePieceOctets = 65536;

// `pattern` with `text` in the place of its first %.
std::string Fill(std::string_view pattern, std::string_view text) {
  const size_t at = pattern.find('%');
  if (at == std::string_view::npos) return std::string(pattern);
  std::string filled(pattern.substr(0, at));
  return filled.append(text).append(pattern.substr(at + 1));
}

// Octets [begin, begin + count) of `message`.
void AppendPiece(const OutgoingMessage& message, size_t begin, size_t count,
                 std::string& piece) {
  const std::string_view header = message.header;
  const size_t from_header =
      begin < header.size() ? std::min(count, header.size() - begin) : 0;
  if (from_header > 0) piece += header.substr(begin, from_header);
  if (from_header == count) return;
  const size_t body_begin = begin + from_header - header.size();
  piece += message.body.substr(body_begin, count - from_header);
}

}  // namespace

Task<absl::Status> LoadSession::SendMessages() {
  for (int64_t i = 0; i < options_.messages; ++i) {
    io::Time due = NowExactly();
    if (services_.message_pacer != nullptr) {
      const auto slot = co_await services_.message_pacer->Next();
      if (!slot.has_value()) break;
      due = *slot;
    } else if (i > 0 && options_.pause > io::Duration(0)) {
      co_await Pause(options_.pause);
      due = NowExactly();
    }
    if (!services_.budget.TakeMessage()) break;
    CO_TRY(co_await SendMessage(due));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> LoadSession::SendMessage(io::Time due) {
  Compose();
  absl::Status told;
  const bool pipelining = options_.pipelining && server_pipelines_;
  if (pipelining && options_.bdat && message_.octets() <= kOnePieceOctets) {
    told = co_await SayChunkedMailAtOnce();
  } else if (pipelining) {
    told = co_await SayEnvelopeAtOnce();
  } else {
    told = co_await SayEnvelope();
  }
  if (told.ok() && may_send_content_) {
    if (options_.bdat) {
      told = co_await SendChunks();
    } else {
      told = co_await SendContent();
    }
  }
  Settle(due);
  if (!told.ok()) co_return told;
  if (!in_transaction_) co_return absl::OkStatus();
  CO_TRY(co_await Ask(Phase::kMail, "RSET\r\n"));
  if (!Positive()) CO_TRY(Refused(Phase::kMail));
  co_return absl::OkStatus();
}

void LoadSession::Compose() {
  io::Loop& loop = services_.loop;
  mark_ = {services_.plan.run, services_.budget.NextSequence()};
  sender_ = Fill(options_.from, verify::FormatMarkId(mark_));
  recipients_.clear();
  for (int64_t i = 0; i < options_.recipients; ++i) {
    recipients_.push_back(Fill(options_.to, std::to_string(i)));
  }
  accepted_recipients_.clear();
  const int64_t octets =
      services_.plan.sizes.Draw(loop.Random(), loop.Random());
  message_ =
      services_.plan.text.Make(mark_, sender_, recipients_.front(),
                               static_cast<size_t>(octets), loop.Random());
  in_transaction_ = false;
  may_send_content_ = false;
  outcome_ = verify::Outcome::kRefused;
}

// --- the envelope -----------------------------------------------------------

Task<absl::Status> LoadSession::SayEnvelope() {
  const std::string mail = absl::StrFormat("MAIL FROM:<%s>\r\n", sender_);
  CO_TRY(co_await Ask(Phase::kMail, mail));
  if (!Positive()) co_return Refused(Phase::kMail);
  in_transaction_ = true;
  for (size_t i = 0; i < recipients_.size(); ++i) {
    const std::string rcpt =
        absl::StrFormat("RCPT TO:<%s>\r\n", recipients_[i]);
    CO_TRY(co_await Ask(Phase::kRcpt, rcpt));
    HearRecipient(i);
    if (code() == 421) co_return absl::UnavailableError("421");
  }
  if (accepted_recipients_.empty()) co_return absl::OkStatus();
  if (options_.bdat) {
    may_send_content_ = true;
    co_return absl::OkStatus();
  }
  absl::Status said = co_await SayData();
  co_return said;
}

std::string LoadSession::EnvelopeGroup() const {
  std::string group = absl::StrFormat("MAIL FROM:<%s>\r\n", sender_);
  for (const std::string& recipient : recipients_) {
    group += absl::StrFormat("RCPT TO:<%s>\r\n", recipient);
  }
  return group;
}

// The replies to MAIL and each RCPT of what was sent at once.
Task<absl::Status> LoadSession::HearEnvelope() {
  CO_TRY(co_await Hear(Phase::kMail));
  in_transaction_ = Positive();
  if (!in_transaction_) CO_TRY(Refused(Phase::kMail));
  for (size_t i = 0; i < recipients_.size(); ++i) {
    CO_TRY(co_await Hear(Phase::kRcpt));
    HearRecipient(i);
    if (code() == 421) co_return absl::UnavailableError("421");
  }
  co_return absl::OkStatus();
}

Task<absl::Status> LoadSession::SayEnvelopeAtOnce() {
  std::string group = EnvelopeGroup();
  if (!options_.bdat) group += "DATA\r\n";
  asked_ = NowExactly();
  CO_TRY(co_await Write(Phase::kMail, group, std::string_view()));
  CO_TRY(co_await HearEnvelope());
  if (options_.bdat) {
    may_send_content_ = !accepted_recipients_.empty();
    co_return absl::OkStatus();
  }
  CO_TRY(co_await Hear(Phase::kData));
  if (code() != 354) co_return Refused(Phase::kData);
  may_send_content_ = true;
  // RFC 2920 section 3.1: a server may say 354 with no recipient left, and
  // then waits for the end of an empty message.
  if (accepted_recipients_.empty()) message_ = OutgoingMessage();
  co_return absl::OkStatus();
}

// The whole mail in one write: BDAT may follow its envelope at once (RFC 3030
// section 4.2). A chunk behind a refused envelope is refused as well.
Task<absl::Status> LoadSession::SayChunkedMailAtOnce() {
  wire_ = EnvelopeGroup();
  size_t chunks = 0;
  for (size_t at = 0; at < message_.octets(); ++chunks) {
    at += AppendChunk(at, wire_);
  }
  asked_ = NowExactly();
  // From here on, without a reply, nobody knows.
  outcome_ = verify::Outcome::kUnsure;
  CO_TRY(co_await Write(Phase::kMail, wire_, std::string_view()));
  CO_TRY(co_await HearEnvelope());
  const bool refused = accepted_recipients_.empty();
  for (size_t i = 1; i <= chunks; ++i) {
    const Phase phase = i == chunks ? Phase::kContent : Phase::kData;
    CO_TRY(co_await Hear(phase));
    if (i == chunks) HearEnd();
    if (!Positive() && !refused) CO_TRY(Refused(phase));
  }
  co_return absl::OkStatus();
}

void LoadSession::HearRecipient(size_t index) {
  if (Positive()) {
    accepted_recipients_.push_back(recipients_[index]);
  } else {
    const absl::Status refused = Refused(Phase::kRcpt);
    static_cast<void>(refused);  // the caller looks for 421
  }
}

Task<absl::Status> LoadSession::SayData() {
  CO_TRY(co_await Ask(Phase::kData, "DATA\r\n"));
  if (code() != 354) co_return Refused(Phase::kData);
  may_send_content_ = true;
  co_return absl::OkStatus();
}

// --- the content ------------------------------------------------------------

Task<absl::Status> LoadSession::SendContent() {
  asked_ = NowExactly();
  // From here on, without a reply, nobody knows.
  outcome_ = verify::Outcome::kUnsure;
  wire_.clear();
  if (message_.octets() > kOnePieceOctets) {
    CO_TRY(co_await Write(Phase::kContent, message_.header, message_.body));
  } else {
    wire_.append(message_.header).append(message_.body);
  }
  wire_ += ".\r\n";
  CO_TRY(co_await Write(Phase::kContent, wire_, std::string_view()));
  CO_TRY(co_await Hear(Phase::kContent));
  HearEnd();
  if (!Positive()) co_return Refused(Phase::kContent);
  co_return absl::OkStatus();
}

// Appends the BDAT of the chunk that begins at `begin`; returns its octets.
size_t LoadSession::AppendChunk(size_t begin, std::string& wire) const {
  const size_t left = message_.octets() - begin;
  const auto most = static_cast<size_t>(options_.chunk_size);
  const size_t count = most > 0 ? std::min(left, most) : left;
  const char* const last = count == left ? " LAST" : "";
  wire += absl::StrFormat("BDAT %d%s\r\n", count, last);
  AppendPiece(message_, begin, count, wire);
  return count;
}

Task<absl::Status> LoadSession::SendChunks() {
  const size_t all = message_.octets();
  const io::Time begin = NowExactly();
  for (size_t at = 0; at < all;) {
    wire_.clear();
    at += AppendChunk(at, wire_);
    const bool last = at == all;
    if (last) outcome_ = verify::Outcome::kUnsure;
    asked_ = last ? begin : NowExactly();
    const Phase phase = last ? Phase::kContent : Phase::kData;
    CO_TRY(co_await Write(phase, wire_, std::string_view()));
    CO_TRY(co_await Hear(phase));
    if (last) HearEnd();
    if (!Positive()) co_return Refused(phase);
  }
  co_return absl::OkStatus();
}

void LoadSession::HearEnd() {
  in_transaction_ = false;
  if (Positive()) {
    outcome_ = verify::Outcome::kAccepted;
  } else if (!parser_.last_line().starts_with("451 4.4.2")) {
    outcome_ = verify::Outcome::kRefused;
  }
}

void LoadSession::Settle(io::Time due) {
  Results& results = services_.results;
  if (outcome_ == verify::Outcome::kAccepted) {
    results.Took(Phase::kMessage, NowExactly() - due);
    ++results.messages;
    results.octets += message_.octets();
    ++services_.budget.messages;
  }
  if (options_.verify.empty()) return;
  results.sent.push_back(
      {mark_.sequence, message_.fingerprint(),
       verify::EnvelopeFingerprint(sender_, accepted_recipients_), outcome_});
}

}  // namespace tlspost::load
