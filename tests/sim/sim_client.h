// SimClient: a mail client of the simulated world, and what it heard.
//
// It speaks as its plan says: in plaintext or TLS, command by command or in
// pipelined groups, and it may go silent, half-close or vanish after any
// octet. It judges nothing: the ledger reads what it has noted down.

#ifndef TLSPOST_TESTS_SIM_SIM_CLIENT_H_
#define TLSPOST_TESTS_SIM_SIM_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/task.h"
#include "common/io/task_group.h"
#include "common/smtp/reply_parser.h"
#include "common/tls/tls_stream.h"
#include "tests/sim/sim_loop.h"

namespace tlspost::sim {

struct Mail {
  std::string sender;  // unique in its world: the ledger finds the mail by it
  std::vector<std::string> recipients;
  std::string body;        // as sent: dots stuffed, a whole last line
  std::string delivered;   // what the backend must get; empty: `body`
  std::string parameters;  // of MAIL, each with a blank before it
  // Sizes of the chunks it is sent in, by BDAT; empty: by DATA.
  std::vector<size_t> chunks;
};

// What the client heard about one mail. 0: nothing.
struct MailResult {
  int mail = 0;
  std::vector<int> recipients;
  int data = 0;  // of DATA, or of the first chunk
  int final_code = 0;
  std::string final_text;
  bool dot_sent = false;
};

enum class ClientTls { kNone, kTls12, kTls13 };
enum class Stop { kVanish, kHalfClose, kStall };

// Octets sent as they are, and how many replies are awaited afterwards.
struct RawStep {
  std::string bytes;
  int replies = 0;
};

// One AUTH command and its exchange.
struct SimAuth {
  std::string mechanism;  // PLAIN, LOGIN or X-STEPS
  std::string user;
  std::string password;
  bool initial = false;  // the first response comes with the command

  // In base64.
  std::vector<std::string> Responses() const;
};

struct ClientPlan {
  int worker = 0;       // which of them it connects to
  std::string address;  // empty: one of its own
  // A load balancer in front: connections come from there, and begin with
  // `proxy_header` (empty: the line of version 1 about this client).
  std::string balancer;
  std::string proxy_header;
  // What XCLIENT is to say of it: "" for [UNAVAILABLE].
  std::string name;
  std::string reverse_name;
  std::string helo;           // empty: one of its own
  std::string first_helo;     // before STARTTLS; empty: `helo`
  bool says_hello = true;     // `first_helo` is said in any case
  bool speaks_first = false;  // says its `raw` before it has heard a greeting
  bool esmtp = true;
  ClientTls tls = ClientTls::kNone;
  bool implicit_tls = false;  // TLS from the first octet instead of STARTTLS
  bool pipelining = true;
  bool reads_meanwhile = false;  // hears replies while an envelope is sent
  std::vector<RawStep> before_starttls;
  std::string behind_starttls;  // injected in the same segment
  std::vector<SimAuth> auths;   // behind the greetings, until one succeeds
  std::vector<RawStep> raw;     // between these and the mails
  bool lawless = false;  // `raw` may deliver what the ledger knows nothing of
  std::vector<Mail> mails;
  std::string behind_dot;  // further commands, sent with the last mail's end
  int replies_behind_dot = 0;
  bool says_quit = true;
  io::Duration start_after{};
  io::Duration pause{};  // before everything it sends
  io::Duration stays{};  // before it leaves
  // It stops so after this many octets (of plaintext).
  std::optional<uint64_t> stop_after;
  Stop stop = Stop::kVanish;
};

class SimClient {
 public:
  SimClient(SimLoop& loop, ClientPlan plan, io::Endpoint from,
            io::Endpoint server);

  Task<void> Run();

  // --- what happened ---
  const ClientPlan& plan() const { return plan_; }
  const io::Endpoint& from() const { return from_; }
  const io::Endpoint& server() const { return server_; }
  const std::vector<MailResult>& results() const { return results_; }
  // Every reply, in order.
  const std::vector<std::string>& replies() const { return replies_; }
  bool ended() const { return ended_; }
  // The last reply to each AUTH command.
  const std::vector<int>& auth_codes() const { return auth_codes_; }
  // As whom it has authenticated: it has heard 235. "": nobody.
  const std::string& user() const { return user_; }
  // How long after the world's start.
  io::Duration ended_after() const { return ended_after_; }
  // A reply did not come in two hours.
  bool timed_out() const { return timed_out_; }
  // Replies to nothing.
  int extra_replies() const { return extra_replies_; }
  bool in_tls() const { return in_tls_; }
  uint64_t octets_sent() const { return octets_sent_; }

 private:
  Task<absl::Status> Converse();
  std::string ProxyHeader() const;
  Task<absl::Status> SayStartTls();
  Task<absl::Status> StartTls();
  Task<absl::Status> Send(const std::vector<RawStep>& steps);
  Task<absl::Status> Authenticate(const SimAuth& auth);
  Task<absl::Status> SendMail(size_t index);
  Task<absl::Status> SendEnvelope(const Mail& mail, MailResult& result);
  Task<absl::Status> SendEnvelopeAtOnce(const Mail& mail, MailResult& result);
  Task<void> SendMeanwhile(std::string bytes);
  Task<absl::Status> SendBody(const Mail& mail, MailResult& result, bool last);
  Task<absl::Status> SendChunks(const Mail& mail, MailResult& result,
                                bool last);
  Task<absl::Status> SendChunksAtOnce(const Mail& mail, MailResult& result,
                                      bool last);
  Task<absl::Status> HearBehindDot();
  void NoteChunk(size_t index, int code, const Mail& mail, MailResult& result);
  Task<absl::Status> Say(std::string line, int* code);
  Task<absl::Status> Send(std::string bytes);
  // Sets *code and `text` before it may fail for a 421.
  Task<absl::Status> Hear(int* code);
  Task<void> ReadToEnd();
  bool StopsWithin(size_t octets) const;

  SimLoop& loop_;
  const ClientPlan plan_;
  const io::Endpoint from_;
  const io::Endpoint server_;
  std::unique_ptr<tls::TlsStream> stream_;
  io::Chunk chunk_;
  smtp::ReplyParser parser_;
  std::vector<MailResult> results_;
  std::vector<std::string> replies_;
  std::vector<int> auth_codes_;
  std::string user_;
  uint64_t octets_sent_ = 0;
  int extra_replies_ = 0;
  bool stopped_ = false;
  io::TaskGroup meanwhile_;
  bool in_tls_ = false;
  const io::Time begin_;
  io::Duration ended_after_{};
  bool ended_ = false;
  bool timed_out_ = false;
};

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_SIM_CLIENT_H_
