// What one worker remembers of its clients for the administrator, beside its
// counters. Written on its thread only, and copied when somebody asks.

#ifndef TLSPOST_PROXY_WORKER_RECORDS_H_
#define TLSPOST_PROXY_WORKER_RECORDS_H_

#include "proxy/recent_refusals.h"
#include "proxy/sender_table.h"

namespace tlspost {

struct WorkerRecords {
  SenderTable senders;
  RecentRefusals refusals;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WORKER_RECORDS_H_
