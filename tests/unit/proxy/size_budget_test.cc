// What an idle session costs: 200 clients that have said EHLO and are silent.
//
// The simulation's own connections are measured without a proxy first and
// taken off. OpenSSL's memory does not come from operator new and is not in
// the figures; they are what our frames and objects take. Prints the figures
// and the single blocks of one session, so that a rise can be traced.

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/frame_slab.h"
#include "common/base/spare_string.h"
#include "common/io/task_group.h"
#include "common/tls/self_signed.h"
#include "common/tls/tls_context.h"
#include "common/tls/tls_stream.h"
#include "proxy/session.h"
#include "proxy/worker.h"
#include "tests/sim/sim_loop.h"
#include "tests/unit/proxy/no_log.h"

namespace {

// Every block of operator new, by the size that was asked for. The size is
// kept in front of the block.
constexpr size_t kHeader = alignof(std::max_align_t);

struct Block {
  void* address;
  size_t size;
};

struct HeapUse {
  int64_t octets = 0;
  // The blocks made since recording began, in order.
  bool recording = false;
  size_t recorded = 0;
  std::array<Block, 4096> blocks;
};

thread_local HeapUse heap;

void* CountedNew(size_t size) {
  void* memory = std::malloc(size + kHeader);
  if (memory == nullptr) std::abort();
  *static_cast<size_t*>(memory) = size;
  heap.octets += static_cast<int64_t>(size);
  void* block = static_cast<char*>(memory) + kHeader;
  if (heap.recording && heap.recorded < heap.blocks.size()) {
    heap.blocks[heap.recorded++] = Block{block, size};
  }
  return block;
}

void CountedDelete(void* block) {
  if (block == nullptr) return;
  void* memory = static_cast<char*>(block) - kHeader;
  heap.octets -= static_cast<int64_t>(*static_cast<size_t*>(memory));
  for (size_t i = 0; i < heap.recorded; ++i) {
    if (heap.blocks[i].address == block) heap.blocks[i].address = nullptr;
  }
  std::free(memory);
}

}  // namespace

