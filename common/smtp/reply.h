// Replies: everything the proxy itself ever says to a client, in one table.
//
// The words are Postfix's wherever Postfix has them, so that what people grep
// for and search for is found. A reply is checked when it is compiled: a wrong
// shape does not build. Replies of the backend are not here: they are passed
// on as they came (reply_parser.h). Sends nothing.

#ifndef TLSPOST_COMMON_SMTP_REPLY_H_
#define TLSPOST_COMMON_SMTP_REPLY_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/smtp/text.h"

namespace tlspost::smtp {

// The enhanced status code (RFC 3463) of one reply line "250 2.0.0 Ok", as a
// view into it: "2.0.0". Empty when it has none.
constexpr std::string_view EnhancedCodeOf(std::string_view line) {
  if (line.size() < 4) return {};
  const std::string_view text = line.substr(4);
  if (text.size() < 2 || text[0] != line[0] || text[1] != '.') return {};
  size_t end = 1;
  for (int part = 0; part < 2; ++part) {  // ".subject" and ".detail"
    if (end >= text.size() || text[end] != '.') return {};
    const size_t first = ++end;
    while (end < text.size() && IsDigit(text[end])) ++end;
    if (end == first || end - first > 3) return {};
  }
  if (end < text.size() && text[end] != ' ' && text[end] != '\r') return {};
  return text.substr(0, end);
}

// One fixed reply of ours, line end included. The text lives for ever.
class Reply {
 public:
  // `text` is one line "CODE ENHANCED WORDS\r\n". For a constant this is
  // checked by the compiler: the failing branch cannot be evaluated there.
  constexpr explicit Reply(std::string_view text) : text_(text) {
    if (!WellFormed(text)) CheckFailed("REQUIRE", "WellFormed", __FILE__, 0);
  }

  constexpr std::string_view text() const { return text_; }
  constexpr int code() const {
    return (text_[0] - '0') * 100 + (text_[1] - '0') * 10 + (text_[2] - '0');
  }
  friend constexpr bool operator==(const Reply&, const Reply&) = default;

 private:
  static constexpr bool WellFormed(std::string_view text) {
    constexpr size_t kMaxReplyOctets = 512;  // RFC 5321 section 4.5.3.1.5
    if (text.size() < 6 || text.size() > kMaxReplyOctets) return false;
    if (text[0] < '2' || text[0] > '5' || text[3] != ' ') return false;
    if (!IsDigit(text[1]) || !IsDigit(text[2])) return false;
    if (text.find('\r') != text.size() - 2 || text.back() != '\n') return false;
    // RFC 2034 section 4: where codes are offered every 2yz, 4yz and 5yz has
    // one, except the greeting and the answer to HELO and EHLO; 3yz has none.
    return (text[0] == '3') == EnhancedCodeOf(text).empty();
  }

  std::string_view text_;
};

// A reply's first line without its end, whatever the server put into it: what
// fits into a line of the log.
inline std::string_view FirstLine(std::string_view reply) {
  return reply.substr(0, reply.find('\r'));
}

// Either what was asked for, or the refusal to send to the client.
template <typename T>
class [[nodiscard]] ReplyOr {
 public:
  ReplyOr(T value) : value_(std::move(value)) {}  // NOLINT(*-explicit-*)
  ReplyOr(Reply refusal) : refusal_(refusal) {}   // NOLINT(*-explicit-*)

  bool ok() const { return value_.has_value(); }
  const T& operator*() const {
    TLSPOST_REQUIRE(ok());
    return *value_;
  }
  const T* operator->() const { return &**this; }
  const Reply& refusal() const {
    TLSPOST_REQUIRE(!ok());
    return *refusal_;
  }

