// Each kind of work as a client does it, command by command.

#include "bench/instructions/cells.h"

#include <array>
#include <string>

#include "absl/strings/str_format.h"
#include "common/base/check.h"

namespace tlspost::still {
namespace {

constexpr size_t kMessageOctets = 4096;
constexpr size_t kBulkOctets = 1'000'000;

constexpr std::string_view kMail =
    "MAIL FROM:<alice.liddell@client.example> SIZE=4096 BODY=8BITMIME\r\n";
constexpr std::string_view kRcpt = "RCPT TO:<bob.the.builder@mx.example>\r\n";
constexpr std::string_view kEnvelope =
    "MAIL FROM:<alice.liddell@client.example> SIZE=4096 BODY=8BITMIME\r\n"
    "RCPT TO:<bob.the.builder@mx.example>\r\nDATA\r\n";

// A header, and lines of text to exactly so many octets.
std::string MessageOf(size_t octets) {
  std::string text =
      "From: alice.liddell@client.example\r\nTo: bob.the.builder@mx.example\r\n"
      "Subject: instructions\r\nMessage-ID: <1@client.example>\r\n\r\n";
  const std::string line(76, 'x');
  while (text.size() + line.size() + 2 <= octets) text += line + "\r\n";
  const size_t left = octets - text.size();
  if (left >= 2) text += std::string(left - 2, 'y') + "\r\n";
  return text;
}

const std::string& Message() {
  static const std::string message = MessageOf(kMessageOctets);
  return message;
}

const std::string& MessageAndEnd() {
  static const std::string message = Message() + ".\r\n";
  return message;
}

const std::string& BulkAndEnd() {
  static const std::string message = MessageOf(kBulkOctets) + ".\r\n";
  return message;
}

const std::string& ChunkedMail() {
  static const std::string mail =
      std::string(kMail) + std::string(kRcpt) +
      absl::StrFormat("BDAT %d LAST\r\n", Message().size()) + Message();
  return mail;
}

void SendPipelined(Stage& stage, Client& client, std::string_view content) {
  stage.Exchange(client, kEnvelope, "250 ");
  stage.Exchange(client, content, "250 ");
}

// --- the operations ---------------------------------------------------------

void HandshakeSession(Scene& scene) {
  auto client = scene.stage.Connect();
  scene.stage.StartTls(*client);
  scene.stage.Quit(std::move(client));
}

void ResumedSession(Scene& scene) {
  auto client = scene.stage.Connect();
  scene.stage.StartTls(*client, /*resume=*/true);
  scene.stage.Quit(std::move(client));
}

void OneMessageSession(Scene& scene) {
  auto client = scene.stage.Connect();
  scene.stage.StartTls(*client);
  SendPipelined(scene.stage, *client, MessageAndEnd());
  scene.stage.Quit(std::move(client));
}

void MessageByRoundTrips(Scene& scene) {
  Client& client = scene.NextClient();
  scene.stage.Exchange(client, kMail, "250 ");
  scene.stage.Exchange(client, kRcpt, "250 ");
  scene.stage.Exchange(client, "DATA\r\n", "354 ");
  scene.stage.Exchange(client, MessageAndEnd(), "250 ");
}

void PipelinedMessage(Scene& scene) {
  SendPipelined(scene.stage, scene.NextClient(), MessageAndEnd());
}

void BulkMessage(Scene& scene) {
  SendPipelined(scene.stage, scene.NextClient(), BulkAndEnd());
}

void ChunkedMessage(Scene& scene) {
  scene.stage.Exchange(scene.NextClient(), ChunkedMail(), "250 ");
}

void Noop(Scene& scene) {
  scene.stage.Exchange(scene.NextClient(), "NOOP\r\n", "250 ");
}

constexpr std::array kCells = {
    Cell{"handshake", "full handshake session, ECDSA P-256", "session", "ecdsa",
         0, 1, HandshakeSession},
    Cell{"handshake-rsa", "full handshake session, RSA-2048", "session", "rsa",
         0, 1, HandshakeSession},
    Cell{"resumed", "resumed session", "session", "ecdsa", 0, 1,
         ResumedSession},
    Cell{"single", "one 4 KiB message per connection", "session", "ecdsa", 0, 1,
         OneMessageSession},
    Cell{"stream", "4 KiB message, a command per round trip", "message",
         "ecdsa", 1, 1, MessageByRoundTrips},
    Cell{"pipelined", "4 KiB message, pipelined", "message", "ecdsa", 1, 1,
         PipelinedMessage},
    Cell{"taking-turns", "4 KiB message, pipelined, each time another client's",
         "message", "ecdsa", 2, 1, PipelinedMessage},
    Cell{"bdat", "4 KiB message in one chunk, pipelined with its envelope",
         "message", "ecdsa", 1, 1, ChunkedMessage},
    Cell{"bulk", "1 MB message", "MB", "ecdsa", 1, 1, BulkMessage},
    Cell{"noop", "NOOP", "command", "ecdsa", 1, 1, Noop},
};

}  // namespace

std::span<const Cell> Cells() { return kCells; }

const Cell* FindCell(std::string_view name) {
  for (const Cell& cell : kCells) {
    if (cell.name == name) return &cell;
  }
  return nullptr;
}

std::unique_ptr<Scene> Prepare(const Cell& cell, StageOptions options,
                               bool tls) {
  options.backend_connections = cell.backend_connections;
  auto scene = std::make_unique<Scene>(options);
  for (int i = 0; i < cell.clients; ++i) {
    scene->clients.push_back(scene->stage.Connect());
    if (tls) {
      scene->stage.StartTls(*scene->clients.back());
    } else {
      scene->stage.Exchange(*scene->clients.back(),
                            "EHLO mail-out-7.client.example\r\n", "250-");
    }
  }
  return scene;
}

}  // namespace tlspost::still
