// Tutti and a peer by turns.
#pragma once

#include "benchmarks/measure.h"
#include "benchmarks/peer.h"

namespace tutti::bench {

struct VersusRow {
  std::size_t bytes;
  std::size_t count;
  double ours;    // microseconds of a call in place: the median over rounds
  double theirs;  // the same
  double ratio;   // theirs / ours: the median over rounds, and the least and the most
  double lowest;
  double highest;
  std::size_t wrong;  // elements of Tutti's results, over all ranks
};

// In each round, calls of Tutti and of the peer alternate on one buffer, which every rank writes anew before each
// call: as gradients are, so that no rank finds its part in its cache from the call before. A call lasts from when
// the last rank begins it to when the last one ends it, by the machine's clock: the ranks are on one machine.
VersusRow measure_against(Communicator& comm, const Collective& collective, const Peer& peer,
                          const Settings& settings, std::size_t bytes);

void print_versus_header(const Communicator& comm, const Collective& collective, const Peer& peer,
                         const Settings& settings);
void print_versus_row(const Settings& settings, const VersusRow& row);
void write_versus_json(const Communicator& comm, const Collective& collective, const Peer& peer,
                       const Settings& settings, const std::vector<VersusRow>& rows);

}  // namespace tutti::bench
