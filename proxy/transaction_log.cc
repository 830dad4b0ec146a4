// The line in the log that each transaction gets, or the object.

#include <chrono>

#include "absl/strings/str_format.h"
#include "common/base/spare_string.h"
#include "common/base/status.h"
#include "common/smtp/queue_id.h"
#include "common/smtp/reply.h"
#include "common/smtp/text.h"
#include "proxy/session_log.h"
#include "proxy/transaction.h"

namespace tlspost {

// "client=..., from=<>, to=<>, nrcpt=1"
void Transaction::AppendEnvelope(std::string& line) const {
  const SpareString client(LogName(client_.stream().transport()));
  line.append("client=").append(*client).append(", ");
  if (state_.authenticated()) line += state_.authentication->LogFields();
  line += "from=<";
  smtp::AppendForHeader(mail_.path, line);
  for (const std::string& recipient : recipients_) {
    line += ">, to=<";
    smtp::AppendForHeader(recipient, line);
  }
  absl::StrAppendFormat(&line, ">, nrcpt=%d", recipient_count_);
}

LogRecord Transaction::Record(std::string_view status) const {
  LogRecord record("transaction");
  record.Text("id", *id_).Text("status", status);
  AddClient(client_, state_, record);
  AddTls(client_, record);
  record.Text("from", mail_.path)
      .Texts("to", recipients_)
      .Number("recipients", recipient_count_);
  return record;
}

// One line per transaction that came to its message: who, from whom, to whom,
// how big, what the backend said, and where the time went (waiting for a
// connection / envelope / message).
void Transaction::LogMessage(const RelayOutcome& outcome,
                             const absl::Status& end,
                             io::Time data_started) const {
  const io::Time now = services_.loop.Now();
  const std::string_view said = smtp::FirstLine(outcome.reply);
  const std::string_view status = outcome.accepted          ? "sent"
                                  : outcome.outcome_unknown ? "unknown"
                                  : !end.ok()               ? "aborted"
                                  : said.starts_with('4')   ? "deferred"
                                                            : "bounced";
  if (services_.log.takes_records()) {
    LogRecord record = Record(status);
    record.Number("octets", outcome.octets)
        .Text("relay", relay_)
        .TextIfAny("queue_id", outcome.accepted ? smtp::QueueIdIn(said)
                                                : std::string_view())
        .Seconds("delay", io::ToSeconds(now - started_))
        .Seconds("delay_wait", io::ToSeconds(leased_ - started_))
        .Seconds("delay_envelope", io::ToSeconds(data_started - leased_))
        .Seconds("delay_message", io::ToSeconds(now - data_started))
        .Text("reply", end.ok() ? said : MessageOf(end));
    services_.log.Record(record.fields());
    return;
  }
  SpareString line;
  line->append(*id_).append(": ");
  AppendEnvelope(*line);
  absl::StrAppendFormat(
      &*line,
      ", size=%d, relay=%s, delay=%.2f, delays=%.2f/%.2f/%.2f, status=%s (",
      outcome.octets, relay_, io::ToSeconds(now - started_),
      io::ToSeconds(leased_ - started_), io::ToSeconds(data_started - leased_),
      io::ToSeconds(now - data_started), status);
  if (end.ok()) {
    smtp::AppendForHeader(said, *line);
  } else {
    line->append(MessageOf(end));
  }
  line->append(")");
  services_.log.Info(*line);
}

// The same for one that was refused before.
void Transaction::LogRefusal() const {
  if (services_.log.takes_records()) {
    LogRecord record = Record("refused");
    record.TextIfAny("relay", relay_)
        .Seconds("delay", io::ToSeconds(services_.loop.Now() - started_))
        .Text("reply", refusal_);
    services_.log.Record(record.fields());
    return;
  }
  SpareString line;
  line->append(*id_).append(": ");
  AppendEnvelope(*line);
  absl::StrAppendFormat(&*line, ", relay=%s, delay=%.2f, status=refused (",
                        relay_.empty() ? "none" : relay_,
                        io::ToSeconds(services_.loop.Now() - started_));
  smtp::AppendForHeader(refusal_, *line);
  line->append(")");
  services_.log.Info(*line);
}

}  // namespace tlspost
