#include "parallel/units.h"

#include <algorithm>
#include <map>

namespace tutti::parallel {
namespace {

using Path = std::vector<nn::Module*>;  // from the model down

std::size_t bytes_of(const Tensor& tensor) {
  return static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype());
}

// Where each trained parameter is used: in the innermost module that holds all of its names.
class Paths : public nn::MemberVisitor {
 public:
  Paths(nn::Module& model, const NamedTensors& trained) : trained_(trained), paths_(trained.size()) {
    here_.push_back(&model);
    model.visit(*this);
  }

  void parameter(const std::string&, Tensor& tensor) override {
    const auto is_it = [&](const NamedTensor& one) { return one.tensor.is_same(tensor); };
    const auto found = std::ranges::find_if(trained_, is_it);
    if (found == trained_.end()) return;
    Path& path = paths_[static_cast<std::size_t>(found - trained_.begin())];
    if (path.empty()) path = here_;
    const auto both = std::mismatch(path.begin(), path.end(), here_.begin(), here_.end());
    path.erase(both.first, path.end());
  }
  void buffer(const std::string&, Tensor&) override {}
  void generator(const std::string&, Generator&) override {}
  void module(const std::string&, nn::Module& module) override {
    here_.push_back(&module);
    module.visit(*this);
    here_.pop_back();
  }

  const std::vector<Path>& paths() const { return paths_; }

 private:
  const NamedTensors& trained_;
  std::vector<Path> paths_;
  Path here_;
};

}  // namespace

std::vector<Unit> find_units(nn::Module& model, const NamedTensors& trained, std::size_t bytes) {
  const Paths found(model, trained);
  std::map<const nn::Module*, std::size_t> size;  // of all that is in a module
  for (std::size_t i = 0; i < trained.size(); ++i) {
    for (const auto* module : found.paths()[i]) size[module] += bytes_of(trained[i].tensor);
  }
  std::vector<Unit> units{{&model, {}}};
  for (std::size_t i = 0; i < trained.size(); ++i) {
    const Path& path = found.paths()[i];
    const auto fits = [&](const nn::Module* module) { return size[module] <= bytes; };
    const auto outermost = std::ranges::find_if(path, fits);
    nn::Module* module = outermost == path.end() ? path.back() : *outermost;
    auto unit = std::ranges::find(units, module, &Unit::module);
    if (unit == units.end()) unit = units.insert(units.end(), {module, {}});
    unit->parameters.push_back(trained[i]);
  }
  return units;
}

}  // namespace tutti::parallel
