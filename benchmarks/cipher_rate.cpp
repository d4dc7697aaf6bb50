#include "benchmarks/cipher_rate.h"

#include <chrono>
#include <cstring>

#include "checkpoint/disk_file.h"
#include "checkpoint/stream_cipher.h"

namespace tutti::bench {

double cipher_rate(Communicator& comm) {
  constexpr std::size_t bytes = 64 << 20;
  double rate[] = {0};
  comm.barrier();
  if (comm.rank() == 0) {
    namespace stream = checkpoint::stream;
    const checkpoint::Pages plain(bytes), sealed(bytes + (1 << 20));
    std::memset(plain.data(), 1, plain.size());
    std::memset(sealed.data(), 1, sealed.size());
    checkpoint::StreamEncryptor encryptor(checkpoint::Key::random(), "tutti-bench", bytes);
    const auto start = std::chrono::steady_clock::now();
    for (std::uint64_t segment = 0; segment < encryptor.segment_count(); ++segment) {
      const auto [begin, end] = stream::plaintext_range(segment, bytes);
      encryptor.encrypt(
          segment, plain.span().subspan(begin, end - begin),
          sealed.span().subspan(segment * stream::segment_bytes, stream::bytes_of_segment(segment, bytes)));
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    rate[0] = static_cast<double>(bytes) / time.count();
  }
  comm.broadcast(rate);
  return rate[0];
}

}  // namespace tutti::bench
