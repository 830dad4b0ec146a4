// The client's side of the conversation.

#include "tests/sim/sim_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/smtp/base64.h"
#include "common/smtp/bdat.h"
#include "tests/sim/sim_tls.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""h;

// Longer than any deadline of the proxy: who waits longer hangs.
constexpr io::Duration kPatience = 2h;

}  // namespace

std::vector<std::string> SimAuth::Responses() const {
  const std::string nul(1, '\0');
  if (mechanism == "PLAIN") {
    return {smtp::EncodeBase64(nul + user + nul + password)};
  }
  if (mechanism == "LOGIN") {
    return {smtp::EncodeBase64(user), smtp::EncodeBase64(password)};
  }
  std::vector<std::string> responses;
  for (const char* step : {"0 ", "1 ", "2 "}) {
    responses.push_back(smtp::EncodeBase64(step + user + " " + password));
  }
  return responses;
}

namespace {

// "BDAT 5 LAST" and its octets, for each.
std::vector<std::string> ChunksOf(const Mail& mail) {
  std::vector<std::string> chunks;
  size_t at = 0;
  for (size_t i = 0; i < mail.chunks.size(); ++i) {
    smtp::BdatArguments chunk;
    chunk.size = mail.chunks[i];
    chunk.last = i + 1 == mail.chunks.size();
    std::string piece;
    smtp::AppendBdat(chunk, piece);
    chunks.push_back(piece + mail.body.substr(at, chunk.size));
    at += chunk.size;
  }
  return chunks;
}

}  // namespace

SimClient::SimClient(SimLoop& loop, ClientPlan plan, io::Endpoint from,
                     io::Endpoint server)
    : loop_(loop),
      plan_(std::move(plan)),
      from_(std::move(from)),
      server_(std::move(server)),
      results_(plan_.mails.size()),
      meanwhile_(loop),
      begin_(loop.Now()) {}

Task<void> SimClient::Run() {
  if (plan_.start_after > io::Duration(0)) {
    co_await io::SleepOp(loop_, loop_.Now() + plan_.start_after);
  }
  const absl::Status end = co_await Converse();
  if (absl::IsDeadlineExceeded(end)) timed_out_ = true;
  const bool failed_handshake = stream_ != nullptr &&
                                stream_->engine() != nullptr &&
                                !stream_->engine()->established();
  const bool reads_on = stream_ != nullptr && !timed_out_ && !failed_handshake;
  if (reads_on) co_await ReadToEnd();
  if (stream_ != nullptr) stream_->transport().Close();
  const bool written = co_await meanwhile_.Drained(io::kNever);
  static_cast<void>(written);  // closing ends it
  chunk_.Release();
  stream_.reset();
  ended_after_ = loop_.Now() - begin_;
  ended_ = true;
}

Task<absl::Status> SimClient::Converse() {
  const bool balanced = !plan_.balancer.empty();
  loop_.set_client_address(
      balanced ? *io::Endpoint::FromIp(plan_.balancer, from_.port()) : from_);
  io::ConnectOp connect(loop_, server_, loop_.Now() + kPatience);
  CO_TRY_LET(transport, co_await connect);
  stream_ = std::make_unique<tls::TlsStream>(std::move(transport));
  int code = 0;
  if (balanced) CO_TRY(co_await Send(ProxyHeader()));
  if (plan_.implicit_tls) CO_TRY(co_await StartTls());
  if (!plan_.speaks_first) CO_TRY(co_await Hear(&code));
  const std::string verb = plan_.esmtp ? "EHLO " : "HELO ";
  const std::string hello = verb + plan_.helo + "\r\n";
  if (plan_.says_hello || !plan_.first_helo.empty()) {
    const std::string first =
        plan_.first_helo.empty() ? hello : verb + plan_.first_helo + "\r\n";
    CO_TRY(co_await Say(first, &code));
  }
  CO_TRY(co_await Send(plan_.before_starttls));
  if (plan_.tls != ClientTls::kNone && !plan_.implicit_tls) {
    CO_TRY(co_await SayStartTls());
    if (stopped_) co_return absl::OkStatus();
    CO_TRY(co_await StartTls());
    if (plan_.says_hello) CO_TRY(co_await Say(hello, &code));
  }
  for (const SimAuth& auth : plan_.auths) {
    if (user_.empty()) CO_TRY(co_await Authenticate(auth));
  }
  CO_TRY(co_await Send(plan_.raw));
  for (size_t i = 0; i < plan_.mails.size(); ++i) {
    CO_TRY(co_await SendMail(i));
  }
  if (plan_.stays > io::Duration(0)) {
    co_await io::SleepOp(loop_, loop_.Now() + plan_.stays);
  }
  if (plan_.says_quit) CO_TRY(co_await Say("QUIT\r\n", &code));
  co_return absl::OkStatus();
}

