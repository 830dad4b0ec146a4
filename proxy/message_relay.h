// MessageRelay: one message, from 354 to the backend's last word on it.
//
// The client's bytes go through the scanner to the backend as they are, our
// header ahead of them. Only the client's CRLF.CRLF is ever passed on as an
// end, and only if all before it was. Nothing is retried. It says nothing to
// the client: it returns what is to be said.

#ifndef TLSPOST_PROXY_MESSAGE_RELAY_H_
#define TLSPOST_PROXY_MESSAGE_RELAY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "common/base/task.h"
#include "common/smtp/data_scanner.h"
#include "common/smtp/hop_counter.h"
#include "common/smtp/reply.h"
#include "proxy/backend_pool.h"
#include "proxy/client_channel.h"
#include "proxy/data_pace.h"
#include "proxy/relay_outcome.h"
#include "proxy/session_services.h"

namespace tlspost {

class MessageRelay {
 public:
  // What a client may still send of a message that is refused already.
  static constexpr uint64_t kMaxDrainOctets = uint64_t{64} << 20;

  // `lease` has just said 354; `header` is written ahead of the message. After
  // Run it is at a boundary, or gone.
  MessageRelay(SessionServices& services, ClientChannel& client, Lease& lease,
               std::string header);

  // OK when the client's message has ended: reply() is due. An error means
  // that the client was lost or is to be left: nothing was delivered.
  Task<absl::Status> Run();

  // The reply the client gets, whole. Also after an error, if not empty.
  const std::string& reply() const { return reply_; }
  std::string TakeReply() { return std::move(reply_); }
  RelayOutcome outcome() const {
    return {reply_, accepted_, outcome_unknown_, scanner_.message_octets()};
  }
  const smtp::DataScanner::Violations& violations() const {
    return scanner_.violations();
  }

 private:
  void NoteHeard(const absl::Status& heard, io::Time began);
  Task<absl::Status> RelayChunk();
  Task<void> HearEarlyReply();
  Task<void> HearFinalReply();
  void CheckLimits();
  void GiveUp(std::string_view reply);
  void GiveUpLost();
  bool forwarding() const { return static_cast<bool>(lease_); }

  SessionServices& services_;
  ClientChannel& client_;
  Lease& lease_;
  std::string header_;  // until it is sent
  smtp::DataScanner scanner_;
  smtp::HopCounter hops_;
  DataPace pace_;
  std::string scratch_;
  std::string reply_;
  uint64_t drained_ = 0;
  bool dot_sent_ = false;  // at least in part
  bool accepted_ = false;
  bool outcome_unknown_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_MESSAGE_RELAY_H_
