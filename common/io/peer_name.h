// PeerName: what DNS says of an address.
//
// Only the words; who asks, and how long an answer is good for, is elsewhere.

#ifndef TLSPOST_COMMON_IO_PEER_NAME_H_
#define TLSPOST_COMMON_IO_PEER_NAME_H_

#include <cstdint>
#include <string>

namespace tlspost::io {

// How a question ended.
enum class NameFound : uint8_t {
  kYes,
  kNo,     // DNS has said that there is none
  kLater,  // DNS has not answered, or not in time: another time it may
};

struct PeerName {
  // The reverse name, if one of its own addresses is the peer's.
  std::string name;
  NameFound name_found = NameFound::kNo;
  // The reverse name as the address' owner has chosen it, confirmed or not.
  std::string reverse_name;
  NameFound reverse_found = NameFound::kNo;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_PEER_NAME_H_
