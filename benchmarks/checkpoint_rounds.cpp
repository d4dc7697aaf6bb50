#include "benchmarks/checkpoint_rounds.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "benchmarks/cipher_rate.h"
#include "benchmarks/disk_floor.h"
#include "benchmarks/saved_state.h"
#include "benchmarks/temporary.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::bench {
namespace {

namespace fs = std::filesystem;

// A fresh directory in `parent`, gone with rank 0's; the same on all ranks.
class SharedDirectory {
 public:
  SharedDirectory(Communicator& comm, const std::string& parent) {
    std::vector<std::uint8_t> name(4096);
    if (comm.rank() == 0) {
      owner_.emplace(parent);
      owner_->path().string().copy(reinterpret_cast<char*>(name.data()), name.size() - 1);
    }
    comm.broadcast(name);
    path_ = reinterpret_cast<const char*>(name.data());
  }
  const fs::path& path() const { return path_; }

 private:
  std::optional<TemporaryDirectory> owner_;
  fs::path path_;
};

class Rounds {
 public:
  Rounds(Communicator& comm, const CheckpointSettings& given)
      : comm_(comm),
        sharded_(given.state == "sharded"),
        directory_(comm, given.directory),
        model_(comm, gpt_shapes(given.bytes), sharded_),
        optimizer_(comm, moments_of(gpt_shapes(given.bytes)), sharded_) {
    result_.state_bytes = static_cast<double>(model_.bytes() + optimizer_.bytes());
    if (given.encrypt) {
      const auto key = directory_.path() / "run.key";
      if (comm.rank() == 0) new_key_file(key);
      comm.barrier();
      options_.encrypt = Encryption{{key_file(key)}};
    }
    options_.keep = 1;
    const auto part = static_cast<std::int64_t>(result_.state_bytes / comm.size());
    from_ = full({part / 4}, 1);
    to_ = checkpoint::Pages(static_cast<std::size_t>(from_.numel()) * 4);
    std::memset(to_.data(), 0, to_.size());
    // Its first save touches its memory; that is measured on others.
    checkpoints_ = std::make_unique<Checkpointer>(run(), comm_, options_);
    const Save first = save(*checkpoints_);
    first.wait();
    checkpoints_->drain();
    written_ = first.progress().bytes;
  }

  void round(int number) {
    fill(static_cast<std::uint64_t>(number));
    // Who comes second finds the disk, and a virtual machine its share of a core, as the first left it.
    for (int turn = 0; turn < 2; ++turn) {
      if (turn == number % 2) {
        measure_save();
      } else {
        copy();
        write_floor();
      }
    }
    for (int turn = 0; turn < 2; ++turn) {
      if (turn == number % 2) {
        measure_load(static_cast<std::uint64_t>(number));
      } else {
        read_floor();
      }
    }
    if (options_.encrypt) measure_cipher();
    comm_.barrier();  // ranks read each other's
    fs::remove(floor_file(comm_.rank()));
    comm_.barrier();
  }

  // By Checkpointers that have no memory yet. In rounds of their own: what they give back, a virtual machine hands to its host
  // while the next is timed.
  void fresh_round() {
    measure_restore();
    measure_first_stall();
  }

  CheckpointResult result() {
    double sums[] = {static_cast<double>(written_), static_cast<double>(read_),
                     static_cast<double>(result_.wrong)};
    comm_.all_reduce(sums);
    result_.saved_bytes = sums[0];
    result_.loaded_bytes = sums[1];
    result_.wrong = static_cast<std::size_t>(sums[2]);
    return std::move(result_);
  }

 private:
  // Of the slowest rank, all beginning together, on a disk at rest.
  double seconds(const std::function<void()>& action) {
    comm_.barrier();
    if (comm_.rank() == 0) settle(directory_.path());
    comm_.barrier();
    const auto begin = std::chrono::steady_clock::now();
    action();
    return slowest(std::chrono::steady_clock::now() - begin);
  }

