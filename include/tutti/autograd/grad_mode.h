/// \file
/// Switching the tape off.
#pragma once

namespace tutti {

/// Whether operations of this thread are recorded.
bool grad_enabled();

/// Records nothing in this thread while it lives: `NoGrad no_grad;`
class [[nodiscard]] NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

}  // namespace tutti
