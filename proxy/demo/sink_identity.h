// SinkIdentity: what the sink is told of clients, by XCLIENT, XFORWARD or a
// PROXY header, and what it answers.
//
// It keeps identity as Postfix does (protocol findings 1 and 3): attributes
// that an XCLIENT leaves out keep their value, those of XFORWARD last for one
// transaction. It is as strict as the strictest MTA about what it does not
// list.

#ifndef TLSPOST_PROXY_DEMO_SINK_IDENTITY_H_
#define TLSPOST_PROXY_DEMO_SINK_IDENTITY_H_

#include <string>
#include <string_view>

#include "proxy/demo/sink_mta.h"

namespace tlspost {

class SinkIdentity {
 public:
  // Fills `message.client` and `message.helo`. Both outlive this.
  SinkIdentity(const SinkMta::Options& options, SinkMta::Message& message)
      : options_(options), message_(message) {}

  // The lines that EHLO has for it, with their "250-".
  std::string Offers() const;
  // The client has said EHLO, or HELO.
  void Greet(std::string_view name, bool esmtp);
  // After an XCLIENT that could not say the name, EHLO is due.
  bool wants_greeting() const { return wants_greeting_; }

  // The replies, without their line ends.
  std::string Xclient(std::string_view line);
  std::string Xforward(std::string_view line);
  void EndTransaction();

  enum class Header { kWhole, kIncomplete, kBad };
  // Takes a PROXY header, version 2, from the start of `input`.
  Header TakeProxyHeader(std::string& input);

 private:
  bool MayIdentify() const;

  const SinkMta::Options& options_;
  SinkMta::Message& message_;
  bool identified_ = false;
  bool forwarded_ = false;
  bool wants_greeting_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_DEMO_SINK_IDENTITY_H_
