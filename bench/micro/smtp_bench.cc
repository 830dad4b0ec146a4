// Bytes to words and back: what common/smtp costs per command and per octet.

#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "bench/load/message_text.h"
#include "common/base/tls_description.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/command.h"
#include "common/smtp/data_scanner.h"
#include "common/smtp/hop_counter.h"
#include "common/smtp/line_buffer.h"
#include "common/smtp/received.h"
#include "common/smtp/reply_parser.h"
#include "common/smtp/xclient.h"

namespace tlspost::smtp {
namespace {

constexpr size_t kChunk = 16384;

std::string MessageOf(size_t octets) {
  const load::MessageText text(octets);
  const load::OutgoingMessage message =
      text.Make({1, 1}, "alice@client.example", "bob@mx.example", octets, 0);
  return message.header + std::string(message.body);
}

void BM_ScannerCleanText(benchmark::State& state) {
  const std::string text = MessageOf(kChunk);
  std::string scratch;
  for (auto _ : state) {
    DataScanner scanner(BareNewline::kNormalize);
    benchmark::DoNotOptimize(scanner.Scan(text, scratch));
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(text.size()));
}
BENCHMARK(BM_ScannerCleanText);

void BM_HopCounter(benchmark::State& state) {
  const std::string text = MessageOf(4096);
  for (auto _ : state) {
    HopCounter counter("mx.example", "tlspost");
    counter.Look(text);
    benchmark::DoNotOptimize(counter.hops());
  }
}
BENCHMARK(BM_HopCounter);

void BM_LineAndCommand(benchmark::State& state) {
  const std::string_view group =
      "MAIL FROM:<alice@client.example> SIZE=4096 BODY=8BITMIME\r\n"
      "RCPT TO:<bob@mx.example>\r\nDATA\r\n";
  LineBuffer lines;
  for (auto _ : state) {
    std::string_view rest = group;
    while (!rest.empty()) {
      const LineBuffer::Result result = lines.Next(rest);
      benchmark::DoNotOptimize(ParseCommand(result.line));
      rest.remove_prefix(result.consumed);
    }
  }
  state.SetItemsProcessed(state.iterations() * 3);
}
BENCHMARK(BM_LineAndCommand);

void BM_ReplyParser(benchmark::State& state) {
  const std::string_view reply = "250 2.1.0 Ok\r\n";
  ReplyParser parser;
  for (auto _ : state) {
    size_t consumed = 0;
    benchmark::DoNotOptimize(parser.Parse(reply, &consumed));
  }
}
BENCHMARK(BM_ReplyParser);

void BM_ParseEhlo(benchmark::State& state) {
  const std::string_view reply =
      "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-ETRN\r\n"
      "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n"
      "250-XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR "
      "DESTPORT\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n";
  for (auto _ : state) benchmark::DoNotOptimize(ParseEhlo(reply));
}
BENCHMARK(BM_ParseEhlo);

void BM_FormatReceived(benchmark::State& state) {
  TlsDescription tls;
  tls.protocol = "TLSv1.3";
  tls.cipher = tls.iana_cipher = "TLS_AES_128_GCM_SHA256";
  tls.used_bits = tls.algorithm_bits = 128;
  tls.key_exchange = "X25519";
  tls.server_signature = {"ECDSA", "prime256v1", 0, "SHA256"};
  ReceivedFields fields;
  fields.helo = fields.client_name = "client.example";
  fields.client_address = "192.0.2.1";
  fields.tls = &tls;
  fields.by = "mx.example";
  fields.protocol = "ESMTPS";
  fields.id = "ABCDEF-1-2";
  fields.recipient = "bob@mx.example";
  fields.date = "Sun, 22 Nov 2026 17:35:19 +0000 (UTC)";
  for (auto _ : state) benchmark::DoNotOptimize(FormatReceived(fields));
}
BENCHMARK(BM_FormatReceived);

void BM_EncodeXclient(benchmark::State& state) {
  const AttributeSet attributes = AttributeSet::FromList(
      "NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT");
  ClientIdentity identity;
  identity.name = identity.reverse_name = identity.helo = "client.example";
  identity.address = "192.0.2.1";
  identity.port = 40000;
  identity.dest_address = "192.0.2.2";
  identity.dest_port = 25;
  for (auto _ : state) {
    benchmark::DoNotOptimize(EncodeXclient(attributes, identity));
  }
}
BENCHMARK(BM_EncodeXclient);

}  // namespace
}  // namespace tlspost::smtp
