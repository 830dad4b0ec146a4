// StillLoop: a Loop in which nothing happens unless its driver says so.
//
// The driver hands connections to the listener, lets octets arrive and takes
// what was sent; RunReady does everything that is due, in no time. So what the
// proxy itself does can be counted without a kernel, without its peers, and
// alike in every run. It never waits and has no order of its own:
// what became ready first runs first.

#ifndef TLSPOST_BENCH_INSTRUCTIONS_STILL_LOOP_H_
#define TLSPOST_BENCH_INSTRUCTIONS_STILL_LOOP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/chunk.h"
#include "common/io/listener.h"
#include "common/io/loop.h"
#include "common/io/stream.h"

namespace tlspost::still {

class StillListener;
class StillLoop;
class StillStream;

// One connection as the driver sees it. Outlives the stream at its other end.
class Wire {
 public:
  explicit Wire(StillLoop& loop) : loop_(loop) {}

  // The peer has sent `bytes`; does nothing when the proxy has closed.
  void Arrive(std::string_view bytes);
  // The peer has closed its side.
  void End();
  // What the proxy has sent since the last call; valid until it sends again.
  std::string_view TakeSent();
  bool has_sent() const { return taken_ < sent_.size(); }
  // Writes of the proxy so far: so many system calls they would be.
  uint64_t writes() const { return writes_; }
  // The proxy has closed it, or has said that it sends no more.
  bool ended() const { return stream_ == nullptr || shut_; }

 private:
  friend class StillStream;

  void Pass();

  StillLoop& loop_;
  StillStream* stream_ = nullptr;  // null once it is closed
  std::string waiting_;            // arrived while nobody wanted it
  size_t passed_ = 0;              // of waiting_, to the stream
  std::string sent_;
  size_t taken_ = 0;  // of sent_
  uint64_t writes_ = 0;
  bool shut_ = false;
};

// What arrives comes in blocks of this size, as from a ring of buffers.
class ArrivalBlocks final : public io::BlockOwner {
 public:
  static constexpr size_t kBlockSize = 8192;

  ~ArrivalBlocks();
  io::Chunk Copy(std::string_view bytes);
  void ReturnBlock(char* block) override {
    --out_;
    idle_.push_back(block);
  }
  size_t block_size() const override { return kBlockSize; }
  // Blocks that somebody holds.
  size_t out() const { return out_; }

 private:
  size_t out_ = 0;
  std::vector<char*> idle_;
};

class StillLoop final : public io::Loop {
 public:
  StillLoop();
  ~StillLoop() override;

  // Runs what is ready, and what that makes ready.
  void RunReady();
  // The same until Stop; time jumps whenever nothing is ready.
  void Run() override;

  // A client connects to the one listener.
  std::shared_ptr<Wire> Connect(const io::Endpoint& from);
  // Connections that the proxy has made, in order.
  const std::vector<std::shared_ptr<Wire>>& dialled() const { return dialled_; }

  io::WallTime WallNow() const override;
  uint64_t Random() override { return ++random_; }
  void PostRemote(std::function<void()> work) override;
  absl::StatusOr<std::unique_ptr<io::Listener>> Listen(
      const io::Endpoint& endpoint, const io::ListenOptions& options) override;
  void StartConnect(io::ConnectOp& op) override;
  void CancelConnect(io::ConnectOp& /*op*/) override {}

  ArrivalBlocks& arrivals() { return arrivals_; }

 private:
  friend class StillListener;

  ArrivalBlocks arrivals_;
  StillListener* listener_ = nullptr;
  std::vector<std::shared_ptr<Wire>> dialled_;
  std::vector<std::function<void()>> remote_;
  uint64_t random_ = 0;
};

class StillStream final : public io::Stream {
 public:
  StillStream(StillLoop& loop, std::shared_ptr<Wire> wire, io::Endpoint peer,
              io::Endpoint local);
  ~StillStream() override;

  void ShutdownWrite() override { wire_->shut_ = true; }

 private:
  friend class Wire;

  void StartReceiving() override { wire_->Pass(); }
  void StopReceiving() override {}
  void StartWriting(io::WriteOp& op) override;
  void CancelWriting() override {}
  io::Endpoint SocketLocal() const override { return local_; }
  void DoClose() override { wire_->stream_ = nullptr; }

  const std::shared_ptr<Wire> wire_;
  const io::Endpoint local_;
};

}  // namespace tlspost::still

#endif  // TLSPOST_BENCH_INSTRUCTIONS_STILL_LOOP_H_
