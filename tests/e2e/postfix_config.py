"""How the private Postfix is configured.

Listeners (`Postfix.ports` has their ports):
  reuse   every client address may send XCLIENT, high error and junk limits:
          what tlspost recommends behind a pool
  single  smtpd_authorized_xclient_hosts = 127.0.0.1, the usual setting, which
          accepts only one effective XCLIENT per connection
  plain   no XCLIENT at all, and no defence against pipelining or bare newlines
  strict  like reuse, with Postfix's default error limits, few recipients and a
          small message_size_limit
  tls     no XCLIENT, and STARTTLS with the RSA certificate: what tlspost
          imitates
  ccert   like tls, and asks for client certificates
  secure  like reuse, with STARTTLS and a certificate for backend.test and
          localhost: a backend that tlspost reaches through TLS
  expired like secure, with a certificate that has expired
  haproxy each connection begins with a PROXY header
  xforward  XFORWARD and no XCLIENT
  closed  like reuse, but it relays for nobody, and takes mail for its own
          domain only; bare newlines are normalized
  sasl    like reuse, with AUTH (dovecot_auth.py knows the passwords); takes
          mail from authenticated clients only
  screened  a postscreen in front; each connection begins with a PROXY header,
          and clients in SCREENED_OUT are refused

Recipients decide what happens to them: refused* gets 550, later* gets 450, and
anything else is accepted.
"""

SMALL_SIZE_LIMIT = 200000
SMALL_RECIPIENT_LIMIT = 5

# Of any private instance: where its parts are.
PLACES_CF = """\
compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
daemon_directory = {daemons}
command_directory = {commands}
{libraries}
meta_directory = {top}/etc
mail_owner = {owner}
setgid_group = {group}
import_environment = MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH
maillog_file = {top}/maillog
maillog_file_prefixes = {top}

"""

MAIN_CF = (
    PLACES_CF
    + """\
myhostname = backend.test
mydomain = test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 0.0.0.0/0
mydestination = backend.test
alias_maps =
alias_database =
local_recipient_maps =
relay_domains =
smtpd_peername_lookup = no
disable_dns_lookups = yes
enable_long_queue_ids = yes
message_size_limit = 41000000
mailbox_size_limit = 0
queue_minfree = 0

# Private and on loopback: relaying is what is wanted. HOLD keeps the message.
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
  check_recipient_access regexp:{top}/etc/recipients, permit
smtpd_reject_unlisted_recipient = no

# The content has to arrive as it was sent.
receive_override_options =
  no_address_mappings, no_header_body_checks, no_milters
local_header_rewrite_clients =

# Nothing but the tested listeners' own settings may slow a test down.
# (in_flow_delay holds back mail that comes faster than the queue manager, of
# whom there is none.)
in_flow_delay = 0
service_throttle_time = 1s
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 100

# The dangerous default of older versions (whatever arrives safely is tlspost's
# doing) and the strict one of newer versions (an XCLIENT sent ahead is
# refused).
smtpd_forbid_bare_newline = no
smtpd_forbid_unauth_pipelining = yes
"""
)

RECIPIENTS = """\
/^refused/  550 5.1.1 This recipient is refused
/^later/    450 4.2.0 This recipient is told to come later
/./         HOLD
"""

SCREENED_OUT = "127.0.0.66"

