#include "tests/simt/engine.h"

#include <fmt/format.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace tutti::simt {
namespace {

constexpr std::size_t stack_bytes = 256 << 10;

// Each resumes where its counter has moved on.
struct Wait {
  const unsigned* counter = nullptr;
  unsigned seen = 0;
  bool is_over() const { return counter == nullptr || *counter != seen; }
};

struct Fibre {
  explicit Fibre(void (*work)()) {
    getcontext(&context);
    context.uc_stack = {stack.get(), 0, stack_bytes};
    context.uc_link = nullptr;
    makecontext(&context, work, 0);
  }

  ucontext_t context;
  std::unique_ptr<std::byte[]> stack{new std::byte[stack_bytes]};
  void* sanitizer = nullptr;  // its fake stack
  const Thread* thread = nullptr;
  Wait wait;
};

constexpr std::size_t most_brought = 32;  // bytes

// The lanes of one mask that meet. Two rounds are kept: who is ahead is at most one round ahead.
struct Meeting {
  std::uint32_t arrived = 0;
  unsigned round = 0;
  std::byte brought[2][warp_size][most_brought] = {};
};

struct Warp {
  std::map<std::uint32_t, Meeting> meetings;
  std::uint32_t ended = 0;
};

struct AlignedBytes {
  explicit AlignedBytes(std::size_t bytes) : data(::operator new (bytes, std::align_val_t{128})) {
    std::memset(data, 0xff, bytes);
  }
  ~AlignedBytes() { ::operator delete (data, std::align_val_t{128}); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  void* data;
};

// TUTTI_SIMT_ORDER: forward, backward or shuffled.
enum class Order { forward, backward, shuffled };

Order order_asked_for() {
  const char* text = std::getenv("TUTTI_SIMT_ORDER");
  const std::string_view order = text ? text : "forward";
  return order == "backward" ? Order::backward : order == "shuffled" ? Order::shuffled : Order::forward;
}

class Engine {
 public:
  static Engine& instance() {
    static Engine engine;
    return engine;
  }

  const Order order = order_asked_for();
  const Thread* now = nullptr;
  Place place;
  std::mutex mutex;

  void run(std::size_t shared, const std::function<void()>& body) {
    body_ = &body;
    shared_bytes_ = shared;
    std::vector<std::size_t> blocks = sequence(place.blocks.volume(), 1);
    for (const std::size_t number : blocks) {
      const auto n = static_cast<unsigned>(number);
      place.block = {n % place.blocks.x, n / place.blocks.x % place.blocks.y,
                     n / place.blocks.x / place.blocks.y};
      run_block(number);
    }
  }

  void sync_block() {
    if (ended_ > 0) fail("__syncthreads: threads have ended that take no part");
    Wait wait{&barriers_, barriers_};
    if (++arrived_ == threads_.size()) {
      arrived_ = 0;
      ++barriers_;
    } else {
      park(wait);
    }
  }

  void wait_for_change(const unsigned& word) { park({&word, word}); }

  // The deposits of this round.
  const std::byte (*meet(std::uint32_t mask, const void* mine, std::size_t size))[most_brought] {
    const unsigned lane = now->lane();
    Warp& warp = warps_[now->number / warp_size];
    if (!(mask >> lane & 1))
      fail(fmt::format("a lane calls for a mask {:#x} without itself, {}", mask, lane));
    if (mask & warp.ended)
      fail(fmt::format("lanes {:#x} of a mask {:#x} have ended", mask & warp.ended, mask));
    const unsigned in_warp = std::min<unsigned>(
        warp_size, static_cast<unsigned>(threads_.size()) - now->number / warp_size * warp_size);
    if (in_warp < warp_size && mask >> in_warp != 0)
      fail(fmt::format("a mask {:#x} in a warp of {} threads", mask, in_warp));
    Meeting& meeting = warp.meetings[mask];
    auto& brought = meeting.brought[meeting.round % 2];
    std::memcpy(brought[lane], mine, size);
    const Wait wait{&meeting.round, meeting.round};
    meeting.arrived |= 1u << lane;
    if (meeting.arrived == mask) {
      meeting.arrived = 0;
      ++meeting.round;
    } else {
      park(wait);
    }
    return brought;
  }

