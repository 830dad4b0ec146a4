// TlsLogTrace: tls_loglevel 2 and more, the steps of a TLS connection and a
// dump of its octets in the log.
//
// What is dumped is what passes over the network, encrypted as it is there.

#ifndef TLSPOST_PROXY_TLS_LOG_TRACE_H_
#define TLSPOST_PROXY_TLS_LOG_TRACE_H_

#include <string>
#include <string_view>

#include "common/tls/tls_trace.h"
#include "proxy/log.h"

namespace tlspost {

class TlsLogTrace final : public tls::TlsTrace {
 public:
  // `log` outlives this; each line begins with `name`.
  TlsLogTrace(Log& log, std::string name, bool dump);

  void State(std::string_view state) override;
  void Wire(bool sent, std::string_view ciphertext) override;

 private:
  Log& log_;
  const std::string name_;
  const bool dump_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_TLS_LOG_TRACE_H_
