#include "proxy/log_record.h"

#include "absl/strings/str_format.h"
#include "proxy/json_text.h"

namespace tlspost {

LogRecord::LogRecord(std::string_view event) { Text("event", event); }

void LogRecord::Begin(std::string_view name) {
  if (!fields_.empty()) fields_ += ',';
  fields_.append("\"").append(name).append("\":");
}

LogRecord& LogRecord::Text(std::string_view name, std::string_view text) {
  Begin(name);
  fields_ += JsonQuoted(text);
  return *this;
}

LogRecord& LogRecord::TextIfAny(std::string_view name, std::string_view text) {
  return text.empty() ? *this : Text(name, text);
}

LogRecord& LogRecord::Texts(std::string_view name,
                            std::span<const std::string> texts) {
  Begin(name);
  fields_ += '[';
  for (const std::string& text : texts) {
    if (&text != &texts.front()) fields_ += ',';
    fields_ += JsonQuoted(text);
  }
  fields_ += ']';
  return *this;
}

LogRecord& LogRecord::Number(std::string_view name, uint64_t number) {
  Begin(name);
  fields_ += std::to_string(number);
  return *this;
}

LogRecord& LogRecord::Seconds(std::string_view name, double seconds) {
  Begin(name);
  fields_ += absl::StrFormat("%.3f", seconds);
  return *this;
}

LogRecord& LogRecord::Flag(std::string_view name, bool flag) {
  Begin(name);
  fields_ += flag ? "true" : "false";
  return *this;
}

}  // namespace tlspost
