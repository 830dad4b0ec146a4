// DialogueClient: an SMTP client that says what it is told, line by line, for
// the demonstration and the health check.
//
// Verifies no certificate: it talks to ourselves. Sends nothing by itself.

#ifndef TLSPOST_PROXY_DIALOGUE_CLIENT_H_
#define TLSPOST_PROXY_DIALOGUE_CLIENT_H_

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"
#include "common/smtp/reply_parser.h"
#include "common/tls/tls_stream.h"

namespace tlspost {

class DialogueClient {
 public:
  // Called with "C:" or "S:" and what that side has said.
  using Show = std::function<void(std::string_view who, std::string_view text)>;

  // Each step may take `patience`. `show` may be empty.
  DialogueClient(io::Loop& loop, io::Endpoint server, io::Duration patience,
                 Show show)
      : loop_(loop),
        server_(std::move(server)),
        patience_(patience),
        show_(std::move(show)) {}

  // Errors, here and below: what went wrong, in one line.
  Task<absl::Status> Connect();
  // What is no dialogue, such as a PROXY header.
  Task<absl::Status> Send(std::string_view octets);
  // The TLS handshake; engine() knows how it ended.
  Task<absl::Status> StartTls();
  // Sends `line` and awaits the reply, which must have `code`.
  Task<absl::Status> Say(std::string_view line, int code);
  Task<absl::Status> Hear(int code);
  void Close() { stream_.reset(); }

  const tls::TlsEngine* engine() const { return stream_->engine(); }

 private:
  io::Time Deadline() const { return loop_.Now() + patience_; }

  io::Loop& loop_;
  const io::Endpoint server_;
  const io::Duration patience_;
  const Show show_;
  std::unique_ptr<tls::TlsStream> stream_;
  io::Chunk chunk_;
  smtp::ReplyParser parser_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_DIALOGUE_CLIENT_H_