  double slowest(std::chrono::duration<double> time) {
    double longest[] = {time.count()};
    comm_.all_reduce(longest, ReduceOp::max);
    return longest[0];
  }

  void note(const std::string& name, double value) { result_.rounds[name].push_back(value); }

  std::string run() const { return directory_.path() / "run"; }
  fs::path floor_file(int rank) const { return directory_.path() / fmt::format("floor-{}", rank); }
  Save save(Checkpointer& checkpoints) { return checkpoints.save_now(step_++, state_); }

  void fill(std::uint64_t round) {
    for (auto* part : {&model_, &optimizer_}) part->fill(round++);
  }

  void copy() {
    note("copy_s", seconds([&] {
           std::memcpy(to_.data(), from_.raw_data(), static_cast<std::size_t>(from_.numel()) * 4);
         }));
  }

  void write_floor() {
    note("write_floor_s", seconds([&] { disk_.write(floor_file(comm_.rank()), written_); }));
  }

  void measure_save() {
    Save saved;
    double stall = 0;
    note("save_s", seconds([&] {
           const auto begin = std::chrono::steady_clock::now();
           saved = save(*checkpoints_);
           stall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
           saved.wait();
         }));
    note("stall_s", slowest(std::chrono::duration<double>(stall)));
    checkpoints_->drain();
  }

  void read_floor() {
    // Each rank reads its own file, or all that make up a state which it holds as a whole.
    note("read_floor_s", seconds([&] {
           for (int i = 0; i < comm_.size(); ++i) {
             const int rank = (comm_.rank() + i) % comm_.size();
             if (i == 0 || !sharded_) disk_.read(floor_file(rank));
           }
         }));
  }

  void measure_load(std::uint64_t round) {
    forget_checkpoint();
    fill(round + 1000);
    seconds([&] { checkpoints_->restore(state_); });
    note("load_s", slowest(checkpoints_->restored().elapsed));
    read_ = checkpoints_->restored().bytes_read;
    for (const auto* part : {&model_, &optimizer_}) result_.wrong += part->count_wrong(round++);
  }

  // As a program does that goes on.
  void measure_restore() {
    forget_checkpoint();
    Checkpointer others(run(), comm_, options_);
    note("restore_s", seconds([&] { others.restore(state_); }));
    measure_stall(others, "stall_after_restore_s");
  }

  void forget_checkpoint() {
    if (comm_.rank() != 0) return;
    for (const auto& file : fs::recursive_directory_iterator(run())) {
      if (file.is_regular_file()) forget(file.path());
    }
  }

  void measure_first_stall() {
    Checkpointer others(run(), comm_, options_);
    measure_stall(others, "first_stall_s");
  }

  // The save itself is given up.
  void measure_stall(Checkpointer& others, const std::string& name) {
    Save saved;
    note(name, seconds([&] { saved = save(others); }));
    others.abandon();
    try {
      saved.wait();
    } catch (const CheckpointError&) {  // so it says
    }
  }

  void measure_cipher() { note("cipher_gb_s", cipher_rate(comm_) / 1e9); }

  Communicator& comm_;
  const bool sharded_;
  SharedDirectory directory_;
  SavedState model_, optimizer_;
  TrainState state_{model_, optimizer_};
  CheckpointerOptions options_;
  DiskFloor disk_;
  Tensor from_;
  checkpoint::Pages to_;
  std::unique_ptr<Checkpointer> checkpoints_;
  CheckpointResult result_;
  std::int64_t step_ = 0;
  std::uint64_t written_ = 0, read_ = 0;  // by this rank, in a save and a restore
};

}  // namespace

CheckpointResult run_checkpoint_rounds(Communicator& comm, const Settings& settings,
                                       const CheckpointSettings& checkpoint) {
  Rounds rounds(comm, checkpoint);
  for (int round = 0; round < settings.rounds; ++round) rounds.round(round);
  for (int round = 0; round < settings.rounds; ++round) rounds.fresh_round();
  return rounds.result();
}

}  // namespace tutti::bench
