// Connections of the simulated world: two pipes in memory each.
//
// A pipe behaves as TCP does where it matters: bytes arrive in order and in
// any pieces, a write ends when the pipe has room, closing with unread input
// resets the other side, and a reset throws away what was on its way.

#ifndef TLSPOST_TESTS_SIM_SIM_STREAM_H_
#define TLSPOST_TESTS_SIM_SIM_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/listener.h"
#include "common/io/stream.h"
#include "tests/sim/sim_loop.h"

namespace tlspost::sim {

// One direction of a connection.
class Pipe final : public io::Runnable, public io::Timer {
 public:
  Pipe(SimLoop& loop, PipeFaults faults) : loop_(loop), faults_(faults) {}

  void set_ends(SimStream* writer, SimStream* reader) {
    writer_ = writer;
    reader_ = reader;
  }
  void set_writer(SimStream* writer) { writer_ = writer; }
  void set_reader(SimStream* reader) { reader_ = reader; }

  void Kick();     // something changed: deliver or take in more
  void Finish() {  // the writer will send no more
    finished_ = true;
    Kick();
  }
  void Inject(std::string_view bytes) {  // as if the writer had written them
    if (finished_ || reset_) return;
    bytes_.append(bytes);
    Kick();
  }
  void Reset();  // what is on its way is lost
  bool was_reset() const { return reset_; }
  bool holds_bytes() const { return !bytes_.empty(); }

 private:
  void Run() override;
  void OnDeadline() override { Run(); }
  void TakeIn();
  void DeliverSome();
  size_t NextPiece();

  SimLoop& loop_;
  const PipeFaults faults_;
  SimStream* writer_ = nullptr;
  SimStream* reader_ = nullptr;
  std::string bytes_;
  uint64_t delivered_ = 0;
  bool finished_ = false;
  bool reset_ = false;
  bool ended_ = false;
};

struct Connection {
  Connection(SimLoop& loop, const ConnectionFaults& faults)
      : to_server(loop, faults.to_server), to_client(loop, faults.to_client) {}
  Pipe to_server;
  Pipe to_client;
};

class SimStream final : public io::Stream {
 public:
  SimStream(SimLoop& loop, std::shared_ptr<Connection> connection, bool server,
            io::Endpoint peer, io::Endpoint local);
  ~SimStream() override;

  void ShutdownWrite() override;

 private:
  friend class Pipe;

  Pipe& out() {
    return server_ ? connection_->to_client : connection_->to_server;
  }
  Pipe& in() {
    return server_ ? connection_->to_server : connection_->to_client;
  }
  void StartReceiving() override { in().Kick(); }
  void StopReceiving() override {}
  void StartWriting(io::WriteOp& /*op*/) override { out().Kick(); }
  void CancelWriting() override;
  io::Endpoint SocketLocal() const override { return local_; }
  void DoClose() override;

  SimLoop& sim_;
  const std::shared_ptr<Connection> connection_;
  const bool server_;
  const io::Endpoint local_;
};

class SimListener final : public io::Listener {
 public:
  SimListener(SimLoop& loop, io::Endpoint local);
  ~SimListener() override;

  io::Endpoint local() const override { return local_; }
  void HandOver(std::unique_ptr<io::Stream> stream);
  // While set, accepting fails as when the process is out of descriptors, and
  // connections wait, as in the kernel.
  void set_failing(bool failing) { failing_ = failing; }

 private:
  void StartAccepting() override;
  void DoClose(Queue queue) override;

  SimLoop& sim_;
  const io::Endpoint local_;
  std::vector<std::unique_ptr<io::Stream>> backlog_;
  bool failing_ = false;
  bool accepting_ = false;  // false after an error, until StartAccepting
};

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_SIM_STREAM_H_
