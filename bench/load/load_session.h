// LoadSession: one connection of the load generator, from connect to close.
//
// Reads like the conversation it has. What everything took, and what went
// wrong, goes into the worker's Results; what a session returns says only
// whether it came to its planned end.

#ifndef TLSPOST_BENCH_LOAD_LOAD_SESSION_H_
#define TLSPOST_BENCH_LOAD_LOAD_SESSION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "bench/load/load_plan.h"
#include "bench/load/pacer.h"
#include "bench/load/results.h"
#include "common/base/task.h"
#include "common/io/chunk.h"
#include "common/io/loop.h"
#include "common/smtp/reply_parser.h"
#include "common/tls/tls_context.h"
#include "common/tls/tls_session.h"
#include "common/tls/tls_stream.h"

namespace tlspost::load {

// What a worker lends to its sessions; outlives them.
struct SessionServices {
  io::Loop& loop;
  const LoadPlan& plan;
  Budget& budget;
  Results& results;
  std::shared_ptr<tls::TlsContext> tls;  // null: plaintext
  Pacer* message_pacer = nullptr;        // null: one after the other
};

class LoadSession {
 public:
  // `ticket` is the client's last TLS session, and takes the next one.
  LoadSession(const SessionServices& services,
              std::unique_ptr<tls::TlsSession>& ticket)
      : services_(services), options_(services.plan.options), ticket_(ticket) {}

  // Errors are in the results already.
  Task<absl::Status> Run();

 private:
  // --- opening and closing ---
  Task<absl::Status> Open();
  Task<absl::Status> Connect();
  Task<absl::Status> Hello();
  Task<absl::Status> StartTls();
  Task<absl::Status> Handshake();
  Task<absl::Status> SayNoops();
  Task<absl::Status> Quit();

  // --- messages ---
  Task<absl::Status> SendMessages();
  Task<absl::Status> SendMessage(io::Time due);
  void Compose();
  Task<absl::Status> SayEnvelope();
  Task<absl::Status> SayEnvelopeAtOnce();
  Task<absl::Status> SayChunkedMailAtOnce();
  Task<absl::Status> HearEnvelope();
  std::string EnvelopeGroup() const;
  size_t AppendChunk(size_t begin, std::string& wire) const;
  void HearRecipient(size_t index);
  Task<absl::Status> SayData();
  Task<absl::Status> SendContent();
  Task<absl::Status> SendChunks();
  void HearEnd();
  void Settle(io::Time due);

  // --- words ---
  // Writes `line` and hears the reply, whose code is then code().
  Task<absl::Status> Ask(Phase phase, std::string_view line);
  Task<absl::Status> Write(Phase phase, std::string_view first,
                           std::string_view second);
  Task<absl::Status> Hear(Phase phase);
  Task<void> Pause(io::Duration duration);

  int code() const { return parser_.code(); }
  bool Positive() const { return code() / 100 == 2; }
  // Notes a reply that is none that was hoped for; the connection goes on,
  // unless it was 421.
  absl::Status Refused(Phase phase);
  // Notes the end of the connection.
  absl::Status Lost(Phase phase, const absl::Status& why);
  void NoteError(Phase phase, std::string_view what, std::string_view example);

  const SessionServices& services_;
  const LoadOptions& options_;
  std::unique_ptr<tls::TlsSession>& ticket_;
  std::unique_ptr<tls::TlsStream> stream_;
  io::Chunk chunk_;
  smtp::ReplyParser parser_;
  io::Time asked_;  // when what is being answered was written
  bool server_pipelines_ = false;

  // Of the message under way.
  verify::Mark mark_;
  std::string sender_;
  std::vector<std::string> recipients_;
  std::vector<std::string> accepted_recipients_;
  OutgoingMessage message_;
  std::string wire_;  // a small message, or a chunk, in one piece
  bool in_transaction_ = false;
  bool may_send_content_ = false;
  verify::Outcome outcome_ = verify::Outcome::kRefused;
};

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_LOAD_SESSION_H_
