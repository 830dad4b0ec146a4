// A mail server and a client, each as short as it can be.

#include "bench/instructions/peers.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "common/base/check.h"
#include "common/base/spare_string.h"

namespace tlspost::still {
namespace {

using Step = tls::TlsEngine::Step;

constexpr std::string_view kGreeting = "220 mail.example ESMTP Postfix\r\n";
constexpr std::string_view kOffer =
    "250-mail.example\r\n250-PIPELINING\r\n250-SIZE 102400000\r\n250-VRFY\r\n"
    "250-ETRN\r\n250-XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT\r\n"
    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n"
    "250 CHUNKING\r\n";
constexpr std::string_view kEnd = "\r\n.\r\n";

}  // namespace

// --- MailServer -----------------------------------------------------------

MailServer::MailServer(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {
  wire_->Arrive(kGreeting);
}

bool MailServer::Answer() {
  if (!wire_->has_sent()) return false;
  rest_ = wire_->TakeSent();
  while (!rest_.empty()) {
    switch (state_) {
      case State::kCommands:
        TakeLine();
        break;
      case State::kMessage:
        TakeMessage();
        break;
      case State::kChunk:
        TakeChunk();
        break;
    }
  }
  wire_->Arrive(replies_);
  replies_.clear();
  return true;
}

void MailServer::TakeLine() {
  const size_t end = rest_.find('\n');
  const size_t taken = end == std::string_view::npos ? rest_.size() : end + 1;
  line_.append(rest_.substr(0, taken));
  rest_.remove_prefix(taken);
  if (!line_.ends_with("\r\n")) return;
  line_.resize(line_.size() - 2);
  AnswerTo(line_);
  line_.clear();
}

void MailServer::AnswerTo(std::string_view line) {
  const std::string_view verb = line.substr(0, 4);
  if (verb == "EHLO") {
    replies_ += kOffer;
  } else if (verb == "XCLI") {
    ++introductions_;
    replies_ += kGreeting;
  } else if (verb == "MAIL") {
    replies_ += "250 2.1.0 Ok\r\n";
  } else if (verb == "RCPT") {
    replies_ += "250 2.1.5 Ok\r\n";
  } else if (verb == "RSET") {
    replies_ += "250 2.0.0 Ok\r\n";
  } else if (verb == "QUIT") {
    replies_ += "221 2.0.0 Bye\r\n";
  } else if (verb == "DATA") {
    replies_ += "354 End data with <CR><LF>.<CR><LF>\r\n";
    tail_ = "\r\n";
    state_ = State::kMessage;
  } else {
    TLSPOST_CHECK(verb == "BDAT");
    std::string_view size = line.substr(5);
    last_chunk_ = size.ends_with(" LAST");
    if (last_chunk_) size.remove_suffix(5);
    const auto parsed =
        std::from_chars(size.data(), size.data() + size.size(), chunk_left_);
    TLSPOST_CHECK(parsed.ec == std::errc());
    state_ = State::kChunk;
  }
}

void MailServer::TakeMessage() {
  // The end may be cut between two pieces.
  const size_t before = tail_.size();
  const std::string seam =
      tail_ + std::string(rest_.substr(0, kEnd.size() - 1));
  size_t taken = rest_.size();
  bool ended = false;
  if (const size_t at = seam.find(kEnd); at != std::string::npos) {
    taken = at + kEnd.size() - before;
    ended = true;
  } else if (const size_t at = rest_.find(kEnd); at != std::string::npos) {
    taken = at + kEnd.size();
    ended = true;
  }
  const std::string_view last = rest_.substr(0, taken);
  tail_ += last.substr(last.size() - std::min(last.size(), kEnd.size() - 1));
  if (tail_.size() >= kEnd.size()) tail_.erase(0, tail_.size() - 4);
  rest_.remove_prefix(taken);
  if (!ended) return;
  ++messages_;
  replies_ += "250 2.0.0 Ok: queued as 4F8kQz1XbHz9sW\r\n";
  state_ = State::kCommands;
}

void MailServer::TakeChunk() {
  const size_t taken = std::min<uint64_t>(chunk_left_, rest_.size());
  chunk_left_ -= taken;
  rest_.remove_prefix(taken);
  if (chunk_left_ > 0) return;
  if (last_chunk_) ++messages_;
  replies_ += last_chunk_ ? "250 2.0.0 Ok: queued as 4F8kQz1XbHz9sW\r\n"
                          : "250 2.0.0 Ok\r\n";
  state_ = State::kCommands;
}

// --- Client ---------------------------------------------------------------

void Client::BeginTls(std::shared_ptr<tls::TlsContext> context,
                      const tls::TlsSession* session) {
  TLSPOST_REQUIRE(engine_ == nullptr);
  engine_ = std::make_unique<tls::TlsEngine>(std::move(context));
  if (session != nullptr) engine_->SetSession(*session);
  block_.resize(io::BlockPool::kBlockSize);
}

bool Client::Shake() {
  engine_->SetInput(wire_->TakeSent());
  const Step step = engine_->Handshake();
  TLSPOST_CHECK(step == Step::kDone || step == Step::kWantRead);
  SendOutput();
  return step == Step::kDone;
}

void Client::Say(std::string_view words) {
  if (engine_ == nullptr) return wire_->Arrive(words);
  while (!words.empty()) {
    size_t taken = 0;
    const Step step = engine_->Write(words, &taken);
    TLSPOST_CHECK(step == Step::kDone || step == Step::kWantWrite);
    words.remove_prefix(taken);
    SendOutput();
  }
}

std::string Client::Hear() {
  if (engine_ == nullptr) return std::string(wire_->TakeSent());
  std::string words;
  engine_->SetInput(wire_->TakeSent());
  size_t got = 0;
  while (engine_->Read(block_.data(), block_.size(), &got) == Step::kDone) {
    words.append(block_, 0, got);
  }
  return words;
}

void Client::SendOutput() {
  std::string output = engine_->TakeOutput();
  wire_->Arrive(output);
  KeepSpareString(output);  // or the proxy would miss it
}

}  // namespace tlspost::still
