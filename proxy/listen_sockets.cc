// Binding, adopting and sharing out listening sockets.

#include "proxy/listen_sockets.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/io/listen_socket.h"
#include "proxy/startup.h"

namespace tlspost {

// One address, with its sockets.
struct ListenSockets::Place {
  // A descriptor for one worker.
  struct Copy {
    size_t worker = 0;
    size_t number = 0;
    io::Descriptor socket;  // none once the worker has it
  };

  ListenAddress wanted;   // as the settings have it
  io::Endpoint endpoint;  // where it is bound
  // Also of the place that takes this one's in a later plan.
  std::vector<std::shared_ptr<const io::Descriptor>> sockets;
  std::vector<Copy> copies;
  bool shared = false;
};

ListenSockets::Plan::Plan() = default;
ListenSockets::Plan::Plan(Plan&&) noexcept = default;
ListenSockets::Plan& ListenSockets::Plan::operator=(Plan&&) noexcept = default;
ListenSockets::Plan::~Plan() = default;

std::vector<ListenAddress> ListenSockets::Plan::addresses() const {
  std::vector<ListenAddress> addresses;
  for (const auto& place : places_) {
    addresses.push_back(place->wanted);
    addresses.back().endpoint = place->endpoint;
  }
  return addresses;
}

ListenSockets::ListenSockets(size_t workers) : workers_(workers) {}

ListenSockets::~ListenSockets() = default;

absl::Status ListenSockets::Adopt(std::vector<io::Descriptor> sockets,
                                  bool shared) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (io::Descriptor& socket : sockets) {
    if (!io::IsTcpListener(socket.get())) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "descriptor %d is no listening TCP socket", socket.get()));
    }
    io::AdoptSocket(socket.get());
    io::Endpoint endpoint = io::BoundEndpoint(socket.get());
    given_.push_back({std::move(socket), std::move(endpoint), shared});
  }
  return absl::OkStatus();
}

io::Descriptor ListenSockets::Claim(const io::Endpoint& endpoint) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find_if(
      given_.begin(), given_.end(),
      [&](const Given& given) { return given.endpoint == endpoint; });
  if (found == given_.end()) return io::Descriptor();
  io::Descriptor socket = std::move(found->socket);
  given_.erase(found);
  return socket;
}

void ListenSockets::DropUnclaimed() {
  const std::lock_guard<std::mutex> lock(mutex_);
  given_.clear();
}

std::vector<io::Endpoint> ListenSockets::Unclaimed() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<io::Endpoint> endpoints;
  for (const Given& given : given_) endpoints.push_back(given.endpoint);
  return endpoints;
}

absl::StatusOr<ListenSockets::Plan> ListenSockets::Bind(
    const std::vector<Wanted>& wanted) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::vector<std::shared_ptr<Place>> bound = FindBound(wanted);
  // All of them before the first is bound: an address of ours may overlap
  // another of ours (0.0.0.0 and 127.0.0.1).
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (bound[i] != nullptr) continue;
    const absl::Status is_free = CheckFree(wanted[i].address.endpoint);
    if (!is_free.ok()) return InSetting(wanted[i].setting, is_free);
  }
  Plan plan;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (bound[i] == nullptr) {
      auto place = Open(wanted[i].address);
      if (!place.ok()) return InSetting(wanted[i].setting, place.status());
      plan.places_.push_back(*std::move(place));
      continue;
    }
    // What is said of the address may be new; its sockets are not.
    auto place = std::make_shared<Place>();
    place->wanted = wanted[i].address;
    place->endpoint = bound[i]->endpoint;
    place->shared = bound[i]->shared;
    for (const Place::Copy& copy : bound[i]->copies) {
      place->copies.push_back({copy.worker, copy.number, io::Descriptor()});
    }
    place->sockets = bound[i]->sockets;
    plan.places_.push_back(std::move(place));
  }
  return plan;
}

// The place of each address that has one already; with port 0 there may be
// several of one address.
std::vector<std::shared_ptr<ListenSockets::Place>> ListenSockets::FindBound(
    const std::vector<Wanted>& wanted) const {
  std::vector<std::shared_ptr<Place>> unclaimed = places_;
  std::vector<std::shared_ptr<Place>> bound;
  for (const Wanted& each : wanted) {
    const auto same =
        std::find_if(unclaimed.begin(), unclaimed.end(), [&](const auto& it) {
          return it != nullptr && it->wanted.endpoint == each.address.endpoint;
        });
    bound.push_back(same == unclaimed.end() ? nullptr : std::move(*same));
  }
  return bound;
}