  // Nothing that lies on the thread's stack is destroyed any more, so the text is taken from there.
  [[noreturn]] void fail(std::string&& what) {
    error_ = std::string(std::move(what)) + fmt::format(" (block {} {} {}, thread {})", place.block.x,
                                                        place.block.y, place.block.z, now->number);
    leave();
    throw Error("an ended block runs on");
  }

  void* static_shared(const void* key, std::size_t bytes) {
    auto& piece = static_shared_[key];
    if (!piece) {
      static_bytes_ += bytes;
      if (static_bytes_ > most_static_shared)
        fail(fmt::format("{} bytes of static shared memory", static_bytes_));
      piece = std::make_unique<AlignedBytes>(bytes);
    }
    return piece->data;
  }
  void* dynamic_shared() { return dynamic_shared_->data; }

 private:
  std::vector<std::size_t> sequence(std::size_t count, unsigned seed) const {
    std::vector<std::size_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), std::size_t{0});
    if (order == Order::backward) std::reverse(numbers.begin(), numbers.end());
    if (order == Order::shuffled) std::shuffle(numbers.begin(), numbers.end(), std::minstd_rand(seed));
    return numbers;
  }

  void run_block(std::size_t number) {
    const auto [x, y, z] = place.threads;
    threads_.clear();
    for (unsigned i = 0; i < x * y * z; ++i) threads_.push_back({{i % x, i / x % y, i / x / y}, i});
    warps_.assign((threads_.size() + warp_size - 1) / warp_size, {});
    sequence_ = sequence(threads_.size(), static_cast<unsigned>(number) + 2);
    arrived_ = ended_ = 0;
    next_ = 0;
    static_shared_.clear();
    static_bytes_ = 0;
    dynamic_shared_ = std::make_unique<AlignedBytes>(shared_bytes_);
    error_.clear();

    std::vector<Fibre*> waiting;
    while (ended_ < threads_.size()) {
      bool moved = false;
      const auto go = [&](Fibre& fibre) {
        moved = true;
        enter(fibre);
        if (!error_.empty()) {
          fibres_.clear();  // what stands on their stacks has nothing to destroy
          idle_.clear();
          throw Error(error_);
        }
        return fibre.thread != nullptr;
      };
      while (next_ < threads_.size()) {
        Fibre& fibre = idle_fibre();
        if (go(fibre)) {
          waiting.push_back(&fibre);
        } else {
          idle_.push_back(&fibre);
        }
      }
      for (Fibre*& fibre : waiting) {
        if (!fibre->wait.is_over() || go(*fibre)) continue;
        idle_.push_back(fibre);
        fibre = nullptr;
      }
      std::erase(waiting, nullptr);
      if (!moved) {
        now = waiting.front()->thread;
        error_ = fmt::format("{} of {} threads wait for others that never come (block {} {} {})",
                             waiting.size(), threads_.size(), place.block.x, place.block.y, place.block.z);
        fibres_.clear();
        idle_.clear();
        throw Error(error_);
      }
    }
  }

  Fibre& idle_fibre() {
    if (idle_.empty()) {
      fibres_.push_back(std::make_unique<Fibre>([] { instance().work(); }));
      return *fibres_.back();
    }
    Fibre& fibre = *idle_.back();
    idle_.pop_back();
    return fibre;
  }

  // What a fibre does: one thread after the other; where one waits, another fibre takes the rest.
  void work() {
    entered();
    while (true) {
      Fibre& self = *current_;
      while (next_ < threads_.size()) {
        now = self.thread = &threads_[sequence_[next_++]];
        (*body_)();
        now = self.thread;
        warps_[now->number / warp_size].ended |= 1u << now->lane();
        ++ended_;
        self.thread = nullptr;
        if (arrived_ > 0) {
          now = &threads_[0];
          fail("__syncthreads: a thread has ended that takes no part");
        }
      }
      leave();
    }
  }

