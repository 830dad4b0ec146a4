#include "proxy/dialogue_client.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/io/stream.h"
#include "common/smtp/text.h"

namespace tlspost {

Task<absl::Status> DialogueClient::Connect() {
  io::ConnectOp connect(loop_, server_, Deadline());
  CO_TRY_LET(transport, co_await connect);
  stream_ = std::make_unique<tls::TlsStream>(std::move(transport));
  co_return absl::OkStatus();
}

Task<absl::Status> DialogueClient::Send(std::string_view octets) {
  const io::Time deadline = Deadline();
  absl::Status sent = co_await stream_->Write(octets, deadline);
  co_return sent;
}

Task<absl::Status> DialogueClient::StartTls() {
  CO_TRY_LET(context, tls::TlsContext::CreateClient(tls::ClientTlsOptions()));
  const io::Time deadline = Deadline();
  absl::Status done = co_await stream_->StartTls(std::move(context), deadline);
  co_return done;
}

Task<absl::Status> DialogueClient::Say(std::string_view line, int code) {
  if (show_) show_("C:", line);
  CO_TRY(co_await Send(line));
  absl::Status heard = co_await Hear(code);
  co_return heard;
}

Task<absl::Status> DialogueClient::Hear(int code) {
  const io::Time deadline = Deadline();
  while (true) {
    size_t consumed = 0;
    const smtp::ReplyParser::Result result =
        parser_.Parse(chunk_.view(), &consumed);
    chunk_.Consume(consumed);
    if (result == smtp::ReplyParser::Result::kComplete) break;
    if (result == smtp::ReplyParser::Result::kMalformed) {
      co_return absl::InternalError("what answers does not speak SMTP");
    }
    CO_TRY_LET(chunk, co_await stream_->Read(deadline));
    if (chunk.empty()) co_return absl::UnavailableError("lost connection");
    chunk_ = std::move(chunk);
  }
  if (show_) show_("S:", parser_.text());
  if (parser_.code() == code) co_return absl::OkStatus();
  const std::string heard = smtp::SanitizeForHeader(parser_.last_line());
  co_return absl::InternalError(
      absl::StrFormat("expected a %d, heard: %s", code, heard));
}

}  // namespace tlspost
