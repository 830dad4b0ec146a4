// ServiceManager: tells the one that has started us (systemd, with Type=notify)
// how we are: a datagram for each word, as sd_notify(3) describes them.
//
// Where nobody wants to know, and when a datagram cannot be sent, nothing
// happens: no service fails because nobody listens. Each word waits a second at
// most, and never on a thread that serves.

#ifndef TLSPOST_COMMON_IO_SERVICE_MANAGER_H_
#define TLSPOST_COMMON_IO_SERVICE_MANAGER_H_

#include <chrono>
#include <string>
#include <string_view>

namespace tlspost::io {

class ServiceManager {
 public:
  // As $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID say.
  static ServiceManager FromEnvironment();

  // `socket`: a path, or "@" and a name without one (abstract). Empty: nobody.
  // `watchdog`: the time in which it wants to hear Alive; 0: it does not.
  explicit ServiceManager(
      std::string socket,
      std::chrono::microseconds watchdog = std::chrono::microseconds(0));

  bool listens() const { return !socket_.empty(); }
  // How often to say Alive: twice in the time that it waits. 0: never.
  std::chrono::milliseconds alive_interval() const;

  // Any thread, here and below. `status` is a line for a person.
  void Ready(std::string_view status) const;
  // A reload has begun; its end is another Ready.
  void Reloading() const;
  void Stopping(std::string_view status) const;
  void Status(std::string_view status) const;
  void Alive() const;

 private:
  void Send(std::string_view text) const;

  std::string socket_;
  std::chrono::microseconds watchdog_;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_SERVICE_MANAGER_H_
