// Settings from environment variables, as containers are given them:
// TLSPOST_BACKEND=..., TLSPOST_TLS_CERT_FILE=...; and TLSPOST_CONFIG=FILE.
//
// A name is a setting's in capitals. A list's elements are parted by commas or
// blanks. What is none of ours is an error, but for the variables that
// Kubernetes makes of services whose names begin with "tlspost".

#ifndef TLSPOST_PROXY_ENVIRONMENT_H_
#define TLSPOST_PROXY_ENVIRONMENT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "proxy/setting_source.h"
#include "proxy/settings.h"

namespace tlspost {

inline constexpr std::string_view kVariablePrefix = "TLSPOST_";
inline constexpr std::string_view kConfigVariable = "TLSPOST_CONFIG";

struct Variable {
  std::string name;  // with the prefix
  std::string value;
  bool operator==(const Variable&) const = default;
};

// The process's variables that may be ours, in the order of their names.
std::vector<Variable> OurVariables();

// Whether Kubernetes (or Docker's links) made it, of a service's name:
// TLSPOST_SERVICE_HOST=10.0.0.7, TLSPOST_PORT_25_TCP=tcp://10.0.0.7:25.
bool IsServiceLink(const Variable& variable);

// The FILE of TLSPOST_CONFIG; empty without it.
std::string ConfigFileOf(const std::vector<Variable>& variables);

// Puts what the others say into `settings`, and of what is wrong a line into
// `errors`.
void ReadVariables(const std::vector<Variable>& variables, Settings& settings,
                   SettingOrigins& origins, std::vector<absl::Status>& errors);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_ENVIRONMENT_H_
