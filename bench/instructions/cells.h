// The kinds of work whose cost is kept in table.json, each declared once.

#ifndef TLSPOST_BENCH_INSTRUCTIONS_CELLS_H_
#define TLSPOST_BENCH_INSTRUCTIONS_CELLS_H_

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "bench/instructions/stage.h"

namespace tlspost::still {

// What a cell has made ready for its operations.
struct Scene {
  explicit Scene(const StageOptions& options) : stage(options) {}

  Stage stage;
  std::vector<std::unique_ptr<Client>> clients;
  size_t next = 0;  // of the clients, in turn

  Client& NextClient() { return *clients[next++ % clients.size()]; }
};

struct Cell {
  std::string_view name;
  std::string_view title;      // "4 KiB message, ..."
  std::string_view operation;  // what is counted: "session", "message"
  std::string_view key;        // of the certificate: "ecdsa", "rsa"
  int clients;                 // connected, and in TLS, before counting begins
  int backend_connections;
  void (*operate)(Scene&);
};

std::span<const Cell> Cells();
// Null: there is no such cell.
const Cell* FindCell(std::string_view name);

// The cell's clients, connected.
std::unique_ptr<Scene> Prepare(const Cell& cell, StageOptions options,
                               bool tls = true);

}  // namespace tlspost::still

#endif  // TLSPOST_BENCH_INSTRUCTIONS_CELLS_H_
