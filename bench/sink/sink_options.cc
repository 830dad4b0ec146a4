#include "bench/sink/sink_options.h"

#include <array>

namespace tlspost {
namespace {

// In the order of SinkMta::Xclient.
constexpr std::array<std::string_view, 3> kXclientWords = {"none", "many",
                                                           "once"};

}  // namespace

const std::string_view kSinkUsage =
    R"(tlspost-sink: a mail server that takes everything and delivers nothing.

Usage:
  tlspost-sink [--listen=ADDRESS] [--name=value]...

It is the backend for load tests: as fast as it can be, or misbehaving on
request. It counts what it takes, and for tlspost-load --verify it keeps a
ledger of it. SIGTERM or Ctrl-C ends it; it then says what it has taken.
)";

void Describe(SinkOptions& options, cli::OptionTable& table) {
  table.Group("Listening");
  table.AddText("listen", &options.listen, "ADDRESS:PORT",
                "Where to take mail.");
  table.AddText("control", &options.control, "ADDRESS:PORT",
                "Where tlspost-load asks for the ledger (its --verify), and "
                "anybody for the counts: send the line STATS. Empty: nowhere, "
                "and no ledger is kept.");
  table.AddCount("workers", &options.workers, 1, 64,
                 "Threads, each with a ring and connections of its own.");

  table.Group("What it offers");
  table.AddChoice("xclient", &options.xclient, kXclientWords,
                  "XCLIENT: not at all; as often as one likes; or once per "
                  "connection, as Postfix takes it from an address that only "
                  "the first client has.");
  table.AddSwitch("pipelining", &options.pipelining, "Offer PIPELINING.");
  table.AddSwitch("chunking", &options.chunking, "Offer CHUNKING (BDAT).");
  table.AddSwitch("starttls", &options.starttls,
                  "Offer STARTTLS, with a throw-away certificate.");

  table.Group("Faults and the ledger");
  table.AddList("fault", &options.faults, "VERB:ACTION[:N]",
                "At every N-th VERB (1: always) do ACTION instead of the "
                "normal answer; may be repeated. VERB is CONNECT, EHLO, "
                "XCLIENT, MAIL, RCPT, DATA, END, BDAT, RSET or QUIT. ACTION is "
                "delay=50ms, reject=450 (any 4xx or 5xx), 421, drop or stall. "
                "MESSAGE:lose, MESSAGE:double and MESSAGE:change falsify the "
                "ledger, to see a verification fail.");
  table.AddCount("ledger-limit", &options.ledger_limit, 1, 100'000'000,
                 "Messages that the ledger holds (32 bytes each); beyond them "
                 "a verification fails.");
}

}  // namespace tlspost
