// Tutti and a peer by turns.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "benchmarks/peer.h"

namespace tutti::bench {

// All sizes, in one run of the ranks. In each round calls of Tutti and of the peer alternate. They work in the same
// buffer, except that with `settings.registered` the peer keeps to private memory, which can be of huge pages.
// Every rank calls it; the document is that of rank 0, with `tuning` as its name.
nlohmann::json measure_against(Communicator& comm, const Collective& collective, const Peer& peer,
                               const Settings& settings, const std::string& tuning);

// One document of the runs of several tunings: all that they measured, and in `rows` the one as installed beside the
// tuned one that Tutti gains least against.
nlohmann::json merged(const std::vector<nlohmann::json>& runs);
void print_versus(const nlohmann::json& document);
std::size_t wrong_in(const nlohmann::json& document);

}  // namespace tutti::bench
