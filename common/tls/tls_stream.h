// TlsStream: a stream that begins in plaintext and may become TLS.
//
// Joins the engine (bytes to bytes) to an io::Stream. Before StartTls it reads
// and writes what the peer sees; afterwards it never again shows a byte that
// did not come through TLS. Knows nothing of SMTP.

#ifndef TLSPOST_COMMON_TLS_TLS_STREAM_H_
#define TLSPOST_COMMON_TLS_TLS_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/task.h"
#include "common/io/stream.h"
#include "common/tls/tls_engine.h"

namespace tlspost::tls {

class TlsStream {
 public:
  explicit TlsStream(std::unique_ptr<io::Stream> stream);

  // The next bytes; an empty chunk is the orderly end: FIN in plaintext,
  // close_notify under TLS. Errors: as io::Stream's, and DataLoss when TLS
  // input ended without close_notify (what was read may be cut short),
  // InvalidArgument when the peer broke TLS.
  Task<absl::StatusOr<io::Chunk>> Read(io::Time deadline);

  // The same in steps, for who waits long and wants no coroutine frame for
  // it: call Next; Flush what it left to be sent; and while it says that it
  // needs input, Receive and Feed.
  enum class Progress : uint8_t {
    kBytes,       // here they are
    kNeedsInput,  // there is nothing more without Receive
    kMustFlush,   // call again after Flush
    kEnd,         // the orderly end
  };
  absl::StatusOr<Progress> Next(io::Chunk* bytes);
  io::ReadOp Receive(io::Time deadline) { return stream_->Read(deadline); }
  void Feed(io::Chunk received);
  bool has_output() const { return engine_ && engine_->has_output(); }
  Task<absl::Status> Flush(io::Time deadline);

  // Writes the bytes, or both slices; they must live until the call returns.
  Task<absl::Status> Write(std::string_view bytes, io::Time deadline) {
    return Write(bytes, std::string_view(), deadline);
  }
  Task<absl::Status> Write(std::string_view first, std::string_view second,
                           io::Time deadline);

  // Copies input that is not used up yet: a stream that is not read for some
  // time must not hold one of the loop's receive buffers.
  void Park();

  // Drops what the peer has sent and nobody has read; returns its octets.
  // Plaintext only.
  size_t DiscardInput();

  // Handshakes in the role of `context`; `deadline` is for all of it. Each step
  // of a server is deferred (io::Loop::Defer). Input
  // that was not discarded is taken for TLS. Error: why it failed in plain
  // words; engine() has the details.
  Task<absl::Status> StartTls(std::shared_ptr<TlsContext> context,
                              io::Time deadline);
  // The same with an engine made (and set up) by the caller.
  Task<absl::Status> StartTls(std::unique_ptr<TlsEngine> engine,
                              io::Time deadline);

  // Ends the conversation so that the peer gets what was written last: says
  // close_notify and FIN, then reads and drops what still comes, for as long
  // as `deadline` (closing with unread input would reset the connection).
  Task<void> Linger(io::Time deadline);

  // Null in plaintext; stays after a failed handshake.
  const TlsEngine* engine() const { return engine_.get(); }
  TlsEngine* engine() { return engine_.get(); }
  io::Stream& transport() { return *stream_; }
  const io::Stream& transport() const { return *stream_; }

 private:
  Task<absl::Status> WriteTls(std::string_view bytes, io::Time deadline);
  TlsEngine::Step ReadInto(io::Chunk* plaintext);
  void ReleaseUsedInput();

  const std::unique_ptr<io::Stream> stream_;
  std::unique_ptr<TlsEngine> engine_;
  // In plaintext: received and not yet given out. Under TLS: what the engine's
  // input points into.
  io::Chunk received_;
  bool ended_ = false;  // plaintext only: the peer has sent FIN
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_STREAM_H_
