// The driven loop, its connections and its listener.

#include "bench/instructions/still_loop.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "common/base/check.h"

namespace tlspost::still {
namespace {

// Some hour, not zero: a zero may hide a bug.
constexpr io::Time kStart = io::Time(std::chrono::hours(1000));

}  // namespace

// --- ArrivalBlocks --------------------------------------------------------

ArrivalBlocks::~ArrivalBlocks() {
  for (char* block : idle_) delete[] block;
}

io::Chunk ArrivalBlocks::Copy(std::string_view bytes) {
  TLSPOST_REQUIRE(bytes.size() <= kBlockSize);
  if (idle_.empty()) idle_.push_back(new char[kBlockSize]);
  char* block = idle_.back();
  idle_.pop_back();
  ++out_;
  std::memcpy(block, bytes.data(), bytes.size());
  return io::Chunk(this, block, bytes.size());
}

// --- Wire -----------------------------------------------------------------

void Wire::Arrive(std::string_view bytes) {
  if (stream_ == nullptr) return;
  waiting_.append(bytes);
  Pass();
}

void Wire::Pass() {
  while (passed_ < waiting_.size() && stream_ != nullptr &&
         stream_->wants_input()) {
    const std::string_view piece =
        std::string_view(waiting_).substr(passed_, ArrivalBlocks::kBlockSize);
    passed_ += piece.size();
    stream_->Deliver(loop_.arrivals().Copy(piece));
  }
  if (passed_ < waiting_.size()) return;
  waiting_.clear();
  passed_ = 0;
}

void Wire::End() {
  if (stream_ != nullptr) stream_->DeliverEnd(absl::OkStatus());
}

std::string_view Wire::TakeSent() {
  const std::string_view sent = std::string_view(sent_).substr(taken_);
  taken_ = sent_.size();
  return sent;
}

// --- StillStream ----------------------------------------------------------

StillStream::StillStream(StillLoop& loop, std::shared_ptr<Wire> wire,
                         io::Endpoint peer, io::Endpoint local)
    : Stream(loop, std::move(peer)),
      wire_(std::move(wire)),
      local_(std::move(local)) {
  wire_->stream_ = this;
}

StillStream::~StillStream() { Close(); }

void StillStream::StartWriting(io::WriteOp& op) {
  Wire& wire = *wire_;
  // What was taken is gone for good; the memory stays for the next write.
  if (wire.taken_ == wire.sent_.size()) {
    wire.sent_.clear();
    wire.taken_ = 0;
  }
  size_t octets = 0;
  for (const std::string_view slice : op.slices()) {
    wire.sent_.append(slice);
    octets += slice.size();
  }
  ++wire.writes_;
  op.Advance(octets);
  FinishWrite(absl::OkStatus());
}

// --- StillListener --------------------------------------------------------

class StillListener final : public io::Listener {
 public:
  StillListener(StillLoop& loop, io::Endpoint local)
      : Listener(loop), still_(loop), local_(std::move(local)) {
    TLSPOST_REQUIRE(still_.listener_ == nullptr);
    still_.listener_ = this;
  }
  ~StillListener() override { Close(); }

  io::Endpoint local() const override { return local_; }
  void HandOver(std::unique_ptr<io::Stream> stream) {
    Deliver(std::move(stream));
  }

 private:
  void StartAccepting() override {}
  void DoClose(Queue /*queue*/) override {
    still_.listener_ = nullptr;
    Ended();
  }

  StillLoop& still_;
  const io::Endpoint local_;
};

// --- StillLoop ------------------------------------------------------------

StillLoop::StillLoop() : Loop(kStart) {}
StillLoop::~StillLoop() = default;

void StillLoop::RunReady() {
  while (has_work()) {
    if (ready().empty()) {
      RunOneDeferred();
    } else {
      ready().PopFront().Run();
    }
  }
}

void StillLoop::Run() {
  while (!stopped()) {
    RunReady();
    for (auto& work : std::exchange(remote_, {})) work();
    if (has_work() || stopped()) continue;
    const io::Time next = wheel().NextTick();
    if (next == io::kNever) return;
    SetNow(next);
    wheel().Advance(next);
  }
}

std::shared_ptr<Wire> StillLoop::Connect(const io::Endpoint& from) {
  TLSPOST_REQUIRE(listener_ != nullptr);
  auto wire = std::make_shared<Wire>(*this);
  listener_->HandOver(
      std::make_unique<StillStream>(*this, wire, from, listener_->local()));
  return wire;
}

io::WallTime StillLoop::WallNow() const {
  return io::WallTime(std::chrono::seconds(1'790'000'000)) +
         std::chrono::duration_cast<io::WallTime::duration>(Now() - kStart);
}

void StillLoop::PostRemote(std::function<void()> work) {
  remote_.push_back(std::move(work));
}

absl::StatusOr<std::unique_ptr<io::Listener>> StillLoop::Listen(
    const io::Endpoint& endpoint, const io::ListenOptions& /*options*/) {
  return std::make_unique<StillListener>(*this, endpoint);
}

void StillLoop::StartConnect(io::ConnectOp& op) {
  auto wire = std::make_shared<Wire>(*this);
  const io::Endpoint local = *io::Endpoint::FromIp("10.0.0.9", 40000);
  auto stream =
      std::make_unique<StillStream>(*this, wire, op.endpoint(), local);
  dialled_.push_back(std::move(wire));
  op.Complete(std::move(stream));
}

}  // namespace tlspost::still
