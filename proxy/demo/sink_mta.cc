// The sink's conversation: just enough SMTP, with Postfix's habits.

#include "proxy/demo/sink_mta.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/base/intrusive_list.h"
#include "common/smtp/bdat.h"
#include "common/smtp/command.h"
#include "common/smtp/text.h"
#include "common/tls/tls_stream.h"
#include "proxy/demo/sink_identity.h"
#include "proxy/demo/sink_sasl.h"

namespace tlspost {
namespace {

// "MAIL FROM:<a@b> SIZE=1" gives "a@b".
std::string PathOf(std::string_view line) {
  const size_t open = line.find('<');
  const size_t close = line.find('>', open);
  if (open == std::string_view::npos || close == std::string_view::npos) {
    return {};
  }
  return std::string(line.substr(open + 1, close - open - 1));
}

// "MAIL FROM:<a@b> AUTH=c" gives "c".
std::string AuthParameterOf(std::string_view line) {
  while (!line.empty()) {
    const std::string_view word = smtp::TakeWord(line);
    if (smtp::StartsWithIgnoreCase(word, "AUTH=")) {
      return std::string(word.substr(5));
    }
  }
  return {};
}

}  // namespace

class SinkMta::Conversation : public ListNode<Conversation> {
 public:
  Conversation(SinkMta& sink, std::unique_ptr<io::Stream> stream, int number)
      : sink_(sink),
        stream_(std::move(stream)),
        sasl_(sink.options_.passwords),
        identity_(sink.options_, message_) {
    message_.connection = number;
  }

  Task<absl::Status> Run() {
    if (sink_.options_.proxy_header) CO_TRY(co_await HearProxyHeader());
    std::string client;
    if (sink_.options_.proxy_header) client = message_.client["ADDR"];
    CO_TRY(co_await Answer("CONNECT", client));
    while (!closing_) {
      if (in_data_ && !sink_.hears_lines_) TakeWholeLines();
      const size_t end = input_.find('\n');
      if (end == std::string::npos) {
        CO_TRY(co_await Fill());
        continue;
      }
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      CO_TRY(co_await HandleLine(std::move(line)));
    }
    co_return absl::OkStatus();
  }

  void Close() { stream_.transport().Close(); }

 private:
  Task<absl::Status> Fill() {
    auto chunk = co_await stream_.Read(io::kNever);
    if (!chunk.ok()) co_return chunk.status();
    if (chunk->empty()) co_return absl::OutOfRangeError("end of input");
    input_ += chunk->view();
    co_return absl::OkStatus();
  }

  // The lines of a message that nobody wants to hear of one by one, up to what
  // may be its end or is not yet a whole line.
  void TakeWholeLines() {
    size_t begin = 0;  // of what goes into the message as it came
    size_t next = 0;
    while (true) {
      const size_t feed = input_.find('\n', next);
      if (feed == std::string::npos) break;
      const std::string_view line =
          std::string_view(input_).substr(next, feed - next);
      if (line == "." || line == ".\r") break;
      if (!line.ends_with('\r')) {
        message_.data.append(input_, begin, feed - begin).append("\r\n");
        begin = feed + 1;
      }
      next = feed + 1;
    }
    message_.data.append(input_, begin, next - begin);
    input_.erase(0, next);
  }

  // Counts, and looks at nothing, as RFC 3030 section 2 asks.
  Task<absl::Status> HandleChunk(std::string command) {
    const auto parsed = smtp::ParseBdat(smtp::ParseCommand(command));
    closing_ = !parsed.ok() || !sink_.options_.chunking;
    if (closing_) {
      absl::Status refused = co_await stream_.Write(
          "521 5.5.4 Syntax: BDAT count [LAST]\r\n", io::kNever);
      co_return refused;
    }
    uint64_t left = parsed->size;
    last_chunk_ = parsed->last;
    while (left > 0) {
      if (input_.empty()) CO_TRY(co_await Fill());
      const size_t piece = std::min<uint64_t>(left, input_.size());
      chunk_.append(input_, 0, piece);
      input_.erase(0, piece);
      left -= piece;
      // A server may refuse while the chunk still comes.
      if (left > 0) CO_TRY(co_await Answer("CHUNK", command));
    }
    absl::Status answered = co_await Answer("BDAT", command);
    chunk_.clear();
    co_return answered;
  }

  Task<absl::Status> HearProxyHeader() {
    while (true) {
      const SinkIdentity::Header header = identity_.TakeProxyHeader(input_);
      if (header == SinkIdentity::Header::kWhole) co_return absl::OkStatus();
      if (header == SinkIdentity::Header::kBad) {
        co_return absl::InvalidArgumentError("no PROXY header");
      }
      CO_TRY(co_await Fill());
    }
  }

