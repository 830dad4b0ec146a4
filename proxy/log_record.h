// LogRecord: the fields of one object of the log (log_format = json).
//
// Valid JSON whatever octets it is given. It knows nothing of what a session or
// a transaction is.

#ifndef TLSPOST_PROXY_LOG_RECORD_H_
#define TLSPOST_PROXY_LOG_RECORD_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tlspost {

class LogRecord {
 public:
  // `event` is what kind of object it is, and its first field.
  explicit LogRecord(std::string_view event);

  // `name` is ours and needs no escape.
  LogRecord& Text(std::string_view name, std::string_view text);
  LogRecord& Texts(std::string_view name, std::span<const std::string> texts);
  LogRecord& Number(std::string_view name, uint64_t number);
  LogRecord& Seconds(std::string_view name, double seconds);
  LogRecord& Flag(std::string_view name, bool flag);
  // As Text; left out when there is none.
  LogRecord& TextIfAny(std::string_view name, std::string_view text);

  // "\"event\":\"session\",...", without the braces: see Log::Record.
  const std::string& fields() const { return fields_; }

 private:
  void Begin(std::string_view name);

  std::string fields_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_LOG_RECORD_H_
