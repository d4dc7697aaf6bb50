#include "benchmarks/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "benchmarks/models.h"
#include "benchmarks/trainee.h"
#include "tutti/core/version.h"

namespace tutti::bench {
namespace {

constexpr ReduceOp all_ops[] = {ReduceOp::sum, ReduceOp::avg, ReduceOp::min, ReduceOp::max, ReduceOp::prod};

constexpr DType floats[] = {DType::f32, DType::f64, DType::bf16, DType::f16};

constexpr auto collective_footer = R"(
size: bytes of a rank's larger buffer. time: one call on the slowest rank, after each rank wrote its input anew; of
16 KiB and less, with that writing. algbw: size / time. busbw: what each rank must send and receive at least, for that
time; the number to compare with the hardware and between numbers of ranks. of copy: the time in which all ranks at once
copy such a buffer, in per cent of the time; an all-reduce in place must read and write as much.
#wrong: elements, over all ranks, whose bits are not the expected ones. The exit code is 1 if there are any.

Under tutti-run or mpirun it uses the ranks that are there, and -n, --backend and --settings mean nothing.

Example: tutti-bench all_reduce -n 4 --backend shm --min 4K --max 256M --dtype f32 --json result.json)";

constexpr auto train_footer = R"(
A step: forward, cross-entropy, backward, gradients averaged, AdamW; from when the last rank begins it to when the last
one ends it. Data are random numbers in memory, the same in every step. Losses are means over the global batch. waiting:
the time in which a rank, its own gradients done, waited for the reductions; in per cent of its backward, on the rank
with the most. MB: as DataParallel counts them; activations show in the peak only.

Under tutti-run or mpirun it uses the ranks that are there, and -n and --backend mean nothing.

Example: tutti-bench train --model gpt --micro-batch 4 -n 2 --backend shm --json train.json)";

constexpr auto checkpoint_footer = R"(
The state: f32 tensors of the sizes of a GPT's, and two more of each, as AdamW has them. Each round saves and restores it,
checks what came back, and does by turns with that what the floor is: memcpy of as many bytes as a rank has to copy, into
memory that was touched before; direct writes of 8 MiB to a reserved file and fsync, as of dd bs=8M oflag=direct conv=fsync;
and direct reads. All files are new, and none is in the page cache. In copies, of direct writes: the ratio, round by round.

A save is acknowledged when a power cut cannot undo it; the one before is removed until then. Encrypted, the floor is still that of
plain bytes. The exit code is 1 if a word came back other than it was.

Under tutti-run or mpirun it uses the ranks that are there, and -n and --backend mean nothing.

Example: tutti-bench checkpoint --bytes 1G -n 2 --directory /mnt/disk --encrypt --json checkpoint.json)";

constexpr auto ops_footer = R"(
Each operation on the CPU, by the threads of TUTTI_THREADS, or on a GPU; its result is a new tensor. GB/s: the bytes that it must at
least read and write, for that time, also in per cent of what the same threads, or the GPU, copy. GFLOP/s: of products, also for what
is made of them; causality halves those of attention, and gradients take twice as many again.

Example: TUTTI_THREADS=2 tutti-bench ops --filter norm)";

// An option whose value is one of `values`, by its name.
template <typename T>
void add_choice(CLI::App& app, const char* name, T& target, std::span<const T> values, const char* text) {
  std::vector<std::string> names;
  for (const auto value : values) names.emplace_back(name_of(value));
  const auto assign = [&target, values, names](const std::string& given) {
    target = values[static_cast<std::size_t>(std::find(names.begin(), names.end(), given) - names.begin())];
  };
  app.add_option_function<std::string>(name, assign, text)
      ->check(CLI::IsMember(names))
      ->default_str(std::string(name_of(target)));
}

void add_size(CLI::App& app, const char* name, std::size_t& target, const char* text, const char* as_text) {
  app.add_option(name, target, text)
      ->transform(CLI::AsSizeValue(false).description(""))
      ->type_name("SIZE")
      ->default_str(as_text);
}

// Of every subcommand.
void add_ranks(CLI::App& app, Settings& settings) {
  app.add_option("-n,--ranks", settings.ranks, "Number of ranks")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--backend", settings.backend, "How the ranks are connected")
      ->check(CLI::IsMember({"shm", "mpi", "threads"}))
      ->capture_default_str();
  app.add_option("--json", settings.json, "Also write the table to FILE")->type_name("FILE");
}

