// Learns to read digits from MNIST, on any number of ranks:
//   mnist --images t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz --model cnn
#include <fmt/format.h>
#include <tutti/tutti.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "../device.h"
#include "../progress.h"

namespace nn = tutti::nn;

struct Settings {
  std::string images, labels, model = "mlp", checkpoints, device;
  std::int64_t held_out = 1000, epochs = 0, batch = 128;
  double lr = 1e-3;
  std::uint64_t seed = 1;
  int logical_ranks = 0;
  bool fingerprint = false;
};

nn::Sequential make_model(const Settings& set, const tutti::Shape& images) {
  tutti::Generator rng(set.seed);
  const std::int64_t height = images[1], width = images[2];
  if (set.model == "mlp") {
    return nn::Sequential(nn::Flatten(), nn::Linear(height * width, 512, rng), nn::ReLU(),  //
                          nn::Linear(512, 512, rng), nn::ReLU(),                            //
                          nn::Linear(512, 10, rng));
  }
  return nn::Sequential(nn::Conv2d(1, 32, 3, rng, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2),
                        nn::Conv2d(32, 64, 3, rng, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2),
                        nn::Flatten(), nn::Linear(64 * (height / 4) * (width / 4), 128, rng), nn::ReLU(),
                        nn::Linear(128, 10, rng));
}

// The share of `set` that the model gets right; each logical rank tries its part of it, so that what the model sees at
// once is the same in any world.
double accuracy(nn::Module& model, const tutti::data::ImageSet& set, tutti::Communicator& world,
                tutti::Device device) {
  tutti::NoGrad no_grad;
  model.eval();
  const tutti::LogicalRanks ranks = world.logical_ranks();
  std::vector<std::int64_t> right{0};
  for (const int v : ranks) {
    const std::int64_t begin = set.size() * v / ranks.count(), end = set.size() * (v + 1) / ranks.count();
    if (begin == end) continue;
    tutti::data::ImageLoader batches(set.slice(begin, end), {.batch = 250, .shuffle = false});
    for (std::int64_t i = 0; i < batches.steps_per_epoch(); ++i) {
      const auto [images, labels, weight] = batches.next();
      right[0] += sum(eq(argmax(model(images.to(device)), 1), labels.to(device))).item<std::int64_t>();
    }
  }
  model.train();
  world.all_reduce(right);
  return static_cast<double>(right[0]) / static_cast<double>(set.size());
}

void train(const Settings& set, tutti::World& world) {
  const bool speaks = world.rank() == 0;
  const auto all = tutti::data::read_mnist(set.images, set.labels);
  if (set.held_out >= all.size()) {
    throw tutti::ConfigError(fmt::format("--held-out {}: there are {} images", set.held_out, all.size()));
  }
  const auto learned = all.slice(0, all.size() - set.held_out);
  const auto held_out = all.slice(all.size() - set.held_out, all.size());

  tutti::data::ImageLoader batches(learned, {.batch = set.batch, .seed = set.seed}, world);
  nn::Sequential model = make_model(set, all.images.shape());
  const tutti::Device device = device_of(set.device, world);
  model.to(device);
  tutti::DataParallel parallel(model, world);
  tutti::optim::AdamW optimizer(parallel.parameters(), {.lr = set.lr});
  auto state = tutti::TrainState{model, optimizer, batches};
  std::optional<tutti::Checkpointer> checkpoints;
  std::int64_t step = 0;
  if (!set.checkpoints.empty()) {
    checkpoints.emplace(set.checkpoints, world,
                        tutti::CheckpointerOptions{.every_steps = batches.steps_per_epoch()});
    step = checkpoints->restore(state);
  }
  if (speaks) {
    fmt::print("{}: {} parameters; {} images, {} of them held out; {} rank(s) over {} on {}\n", set.model,
               model.parameter_count(), all.size(), set.held_out, world.size(), world.backend(),
               device.str());
    if (step > 0) fmt::print("resumed from {} at step {}\n", set.checkpoints, step);
  }

  const std::int64_t steps = set.epochs * batches.steps_per_epoch();
  Progress progress(step, steps, set.batch, "images", speaks);
  for (; step < steps; ++step) {
    for ([[maybe_unused]] const int v : parallel.micro_batches()) {
      const auto [images, labels, weight] = batches.next();
      parallel.backward(nn::cross_entropy(model(images.to(device)), labels.to(device)), weight);
    }
    parallel.step(optimizer);
    progress.show(step + 1, parallel.loss());
    if (checkpoints) checkpoints->save(step, state);
  }
  if (checkpoints) checkpoints->drain();
  const double right = accuracy(model, held_out, world, device);
  if (speaks) fmt::print("held-out accuracy {:.2f}%\n", 100 * right);
  if (set.fingerprint) {
    const std::string fingerprint = tutti::fingerprint(state);
    if (speaks) fmt::print("fingerprint {}\n", fingerprint);
  }
}

int main(int argc, char** argv) {
  CLI::App app{"Learns to read the digits of MNIST, or what else comes in its format."};
  Settings set;
  app.option_defaults()->always_capture_default();
  app.add_option("--images", set.images, "IDX file of images, gzipped or not")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--labels", set.labels, "IDX file of their labels")->required()->check(CLI::ExistingFile);
  app.add_option("--model", set.model, "mlp (two hidden layers) or cnn (two convolutions)")
      ->check(CLI::IsMember({"mlp", "cnn"}));
  app.add_option("--held-out", set.held_out, "images at the end that are not learned but asked about")
      ->check(CLI::PositiveNumber);
  app.add_option("--epochs", set.epochs,
                 "times that each image is seen; 12 for mlp and 8 for cnn if not given")
      ->check(CLI::PositiveNumber)
      ->default_str("");
  app.add_option("--batch", set.batch, "images in a step; divides by the number of logical ranks")
      ->check(CLI::PositiveNumber);
  app.add_option("--lr", set.lr, "learning rate of AdamW");
  app.add_option("--seed", set.seed, "of weights and order");
  app.add_option("--checkpoints", set.checkpoints,
                 "directory to save to after each epoch, and to resume from");
  app.add_option(
         "--logical-ranks", set.logical_ranks,
         "micro-batches of a step, as many as the run will ever have ranks; else the next power of two")
      ->check(CLI::PositiveNumber)
      ->default_str("");
  app.add_option("--device", set.device,
                 "cpu, or cuda: the GPUs of a machine in turn; else what the back end gives")
      ->default_str("");
  app.add_flag("--fingerprint", set.fingerprint,
               "end with a line that runs share which ended in the same bits");
  CLI11_PARSE(app, argc, argv);
  if (set.epochs == 0) set.epochs = set.model == "mlp" ? 12 : 8;
  try {
    tutti::World world(argc, argv, {.logical_ranks = set.logical_ranks});
    train(set, world);
  } catch (const tutti::Error& error) {
    fmt::print(stderr, "mnist: {}\n", error.what());
    return 1;
  }
}