 private:
  std::optional<T> value_;
  std::optional<Reply> refusal_;
};

namespace reply {

// Success.
inline constexpr Reply kOk{"250 2.0.0 Ok\r\n"};
inline constexpr Reply kSenderOk{"250 2.1.0 Ok\r\n"};
inline constexpr Reply kRecipientOk{"250 2.1.5 Ok\r\n"};
inline constexpr Reply kBye{"221 2.0.0 Bye\r\n"};
inline constexpr Reply kReadyToStartTls{"220 2.0.0 Ready to start TLS\r\n"};
inline constexpr Reply kStartInput{"354 End data with <CR><LF>.<CR><LF>\r\n"};
inline constexpr Reply kHelp{
    "214 2.0.0 See https://www.rfc-editor.org/rfc/rfc5321\r\n"};
// RFC 5321 section 3.5.3: the answer of a server that does not verify.
inline constexpr Reply kCannotVerify{
    "252 2.0.0 Cannot VRFY user, but will accept message and attempt "
    "delivery\r\n"};

// What is not a command.
inline constexpr Reply kBadSyntax{"500 5.5.2 Error: bad syntax\r\n"};
inline constexpr Reply kNotRecognized{
    "500 5.5.2 Error: command not recognized\r\n"};
inline constexpr Reply kLineTooLong{"500 5.5.2 Error: line too long\r\n"};
inline constexpr Reply kNotImplemented{
    "502 5.5.1 Error: command not implemented\r\n"};
inline constexpr Reply kVrfyDisabled{"502 5.5.1 VRFY command is disabled\r\n"};
inline constexpr Reply kNonSmtpCommand{
    "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n"};

// What is not an argument.
inline constexpr Reply kSyntaxHelo{"501 5.5.4 Syntax: HELO hostname\r\n"};
inline constexpr Reply kSyntaxEhlo{"501 5.5.4 Syntax: EHLO hostname\r\n"};
inline constexpr Reply kBadHelloName{
    "501 5.5.4 Error: invalid HELO or EHLO name\r\n"};
inline constexpr Reply kSyntaxStartTls{"501 5.5.4 Syntax: STARTTLS\r\n"};
inline constexpr Reply kSyntaxMail{"501 5.5.4 Syntax: MAIL FROM:<address>\r\n"};
inline constexpr Reply kSyntaxRcpt{"501 5.5.4 Syntax: RCPT TO:<address>\r\n"};
inline constexpr Reply kBadSender{"501 5.1.7 Bad sender address syntax\r\n"};
inline constexpr Reply kBadRecipient{
    "501 5.1.3 Bad recipient address syntax\r\n"};
inline constexpr Reply kBadSize{"501 5.5.4 Bad message size syntax\r\n"};
inline constexpr Reply kBadRet{"501 5.5.4 Bad RET parameter syntax\r\n"};
inline constexpr Reply kBadEnvid{"501 5.5.4 Bad ENVID parameter syntax\r\n"};
inline constexpr Reply kBadNotify{
    "501 5.5.4 Error: Bad NOTIFY parameter syntax\r\n"};
inline constexpr Reply kBadOrcpt{
    "501 5.5.4 Error: Bad ORCPT parameter syntax\r\n"};
inline constexpr Reply kUnsupportedOption{"555 5.5.4 Unsupported option\r\n"};
// RFC 5321 section 4.2.2: 455. The client was offered it, and may come again.
inline constexpr Reply kOptionNotNow{
    "455 4.3.3 Error: mail server does not take this option now\r\n"};
inline constexpr Reply kChunkingNotNow{
    "451 4.3.3 Error: mail server does not take BDAT now\r\n"};
inline constexpr Reply kMustDeclareSmtpUtf8{
    "553 5.6.7 Must declare SMTPUTF8 to send unicode address\r\n"};
inline constexpr Reply kSyntaxData{"501 5.5.4 Syntax: DATA\r\n"};
inline constexpr Reply kSyntaxBdat{"501 5.5.4 Syntax: BDAT count [LAST]\r\n"};
inline constexpr Reply kSyntaxRset{"501 5.5.4 Syntax: RSET\r\n"};
inline constexpr Reply kSyntaxVrfy{"501 5.5.4 Syntax: VRFY address\r\n"};
inline constexpr Reply kSyntaxQuit{"501 5.5.4 Syntax: QUIT\r\n"};
inline constexpr Reply kSyntaxAuth{"501 5.5.4 Syntax: AUTH mechanism\r\n"};

// The right command at the wrong time.
inline constexpr Reply kSendHello{"503 5.5.1 Error: send HELO/EHLO first\r\n"};
inline constexpr Reply kNestedMail{"503 5.5.1 Error: nested MAIL command\r\n"};
inline constexpr Reply kNeedMail{"503 5.5.1 Error: need MAIL command\r\n"};
inline constexpr Reply kNeedRcpt{"503 5.5.1 Error: need RCPT command\r\n"};
inline constexpr Reply kMailAfterBdat{"503 5.5.1 Error: MAIL after BDAT\r\n"};
inline constexpr Reply kRcptAfterBdat{"503 5.5.1 Error: RCPT after BDAT\r\n"};
inline constexpr Reply kDataAfterBdat{"503 5.5.1 Error: DATA after BDAT\r\n"};
// RFC 3030 section 3.
inline constexpr Reply kBinaryNeedsBdat{
    "503 5.5.1 Error: BODY=BINARYMIME needs BDAT\r\n"};
inline constexpr Reply kNoValidRecipients{
    "554 5.5.1 Error: no valid recipients\r\n"};
inline constexpr Reply kInTransaction{
    "503 5.5.1 Error: MAIL transaction in progress\r\n"};
inline constexpr Reply kSynchronization{
    "554 5.5.0 Error: SMTP protocol synchronization\r\n"};

// TLS and authentication.
inline constexpr Reply kMustStartTls{
    "530 5.7.0 Must issue a STARTTLS command first\r\n"};
inline constexpr Reply kTlsAlreadyActive{
    "554 5.5.1 Error: TLS already active\r\n"};
inline constexpr Reply kTooManyHandshakes{
    "454 4.7.0 Error: too many TLS handshakes, try again later\r\n"};
inline constexpr Reply kNeedClientCertificate{
    "550 5.7.1 Error: a trusted client certificate is required\r\n"};
inline constexpr Reply kAuthNotEnabled{
    "503 5.5.1 Error: authentication not enabled\r\n"};
inline constexpr Reply kAuthNeedsTls{
    "538 5.7.11 Encryption required for requested authentication "
    "mechanism\r\n"};
inline constexpr Reply kAlreadyAuthenticated{
    "503 5.5.1 Error: already authenticated\r\n"};
inline constexpr Reply kAuthSendEhlo{"503 5.5.1 Error: send EHLO first\r\n"};
inline constexpr Reply kAuthMechanismUnknown{
    "504 5.5.4 Error: unrecognized authentication type\r\n"};
inline constexpr Reply kAuthBadResponse{
    "501 5.5.2 Error: authentication response is not base64\r\n"};
inline constexpr Reply kAuthLineTooLong{
    "500 5.5.6 Error: authentication exchange line too long\r\n"};
inline constexpr Reply kAuthTooManySteps{
    "535 5.7.8 Error: authentication failed: too many steps\r\n"};
inline constexpr Reply kAuthBackendLost{
    "454 4.7.0 Temporary authentication failure: lost connection with mail "
    "server\r\n"};

// The message.
inline constexpr Reply kSizeOverLimit{
    "552 5.3.4 Message size exceeds fixed limit\r\n"};
inline constexpr Reply kMessageTooBig{
    "552 5.3.4 Error: message file too big\r\n"};
inline constexpr Reply kChunkTooBig{
    "552 5.3.4 Chunk exceeds message size limit\r\n"};
inline constexpr Reply kInsufficientStorage{
    "452 4.3.1 Insufficient system storage\r\n"};
inline constexpr Reply kTooManyRecipients{
    "452 4.5.3 Error: too many recipients\r\n"};
inline constexpr Reply kTooManyHops{"554 5.4.6 Error: too many hops\r\n"};
inline constexpr Reply kMailLoop{
    "554 5.4.6 Error: mail loops back to this host\r\n"};
inline constexpr Reply kBareLf{"550 5.5.2 Error: bare <LF> received\r\n"};
inline constexpr Reply kBareCr{"550 5.5.2 Error: bare <CR> received\r\n"};
inline constexpr Reply kNulInMessage{"550 5.5.2 Error: NUL received\r\n"};

// The backend. 4.3.x: ours or the mail server's trouble, come again.
inline constexpr Reply kBackendBusy{
    "451 4.3.2 Error: mail server busy, try again later\r\n"};
inline constexpr Reply kBackendDown{
    "451 4.3.0 Error: mail server temporarily unavailable\r\n"};
inline constexpr Reply kBackendLost{
    "451 4.3.0 Error: lost connection with mail server\r\n"};
// The final dot was sent and its reply never came: nobody knows the outcome.
inline constexpr Reply kOutcomeUnknown{
    "451 4.4.2 Error: lost connection with mail server while sending end of "
    "data\r\n"};
inline constexpr Reply kBackendTlsPolicy{
    "451 4.7.1 Error: mail server offers no acceptable TLS\r\n"};

// The last words: said with the host's name in them, then closed (WithHost).
inline constexpr Reply kShuttingDown{"421 4.3.2 Service shutting down\r\n"};
inline constexpr Reply kServiceUnavailable{
    "421 4.3.0 Service unavailable, try again later\r\n"};
inline constexpr Reply kTimeout{"421 4.4.2 Error: timeout exceeded\r\n"};
inline constexpr Reply kTooManyErrors{"421 4.7.0 Error: too many errors\r\n"};
inline constexpr Reply kTooManyConnections{
    "421 4.7.0 Error: too many connections\r\n"};

// A rate of one client (FromClient).
inline constexpr Reply kTooMuchMail{"450 4.7.1 Error: too much mail\r\n"};
inline constexpr Reply kTooManyRecipientsRate{
    "450 4.7.1 Error: too many recipients\r\n"};
inline constexpr Reply kTooManyAuths{
    "450 4.7.1 Error: too many AUTH commands\r\n"};
inline constexpr Reply kTooManyTlsSessions{
    "454 4.7.0 Error: too many new TLS sessions\r\n"};
inline constexpr Reply kTooManyTlsSessionsBye{
    "421 4.7.0 Error: too many new TLS sessions\r\n"};

}  // namespace reply

// "220 HOSTNAME ESMTP BANNER\r\n"
std::string Greeting(std::string_view hostname, std::string_view banner);

// "250 HOSTNAME\r\n": the answer to HELO, which offers nothing.
std::string HeloReply(std::string_view hostname);

// `reply` with the host's name before its words, as RFC 5321 section 4.2 asks
// of a 421: "421 4.4.2 mx.example Error: timeout exceeded\r\n".
std::string WithHost(const Reply& reply, std::string_view hostname);

// `reply` with the client's address behind its words, as Postfix has it:
// "450 4.7.1 Error: too much mail from 192.0.2.1\r\n".
std::string FromClient(std::string reply_text, std::string_view address);

// The same reply, one line or many, with the three digits `code` instead of
// 421: a backend that says 421 takes leave of us, not of the client.
std::string WithoutLeaveTaking(std::string reply_text, std::string_view code);

// The same reply, one line or many, without enhanced status codes: for a
// client that was not offered ENHANCEDSTATUSCODES because the backend has none.
std::string WithoutEnhancedCodes(std::string_view reply_text);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_REPLY_H_