void add_rounds(CLI::App& app, Settings& settings) {
  app.add_option("--iters", settings.iterations, "Calls in a round; as many as fit in 100 ms if not given")
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", settings.rounds, "Rounds; their median counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_collective(CLI::App& app, const Collective& collective, Settings& settings) {
  add_ranks(app, settings);
  add_rounds(app, settings);
  if (collective.sized) {
    add_size(app, "--min", settings.min_bytes, "Smallest size in bytes: 4096, 4K, 1M", "4K");
    add_size(app, "--max", settings.max_bytes, "Largest size", "256M");
    app.add_option("--factor", settings.factor, "From one size to the next")
        ->check(CLI::Range(2, 1024))
        ->capture_default_str();
    add_choice<DType>(app, "--dtype", settings.dtype, all_dtypes, "Type of the elements");
    app.add_flag("--registered", settings.registered, "Buffers from Communicator::allocate");
  }
  if (collective.reduces) add_choice<ReduceOp>(app, "--op", settings.op, all_ops, "Reduction");
  app.add_option(
         "--vs", settings.vs,
         "By turns with it, on the same ranks, measure the same collective of MPI, or all_reduce of Gloo")
      ->check(CLI::IsMember({"mpi", "gloo"}));
  app.add_option("--settings", settings.tunings,
                 "With --vs mpi: Open MPI as installed, with each of its tuned settings, or both; a run of "
                 "mpirun for each")
      ->check(CLI::IsMember({"installed", "tuned", "all"}))
      ->capture_default_str();
  if (collective.in_place && collective.out_of_place)
    app.add_flag("--out-of-place", settings.out_of_place, "With --vs: out of place; in place if not given");
  app.footer(collective_footer);
}

void add_train(CLI::App& app, TrainSettings& train) {
  app.option_defaults()->always_capture_default();
  app.add_option("--model", train.model,
                 "A GPT; the networks of the example mnist; LeNet-5; ResNet-20 on 32 x 32")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(model_names), std::end(model_names))));
  app.add_option("--micro-batch", train.micro_batch, "Sequences, or images, of a micro-batch")
      ->check(CLI::PositiveNumber);
  app.add_option("--steps", train.steps, "Steps to measure; their median counts")->check(CLI::PositiveNumber);
  app.add_option("--warmup", train.warmup, "Steps before, at least 2")->check(CLI::Range(2, 1'000'000));
  app.add_option("--logical-ranks", train.logical_ranks,
                 "Micro-batches of a step; 0: the smallest power of two that is at least the number of ranks")
      ->check(CLI::NonNegativeNumber);
  app.add_option(
         "--order", train.order,
         "In which order gradients are summed: the tree that gives the same bits in any world, any that "
         "is fast, or both on a model each, step by step")
      ->check(CLI::IsMember({"tree", "any", "both"}));
  app.add_option("--shard", train.shard, "What each rank keeps only its share of")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(shard_names), std::end(shard_names))));
  app.add_flag("--overlap,!--no-overlap", train.overlap, "Reduce gradients while the backward pass goes on");
  app.add_option("--layers", train.layers, "Of the GPT: transformer blocks");
  app.add_option("--width", train.width, "Embedding size");
  app.add_option("--heads", train.heads, "Attention heads");
  app.add_option("--context", train.context, "Tokens of a sequence")->check(CLI::PositiveNumber);
  app.add_option("--vocabulary", train.vocabulary, "Different tokens")->check(CLI::PositiveNumber);
  app.add_option("--dropout", train.dropout, "Probability of dropping an activation");
  app.add_option("--lr", train.lr, "Learning rate of AdamW");
  app.add_option("--device", train.device, "cpu, or a GPU for each rank: cuda, or cuda:1 for all");
  add_choice<DType>(
      app, "--dtype", train.dtype, floats,
      "Type of the parameters, inputs and gradients; optimizers keep 16-bit ones in f32 as well");
  app.add_flag("--graph", train.graph, "On a GPU, capture a step and replay it; on one rank");
  app.add_option(
         "--text", train.text,
         "Train the GPT on the bytes of FILE, others at each step; if not given, on the same random tokens")
      ->check(CLI::ExistingFile)
      ->default_str("")
      ->type_name("FILE");
  app.add_option("--save", train.save,
                 "Write the model and the data to FILE, as safetensors, before the first step")
      ->default_str("")
      ->type_name("FILE");
  app.footer(train_footer);
}

