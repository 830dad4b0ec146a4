// SinkSasl: the sink's side of an AUTH exchange.
//
// PLAIN and LOGIN as every server has them, and X-STEPS, which asks three
// times and wants "STEP USER PASSWORD" each time: a stand-in for mechanisms of
// many steps. It is as strict as RFC 4954 allows, so that a proxy that passes
// anything else on is found out.

#ifndef TLSPOST_PROXY_DEMO_SINK_SASL_H_
#define TLSPOST_PROXY_DEMO_SINK_SASL_H_

#include <map>
#include <string>
#include <string_view>

namespace tlspost {

class SinkSasl {
 public:
  // `passwords` outlives it.
  explicit SinkSasl(const std::map<std::string, std::string>& passwords)
      : passwords_(passwords) {}

  // What stands behind AUTH, and a response to a challenge: each gets the
  // reply, without its line end.
  std::string Begin(std::string_view argument);
  std::string Hear(std::string_view response);
  // Another reply was given than ours.
  void GoOn(bool challenged);

  bool in_exchange() const { return in_exchange_; }
  // Set when 235 was said, for good.
  const std::string& user() const { return user_; }

 private:
  std::string HearPlain(std::string_view octets);
  std::string HearLogin(std::string_view octets);
  std::string HearSteps(std::string_view octets);
  std::string Judge(const std::string& user, std::string_view password);
  std::string Challenge(std::string_view octets);
  std::string End(std::string_view reply);

  const std::map<std::string, std::string>& passwords_;
  bool in_exchange_ = false;
  std::string mechanism_;
  int step_ = 0;
  std::string claimed_;  // the name in an exchange under way
  std::string user_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_DEMO_SINK_SASL_H_
