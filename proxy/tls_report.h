// TlsReport: who still sends without TLS, or with an old version of it, and
// whose mail a stricter setting would refuse.
//
// Sums up the workers' SenderTables and writes them down; asks nobody and
// decides nothing.

#ifndef TLSPOST_PROXY_TLS_REPORT_H_
#define TLSPOST_PROXY_TLS_REPORT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/sender_table.h"

namespace tlspost {

// Entries of one worker, and how many it had to forget.
struct SenderList {
  std::vector<Sender> senders;
  int64_t forgotten = 0;
};

// What a setting would cost.
struct StricterSetting {
  std::string_view setting;  // "tls_security_level = encrypt"
  TlsUse first_allowed;      // with it; what is below is refused
  int senders = 0;           // of whom some mail would have been refused
  int senders_cut_off = 0;   // of these, who have sent in no better way
  int64_t messages = 0;      // theirs
};

struct TlsReport {
  // More are counted, and not listed.
  static constexpr size_t kMaxListed = 1000;
  static constexpr size_t kMaxPrinted = 100;

  // The most mail that is not in TLS 1.2 or better comes first.
  std::vector<Sender> senders;
  size_t known = 0;       // senders, listed or not
  int64_t forgotten = 0;  // workers had no room for
  int64_t since_s = 0;    // when counting began; since 1970
  int64_t now_s = 0;
  Sender::ByTls messages{};  // of all senders
  Sender::ByTls sessions{};
  std::array<StricterSetting, 3> what_if;
};

TlsReport MakeTlsReport(const std::vector<SenderList>& workers, int64_t since_s,
                        int64_t now_s);

std::string FormatTlsReportJson(const TlsReport& report);
// For people: those whose mail is not in TLS 1.2 or better, and what stricter
// settings would cost.
std::string FormatTlsReportText(const TlsReport& report);

// Those without TLS, or in TLS before 1.2, with mail or without.
uint32_t WeakSessions(const Sender& sender);

// Whether some of it came without TLS, in TLS before 1.2, or failed to begin
// with it.
bool IsWeak(const Sender& sender);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_TLS_REPORT_H_