void add_checkpoint(CLI::App& app, Settings& settings, CheckpointSettings& checkpoint) {
  add_ranks(app, settings);
  app.add_option("--rounds", settings.rounds, "Rounds; their median counts")
      ->check(CLI::PositiveNumber)
      ->default_str("7");
  add_size(app, "--bytes", checkpoint.bytes, "Bytes of the state, over all ranks", "1000000000");
  app.add_option("--directory", checkpoint.directory, "Where to write; a directory of its own is made there")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  app.add_option("--state", checkpoint.state, "Whether each rank holds its part of the state, or all of it")
      ->check(CLI::IsMember({"sharded", "replicated"}))
      ->capture_default_str();
  app.add_flag("--encrypt", checkpoint.encrypt, "Encrypt, with a key file that is made for it");
  app.footer(checkpoint_footer);
}

void add_ops(CLI::App& app, Settings& settings, OpsSettings& ops) {
  app.add_option("--filter", ops.filter, "Those with TEXT in their name")->type_name("TEXT");
  app.add_option("--device", ops.device, "cpu, cuda or cuda:1; on a GPU of sizes that keep it busy")
      ->capture_default_str();
  add_choice<DType>(app, "--dtype", ops.dtype, floats, "Type of the elements");
  app.add_option("--rounds", settings.rounds, "Rounds; their median counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", settings.json, "Also write the table to FILE")->type_name("FILE");
  app.footer(ops_footer);
}

void add_manifest(CLI::App& app, Settings& settings, ManifestSettings& manifest) {
  app.add_option("--tensors", manifest.tensors, "Tensors of the state")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--files", manifest.files, "Files, one of each rank")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rounds", settings.rounds, "Rounds; their median counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", settings.json, "Also write the table to FILE")->type_name("FILE");
}

}  // namespace

Command parse(int argc, char** argv, int& code) {
  CLI::App app("Measures the collectives of Tutti, training on them, its operations, and checkpoints",
               "tutti-bench");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("tutti-bench ") + version());
  Command command;
  auto& settings = command.settings;
  for (const auto* collective : collectives)
    add_collective(*app.add_subcommand(collective->name, collective->summary), *collective, settings);
  auto* memory =
      app.add_subcommand("memory", "What memory gives: the loops of STREAM, on one rank and on all");
  add_ranks(*memory, settings);
  add_rounds(*memory, settings);
  std::size_t array_bytes = 64 << 20;
  add_size(*memory, "--size", array_bytes, "Bytes of an array", "64M");
  auto* training = app.add_subcommand("train", "Steps of data-parallel training");
  TrainSettings train;
  add_ranks(*training, settings);
  add_train(*training, train);
  auto* checkpoints =
      app.add_subcommand("checkpoint", "Saves and restores, beside what memory and disk give");
  CheckpointSettings checkpoint;
  add_checkpoint(*checkpoints, settings, checkpoint);
  auto* operations = app.add_subcommand("ops", "Operations on tensors, beside what memory gives");
  OpsSettings ops;
  add_ops(*operations, settings, ops);
  auto* manifests = app.add_subcommand("manifest", "Writes and parses the manifest of a large checkpoint");
  ManifestSettings manifest;
  add_manifest(*manifests, settings, manifest);
  try {
    app.parse(argc, argv);
    if (settings.min_bytes > settings.max_bytes)
      throw CLI::ValidationError("--min must not be larger than --max");
    if (settings.min_bytes == 0) throw CLI::ValidationError("--min must not be 0");
    if (settings.vs == "mpi" && settings.backend == "threads")
      throw CLI::ValidationError("--vs mpi needs processes: --backend shm or mpi");
  } catch (const CLI::ParseError& error) {
    code = app.exit(error) == 0 ? 0 : 2;
    return {};
  }
  const auto chosen = std::find_if(std::begin(collectives), std::end(collectives),
                                   [&](const Collective* c) { return app.got_subcommand(c->name); });
  if (chosen != std::end(collectives)) {
    command.collective = *chosen;
  } else if (app.got_subcommand(training)) {
    command.train = train;
  } else if (app.got_subcommand(checkpoints)) {
    command.checkpoint = checkpoint;
    if (checkpoints->count("--rounds") == 0) settings.rounds = 7;
  } else if (app.got_subcommand(operations)) {
    command.ops = ops;
  } else if (app.got_subcommand(manifests)) {
    command.manifest = manifest;
  } else {
    settings.max_bytes = array_bytes;
  }
  return command;
}

}  // namespace tutti::bench
