// The resolver's thread: questions in, c-ares, answers out.
//
// The channel is touched by its thread alone. What other threads share with it
// is the list of questions, under one mutex.

#include "common/io/ares_resolver.h"

#include <ares.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <list>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/io/network.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;

// How long answers are good for. What DNS says of a name is kept within the
// first two; the rest is our own choice.
constexpr Duration kShortest = 1min;
constexpr Duration kLongest = 1h;
constexpr Duration kNoNameIsGoodFor = 5min;
constexpr Duration kTroubleIsGoodFor = 30s;

constexpr int kTries = 2;
// Without sockets to wait for, the thread looks around this often.
constexpr int kIdlePollMs = 60'000;
constexpr size_t kLongestName = 255;

// DNS may hold any octets; a name goes into log lines, headers and commands.
// One of digits and dots would pass for an address.
bool IsHostName(std::string_view name) {
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ||
           c == '.' || c == '_';
  };
  const auto is_letter = [](char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0;
  };
  return !name.empty() && name.size() <= kLongestName &&
         std::all_of(name.begin(), name.end(), allowed) &&
         std::any_of(name.begin(), name.end(), is_letter);
}

NameFound FoundBy(int status) {
  const bool is_no = status == ARES_ENOTFOUND || status == ARES_ENODATA;
  return is_no ? NameFound::kNo : NameFound::kLater;
}

class AresResolver final : public NameResolver {
 public:
  explicit AresResolver(const AresOptions& options) : options_(options) {}
  ~AresResolver() override;

  absl::Status Start();

  void Resolve(Loop& loop, const Endpoint& address, Done done) override;
  void Forget(Loop& loop) override;

 private:
  struct Question {
    AresResolver* resolver;
    Loop* loop;  // null: forgotten
    Endpoint address;
    Done done;
    Answer answer{};
    std::list<Question>::iterator self{};
  };

  static void OnSocketState(void* self, ares_socket_t socket, int readable,
                            int writable);
  static void OnReverse(void* question, int status, int timeouts, char* node,
                        char* service);
  static void OnForward(void* question, int status, int timeouts,
                        ares_addrinfo* result);

  void Wake();
  void Run();
  bool AskNew();
  void Ask(Question& question);
  void Confirm(Question& question);
  void Finish(Question& question, Duration good_for);
  void PollOnce();

  const AresOptions options_;
  int wake_fd_ = -1;
  std::thread thread_;

  // --- the thread's own ---
  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, short> sockets_;  // and what to poll for

  // --- shared ---
  std::mutex mutex_;
  bool stopping_ = false;
  std::list<Question> waiting_;
  std::list<Question> asked_;
};

absl::Status AresResolver::Start() {
  ares_options options = {};
  options.timeout =
      static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(
                           options_.server_timeout)
                           .count());
  options.tries = kTries;
  options.sock_state_cb = OnSocketState;
  options.sock_state_cb_data = this;
  const int made = ares_init_options(
      &channel_, &options,
      ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (made != ARES_SUCCESS) {
    return absl::InternalError(absl::StrFormat("DNS: %s", ares_strerror(made)));
  }
  if (!options_.servers.empty()) {
    const std::string servers = absl::StrJoin(options_.servers, ",");
    const int set = ares_set_servers_ports_csv(channel_, servers.c_str());
    if (set != ARES_SUCCESS) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "\"%s\" is no list of DNS servers (%s); write ADDRESS or "
          "ADDRESS:PORT",
          servers, ares_strerror(set)));
    }
  }
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) return absl::ResourceExhaustedError("DNS: no descriptor");
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

AresResolver::~AresResolver() {
  if (thread_.joinable()) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    Wake();
    thread_.join();
  }
  // Answers what is under way with ARES_EDESTRUCTION; nobody listens any more.
  if (channel_ != nullptr) ares_destroy(channel_);
  if (wake_fd_ >= 0) close(wake_fd_);
}

void AresResolver::Resolve(Loop& loop, const Endpoint& address, Done done) {
  // An IPv4 peer of an IPv6 socket has an IPv4 name.
  const auto plain = Endpoint::FromIp(address.Address(), address.port());
  if (plain.ok()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (waiting_.size() + asked_.size() < options_.max_questions) {
      waiting_.push_back(Question{this, &loop, *plain, std::move(done)});
      done = nullptr;
    }
  }
  if (done == nullptr) return Wake();
  Answer later;
  later.name.name_found = later.name.reverse_found = NameFound::kLater;
  loop.PostRemote([done = std::move(done), later] { done(later); });
}

void AresResolver::Forget(Loop& loop) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (std::list<Question>* questions : {&waiting_, &asked_}) {
    for (Question& question : *questions) {
      if (question.loop == &loop) question.loop = nullptr;
    }
  }
}

// --- the thread -----------------------------------------------------------

void AresResolver::Wake() {
  const uint64_t one = 1;
  // A full counter wakes as well.
  static_cast<void>(write(wake_fd_, &one, sizeof(one)));
}

void AresResolver::Run() {
  while (AskNew()) PollOnce();
}

// False: the end.
bool AresResolver::AskNew() {
  while (true) {
    Question* question = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stopping_) return false;
      if (waiting_.empty()) return true;
      asked_.splice(asked_.end(), waiting_, waiting_.begin());
      question = &asked_.back();
      question->self = std::prev(asked_.end());
    }
    Ask(*question);
  }
}

