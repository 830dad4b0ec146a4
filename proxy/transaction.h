// Transaction: from MAIL to the backend's last word, on a connection on loan.
//
// What the client sent in one go is sent to the backend in one go, and the
// replies come back in order in one go. Replies are the backend's own words;
// ours stand only where no backend had a say. At its end the connection is
// back in the pool, clean, or closed. transaction.cc is its course,
// transaction_group.cc the commands and replies, transaction_chunks.cc the
// message that comes by BDAT, transaction_log.cc its line in the log.

#ifndef TLSPOST_PROXY_TRANSACTION_H_
#define TLSPOST_PROXY_TRANSACTION_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "common/base/spare_string.h"
#include "common/base/spare_vector.h"
#include "common/base/task.h"
#include "common/base/tls_description.h"
#include "common/smtp/command.h"
#include "common/smtp/envelope.h"
#include "proxy/backend_pool.h"
#include "proxy/chunk_relay.h"
#include "proxy/client_channel.h"
#include "proxy/log_record.h"
#include "proxy/message_relay.h"
#include "proxy/relay_outcome.h"
#include "proxy/session_services.h"

namespace tlspost {

class Transaction {
 public:
  // A group of pipelined commands is at most so long; what the client sent
  // beyond it follows in the next one.
  static constexpr size_t kMaxGroupOctets = 16384;
  // And so many are answered by us, since errors are counted when they are
  // said.
  static constexpr size_t kMaxGroupLocals = 20;
  // Recipients named in the log line; the rest are counted.
  static constexpr size_t kMaxLoggedRecipients = 20;

  // Recipients beyond a limit, of which each is answered 452, that are no
  // errors of the client (Postfix: smtpd_recipient_overshoot_limit).
  static constexpr size_t kRecipientOvershootLimit = 1000;

  // `mail_argument` is what stood behind MAIL; it parses.
  Transaction(SessionServices& services, ClientChannel& client,
              ClientState& state, std::string_view mail_argument);
  ~Transaction();

  // OK: the session goes on with the next command. An error: the client is
  // lost, or is to be left after what is pending was sent.
  Task<absl::Status> Run();

 private:
  Task<absl::Status> Converse();

  // One command of a group, in the order of the replies.
  struct Entry {
    Entry(smtp::Verb its_verb, size_t end, std::string reply, std::string path)
        : verb(its_verb),
          wire_end(end),
          local(std::move(reply)),
          recipient(std::move(path)) {}
    Entry(Entry&&) = default;
    Entry& operator=(Entry&&) = default;
    ~Entry() {
      KeepSpareString(local);
      KeepSpareString(recipient);
    }

    smtp::Verb verb;
    size_t wire_end;        // in wire_; for a command that goes to the backend
    std::string local;      // our own reply; empty for the backend's
    std::string recipient;  // of RCPT
  };

  Task<bool> Borrow();
  Task<absl::Status> BorrowOwn();
  Borrower AsBorrower() const;

  // --- the group ---
  bool Collect();
  void AddLocal(smtp::Verb verb, std::string_view reply);
  void AddLocal(smtp::Verb verb, const smtp::Reply& reply) {
    AddLocal(verb, reply.text());
  }
  void AddJunk(smtp::Verb verb, const smtp::Reply& reply);
  void AddRcpt(std::string_view argument);
  void AddWire(smtp::Verb verb, std::string recipient);
  Task<void> Exchange();
  Task<absl::StatusOr<BackendReply>> Ask(size_t index);
  void Heed(Entry& entry, BackendReply reply);
  void FailFrom(size_t index, std::string_view first, std::string_view others);
  void LoseBackend(size_t index, const absl::Status& why);
  std::string ForClient(std::string reply);
  void CloseGroup();

  // --- the message ---
  Task<absl::Status> RelayMessage();
  void NoteOutcome(const RelayOutcome& outcome, const absl::Status& end,
                   io::Time started);
  void CountMessage(const RelayOutcome& outcome);
  std::string ReceivedHeader() const;

  // --- the message in chunks ---
  bool RefuseOutOfPlace(smtp::Verb verb);
  Task<absl::Status> RelayChunk();
  void BeginChunks();
  void AnswerChunk(bool had_failed);
  void CloseChunks(const absl::Status& end);

  // --- the end ---
  Task<void> ResetBackend();
  void Say(smtp::Verb verb, std::string_view reply);

  // --- the log ---
  void AppendEnvelope(std::string& line) const;
  void LogMessage(const RelayOutcome& outcome, const absl::Status& end,
                  io::Time data_started) const;
  void LogRefusal() const;
  LogRecord Record(std::string_view status) const;

  SessionServices& services_;
  ClientChannel& client_;
  ClientState& state_;
  const SpareString id_;
  const io::Time started_;
  io::Time leased_;
  smtp::ClientIdentity identity_;
  const SpareString mail_argument_;
  const smtp::MailArguments mail_;  // views into it

  Lease lease_;
  std::string relay_;  // the backend's address, for the log
  SpareVector<Entry> group_;
  SpareString wire_;      // the group's commands for the backend
  size_t sent_ = 0;       // octets of wire_
  bool retried_ = false;  // MAIL was sent again over another connection
  bool open_ = false;     // the backend has accepted MAIL
  bool data_ = false;     // and has said 354
  bool lost_ = false;     // the connection is gone
  // Accepted, as far as they are logged.
  SpareVector<std::string> recipients_;
  size_t recipient_count_ = 0;          // accepted
  size_t asked_recipients_ = 0;         // in the group, not answered yet
  size_t locals_ = 0;                   // in the group, answered by us
  size_t overshoot_ = 0;                // answered 452
  std::unique_ptr<ChunkRelay> chunks_;  // since the first BDAT
  bool chunks_ended_ = false;           // the LAST one was answered
  std::string refusal_;   // the last 4xx or 5xx, first line, for the log
  bool relayed_ = false;  // a message was begun: it has a log line of its own
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_TRANSACTION_H_
