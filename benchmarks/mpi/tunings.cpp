#include <mpi.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "benchmarks/buffer.h"
#include "benchmarks/peer.h"
#include "tutti/core/error.h"

namespace tutti::bench {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

Environment operator+(Environment left, const Environment& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

const Environment ucx_posix{{"OMPI_MCA_pml", "ucx"},
                            {"OMPI_MCA_pml_ucx_tls", "any"},  // else it refuses to be without a network
                            {"OMPI_MCA_pml_ucx_devices", "any"},
                            {"UCX_TLS", "posix,self"}};
const Environment no_single_copy{{"OMPI_MCA_btl_vader_single_copy_mechanism", "none"}};
const Environment eager_64k{{"OMPI_MCA_btl_vader_eager_limit", "65536"},
                            {"OMPI_MCA_btl_vader_max_send_size", "65536"}};
const Environment send_256k{{"OMPI_MCA_btl_vader_max_send_size", "262144"}};
// One copy by the kernel (CMA), which huge pages spare most of its work, and no memory that is mapped anew in each call.
const Environment huge_pages{{"OMPI_MCA_btl_vader_single_copy_mechanism", "cma"},
                             {"GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"},
                             {"MALLOC_MMAP_MAX_", "0"},
                             {"MALLOC_TRIM_THRESHOLD_", "1099511627776"},
                             {huge_pages_variable, "1"}};

Environment algorithm(const char* number, const char* segment_bytes = "0") {
  return {{"OMPI_MCA_coll_tuned_use_dynamic_rules", "1"},
          {"OMPI_MCA_coll_tuned_allreduce_algorithm", number},
          {"OMPI_MCA_coll_tuned_allreduce_algorithm_segmentsize", segment_bytes}};
}
const auto recursive_doubling = algorithm("3");
const auto ring = algorithm("4");
const auto segmented_ring_1m = algorithm("5", "1048576");
const auto segmented_ring_4m = algorithm("5", "4194304");

// Each is the best of some collective at some size on some machine.
std::vector<Tuning> known_tunings() {
  return {
      {as_installed, {}},
      {"ucx", ucx_posix},
      {"no-cma", no_single_copy},
      {"no-cma+eager-64k", no_single_copy + eager_64k},
      {"no-cma+send-256k", no_single_copy + send_256k},
      {"cma+huge", huge_pages},
      {"doubling+no-cma", recursive_doubling + no_single_copy, true},
      {"ring+no-cma+eager-64k", ring + no_single_copy + eager_64k, true},
      {"ring-1m+no-cma+send-256k", segmented_ring_1m + no_single_copy + send_256k, true},
      {"ring+cma+huge", ring + huge_pages, true},
      {"ring-1m+cma+huge", segmented_ring_1m + huge_pages, true},
      {"ring-4m+cma+huge", segmented_ring_4m + huge_pages, true},
  };
}

bool is_open_mpi() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);  // the one call that needs no MPI_Init
  return std::string_view(text).starts_with("Open MPI");
}

}  // namespace

std::vector<Tuning> mpi_tunings(const Collective& collective, const Settings& settings) {
  const bool tuned = settings.tunings != as_installed && is_open_mpi();
  if (!tuned && settings.tunings == "tuned")
    throw ConfigError("--settings tuned: the settings are of Open MPI, and this is another MPI");
  std::vector<Tuning> result;
  const auto known = known_tunings();
  std::copy_if(known.begin(), known.end(), std::back_inserter(result), [&](const Tuning& tuning) {
    if (tuning.name == as_installed) return settings.tunings != "tuned";
    return tuned && (!tuning.of_all_reduce || &collective == &all_reduce);
  });
  return result;
}

}  // namespace tutti::bench
