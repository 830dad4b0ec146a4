// tlspost-cells: does one kind of work a given number of times, on one thread
// and without a kernel, so that a profiler can count what it takes.
//
// check.py runs it under callgrind; it says nothing of its own about costs.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "bench/cli/option_table.h"
#include "bench/instructions/cells.h"
#include "common/base/status.h"

namespace tlspost::still {
namespace {

constexpr std::string_view kUsage =
    R"(tlspost-cells: one kind of work, over and over, on a simulated transport.

Usage:
  tlspost-cells --cell=NAME [--name=value]...
  tlspost-cells --list

It is what scripts/bench --instructions runs under callgrind.
)";

struct Options {
  std::string cell;
  bool list = false;
  int64_t operations = 20;
  int64_t warm_up = 3;
  int64_t clients = 0;
  bool tls = true;
  std::string cert_file;
  std::string key_file;
};

void Describe(Options& options, cli::OptionTable& table) {
  table.Group("Work");
  table.AddText("cell", &options.cell, "NAME", "The kind of work.");
  table.AddSwitch("list", &options.list,
                  "Name all kinds: name, key, operation and title, separated "
                  "by tabs.");
  table.AddCount("operations", &options.operations, 0, 1'000'000'000,
                 "How often it is done and counted.");
  table.AddCount("warm-up", &options.warm_up, 0, 1'000'000'000,
                 "How often it is done before.");
  table.AddCount("clients", &options.clients, 0, 60'000,
                 "So many clients take turns, instead of the cell's own.");
  table.AddSwitch("tls", &options.tls, "The cell's clients use TLS.");
  table.AddText("cert_file", &options.cert_file, "FILE",
                "The proxy's certificate; empty: one for P-256, made now.");
  table.AddText("key_file", &options.key_file, "FILE", "And its key.");
}

int Fail(std::string_view why, int status) {
  std::fprintf(stderr, "tlspost-cells: %.*s\n", static_cast<int>(why.size()),
               why.data());
  return status;
}

void List() {
  for (const Cell& cell : Cells()) {
    std::printf("%s\t%s\t%s\t%s\n", cell.name.data(), cell.key.data(),
                cell.operation.data(), cell.title.data());
  }
}

int Main(std::span<const char* const> args) {
  Options options;
  cli::OptionTable table;
  Describe(options, table);
  for (const std::string_view arg : args) {
    if (arg != "--help" && arg != "-h") continue;
    std::fputs(table.Help(kUsage).c_str(), stdout);
    return 0;
  }
  const absl::Status parsed = table.Parse(args);
  if (!parsed.ok()) return Fail(MessageOf(parsed), 2);
  if (options.list) {
    List();
    return 0;
  }
  const Cell* found = FindCell(options.cell);
  if (found == nullptr) return Fail("--cell: see --list for the names", 2);
  Cell cell = *found;
  if (options.clients > 0) cell.clients = static_cast<int>(options.clients);
  StageOptions stage;
  stage.cert_file = options.cert_file;
  stage.key_file = options.key_file;
  const std::unique_ptr<Scene> scene = Prepare(cell, stage, options.tls);
  for (int64_t i = 0; i < options.warm_up; ++i) cell.operate(*scene);
  scene->stage.Count(true);
  for (int64_t i = 0; i < options.operations; ++i) cell.operate(*scene);
  scene->stage.Count(false);
  return 0;
}

}  // namespace
}  // namespace tlspost::still

int main(int argc, char** argv) {
  const std::span<const char* const> args(argv, static_cast<size_t>(argc));
  return tlspost::still::Main(args.subspan(1));
}