std::string SimClient::ProxyHeader() const {
  if (!plan_.proxy_header.empty()) return plan_.proxy_header;
  // Both addresses are of one kind.
  const bool is_v6 = from_.is_ipv6();
  return absl::StrFormat("PROXY TCP%d %s %s%s %d %d\r\n", is_v6 ? 6 : 4,
                         from_.Address(), is_v6 ? "::ffff:" : "",
                         server_.Address(), from_.port(), server_.port());
}

Task<absl::Status> SimClient::SayStartTls() {
  int code = 0;
  const std::string line = "STARTTLS\r\n" + plan_.behind_starttls;
  CO_TRY(co_await Say(line, &code));
  if (code != 220) co_return absl::InternalError("no STARTTLS");
  co_return absl::OkStatus();
}

Task<absl::Status> SimClient::StartTls() {
  auto engine = MakeClientEngine(plan_.tls == ClientTls::kTls13);
  const io::Time deadline = loop_.Now() + kPatience;
  CO_TRY(co_await stream_->StartTls(std::move(engine), deadline));
  in_tls_ = true;
  co_return absl::OkStatus();
}

Task<absl::Status> SimClient::Send(const std::vector<RawStep>& steps) {
  int code = 0;
  for (const RawStep& step : steps) {
    CO_TRY(co_await Send(step.bytes));
    for (int i = 0; i < step.replies; ++i) CO_TRY(co_await Hear(&code));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> SimClient::Authenticate(const SimAuth& auth) {
  const std::vector<std::string> responses = auth.Responses();
  size_t next = 0;
  std::string command = "AUTH " + auth.mechanism;
  if (auth.initial) command += " " + responses[next++];
  command += "\r\n";
  int& code = auth_codes_.emplace_back(0);
  CO_TRY(co_await Say(command, &code));
  while (code == 334) {
    const std::string response =
        (next < responses.size() ? responses[next] : "*") + "\r\n";
    ++next;
    CO_TRY(co_await Say(response, &code));
  }
  if (code == 235) user_ = auth.user;
  co_return absl::OkStatus();
}

// --- mail -----------------------------------------------------------------

Task<absl::Status> SimClient::SendMail(size_t index) {
  const Mail& mail = plan_.mails[index];
  MailResult& result = results_[index];
  result.recipients.assign(mail.recipients.size(), 0);
  const bool last_mail = index + 1 == plan_.mails.size();
  if (!mail.chunks.empty()) {
    absl::Status sent = absl::OkStatus();
    if (plan_.pipelining) {
      sent = co_await SendChunksAtOnce(mail, result, last_mail);
    } else {
      sent = co_await SendChunks(mail, result, last_mail);
    }
    co_return sent;
  }
  if (plan_.pipelining) {
    CO_TRY(co_await SendEnvelopeAtOnce(mail, result));
  } else {
    CO_TRY(co_await SendEnvelope(mail, result));
  }
  if (result.data == 354) {
    absl::Status sent = co_await SendBody(mail, result, last_mail);
    co_return sent;
  }
  int code = 0;
  if (result.mail != 250) co_return absl::OkStatus();
  absl::Status reset = co_await Say("RSET\r\n", &code);
  co_return reset;
}

Task<absl::Status> SimClient::SendEnvelopeAtOnce(const Mail& mail,
                                                 MailResult& result) {
  std::string group =
      "MAIL FROM:<" + mail.sender + ">" + mail.parameters + "\r\n";
  for (const std::string& to : mail.recipients) {
    group += "RCPT TO:<" + to + ">\r\n";
  }
  group += "DATA\r\n";
  if (plan_.reads_meanwhile) {
    meanwhile_.Spawn(SendMeanwhile(std::move(group)));
  } else {
    CO_TRY(co_await Send(std::move(group)));
  }
  CO_TRY(co_await Hear(&result.mail));
  for (int& code : result.recipients) CO_TRY(co_await Hear(&code));
  absl::Status heard = co_await Hear(&result.data);
  co_return heard;
}

Task<void> SimClient::SendMeanwhile(std::string bytes) {
  const absl::Status sent = co_await Send(std::move(bytes));
  static_cast<void>(sent);  // what is heard tells
}

Task<absl::Status> SimClient::SendEnvelope(const Mail& mail,
                                           MailResult& result) {
  const std::string from =
      "MAIL FROM:<" + mail.sender + ">" + mail.parameters + "\r\n";
  CO_TRY(co_await Say(from, &result.mail));
  if (result.mail != 250) co_return absl::OkStatus();
  bool any = false;
  for (size_t i = 0; i < mail.recipients.size(); ++i) {
    const std::string to = "RCPT TO:<" + mail.recipients[i] + ">\r\n";
    CO_TRY(co_await Say(to, &result.recipients[i]));
    any = any || result.recipients[i] == 250;
  }
  if (!any || !mail.chunks.empty()) co_return absl::OkStatus();
  absl::Status said = co_await Say("DATA\r\n", &result.data);
  co_return said;
}

Task<absl::Status> SimClient::SendBody(const Mail& mail, MailResult& result,
                                       bool last) {
  std::string bytes = mail.body + ".\r\n";
  result.dot_sent = !StopsWithin(bytes.size());
  if (last) bytes += plan_.behind_dot;
  CO_TRY(co_await Send(bytes));
  const absl::Status heard = co_await Hear(&result.final_code);
  if (result.final_code != 0) result.final_text = replies_.back();
  CO_TRY(heard);
  if (last) CO_TRY(co_await HearBehindDot());
  co_return absl::OkStatus();
}

Task<absl::Status> SimClient::HearBehindDot() {
  int code = 0;
  for (int i = 0; i < plan_.replies_behind_dot; ++i) {
    CO_TRY(co_await Hear(&code));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> SimClient::SendChunksAtOnce(const Mail& mail,
                                               MailResult& result, bool last) {
  std::string group =
      "MAIL FROM:<" + mail.sender + ">" + mail.parameters + "\r\n";
  for (const std::string& to : mail.recipients) {
    group += "RCPT TO:<" + to + ">\r\n";
  }
  for (const std::string& chunk : ChunksOf(mail)) group += chunk;
  result.dot_sent = !StopsWithin(group.size());
  if (last) group += plan_.behind_dot;
  CO_TRY(co_await Send(group));
  CO_TRY(co_await Hear(&result.mail));
  for (int& code : result.recipients) CO_TRY(co_await Hear(&code));
  for (size_t i = 0; i < mail.chunks.size(); ++i) {
    int code = 0;
    const absl::Status heard = co_await Hear(&code);
    NoteChunk(i, code, mail, result);
    CO_TRY(heard);
  }
  if (last) CO_TRY(co_await HearBehindDot());
  co_return absl::OkStatus();
}

// Stops at the first refusal, and says RSET then.
Task<absl::Status> SimClient::SendChunks(const Mail& mail, MailResult& result,
                                         bool last) {
  CO_TRY(co_await SendEnvelope(mail, result));
  int code = result.data;
  if (result.mail != 250) co_return absl::OkStatus();
  const std::vector<std::string> chunks = ChunksOf(mail);
  for (size_t i = 0; i < chunks.size(); ++i) {
    if (i + 1 == chunks.size()) {
      result.dot_sent = !StopsWithin(chunks[i].size());
    }
    code = 0;
    const absl::Status heard = co_await Say(chunks[i], &code);
    NoteChunk(i, code, mail, result);
    CO_TRY(heard);
    if (code != 250) break;
  }
  if (code != 250) CO_TRY(co_await Say("RSET\r\n", &code));
  if (last && !plan_.behind_dot.empty()) {
    CO_TRY(co_await Send(plan_.behind_dot));
    CO_TRY(co_await HearBehindDot());
  }
  co_return absl::OkStatus();
}

void SimClient::NoteChunk(size_t index, int code, const Mail& mail,
                          MailResult& result) {
  if (index == 0) result.data = code;
  // A refusal of any chunk is one of the message.
  const bool final = index + 1 == mail.chunks.size() || code >= 400;
  if (!final || code == 0) return;
  result.final_code = code;
  result.final_text = replies_.back();
}

// --- bytes ----------------------------------------------------------------

Task<absl::Status> SimClient::Say(std::string line, int* code) {
  CO_TRY(co_await Send(std::move(line)));
  absl::Status heard = co_await Hear(code);
  co_return heard;
}

bool SimClient::StopsWithin(size_t octets) const {
  return stopped_ || (plan_.stop_after.has_value() &&
                      octets_sent_ + octets > *plan_.stop_after);
}

Task<absl::Status> SimClient::Send(std::string bytes) {
  if (stopped_) co_return absl::OkStatus();
  if (plan_.pause > io::Duration(0)) {
    co_await io::SleepOp(loop_, loop_.Now() + plan_.pause);
  }
  stopped_ = StopsWithin(bytes.size());
  if (stopped_) bytes.resize(*plan_.stop_after - octets_sent_);
  octets_sent_ += bytes.size();
  const io::Time deadline = loop_.Now() + kPatience;
  absl::Status written = co_await stream_->Write(bytes, deadline);
  if (stopped_ && plan_.stop == Stop::kVanish) stream_->transport().Close();
  if (stopped_ && plan_.stop == Stop::kHalfClose) {
    stream_->transport().ShutdownWrite();
  }
  // What the server has said is heard even if it does not listen any more.
  if (absl::IsUnavailable(written)) written = absl::OkStatus();
  co_return written;
}

Task<absl::Status> SimClient::Hear(int* code) {
  const io::Time deadline = loop_.Now() + kPatience;
  while (true) {
    size_t consumed = 0;
    const smtp::ReplyParser::Result result =
        parser_.Parse(chunk_.view(), &consumed);
    chunk_.Consume(consumed);
    if (result == smtp::ReplyParser::Result::kComplete) break;
    if (result == smtp::ReplyParser::Result::kMalformed) {
      ++extra_replies_;
      co_return absl::UnavailableError("not a reply");
    }
    CO_TRY_LET(chunk, co_await stream_->Read(deadline));
    if (chunk.empty()) co_return absl::UnavailableError("end of input");
    chunk_ = std::move(chunk);
  }
  *code = parser_.code();
  replies_.push_back(parser_.TakeText());
  if (*code == 421) co_return absl::UnavailableError("the server leaves");
  co_return absl::OkStatus();
}

// Until the server closes. Whatever it still says answers nothing; only a
// leave-taking is in order.
Task<void> SimClient::ReadToEnd() {
  while (true) {
    int code = 0;
    const absl::Status heard = co_await Hear(&code);
    if (code != 0 && code != 421) ++extra_replies_;
    if (absl::IsDeadlineExceeded(heard)) timed_out_ = true;
    if (!heard.ok()) break;
  }
}

}  // namespace tlspost::sim
