// The administrator's pages that show more than numbers: the status page, the
// TLS report, sessions and pools.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "proxy/server.h"
#include "proxy/server_inquiry.h"
#include "proxy/status_files.h"
#include "proxy/status_json.h"

namespace tlspost {
namespace {

constexpr std::string_view kJson = "application/json; charset=utf-8";
// All of them together.
constexpr size_t kMaxSessionsListed = 1000;

// What one worker remembers, copied on its thread.
struct RecordsCopy {
  SenderList senders;
  std::vector<Refusal> refusals;
};

RecordsCopy CopyRecords(Worker& worker) {
  const WorkerRecords& records = worker.records();
  return {{records.senders.All(), records.senders.forgotten()},
          records.refusals.All()};
}

struct SessionsCopy {
  std::vector<SessionFacts> sessions;
  size_t open = 0;
};

SessionsCopy CopySessions(Worker& worker) {
  return {worker.Sessions(kMaxSessionsListed), worker.session_count()};
}

AdminPage JsonPage(std::string body) {
  return AdminPage{200, std::string(kJson), std::move(body)};
}

}  // namespace

void Server::AddStatusPages() {
  for (const StatusFile& file : StatusFiles()) {
    admin_http_.AddPage(std::string(file.path), [file] {
      return AdminPage{200, std::string(file.content_type),
                       std::string(file.body)};
    });
  }
  admin_http_.AddPage("/status.json", [this] { return StatusPage(); });
  admin_http_.AddPage("/sessions", [this] { return SessionsPage(); });
  admin_http_.AddPage("/pools", [this] { return PoolsPage(); });
  admin_http_.AddPage("/tls-report", [this] {
    return JsonPage(FormatTlsReportJson(ReportOnTls()));
  });
  admin_http_.AddPage("/tls-report.txt", [this] {
    AdminPage page;
    page.body = FormatTlsReportText(ReportOnTls());
    return page;
  });
}

void Server::TakeSample() {
  history_.Add(Metrics().counters, admin_->WallSeconds());
}

TlsReport Server::ReportOnTls() {
  std::vector<SenderList> lists;
  for (auto& copy : Ask(&CopyRecords)) {
    if (copy.has_value()) lists.push_back(std::move(copy->senders));
  }
  return MakeTlsReport(lists, start_time_s_, admin_->WallSeconds());
}

AdminPage Server::StatusPage() {
  StatusFacts facts;
  facts.now_s = admin_->WallSeconds();
  facts.hostname = settings_.hostname;
  facts.metrics = Metrics();
  facts.state = StateOf(facts.metrics);
  std::vector<SenderList> lists;
  for (auto& copy : Ask(&CopyRecords)) {
    if (!copy.has_value()) continue;
    lists.push_back(std::move(copy->senders));
    facts.refusals.insert(facts.refusals.end(), copy->refusals.begin(),
                          copy->refusals.end());
  }
  facts.report = MakeTlsReport(lists, start_time_s_, facts.now_s);
  return JsonPage(FormatStatusJson(facts, history_));
}

AdminPage Server::SessionsPage() {
  std::vector<SessionFacts> sessions;
  size_t open = 0;
  for (auto& copy : Ask(&CopySessions)) {
    if (!copy.has_value()) continue;
    open += copy->open;
    for (SessionFacts& session : copy->sessions) {
      if (sessions.size() == kMaxSessionsListed) break;
      sessions.push_back(std::move(session));
    }
  }
  return JsonPage(FormatSessionsJson(sessions, open));
}

AdminPage Server::PoolsPage() {
  AskWorkers();
  return JsonPage(
      FormatPoolsJson(reports_, shared_->slots.used(), shared_->slots.max()));
}

}  // namespace tlspost
