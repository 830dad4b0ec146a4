// What a mail server can do, as its EHLO reply tells, and what we tell of it.
//
// We offer a client nothing that the backend may not do, and nothing that we
// do not carry through ourselves. Refuses nothing: envelope.h judges commands
// by these facts.

#ifndef TLSPOST_COMMON_SMTP_CAPABILITIES_H_
#define TLSPOST_COMMON_SMTP_CAPABILITIES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/smtp/xclient.h"

namespace tlspost::smtp {

// RFC 9422: what the LIMITS keyword promises. Absent: nothing is said.
struct AnnouncedLimits {
  std::optional<uint64_t> mails;              // MAILMAX, in a session
  std::optional<uint64_t> recipients;         // RCPTMAX, in a transaction
  std::optional<uint64_t> recipient_domains;  // RCPTDOMAINMAX, in a session

  friend bool operator==(const AnnouncedLimits&,
                         const AnnouncedLimits&) = default;
};

struct EhloCapabilities {
  bool pipelining = false;
  std::optional<uint64_t> size;  // 0: SIZE without a fixed limit
  bool eight_bit_mime = false;
  bool smtputf8 = false;
  bool dsn = false;
  bool enhanced_status_codes = false;
  bool chunking = false;
  bool binary_mime = false;  // never without chunking
  bool starttls = false;
  bool vrfy = false;
  bool etrn = false;
  bool help = false;
  std::optional<AnnouncedLimits> limits;
  AttributeSet xclient;   // empty: not offered, or not to us
  AttributeSet xforward;  // likewise
  std::string auth;       // "AUTH PLAIN LOGIN", verbatim; "": not offered

  friend bool operator==(const EhloCapabilities&,
                         const EhloCapabilities&) = default;
};

// Reads the whole reply to an EHLO, multi-line, line ends included. Words it
// does not know are left out; a HELO reply gives no capabilities.
EhloCapabilities ParseEhlo(std::string_view reply_text);

// What the parameters of MAIL and RCPT may ask of a server, and CHUNKING: a
// set in one octet, so that a session can keep what its client was offered.
enum Option : uint8_t {
  kSizeOption = 1,
  kEightBitMimeOption = 2,
  kSmtpUtf8Option = 4,
  kDsnOption = 8,
  kBinaryMimeOption = 16,
  kChunkingOption = 32,
};
using OptionSet = uint8_t;
OptionSet OptionsOf(const EhloCapabilities& capabilities);

// Takes a keyword off the list, as discard_ehlo_keywords asks; false if it is
// none that we ever offer. Case does not matter.
bool Discard(std::string_view keyword, EhloCapabilities& capabilities);

// "+CHUNKING -DSN SIZE=100": what `after` has more, less and different. Empty:
// the same for clients; what only we use (XCLIENT) counts too.
std::string Difference(const EhloCapabilities& before,
                       const EhloCapabilities& after);

// What we offer as long as no backend has ever been reached (edge 7): only
// what we do ourselves.
EhloCapabilities MinimumCapabilities();

// What two servers both offer: to a client that does not know which of them it
// will get.
EhloCapabilities CommonCapabilities(const EhloCapabilities& a,
                                    const EhloCapabilities& b);

// The smaller of two limits of a message's octets, 0 standing for none.
uint64_t SmallerLimit(uint64_t a, uint64_t b);

// Our own reply to EHLO: `backend` cut to what we implement, STARTTLS if
// `offer_starttls`, SIZE the smaller of the backend's and `size_limit`. AUTH
// is offered when `backend` has it: who must not be offered it clears that.
std::string FormatEhloReply(std::string_view hostname,
                            const EhloCapabilities& backend,
                            bool offer_starttls, uint64_t size_limit);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_CAPABILITIES_H_
