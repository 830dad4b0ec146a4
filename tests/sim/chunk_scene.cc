// What the tests of BDAT send.

#include "tests/sim/chunk_scene.h"

#include <chrono>

namespace tlspost::sim {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;

std::string Trap() {
  using std::string_literals::operator""s;
  return "Subject: x\r\n\r\n\r\n.\r\nMAIL "
         "FROM:<evil@c0.example>\r\n\n.\nRSET\r\n"
         "\r.\r\0BDAT 3 LAST\r\nQUIT\r\n.\r\n\xff"s;
}

Mail ChunkedMail(int client, int number, int chunks) {
  Mail mail = MakeMail(client, number);
  mail.body = Trap() + "end " + mail.sender;
  mail.parameters = " BODY=BINARYMIME";
  size_t left = mail.body.size();
  for (int i = 0; i + 1 < chunks; ++i) {
    mail.chunks.push_back(left / 2);
    left -= left / 2;
  }
  mail.chunks.push_back(left);
  return mail;
}

ClientPlan ChunkClient(int number, int mails, int chunks) {
  ClientPlan plan = MakeClient(number, 0);
  plan.start_after = 1ms;  // what the backend offers is known then
  for (int i = 0; i < mails; ++i) {
    plan.mails.push_back(ChunkedMail(number, i, chunks));
  }
  return plan;
}

WorldOptions OneSlot(uint64_t seed, SinkMta::Xclient xclient) {
  WorldOptions options;
  options.seed = seed;
  options.settings.backend_max_connections = 1;
  options.settings.pool_wait_timeout = 1h;
  options.sink.xclient = xclient;
  return options;
}

}  // namespace tlspost::sim
