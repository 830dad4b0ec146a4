// DemoClient: sends one message over STARTTLS and prints the dialogue.

#ifndef TLSPOST_PROXY_DEMO_DEMO_CLIENT_H_
#define TLSPOST_PROXY_DEMO_DEMO_CLIENT_H_

#include "absl/status/status.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"
#include "proxy/dialogue_client.h"

namespace tlspost {

class DemoClient {
 public:
  DemoClient(io::Loop& loop, io::Endpoint server);

  // Error: what went wrong, in one line.
  Task<absl::Status> SendOneMessage();

 private:
  Task<absl::Status> StartTls();

  DialogueClient dialogue_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_DEMO_DEMO_CLIENT_H_
