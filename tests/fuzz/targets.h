// The fuzz targets: each takes whatever octets there are and aborts when a
// promise of the code under it is broken. corpus/NAME holds inputs for each.

#ifndef TLSPOST_TESTS_FUZZ_TARGETS_H_
#define TLSPOST_TESTS_FUZZ_TARGETS_H_

#include <string_view>

namespace tlspost::fuzz {

void Command(std::string_view octets);      // verbs, envelopes, AUTH
void Ehlo(std::string_view octets);         // what a backend offers; XCLIENT
void LineBuffer(std::string_view octets);   // lines, however they are cut
void ProxyHeader(std::string_view octets);  // from a load balancer
void Reply(std::string_view octets);        // replies, however they are cut
void Scanner(std::string_view octets);      // the end of a message
void Session(std::string_view octets);      // a hostile client beside another
void Tls(std::string_view octets);          // both roles of the TLS engine

struct Target {
  std::string_view name;  // of its folder in corpus
  void (*run)(std::string_view octets);
};

inline constexpr Target kTargets[] = {
    {"command", &Command},
    {"ehlo", &Ehlo},
    {"line_buffer", &LineBuffer},
    {"proxy_header", &ProxyHeader},
    {"reply", &Reply},
    {"scanner", &Scanner},
    {"session", &Session},
    {"tls", &Tls},
};

}  // namespace tlspost::fuzz

#endif  // TLSPOST_TESTS_FUZZ_TARGETS_H_
