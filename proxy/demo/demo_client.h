// DemoClient: sends one message over STARTTLS and prints the dialogue.

#ifndef TLSPOST_PROXY_DEMO_DEMO_CLIENT_H_
#define TLSPOST_PROXY_DEMO_DEMO_CLIENT_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"
#include "common/smtp/reply_parser.h"
#include "common/tls/tls_stream.h"

namespace tlspost {

class DemoClient {
 public:
  DemoClient(io::Loop& loop, io::Endpoint server)
      : loop_(loop), server_(std::move(server)) {}

  // Error: what went wrong, in one line.
  Task<absl::Status> SendOneMessage();

 private:
  // Sends `line`, prints it and the reply, which must have `code`.
  Task<absl::Status> Say(std::string_view line, int code);
  Task<absl::Status> Hear(int code);
  Task<absl::Status> StartTls();

  io::Loop& loop_;
  const io::Endpoint server_;
  std::unique_ptr<tls::TlsStream> stream_;
  io::Chunk chunk_;
  smtp::ReplyParser parser_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_DEMO_DEMO_CLIENT_H_