MASTER_CF = """\
127.0.0.1:{reuse} inet n - n - - smtpd
  -o syslog_name=postfix/reuse
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_soft_error_limit=100000
  -o smtpd_hard_error_limit=100000
  -o smtpd_junk_command_limit=100000
127.0.0.1:{single} inet n - n - - smtpd
  -o syslog_name=postfix/single
  -o smtpd_authorized_xclient_hosts=127.0.0.1
127.0.0.1:{plain} inet n - n - - smtpd
  -o syslog_name=postfix/plain
  -o smtpd_authorized_xclient_hosts=
  -o smtpd_forbid_unauth_pipelining=no
127.0.0.1:{strict} inet n - n - - smtpd
  -o syslog_name=postfix/strict
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_recipient_limit={recipient_limit}
  -o message_size_limit={size_limit}
127.0.0.1:{tls} inet n - n - - smtpd
  -o syslog_name=postfix/tls
  -o smtpd_tls_security_level=may
  -o smtpd_tls_loglevel=1
  -o smtpd_tls_received_header=yes
  -o smtpd_tls_cert_file={certificate}
  -o smtpd_tls_key_file={key}
127.0.0.1:{ccert} inet n - n - - smtpd
  -o syslog_name=postfix/ccert
  -o smtpd_tls_security_level=may
  -o smtpd_tls_loglevel=1
  -o smtpd_tls_received_header=yes
  -o smtpd_tls_ask_ccert=yes
  -o smtpd_tls_CAfile={authority}
  -o smtpd_tls_cert_file={certificate}
  -o smtpd_tls_key_file={key}
127.0.0.1:{secure} inet n - n - - smtpd
  -o syslog_name=postfix/secure
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_tls_security_level=may
  -o smtpd_tls_loglevel=1
  -o smtpd_tls_received_header=yes
  -o smtpd_tls_chain_files={secure_chain}
127.0.0.1:{expired} inet n - n - - smtpd
  -o syslog_name=postfix/expired
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_tls_security_level=may
  -o smtpd_tls_loglevel=1
  -o smtpd_tls_received_header=yes
  -o smtpd_tls_chain_files={expired_chain}
127.0.0.1:{haproxy} inet n - n - - smtpd
  -o syslog_name=postfix/haproxy
  -o smtpd_upstream_proxy_protocol=haproxy
127.0.0.1:{xforward} inet n - n - - smtpd
  -o syslog_name=postfix/xforward
  -o smtpd_authorized_xforward_hosts=127.0.0.1
127.0.0.1:{closed} inet n - n - - smtpd
  -o syslog_name=postfix/closed
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_soft_error_limit=100000
  -o smtpd_hard_error_limit=100000
  -o smtpd_junk_command_limit=100000
  -o smtpd_relay_restrictions=reject_unauth_destination
  -o smtpd_forbid_bare_newline=normalize
  -o smtpd_forbid_bare_newline_exclusions=
127.0.0.1:{sasl} inet n - n - - smtpd
  -o syslog_name=postfix/sasl
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_soft_error_limit=100000
  -o smtpd_hard_error_limit=100000
  -o smtpd_junk_command_limit=100000
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=inet:127.0.0.1:{auth_port}
  -o smtpd_sasl_authenticated_header=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{screened} inet n - n - 1 postscreen
  -o syslog_name=postfix/screened
  -o postscreen_upstream_proxy_protocol=haproxy
  -o postscreen_access_list=cidr:{top}/etc/screened
  -o postscreen_denylist_action=enforce
  -o postscreen_greet_action=enforce
  -o postscreen_greet_wait=1s
  -o postscreen_cache_map=
smtpd pass - - n - - smtpd
  -o syslog_name=postfix/behind
dnsblog unix - - n - 0 dnsblog
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
bounce unix - - n - 0 bounce
error unix - - n - - error
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""

# As in the package's postfix-files: directory, owner, group, mode.
QUEUE_DIRECTORIES = (
    [("", "root", None, 0o755), ("pid", "root", None, 0o755)]
    + [
        (name, "owner", None, 0o700)
        for name in (
            "active",
            "bounce",
            "corrupt",
            "defer",
            "deferred",
            "flush",
            "hold",
            "incoming",
            "private",
            "saved",
            "trace",
        )
    ]
    + [
        ("maildrop", "owner", "group", 0o730),
        ("public", "owner", "group", 0o710),
    ]
)

LISTENERS = (
    "reuse",
    "single",
    "plain",
    "strict",
    "tls",
    "ccert",
    "secure",
    "expired",
    "haproxy",
    "xforward",
    "closed",
    "sasl",
    "screened",
)
