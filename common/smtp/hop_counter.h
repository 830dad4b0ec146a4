// HopCounter: how many Received fields a message has, counted while it passes
// (RFC 5321 section 6.3), and how many of them are a certain host's own.
//
// It looks at the header only: behind it a call costs nothing. Of a line it
// keeps at most kMaxLineOctets, of the header nothing. Judges nothing.

#ifndef TLSPOST_COMMON_SMTP_HOP_COUNTER_H_
#define TLSPOST_COMMON_SMTP_HOP_COUNTER_H_

#include <cstddef>
#include <string_view>

#include "common/base/spare_string.h"

namespace tlspost::smtp {

class HopCounter {
 public:
  // What stands behind this in a line is not looked at.
  static constexpr size_t kMaxLineOctets = 512;

  // Fields with "by HOST (MAIL_NAME) " in one of their lines are our own, as
  // FormatReceived writes them.
  HopCounter(std::string_view host, std::string_view mail_name);

  // The next octets of the message, cut anywhere.
  void Look(std::string_view octets) {
    if (in_header_) LookAtHeader(octets);
  }

  int hops() const { return hops_; }
  int own_hops() const { return own_hops_; }
  bool in_header() const { return in_header_; }

 private:
  void LookAtHeader(std::string_view octets);
  void EndLine();
  bool IsField() const;

  SpareString own_mark_;
  SpareString line_;  // its beginning
  int hops_ = 0;
  int own_hops_ = 0;
  bool in_header_ = true;
  bool in_received_ = false;
  bool is_own_ = false;  // that one was counted
};

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_HOP_COUNTER_H_
