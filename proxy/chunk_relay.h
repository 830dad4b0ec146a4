// ChunkRelay: one message that comes in chunks (BDAT, RFC 3030).
//
// Octets are counted, and only read for the Received headers among them:
// nothing in a chunk is a command, an end or a line, and nothing is rewritten.
// Our header goes ahead of the first chunk, within it. A chunk is passed on as
// it comes and answered in the backend's words; the next one follows then. Once
// the message has failed its chunks are read and dropped, each answered with
// what the first one heard. Nothing is retried. It says nothing to the client:
// it returns what is to be said.

#ifndef TLSPOST_PROXY_CHUNK_RELAY_H_
#define TLSPOST_PROXY_CHUNK_RELAY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/frame_slab.h"
#include "common/base/spare_string.h"
#include "common/base/task.h"
#include "common/io/time.h"
#include "common/smtp/bdat.h"
#include "common/smtp/hop_counter.h"
#include "proxy/backend_pool.h"
#include "proxy/client_channel.h"
#include "proxy/data_pace.h"
#include "proxy/relay_outcome.h"
#include "proxy/session_services.h"

namespace tlspost {

// Reads `octets` of the client, as fast as `pace` asks for, and drops them.
// ResourceExhausted, and nothing read: they are more than anybody would want to
// drop. Other errors: the client is lost.
Task<absl::Status> DiscardChunk(SessionServices& services,
                                ClientChannel& client, DataPace& pace,
                                uint64_t octets);

class ChunkRelay {
 public:
  // `header` goes ahead of the message. The lease is at a command boundary;
  // between two chunks it is again, or it is gone.
  ChunkRelay(SessionServices& services, ClientChannel& client, Lease& lease,
             std::string header);
  ~ChunkRelay() { KeepSpareString(reply_); }

  // Takes one chunk off the client, all of it. OK: reply() is due. An error:
  // the client was lost, or is to be left after reply(), if there is one.
  Task<absl::Status> Run(smtp::BdatArguments chunk);

  // Awaits more of the client when nothing is unread, until `no_later` and no
  // longer than the message's pace allows: for what comes between two chunks,
  // which uses up the client's time like what comes within one.
  Task<absl::Status> Fill(io::Time no_later);

  // The message fails, if it has not yet: for what we find, not the backend.
  void Fail(std::string_view reply);
  bool failed() const { return !failure_.empty(); }

  const std::string& reply() const { return failed() ? failure_ : reply_; }

  // One for each message: not from the heap.
  static void* operator new(size_t size) { return AllocateFrame(size); }
  static void operator delete(void* block, size_t size) {
    FreeFrame(block, size);
  }
  RelayOutcome outcome() const {
    return {reply(), accepted_, outcome_unknown_, octets_};
  }
  io::Time started() const { return started_; }

 private:
  void CheckLimits(const smtp::BdatArguments& chunk);
  Task<absl::Status> Pass(smtp::BdatArguments chunk);
  Task<void> Forward(std::string_view piece);
  Task<void> HearEarlyReply();
  Task<void> HearReply();
  void Lose();

  SessionServices& services_;
  ClientChannel& client_;
  Lease& lease_;
  const io::Time started_;
  smtp::HopCounter hops_;
  DataPace pace_;
  std::string header_;   // until it is sent
  std::string command_;  // of this chunk, and the header; until it is sent
  std::string reply_;
  std::string failure_;
  uint64_t left_ = 0;     // of this chunk
  uint64_t octets_ = 0;   // of all chunks that were passed on
  uint64_t dropped_ = 0;  // of all others
  bool last_ = false;
  bool end_sent_ = false;  // at least in part
  bool accepted_ = false;
  bool outcome_unknown_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CHUNK_RELAY_H_
