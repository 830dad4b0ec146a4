// XCLIENT and XFORWARD: who the client is, told to a backend that trusts us.
//
// The encoder always gives the full list of attributes the backend offers:
// on a connection that is used again, one that is left out would keep the
// previous client's value (protocol finding 3). Does not decide when identity
// is sent, and reads no replies.

#ifndef TLSPOST_COMMON_SMTP_XCLIENT_H_
#define TLSPOST_COMMON_SMTP_XCLIENT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tlspost::smtp {

// One bit for each attribute of either command that we can fill.
enum class ClientAttribute : uint16_t {
  kHelo = 1 << 0,
  kProto = 1 << 1,
  kPort = 1 << 2,
  kDestAddress = 1 << 3,  // XCLIENT only
  kDestPort = 1 << 4,     // XCLIENT only
  kLogin = 1 << 5,        // XCLIENT only
  kReverseName = 1 << 6,  // XCLIENT only
  kName = 1 << 7,
  kAddress = 1 << 8,
  kSource = 1 << 9,  // XFORWARD only
  kIdent = 1 << 10,  // XFORWARD only
};

// The attributes a backend lists behind XCLIENT or XFORWARD in its EHLO reply.
class AttributeSet {
 public:
  // The known names in a list parted by blanks; the others are left out, as
  // a backend refuses only what we send.
  static AttributeSet FromList(std::string_view names);

  bool Has(ClientAttribute attribute) const {
    return (bits_ & static_cast<uint16_t>(attribute)) != 0;
  }
  void Add(ClientAttribute attribute) {
    bits_ |= static_cast<uint16_t>(attribute);
  }
  bool empty() const { return bits_ == 0; }
  // What is in both.
  AttributeSet And(AttributeSet other) const {
    AttributeSet both;
    both.bits_ = bits_ & other.bits_;
    return both;
  }
  friend bool operator==(const AttributeSet&, const AttributeSet&) = default;

 private:
  uint16_t bits_ = 0;
};

// Everything a backend is told of one client. Two clients are the same to a
// backend when these are equal.
struct ClientIdentity {
  std::string name;          // forward-confirmed; "" or "unknown": none
  std::string reverse_name;  // not confirmed; "" or "unknown": none
  // Without a name: another time there may be one. Said as [TEMPUNAVAIL], so
  // that a backend that wants a name refuses the client for now only.
  bool name_later = false;
  bool reverse_name_later = false;
  std::string address;       // "192.0.2.1" or "2001:db8::1"; never empty
  uint16_t port = 0;         // 0: unknown
  std::string helo;          // as the client said it
  bool esmtp = true;         // EHLO, not HELO
  std::string dest_address;  // of our listener; "": unknown
  uint16_t dest_port = 0;    // 0: unknown
  std::string login;         // SASL name; "": not authenticated

  friend bool operator==(const ClientIdentity&,
                         const ClientIdentity&) = default;
};

// Postfix XCLIENT_README: a command holds at most 512 octets, CRLF included.
inline constexpr size_t kMaxXclientOctets = 512;

// The one XCLIENT command that sets `identity`, line end included. Always one:
// a second XCLIENT would reset HELO, PROTO and LOGIN of the first (finding 3),
// and a backend may allow no second (finding 1). What does not fit is given
// up in this order: REVERSE_NAME, the end of HELO, NAME, LOGIN; each makes the
// client less trusted, never more. Requires that `attributes` has kAddress. A
// spare string (common/base/spare_string.h).
std::string EncodeXclient(AttributeSet attributes,
                          const ClientIdentity& identity);

// The XFORWARD commands (one or two, sent one after the other: unlike XCLIENT
// they add up) for the next transaction; `ident` is our session id.
std::vector<std::string> EncodeXforward(AttributeSet attributes,
                                        const ClientIdentity& identity,
                                        std::string_view ident);

// RFC 3461 section 4: appends `value` as xtext.
void AppendXtext(std::string_view value, std::string& out);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_XCLIENT_H_