  void park(Wait wait) {
    current_->wait = wait;
    leave();
  }

  void enter(Fibre& fibre) {
    current_ = &fibre;
    now = fibre.thread;
#ifdef __SANITIZE_ADDRESS__
    void* mine = nullptr;
    __sanitizer_start_switch_fiber(&mine, fibre.stack.get(), stack_bytes);
    swapcontext(&scheduler_, &fibre.context);
    __sanitizer_finish_switch_fiber(mine, nullptr, nullptr);
#else
    swapcontext(&scheduler_, &fibre.context);
#endif
  }

  void leave() {
    Fibre& fibre = *current_;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&fibre.sanitizer, scheduler_stack_, scheduler_stack_bytes_);
#endif
    swapcontext(&fibre.context, &scheduler_);
    entered();
  }

  void entered() {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(current_->sanitizer, &scheduler_stack_, &scheduler_stack_bytes_);
#endif
  }

  const std::function<void()>* body_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<std::size_t> sequence_;
  std::size_t next_ = 0, arrived_ = 0, ended_ = 0;
  unsigned barriers_ = 0;
  std::string error_;

  std::map<const void*, std::unique_ptr<AlignedBytes>> static_shared_;
  std::size_t static_bytes_ = 0, shared_bytes_ = 0;
  std::unique_ptr<AlignedBytes> dynamic_shared_;

  std::vector<std::unique_ptr<Fibre>> fibres_;
  std::vector<Fibre*> idle_;
  Fibre* current_ = nullptr;
  ucontext_t scheduler_;
  const void* scheduler_stack_ = nullptr;
  std::size_t scheduler_stack_bytes_ = 0;
};

}  // namespace

const Thread& thread() { return *Engine::instance().now; }
const Place& place() { return Engine::instance().place; }

void run(Dim3 blocks, Dim3 threads, std::size_t dynamic_shared, const std::function<void()>& body) {
  if (blocks.volume() == 0 || blocks.x > 0x7fffffffu || blocks.y > 65535 || blocks.z > 65535)
    throw Error(fmt::format("a grid of {} x {} x {} blocks", blocks.x, blocks.y, blocks.z));
  if (threads.volume() == 0 || threads.volume() > most_threads || threads.z > 64)
    throw Error(fmt::format("a block of {} x {} x {} threads", threads.x, threads.y, threads.z));
  auto& engine = Engine::instance();
  const std::scoped_lock lock(engine.mutex);
  engine.place = {{}, blocks, threads};
  engine.run(dynamic_shared, body);
}

void fail(const char* what) { Engine::instance().fail(what); }

void sync_block() { Engine::instance().sync_block(); }
void wait_for_change(const unsigned& word) { Engine::instance().wait_for_change(word); }

void exchange(std::uint32_t mask, const void* mine, std::size_t size, unsigned source, void* from) {
  auto& engine = Engine::instance();
  const auto* brought = engine.meet(mask, mine, size);
  if (!(mask >> source & 1))
    engine.fail(fmt::format("a shuffle from lane {}, which is not of the mask {:#x}", source, mask));
  std::memcpy(from, brought[source], size);
}

void gather(std::uint32_t mask, const void* mine, std::size_t size, void* all) {
  const auto* brought = Engine::instance().meet(mask, mine, size);
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if (mask >> lane & 1) std::memcpy(static_cast<std::byte*>(all) + lane * size, brought[lane], size);
  }
}

std::uint32_t ballot(std::uint32_t mask, bool mine) {
  const auto* brought = Engine::instance().meet(mask, &mine, 1);
  std::uint32_t votes = 0;
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if (mask >> lane & 1 && brought[lane][0] != std::byte{0}) votes |= 1u << lane;
  }
  return votes;
}

void* static_shared(const void* key, std::size_t bytes) {
  return Engine::instance().static_shared(key, bytes);
}
void* dynamic_shared() { return Engine::instance().dynamic_shared(); }

}  // namespace tutti::simt