void* operator new(size_t size) { return CountedNew(size); }
void* operator new[](size_t size) { return CountedNew(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return CountedNew(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return CountedNew(size);
}
void operator delete(void* block) noexcept { CountedDelete(block); }
void operator delete[](void* block) noexcept { CountedDelete(block); }
void operator delete(void* block, size_t) noexcept { CountedDelete(block); }
void operator delete[](void* block, size_t) noexcept { CountedDelete(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept {
  CountedDelete(block);
}
void operator delete[](void* block, const std::nothrow_t&) noexcept {
  CountedDelete(block);
}

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr int kSessions = 200;
// The target: 1 KiB of frames and session state beside OpenSSL's own, in what
// is shipped. clang++ lays coroutine frames out less tightly.
#ifdef __clang__
constexpr int64_t kBudget = 1152;
#else
constexpr int64_t kBudget = 1024;
#endif

constexpr std::string_view kNothing;
constexpr std::string_view kEhlo = "EHLO client.example\r\n";

struct Use {
  int64_t heap;    // octets of operator new, frames included
  int64_t frames;  // octets of coroutine frames
  int64_t frame_count;

  static Use Now() {
    const FrameUse frames = ThisThreadFrameUse();
    // What is kept for frames and strings to come is nobody's.
    const int64_t kept =
        frames.kept + static_cast<int64_t>(SpareStringOctets());
    return Use{heap_octets() - kept, frames.bytes, frames.frames};
  }
  Use operator-(const Use& other) const {
    return Use{heap - other.heap, frames - other.frames,
               frame_count - other.frame_count};
  }
  static int64_t heap_octets() { return ::heap.octets; }
};

const io::Endpoint& Front() {
  static const io::Endpoint endpoint = *io::Endpoint::FromIp("192.0.2.25", 25);
  return endpoint;
}

Settings WorldSettings() {
  Settings settings;
  settings.hostname = "mx.example.org";
  settings.command_timeout = Settings::Hours(10);
  settings.backend_max_connections = 1;
  settings.max_connections = 10 * kSessions;
  settings.client_connection_count_limit = 0;  // all have one address
  return settings;
}

// A world with clients, and a worker if asked for.
class World {
 public:
  explicit World(bool with_worker, std::vector<std::string> told = {})
      : loop_(/*seed=*/1),
        told_(std::move(told)),
        settings_(WorldSettings()),
        shared_(settings_, {{"mail", *io::Endpoint::FromIp("192.0.2.26", 25)}},
                /*workers=*/1, log_),
        tasks_(loop_) {
    clients_.reserve(2 * kSessions);
    if (!with_worker) {
      listener_ = *loop_.Listen(Front(), io::ListenOptions());
      held_.reserve(2 * kSessions);
      return;
    }
    tls::SelfSigned identity = tls::GenerateSelfSigned("mx.example.org");
    tls::ServerTlsOptions options;
    options.certificates.push_back(
        {"", "", std::move(identity.cert_pem), std::move(identity.key_pem)});
    worker_ = std::make_unique<Worker>(
        loop_, shared_,
        WorkerTls{*tls::TlsContext::CreateServer(options), nullptr}, "SIZE");
    EXPECT_TRUE(worker_->Listen({{Front(), /*implicit_tls=*/false}}).ok());
    worker_->Start();
    client_tls_ = *tls::TlsContext::CreateClient(tls::ClientTlsOptions());
    Settle();
    // Blocks that the pool keeps are nobody's: there are enough beforehand.
    std::vector<io::Chunk> blocks;
    for (int i = 0; i < 8; ++i) blocks.push_back(loop_.blocks().Copy("x"));
  }

  ~World() {
    clients_.clear();
    held_.clear();
    if (worker_ != nullptr) worker_->Drain();
    loop_.Run();
  }

  // One more client each; all are idle afterwards.
  void AddPlain(int count) { Add(count, &World::AddPlainClients); }
  void AddTls(int count) { Add(count, &World::AddTlsClients); }
  // Only the connections, both ends held here.
  void AddBare(int count) { Add(count, &World::AddBareConnections); }

  size_t sessions() const { return worker_->session_count(); }
  // What a client was told until it was idle, write by write.
  const std::vector<std::string>& told() const { return told_; }

 private:
  void Add(int count, Task<void> (World::*add)(int)) {
    tasks_.Spawn((this->*add)(count));
    loop_.RunUntil([this] { return tasks_.size() == 0; }, 100s);
    EXPECT_EQ(tasks_.size(), 0u);
    Settle();
  }

  // Until everybody is idle.
  void Settle() {
    loop_.RunUntil([] { return false; }, io::Duration());
  }

  Task<void> AddPlainClients(int count) {
    for (int i = 0; i < count; ++i) {
      auto client = co_await Greet();
      clients_.push_back(std::move(client));
    }
  }

  Task<void> AddTlsClients(int count) {
    for (int i = 0; i < count; ++i) {
      auto client = co_await Greet();
      co_await Say(*client, "STARTTLS\r\n", "220 ");
      const io::Time deadline = loop_.Now() + 10s;
      const absl::Status shaken =
          co_await client->StartTls(client_tls_, deadline);
      EXPECT_TRUE(shaken.ok()) << shaken;
      co_await Say(*client, kEhlo, "250 ");
      // A client that waits holds no block of input; one that does not may.
      const io::Time soon = loop_.Now() + 1ms;
      auto nothing = co_await client->Read(soon);
      EXPECT_TRUE(absl::IsDeadlineExceeded(nothing.status()));
      clients_.push_back(std::move(client));
    }
  }

  Task<void> AddBareConnections(int count) {
    for (int i = 0; i < count; ++i) {
      io::ConnectOp connect(loop_, Front(), io::kNever);
      auto connected = co_await connect;
      auto accepted = co_await listener_->Accept();
      std::unique_ptr<io::Stream> server = *std::move(accepted);
      auto client = std::make_unique<tls::TlsStream>(*std::move(connected));
      // The same octets pass, so that the pipes have grown alike.
      for (const std::string& words : told_) {
        const absl::Status sent = co_await server->Write(words, io::kNever);
        EXPECT_TRUE(sent.ok()) << sent;
        auto heard = co_await client->Read(io::kNever);
        EXPECT_TRUE(heard.ok());
      }
      const absl::Status sent =
          co_await client->Write(kEhlo, kNothing, io::kNever);
      EXPECT_TRUE(sent.ok()) << sent;
      auto heard = co_await server->Read(io::kNever);
      EXPECT_TRUE(heard.ok());
      server->Watch();
      held_.push_back(std::move(server));
      clients_.push_back(std::move(client));
    }
  }

  Task<std::unique_ptr<tls::TlsStream>> Greet() {
    io::ConnectOp connect(loop_, Front(), io::kNever);
    auto connected = co_await connect;
    auto client = std::make_unique<tls::TlsStream>(*std::move(connected));
    co_await Say(*client, "", "220 ");
    co_await Say(*client, kEhlo, "250 ");
    co_return client;
  }

  // Says `line` and hears until the reply's last line begins with `last`.
  Task<void> Say(tls::TlsStream& client, std::string_view line,
                 std::string_view last) {
    const io::Time deadline = loop_.Now() + 10s;
    if (!line.empty()) {
      const absl::Status sent = co_await client.Write(line, kNothing, deadline);
      EXPECT_TRUE(sent.ok()) << sent;
    }
    std::string heard;
    while (!HasLastLine(heard, last)) {
      auto chunk = co_await client.Read(deadline);
      EXPECT_TRUE(chunk.ok() && !chunk->empty());
      if (!chunk.ok() || chunk->empty()) co_return;
      heard.append(chunk->view());
    }
    if (told_.size() < 2) told_.push_back(heard);
  }

  static bool HasLastLine(const std::string& text, std::string_view last) {
    if (!text.ends_with("\r\n")) return false;
    const size_t before = text.rfind('\n', text.size() - 2);
    const size_t begin = before == std::string::npos ? 0 : before + 1;
    return text.compare(begin, last.size(), last) == 0;
  }

  sim::SimLoop loop_;
  std::vector<std::string> told_;
  const Settings settings_;
  NoLog log_;
  WorkerShared shared_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<io::Listener> listener_;
  std::shared_ptr<tls::TlsContext> client_tls_;
  io::TaskGroup tasks_;
  std::vector<std::unique_ptr<tls::TlsStream>> clients_;
  std::vector<std::unique_ptr<io::Stream>> held_;
};

// What `add` costs per client: the second thousand less the first, so that
// what grows once (pools, tables) is warm.
template <typename Add>
Use CostPerClient(const Add& add) {
  add(kSessions / 10);
  const Use before = Use::Now();
  add(kSessions);
  const Use cost = Use::Now() - before;
  return Use{cost.heap / kSessions, cost.frames / kSessions,
             cost.frame_count / kSessions};
}

// A connection of the simulation with a TlsStream at the client's end, over
// which passed what `world`'s clients were told.
Use BareCost(const World& like) {
  World world(/*with_worker=*/false, like.told());
  return CostPerClient([&](int count) { world.AddBare(count); });
}

// The blocks of one session, in the order they were made.
void PrintBlocks(const char* title) {
  std::printf("%s:", title);
  for (size_t i = 0; i < heap.recorded; ++i) {
    if (heap.blocks[i].address == nullptr) continue;
    std::printf(" %zu", heap.blocks[i].size);
  }
  std::printf("\n");
}

void Record(bool on) {
  if (on) heap.recorded = 0;
  heap.recording = on;
}

TEST(SizeBudget, AnIdlePlainSessionFitsAKibibyte) {
  World world(/*with_worker=*/true);
  const Use whole = CostPerClient([&](int count) { world.AddPlain(count); });
  const Use bare = BareCost(world);
  const Use session = whole - bare;
  std::printf(
      "An idle session in plaintext: %ld octets, of which %ld in %ld coroutine "
      "frames (sizeof(Session) %zu, ClientChannel %zu, ClientState %zu, "
      "TlsStream %zu); the simulation's own %ld are taken off.\n",
      session.heap, session.frames, session.frame_count, sizeof(Session),
      sizeof(ClientChannel), sizeof(ClientState), sizeof(tls::TlsStream),
      bare.heap);
  Record(true);
  world.AddPlain(1);
  Record(false);
  PrintBlocks("Blocks of one (both ends of the simulated connection too)");
  EXPECT_GT(session.frames, 0);
  EXPECT_LE(session.heap, kBudget);
  RecordProperty("octets", static_cast<int>(session.heap));
}

TEST(SizeBudget, AnIdleTlsSessionFitsTheSameBesideOpenSsl) {
  World world(/*with_worker=*/true);
  const Use plain = CostPerClient([&](int count) { world.AddPlain(count); });
  const Use whole = CostPerClient([&](int count) { world.AddTls(count); });
  const Use bare = BareCost(world);
  // The clients have an engine too: half of what TLS adds is theirs.
  const Use added = whole - plain;
  const int64_t session = (plain - bare).heap + added.heap / 2;
  std::printf(
      "An idle session in TLS: %ld octets beside OpenSSL's own (%ld more than "
      "in plaintext), of which %ld in %ld coroutine frames; sizeof(TlsEngine) "
      "%zu.\n",
      session, added.heap / 2, whole.frames - bare.frames,
      whole.frame_count - bare.frame_count, sizeof(tls::TlsEngine));
  EXPECT_LE(session, kBudget);
  RecordProperty("octets", static_cast<int>(session));
}

// Nothing is left of a session that has ended.
TEST(SizeBudget, ASessionThatEndsGivesAllOfItBack) {
  const FrameUse before = ThisThreadFrameUse();
  {
    World world(/*with_worker=*/true);
    world.AddPlain(20);
    world.AddTls(5);
    EXPECT_EQ(world.sessions(), 25u);
  }
  EXPECT_EQ(ThisThreadFrameUse().frames, before.frames);
  EXPECT_EQ(ThisThreadFrameUse().bytes, before.bytes);
}

}  // namespace
}  // namespace tlspost