  Task<absl::Status> HandleLine(std::string line) {
    if (in_data_) {
      if (line != ".") {
        message_.data += line + "\r\n";
        // A server may refuse while the message still comes.
        absl::Status early = co_await Answer("LINE", line);
        co_return early;
      }
      in_data_ = false;
    }
    if (sasl_.in_exchange()) {
      absl::Status heard = co_await Answer("RESPONSE", line);
      co_return heard;
    }
    std::string_view rest = line;
    const std::string verb = smtp::UpperCase(smtp::TakeWord(rest));
    const bool ahead = verb != "BDAT" && !input_.empty();
    if (ahead && !(sink_.options_.pipelining && greeted_esmtp_)) {
      closing_ = true;
      absl::Status refused = co_await stream_.Write(
          "554 5.5.0 Error: SMTP protocol synchronization\r\n", io::kNever);
      co_return refused;
    }
    if (verb == "EHLO" || verb == "HELO") greeted_esmtp_ = verb == "EHLO";
    if (verb == "BDAT") {
      absl::Status chunk = co_await HandleChunk(line);
      co_return chunk;
    }
    CO_TRY(co_await Answer(verb, line));
    if (!starting_tls_) co_return absl::OkStatus();
    starting_tls_ = false;
    input_.clear();
    absl::Status shaken =
        co_await stream_.StartTls(sink_.options_.tls, io::kNever);
    message_.tls = true;
    co_return shaken;
  }

  Task<absl::Status> Answer(std::string_view verb, std::string_view line) {
    std::optional<Misdeed> misdeed;
    if (sink_.mischief_) {
      const Event event{message_.connection, verb, line};
      misdeed = sink_.mischief_(event);
    }
    if (misdeed.has_value() && misdeed->delay > io::Duration(0)) {
      const io::Time until = sink_.loop_.Now() + misdeed->delay;
      co_await io::SleepOp(sink_.loop_, until);
    }
    std::string reply;
    if (misdeed.has_value() && !misdeed->normal) {
      sasl_.GoOn(/*challenged=*/misdeed->reply.starts_with("334"));
      reply = std::move(misdeed->reply);
      closing_ = misdeed->close;
    } else {
      reply = NormalReply(verb, line);
    }
    starting_tls_ = verb == "STARTTLS" && reply.starts_with("220");
    if (reply.empty()) co_return absl::OkStatus();
    absl::Status written = co_await stream_.Write(reply, io::kNever);
    co_return written;
  }

  // --- what a well-behaved server says ---
  std::string NormalReply(std::string_view verb, std::string_view line) {
    if (verb == "LINE" || verb == "CHUNK") return {};
    if (verb == "CONNECT") return "220 sink.example ESMTP\r\n";
    if (verb == "EHLO" || verb == "HELO") return Hello(verb, line);
    if (verb == "XCLIENT" || verb == "XFORWARD") return Identify(verb, line);
    if (verb == "AUTH") return Auth(line);
    if (verb == "RESPONSE") return Authenticated(sasl_.Hear(line));
    if (verb == "MAIL") return Mail(line);
    if (verb == "RCPT") return Rcpt(line);
    if (verb == "DATA") return Data();
    if (verb == ".") return Accept();
    if (verb == "BDAT") return TakeChunk();
    if (verb == "RSET") {
      ForgetTransaction();
      return Reply("250 2.0.0 Ok");
    }
    if (verb == "NOOP") return Reply("250 2.0.0 Ok");
    if (verb == "STARTTLS" && MayStartTls()) {
      return Reply("220 2.0.0 Ready to start TLS");
    }
    if (verb == "QUIT") {
      closing_ = true;
      return Reply("221 2.0.0 Bye");
    }
    return Reply("502 5.5.1 Error: command not implemented");
  }

  std::string Reply(std::string_view line) const {
    const bool has_code = line.size() > 9 && line[5] == '.' && line[3] == ' ';
    if (sink_.options_.enhanced_status_codes || !has_code) {
      return std::string(line) + "\r\n";
    }
    return std::string(line.substr(0, 4)) + std::string(line.substr(10)) +
           "\r\n";
  }

  std::string Hello(std::string_view verb, std::string_view line) {
    ForgetTransaction();
    identity_.Greet(line.substr(std::min<size_t>(5, line.size())),
                    verb == "EHLO");
    if (verb == "HELO") return "250 sink.example\r\n";
    std::string reply = "250-sink.example\r\n";
    if (sink_.options_.pipelining) reply += "250-PIPELINING\r\n";
    if (sink_.options_.enhanced_status_codes) {
      reply += "250-ENHANCEDSTATUSCODES\r\n";
    }
    if (MayStartTls()) reply += "250-STARTTLS\r\n";
    reply += identity_.Offers();
    if (!sink_.options_.auth.empty()) {
      reply += "250-AUTH " + sink_.options_.auth + "\r\n";
    }
    if (sink_.options_.chunking) {
      reply += "250-CHUNKING\r\n250-BINARYMIME\r\n";
    }
    reply += sink_.options_.ehlo_lines;
    return reply +
           "250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
           "250 SIZE 0\r\n";
  }

