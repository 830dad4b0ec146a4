#include "proxy/demo/sink_sasl.h"

#include <optional>

#include "absl/strings/str_format.h"
#include "common/smtp/base64.h"
#include "common/smtp/text.h"

namespace tlspost {
namespace {

constexpr int kSteps = 3;

}  // namespace

std::string SinkSasl::Begin(std::string_view argument) {
  mechanism_ = std::string(smtp::TakeWord(argument));
  step_ = 0;
  const bool known =
      mechanism_ == "PLAIN" || mechanism_ == "LOGIN" || mechanism_ == "X-STEPS";
  if (!known) return "504 5.5.4 Unrecognized authentication type";
  in_exchange_ = true;
  if (argument == "=") return Hear("");
  if (!argument.empty()) return Hear(argument);
  if (mechanism_ == "LOGIN") return Challenge("Username:");
  return Challenge(mechanism_ == "PLAIN" ? "" : "step 0");
}

std::string SinkSasl::Hear(std::string_view response) {
  if (response == "*") return End("501 5.7.0 Authentication cancelled");
  const std::optional<std::string> octets = smtp::DecodeBase64(response);
  if (!octets.has_value()) return End("501 5.5.2 Cannot decode the response");
  if (mechanism_ == "PLAIN") return HearPlain(*octets);
  if (mechanism_ == "LOGIN") return HearLogin(*octets);
  return HearSteps(*octets);
}

void SinkSasl::GoOn(bool challenged) { in_exchange_ = challenged; }

// RFC 4616 section 2: [authzid] NUL authcid NUL passwd.
std::string SinkSasl::HearPlain(std::string_view octets) {
  const size_t first = octets.find('\0');
  const size_t second = octets.find('\0', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) {
    return End("501 5.5.2 Malformed response");
  }
  const std::string user(octets.substr(first + 1, second - first - 1));
  return Judge(user, octets.substr(second + 1));
}

std::string SinkSasl::HearLogin(std::string_view octets) {
  if (step_++ > 0) return Judge(claimed_, octets);
  claimed_ = std::string(octets);
  return Challenge("Password:");
}

std::string SinkSasl::HearSteps(std::string_view octets) {
  const std::string_view step = smtp::TakeWord(octets);
  const std::string user(smtp::TakeWord(octets));
  if (step != std::to_string(step_)) {
    return End("535 5.7.8 Error: a response out of step");
  }
  if (++step_ < kSteps) return Challenge(absl::StrFormat("step %d", step_));
  return Judge(user, octets);
}

std::string SinkSasl::Judge(const std::string& user,
                            std::string_view password) {
  const auto known = passwords_.find(user);
  if (known == passwords_.end() || known->second != password) {
    return End("535 5.7.8 Error: authentication failed");
  }
  user_ = user;
  return End("235 2.7.0 Authentication successful");
}

std::string SinkSasl::Challenge(std::string_view octets) {
  return "334 " + smtp::EncodeBase64(octets);
}

std::string SinkSasl::End(std::string_view reply) {
  in_exchange_ = false;
  claimed_.clear();
  return std::string(reply);
}

}  // namespace tlspost