absl::Status ListenSockets::CheckFree(const io::Endpoint& endpoint) const {
  const bool is_given = std::any_of(
      given_.begin(), given_.end(),
      [&](const Given& given) { return given.endpoint == endpoint; });
  const bool is_ours =
      std::any_of(places_.begin(), places_.end(), [&](const auto& place) {
        return place->endpoint.port() == endpoint.port();
      });
  if (is_given || is_ours) return absl::OkStatus();
  return io::CheckNotInUse(endpoint);
}

absl::StatusOr<std::shared_ptr<ListenSockets::Place>> ListenSockets::Open(
    const ListenAddress& wanted) {
  auto place = std::make_shared<Place>();
  place->wanted = wanted;
  place->endpoint = wanted.endpoint;
  for (Given& given : given_) {
    if (!(given.endpoint == wanted.endpoint)) continue;
    place->shared = given.shared;
    place->sockets.push_back(
        std::make_shared<const io::Descriptor>(std::move(given.socket)));
  }
  std::erase_if(given_, [](const Given& given) { return !given.socket; });
  if (place->sockets.empty()) {
    const absl::Status bound = BindNew(*place);
    if (!bound.ok()) return bound;
  }
  const absl::Status copied = MakeCopies(*place);
  if (!copied.ok()) return copied;
  return place;
}

// One for each worker: the kernel spreads the clients.
absl::Status ListenSockets::BindNew(Place& place) {
  for (size_t i = 0; i < workers_; ++i) {
    const auto socket =
        io::OpenListenSocket(place.endpoint, io::ListenOptions());
    if (!socket.ok()) return socket.status();
    place.sockets.push_back(std::make_shared<const io::Descriptor>(*socket));
    // With port 0 the first one's port is everybody's.
    place.endpoint = io::BoundEndpoint(*socket);
  }
  return absl::OkStatus();
}

// Every worker gets one, and every socket somebody who accepts from it.
absl::Status ListenSockets::MakeCopies(Place& place) {
  const size_t count = std::max(workers_, place.sockets.size());
  for (size_t i = 0; i < count; ++i) {
    const auto& socket = place.sockets[i % place.sockets.size()];
    io::Descriptor copy(io::DuplicateSocket(socket->get()));
    if (!copy) {
      return absl::ResourceExhaustedError(
          absl::StrFormat("cannot listen on %s: %s", place.endpoint.ToString(),
                          strerror(errno)));
    }
    place.copies.push_back({i % workers_, ++last_number_, std::move(copy)});
  }
  return absl::OkStatus();
}

std::vector<std::vector<ListenAddress>> ListenSockets::Use(Plan plan) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::vector<ListenAddress>> of_workers(workers_);
  // A reload that ends during a drain: what it has bound goes with the plan.
  if (closed_) return of_workers;
  // What is in the old places only is the workers' from here on.
  places_ = std::move(plan.places_);
  for (const auto& place : places_) {
    for (size_t i = 0; i < place->copies.size(); ++i) {
      Place::Copy& copy = place->copies[i];
      ListenAddress& address =
          of_workers[copy.worker].emplace_back(place->wanted);
      address.endpoint = place->endpoint;
      address.socket = copy.socket.Release();
      address.number = copy.number;
      // Of several copies of a socket the first empties the queue; nobody does
      // where another process has the socket as well.
      const bool hands_out = !place->shared && i < place->sockets.size();
      address.queue = hands_out ? io::Listener::Queue::kHandOut
                                : io::Listener::Queue::kLeave;
    }
  }
  return of_workers;
}

std::vector<io::Descriptor> ListenSockets::Copies() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<io::Descriptor> copies;
  for (const auto& place : places_) {
    for (const auto& socket : place->sockets) {
      copies.emplace_back(io::DuplicateSocket(socket->get()));
    }
  }
  return copies;
}

bool ListenSockets::is_shared() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::any_of(places_.begin(), places_.end(),
                     [](const auto& place) { return place->shared; });
}

void ListenSockets::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  places_.clear();
  given_.clear();
}

}  // namespace tlspost