  bool MayStartTls() const {
    return sink_.options_.tls != nullptr && !message_.tls;
  }

  std::string Identify(std::string_view verb, std::string_view line) {
    if (in_mail_) return Reply("503 5.5.1 Error: MAIL transaction in progress");
    return Reply(verb == "XCLIENT" ? identity_.Xclient(line)
                                   : identity_.Xforward(line));
  }

  std::string Auth(std::string_view line) {
    if (sink_.options_.auth.empty()) {
      return Reply("503 5.5.1 Error: authentication not enabled");
    }
    if (in_mail_) return Reply("503 5.5.1 Error: MAIL transaction in progress");
    if (!message_.user.empty()) {
      return Reply("503 5.5.1 Error: already authenticated");
    }
    smtp::TakeWord(line);
    return Authenticated(sasl_.Begin(line));
  }

  std::string Authenticated(std::string_view reply) {
    if (reply.starts_with("235")) message_.user = sasl_.user();
    return Reply(reply);
  }

  std::string Mail(std::string_view line) {
    if (in_mail_) return Reply("503 5.5.1 Error: nested MAIL command");
    if (identity_.wants_greeting()) {
      return Reply("503 5.5.1 Error: send HELO/EHLO first");
    }
    in_mail_ = true;
    message_.sender = PathOf(line);
    message_.auth_parameter = AuthParameterOf(line);
    return Reply("250 2.1.0 Ok");
  }

  std::string Rcpt(std::string_view line) {
    if (!in_mail_) return Reply("503 5.5.1 Error: need MAIL command");
    if (in_chunks_) return Reply("503 5.5.1 Error: RCPT after BDAT");
    message_.recipients.push_back(PathOf(line));
    return Reply("250 2.1.5 Ok");
  }

  std::string Data() {
    if (!in_mail_) return Reply("503 5.5.1 Error: need MAIL command");
    if (in_chunks_) return Reply("503 5.5.1 Error: DATA after BDAT");
    if (message_.recipients.empty()) {
      return Reply("554 5.5.1 Error: no valid recipients");
    }
    in_data_ = true;
    return "354 End data with <CR><LF>.<CR><LF>\r\n";
  }

  std::string TakeChunk() {
    if (!in_mail_) return Reply("503 5.5.1 Error: need MAIL command");
    if (message_.recipients.empty()) {
      return Reply("554 5.5.1 Error: no valid recipients");
    }
    in_chunks_ = true;
    message_.data += chunk_;
    if (last_chunk_) return Accept();
    return Reply(absl::StrFormat("250 2.0.0 Ok: %d bytes", chunk_.size()));
  }

  std::string Accept() {
    if (sink_.on_message_) sink_.on_message_(message_);
    ForgetTransaction();
    return Reply(absl::StrFormat("250 2.0.0 Ok: queued as %d-%d",
                                 message_.connection, ++accepted_));
  }

  void ForgetTransaction() {
    in_mail_ = false;
    in_chunks_ = false;
    message_.sender.clear();
    message_.recipients.clear();
    message_.data.clear();
    identity_.EndTransaction();
  }

  SinkMta& sink_;
  tls::TlsStream stream_;
  std::string input_;
  SinkSasl sasl_;
  SinkIdentity identity_;
  Message message_;  // under way; `client`, `helo`, `user` and `tls` stay
  bool starting_tls_ = false;
  bool greeted_esmtp_ = false;  // RFC 2920 section 2: else no pipelining
  bool in_mail_ = false;
  bool in_data_ = false;
  std::string chunk_;  // under way
  bool last_chunk_ = false;
  bool in_chunks_ = false;  // the message comes by BDAT
  bool closing_ = false;
  int accepted_ = 0;
};

SinkMta::SinkMta(io::Loop& loop, Options options)
    : loop_(loop), options_(options), tasks_(loop) {}

SinkMta::~SinkMta() = default;

absl::Status SinkMta::Listen(const io::Endpoint& endpoint) {
  auto listener = loop_.Listen(endpoint, io::ListenOptions());
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  tasks_.Spawn(AcceptAll());
  return absl::OkStatus();
}

void SinkMta::Stop() {
  if (listener_ != nullptr) listener_->Close();
  open_.ForEach([](Conversation& conversation) { conversation.Close(); });
}

Task<void> SinkMta::AcceptAll() {
  while (true) {
    auto accepted = co_await listener_->Accept();
    if (!accepted.ok()) co_return;
    tasks_.Spawn(Serve(*std::move(accepted)));
  }
}

Task<void> SinkMta::Serve(std::unique_ptr<io::Stream> stream) {
  Conversation conversation(*this, std::move(stream), connections_++);
  open_.PushBack(conversation);
  const absl::Status end = co_await conversation.Run();
  static_cast<void>(end);  // a client may go as it likes
}

}  // namespace tlspost
