#include "proxy/import/postfix_table.h"

#include <algorithm>

namespace tlspost {
namespace {

constexpr PostfixRow kRows[] = {
    {"smtpd_tls_cert_file, smtpd_tls_key_file", "tls_cert_file, tls_key_file",
     "", Conversion::kCertificates},
    {"smtpd_tls_chain_files, smtpd_tls_eccert_file, smtpd_tls_eckey_file",
     "tls_chain_files", "", Conversion::kCertificates},
    {"tls_server_sni_maps", "tls_server_sni_maps",
     "the text, not the database"},
    {"smtpd_tls_security_level, smtpd_use_tls, smtpd_enforce_tls",
     "tls_security_level", "`may` is the default", Conversion::kServerLevel},
    {"smtpd_tls_wrappermode", "listen_tls", "stands in `master.cf` mostly",
     Conversion::kWrapperMode},
    {"smtpd_tls_protocols, smtpd_tls_mandatory_protocols", "tls_protocols",
     "one for both", Conversion::kServerProtocols},
    {"smtpd_tls_ciphers, smtpd_tls_mandatory_ciphers, "
     "smtpd_tls_exclude_ciphers, tls_high_cipherlist, tls_medium_cipherlist",
     "tls_cipherlist", "OpenSSL's list, no grades; one for both",
     Conversion::kCiphers},
    {"tls_eecdh_auto_curves", "tls_eecdh_auto_curves", ""},
    {"smtpd_tls_ask_ccert, smtpd_tls_req_ccert", "tls_ask_ccert, tls_req_ccert",
     "refused at MAIL, not in the handshake"},
    {"smtpd_tls_CAfile, smtpd_tls_CApath", "tls_CAfile, tls_CApath", ""},
    {"smtpd_tls_session_cache_timeout", "tls_session_cache_timeout",
     "tickets only, no `_database`"},
    {"smtpd_tls_loglevel", "tls_loglevel", "1 is the default"},
    {"smtpd_tls_received_header", "tls_received_header", "on by default"},
    {"smtpd_starttls_timeout", "tls_handshake_timeout", "30s"},
    {"smtpd_tls_auth_only", "tls_auth_only", "on by default"},
    {"smtpd_sasl_auth_enable", "sasl_auth_enable",
     "on by default; Postfix needs it, too"},
    {"smtpd_client_event_limit_exceptions", "client_event_limit_exceptions",
     "loopback, not `$mynetworks`", Conversion::kNetworks},
    {"smtpd_forbid_unauth_pipelining", "forbid_unauth_pipelining",
     "STARTTLS only"},
    {"smtpd_discard_ehlo_keywords", "discard_ehlo_keywords",
     "words clients see; STARTTLS is `tls_security_level`'s",
     Conversion::kEhloWords},
    {"disable_vrfy_command", "disable_vrfy_command",
     "EXPN and ETRN are always 502"},
    {"smtpd_forbid_bare_newline", "bare_newline", "`normalize` or `reject`",
     Conversion::kBareNewline},
    {"smtp_tls_security_level", "backend_tls_security_level",
     "`none`, `may`, `encrypt`, `verify`", Conversion::kClientLevel},
    {"smtp_tls_CAfile, smtp_tls_CApath",
     "backend_tls_CAfile, backend_tls_CApath", ""},
    {"smtp_tls_servername", "backend_tls_servername", ""},
    {"smtp_tls_protocols, smtp_tls_mandatory_protocols",
     "backend_tls_protocols", "one for both", Conversion::kClientProtocols},
    {"smtp_tls_loglevel", "backend_tls_loglevel", "0 or 1"},
    {"smtp_tls_note_starttls_offer", "backend_tls_note_starttls_offer",
     "once an hour"},
    {"smtpd_upstream_proxy_protocol, smtpd_upstream_proxy_timeout",
     "upstream_proxy_protocol, upstream_proxy_timeout",
     "believed from `haproxy_networks` only"},
    {"smtpd_peername_lookup", "peername_lookup",
     "bounded by `client_name_timeout`"},
    {"postscreen_greet_wait", "greet_wait", "off by default; no teaser"},
    {"myhostname, mail_name, syslog_name", "hostname, mail_name, syslog_name",
     "`syslog_name = \"postfix\"` for old log parsers"},
    {"maillog_file", "log_file", ""},
    {"inet_interfaces, inet_protocols", "listen",
     "the ports are in `master.cf`; their `-o` options are `[[listener]]` "
     "tables",
     Conversion::kListen},
    {"message_size_limit", "message_size_limit",
     "the smaller of the two holds"},
    {"line_length_limit", "line_length_limit", ""},
    {"smtpd_timeout", "command_timeout, data_timeout", "",
     Conversion::kTimeout},
    {"smtpd_helo_required", "helo_required", "on by default"},
    {"smtpd_recipient_limit, smtpd_soft_error_limit, smtpd_error_sleep_time, "
     "smtpd_hard_error_limit, smtpd_junk_command_limit",
     "recipient_limit, soft_error_limit, error_sleep_time, hard_error_limit, "
     "junk_command_limit",
     ""},
    {"smtpd_client_connection_count_limit, "
     "smtpd_client_connection_rate_limit, smtpd_client_message_rate_limit, "
     "smtpd_client_recipient_rate_limit, "
     "smtpd_client_new_tls_session_rate_limit, smtpd_client_auth_rate_limit, "
     "anvil_rate_time_unit",
     "client_connection_count_limit, client_connection_rate_limit, "
     "client_message_rate_limit, client_recipient_rate_limit, "
     "client_new_tls_session_rate_limit, client_auth_rate_limit, "
     "anvil_rate_time_unit",
     "one IPv6 client is a /64"},
    {"smtpd_per_request_deadline, smtpd_min_data_rate", "min_data_rate",
     "always on; 0 switches it off", Conversion::kMinimumRate},
    {"hopcount_limit", "hopcount_limit", "and `own_hopcount_limit`"},
};

constexpr PostfixRemark kRemarks[] = {
    {"smtpd_tls_session_cache_database",
     "sessions are resumed by tickets, without a database"},
    {"smtp_tls_session_cache_database",
     "connections to the backend stay open instead"},
    {"tls_preempt_cipherlist", "our own order always counts"},
    {"smtpd_tls_dh1024_param_file",
     "finite-field Diffie-Hellman is not used, elliptic curves are"},
    {"smtpd_tls_dh512_param_file",
     "finite-field Diffie-Hellman is not used, elliptic curves are"},
    {"smtpd_tls_eecdh_grade", "tls_eecdh_auto_curves names the groups"},
    {"smtpd_tls_dcert_file", "DSA is not spoken any more"},
    {"smtpd_tls_dkey_file", "DSA is not spoken any more"},
    {"smtpd_tls_fingerprint_digest",
     "certificates are trusted by their authority"},
    {"smtpd_tls_ccert_verifydepth", "OpenSSL's own depth holds"},
    {"smtpd_tls_mandatory_exclude_ciphers",
     "write what is left into tls_cipherlist"},
    {"smtp_tls_policy_maps", "all backends have the same terms"},
    {"smtpd_authorized_xclient_hosts",
     "nobody may tell us who a client is by XCLIENT; Postfix needs it for us, "
     "on its own port"},
};

constexpr PostfixRemark kAdvice[] = {
    {"postscreen_",
     "postscreen can stand behind tlspost with postscreen_upstream_proxy_"
     "protocol = haproxy and backend_identity = \"proxy\"; with XCLIENT, smtpd "
     "itself has to be there"},
    {"smtpd_sasl_security_options",
     "noplaintext hides PLAIN and LOGIN on tlspost's port, where Postfix sees "
     "no TLS: noanonymous there"},
    {"smtpd_sasl_tls_security_options",
     "is not used on tlspost's port, where Postfix sees no TLS"},
};

// "`a`, `b`".
std::string CodeCell(std::string_view cell) {
  std::string code;
  for (const std::string_view name : NamesIn(cell)) {
    if (!code.empty()) code += ", ";
    code.append("`").append(name).append("`");
  }
  return code;
}

}  // namespace

std::span<const PostfixRow> PostfixRows() { return kRows; }
std::span<const PostfixRemark> PostfixRemarks() { return kRemarks; }

std::span<const PostfixRemark> PostfixAdvice() { return kAdvice; }

std::vector<std::string_view> NamesIn(std::string_view cell) {
  constexpr std::string_view kSeparator = ", ";
  std::vector<std::string_view> names;
  while (!cell.empty()) {
    const size_t end = std::min(cell.find(kSeparator), cell.size());
    names.push_back(cell.substr(0, end));
    cell.remove_prefix(std::min(end + kSeparator.size(), cell.size()));
  }
  return names;
}

std::string FormatPostfixTable() {
  std::string table(kPostfixTableBegin);
  table += "\n\n| Postfix | tlspost | Different |\n| --- | --- | --- |";
  for (const PostfixRow& row : kRows) {
    table.append("\n| ").append(CodeCell(row.parameters));
    table.append(" | ").append(CodeCell(row.settings)).append(" | ");
    if (!row.different.empty()) table.append(row.different).append(" ");
    table += '|';
  }
  return table.append("\n\n").append(kPostfixTableEnd);
}

}  // namespace tlspost
