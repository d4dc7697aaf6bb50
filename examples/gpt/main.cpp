// Trains a character-level GPT on a text file, on any number of ranks:
//   gpt --text input.txt                    tutti-run -n 2 gpt --text input.txt
// The same bits on any number of them, with as many logical ranks: --logical-ranks 4 on 1, 2, 3 or 4 ranks.
#include <fmt/format.h>
#include <tutti/tutti.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "../device.h"
#include "../progress.h"

struct Settings {
  std::string text, checkpoints, device;
  std::int64_t steps = 2000, batch = 12, context = 64, layers = 4, heads = 4, width = 128;
  std::int64_t save_every = 250, evaluations = 20, sample = 300;
  double lr = 1e-3, dropout = 0;
  std::uint64_t seed = 1337;
  int logical_ranks = 0;
  tutti::Shard shard = tutti::Shard::none;
  bool bf16 = false, fingerprint = false;
};

// Matrices and embeddings decay; gains and biases don't. Of each this rank's share.
std::vector<tutti::optim::ParameterGroup<tutti::optim::AdamWOptions>> groups_of(
    const tutti::nn::Gpt& model, const tutti::DataParallel& parallel, double lr) {
  tutti::NamedTensors matrices, vectors;
  for (const auto& parameter : model.parameters()) {
    (parameter.tensor.rank() >= 2 ? matrices : vectors).push_back(parameter);
  }
  return {{.parameters = parallel.shard(matrices), .options = {.lr = lr, .beta2 = 0.99, .weight_decay = 0.1}},
          {.parameters = parallel.shard(vectors), .options = {.lr = lr, .beta2 = 0.99, .weight_decay = 0}}};
}

// The mean over the logical ranks, whoever has them: the same bits in any world.
double validation_loss(tutti::nn::Gpt& model, const tutti::data::TextLoader& batches,
                       std::int64_t evaluations, tutti::Communicator& world, tutti::Device device) {
  tutti::NoGrad no_grad;
  model.eval();
  std::vector<double> losses;  // of this rank's logical ranks
  for (const int v : world.logical_ranks()) {
    double sum = 0;
    for (std::int64_t i = 0; i < evaluations; ++i) {
      const auto [tokens, targets] = batches.validation(i, v);
      sum += tutti::nn::cross_entropy(model(tokens.to(device)), targets.to(device)).item<double>();
    }
    losses.push_back(sum / static_cast<double>(evaluations));
  }
  model.train();
  return tutti::tree_mean(losses, world);
}

void train(const Settings& set, tutti::World& world) {
  const bool speaks = world.rank() == 0;
  tutti::data::TextLoader batches(set.text, {.batch = set.batch, .context = set.context, .seed = set.seed},
                                  world);
  tutti::nn::Gpt model({.vocabulary = static_cast<std::int64_t>(batches.vocabulary().size()),
                        .layers = set.layers,
                        .width = set.width,
                        .heads = set.heads,
                        .context = set.context,
                        .dropout = set.dropout,
                        .seed = set.seed});
  const tutti::Device device = device_of(set.device, world);
  model.to(device);
  tutti::DataParallelOptions options{.shard = set.shard};
  if (set.bf16) options.hook = std::make_shared<tutti::Bf16Gradients>();
  tutti::DataParallel parallel(model, world, options);
  tutti::optim::AdamW optimizer(groups_of(model, parallel, set.lr));
  const tutti::optim::WarmupCosine schedule{.lr = set.lr,
                                            .warmup = std::min<std::int64_t>(100, set.steps / 10),
                                            .steps = set.steps,
                                            .final_lr = set.lr / 10};
  auto model_state = parallel.full();
  auto optimizer_state = parallel.full(optimizer);
  auto state = tutti::TrainState{model_state, optimizer_state, batches};
  std::optional<tutti::Checkpointer> checkpoints;
  std::int64_t step = 0;
  if (!set.checkpoints.empty()) {
    checkpoints.emplace(set.checkpoints, world, tutti::CheckpointerOptions{.every_steps = set.save_every});
    step = checkpoints->restore(state);
  }
  if (speaks) {
    fmt::print("{} parameters, {} characters in the alphabet, {} rank(s) over {} on {}\n",
               model.parameter_count(), batches.vocabulary().size(), world.size(), world.backend(),
               device.str());
    if (step > 0) fmt::print("resumed from {} at step {}\n", set.checkpoints, step);
  }

  Progress progress(step, set.steps, set.batch * set.context, "tokens", speaks);
  for (; step < set.steps; ++step) {
    optimizer.set_lr(schedule(step));
    for ([[maybe_unused]] const int v : parallel.micro_batches()) {
      const auto [tokens, targets] = batches.next();
      const tutti::Autocast autocast(set.bf16 ? std::optional(tutti::DType::bf16) : std::nullopt);
      parallel.backward(tutti::nn::cross_entropy(model(tokens.to(device)), targets.to(device)));
    }
    parallel.clip_grad_norm_(1.0);
    parallel.step(optimizer);
    progress.show(step + 1, parallel.loss());
    if (checkpoints) checkpoints->save(step, state);
  }
  if (checkpoints) checkpoints->drain();

  const auto whole = parallel.gather();  // for all that follows, which not every rank does
  const double loss = validation_loss(model, batches, set.evaluations, world, device);
  const std::string fingerprint = set.fingerprint ? tutti::fingerprint(state) : "";
  if (!speaks) return;
  fmt::print("validation loss {:.4f}\n", loss);
  if (set.sample > 0) {
    tutti::Generator rng(set.seed);
    const tutti::Tensor start = tutti::zeros({1, 1}, {tutti::DType::i64, device});
    const auto tokens =
        model.generate(start, set.sample, {.temperature = 0.8}, rng).to_vector<std::int64_t>();
    fmt::print("---\n{}\n---\n", batches.decode(tokens));
  }
  if (set.fingerprint) fmt::print("fingerprint {}\n", fingerprint);
}