void AresResolver::PollOnce() {
  std::vector<pollfd> polled = {{wake_fd_, POLLIN, 0}};
  for (const auto& [socket, events] : sockets_) {
    polled.push_back({socket, events, 0});
  }
  timeval most = {kIdlePollMs / 1000, 0};
  timeval next = {};
  const timeval* wait = ares_timeout(channel_, &most, &next);
  // Rounded up, so that what is due is due.
  const auto wait_ms = wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000;
  const int ready =
      poll(polled.data(), polled.size(), static_cast<int>(wait_ms));
  if (ready <= 0) {
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    return;
  }
  uint64_t count = 0;
  static_cast<void>(read(wake_fd_, &count, sizeof(count)));
  for (size_t i = 1; i < polled.size(); ++i) {
    const auto [socket, events, happened] = polled[i];
    if (happened == 0) continue;
    const bool broken = (happened & (POLLERR | POLLHUP)) != 0;
    const bool readable = (happened & POLLIN) != 0 || broken;
    const bool writable = (happened & POLLOUT) != 0;
    ares_process_fd(channel_, readable ? socket : ARES_SOCKET_BAD,
                    writable ? socket : ARES_SOCKET_BAD);
  }
}

void AresResolver::OnSocketState(void* self, ares_socket_t socket, int readable,
                                 int writable) {
  auto& sockets = static_cast<AresResolver*>(self)->sockets_;
  if (readable == 0 && writable == 0) {
    sockets.erase(socket);
    return;
  }
  sockets[socket] = static_cast<short>((readable != 0 ? POLLIN : 0) |
                                       (writable != 0 ? POLLOUT : 0));
}

// --- a question -----------------------------------------------------------

void AresResolver::Ask(Question& question) {
  sockaddr_storage address = {};
  const socklen_t length = question.address.ToSockaddr(address);
  ares_getnameinfo(channel_, reinterpret_cast<const sockaddr*>(&address),
                   length, ARES_NI_LOOKUPHOST | ARES_NI_NAMEREQD, OnReverse,
                   &question);
}

void AresResolver::OnReverse(void* argument, int status, int /*timeouts*/,
                             char* node, char* /*service*/) {
  auto& question = *static_cast<Question*>(argument);
  AresResolver& self = *question.resolver;
  if (status == ARES_EDESTRUCTION) return;
  PeerName& name = question.answer.name;
  name.reverse_found = name.name_found = FoundBy(status);
  if (status != ARES_SUCCESS) {
    const bool is_no = name.reverse_found == NameFound::kNo;
    return self.Finish(question, is_no ? kNoNameIsGoodFor : kTroubleIsGoodFor);
  }
  std::string_view found = node;
  if (found.ends_with('.')) found.remove_suffix(1);
  if (!IsHostName(found)) {
    name.reverse_found = name.name_found = NameFound::kNo;
    return self.Finish(question, kNoNameIsGoodFor);
  }
  name.reverse_name = found;
  name.reverse_found = NameFound::kYes;
  self.Confirm(question);
}

void AresResolver::Confirm(Question& question) {
  ares_addrinfo_hints hints = {};
  hints.ai_flags = ARES_AI_NOSORT;
  hints.ai_family = question.address.family();
  hints.ai_socktype = SOCK_STREAM;
  // With the dot at its end no search list is tried.
  const std::string name = question.answer.name.reverse_name + ".";
  ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, OnForward,
                   &question);
}

void AresResolver::OnForward(void* argument, int status, int /*timeouts*/,
                             ares_addrinfo* result) {
  auto& question = *static_cast<Question*>(argument);
  if (status == ARES_EDESTRUCTION) return;
  AresResolver& self = *question.resolver;
  PeerName& name = question.answer.name;
  if (status != ARES_SUCCESS) {
    name.name_found = FoundBy(status);
    const bool is_no = name.name_found == NameFound::kNo;
    return self.Finish(question, is_no ? kNoNameIsGoodFor : kTroubleIsGoodFor);
  }
  name.name_found = NameFound::kNo;
  Duration good_for = kNoNameIsGoodFor;
  const AddressBytes wanted = BytesOf(question.address);
  for (const ares_addrinfo_node* node = result->nodes; node != nullptr;
       node = node->ai_next) {
    const Endpoint address =
        Endpoint::FromSockaddr(node->ai_addr, node->ai_addrlen);
    if (BytesOf(address) != wanted) continue;
    name.name = name.reverse_name;
    name.name_found = NameFound::kYes;
    const Duration ttl = std::chrono::seconds(node->ai_ttl);
    good_for = std::clamp(ttl, kShortest, kLongest);
    break;
  }
  ares_freeaddrinfo(result);
  self.Finish(question, good_for);
}

void AresResolver::Finish(Question& question, Duration good_for) {
  question.answer.good_for = good_for;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (question.loop != nullptr) {
    question.loop->PostRemote(
        [done = std::move(question.done), answer = std::move(question.answer)] {
          done(answer);
        });
  }
  asked_.erase(question.self);
}

}  // namespace

absl::StatusOr<std::unique_ptr<NameResolver>> CreateAresResolver(
    const AresOptions& options) {
  static const int kLibrary = ares_library_init(ARES_LIB_INIT_ALL);
  if (kLibrary != ARES_SUCCESS) {
    return absl::InternalError(
        absl::StrFormat("DNS: %s", ares_strerror(kLibrary)));
  }
  auto resolver = std::make_unique<AresResolver>(options);
  const absl::Status started = resolver->Start();
  if (!started.ok()) return started;
  return resolver;
}

}  // namespace tlspost::io
