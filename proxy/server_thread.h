// One worker's thread, as Server keeps it. Private to Server.

#ifndef TLSPOST_PROXY_SERVER_THREAD_H_
#define TLSPOST_PROXY_SERVER_THREAD_H_

#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/io/loop.h"
#include "proxy/server.h"
#include "proxy/worker.h"

namespace tlspost {

// One worker and its thread. The worker is made and destroyed there.
struct Server::Thread {
  std::thread thread;
  std::promise<absl::Status> listening;  // its ports are bound, or why not
  std::promise<bool> go;                 // serve, or give up
  std::mutex mutex;
  io::Loop* loop = nullptr;  // guarded by mutex; null once the worker ended
  Worker* worker = nullptr;  // the worker's thread only
  std::vector<ListenAddress> listen_on;
  Counters counters;
  bool clean = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SERVER_THREAD_H_