int main(int argc, char** argv) {
  CLI::App app{"Trains a character-level GPT on a text file."};
  Settings set;
  app.option_defaults()->always_capture_default();
  app.add_option("--text", set.text, "text to learn")->required()->check(CLI::ExistingFile);
  app.add_option("--steps", set.steps, "optimizer steps in all")->check(CLI::PositiveNumber);
  app.add_option("--batch", set.batch, "windows in a step; divides by the number of logical ranks")
      ->check(CLI::PositiveNumber);
  app.add_option("--context", set.context, "characters in a window")->check(CLI::PositiveNumber);
  app.add_option("--layers", set.layers, "transformer blocks")->check(CLI::PositiveNumber);
  app.add_option("--heads", set.heads, "attention heads")->check(CLI::PositiveNumber);
  app.add_option("--width", set.width, "embedding size")->check(CLI::PositiveNumber);
  app.add_option("--lr", set.lr, "highest learning rate");
  app.add_option("--dropout", set.dropout, "probability of dropping an activation");
  app.add_option("--seed", set.seed, "of weights, order and sampling");
  app.add_option("--checkpoints", set.checkpoints, "directory to save to, and to resume from");
  app.add_option("--save-every", set.save_every, "steps between checkpoints")->check(CLI::PositiveNumber);
  app.add_option("--evaluations", set.evaluations, "validation batches at the end")
      ->check(CLI::PositiveNumber);
  app.add_option("--sample", set.sample, "characters to generate at the end");
  app.add_option(
         "--logical-ranks", set.logical_ranks,
         "micro-batches of a step, as many as the run will ever have ranks; else the next power of two")
      ->check(CLI::PositiveNumber)
      ->default_str("");
  app.add_option("--shard", set.shard,
                 "what each rank keeps only its share of: none, optimizer, gradients, parameters")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, tutti::Shard>{{"none", tutti::Shard::none},
                                              {"optimizer", tutti::Shard::optimizer},
                                              {"gradients", tutti::Shard::gradients},
                                              {"parameters", tutti::Shard::parameters}}))
      ->default_str("none");
  app.add_option("--device", set.device,
                 "cpu, or cuda: the GPUs of a machine in turn; else what the back end gives")
      ->default_str("");
  app.add_flag("--bf16", set.bf16, "products in bf16, and gradients on their way");
  app.add_flag("--fingerprint", set.fingerprint,
               "end with a line that runs share which ended in the same bits");
  CLI11_PARSE(app, argc, argv);
  try {
    tutti::World world(argc, argv, {.logical_ranks = set.logical_ranks});
    train(set, world);
  } catch (const tutti::Error& error) {
    fmt::print(stderr, "gpt: {}\n", error.what());
    return 1;
  }
}
