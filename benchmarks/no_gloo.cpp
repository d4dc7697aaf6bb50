#include "benchmarks/peer.h"
#include "tutti/core/error.h"

namespace tutti::bench {

Peer gloo_peer(Communicator&, const Collective&, const Settings&) {
  throw ConfigError("--vs gloo: this build has no Gloo");
}

}  // namespace tutti::bench
