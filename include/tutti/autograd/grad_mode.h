/// \file
/// Switching the tape off, and on again.
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

/// Records again in this thread while it lives, within a NoGrad.
class [[nodiscard]] EnableGrad {
 public:
  EnableGrad();
  ~EnableGrad();
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool before_;
};

}  // namespace tutti
