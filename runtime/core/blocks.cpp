#include "runtime/core/scheduler.hpp"

/// Reasons why a job is not placed, in words.
namespace cox::core {

namespace {

std::string reason_of(const Block& block) {
  const auto& name = block.environment;
  switch (block.kind) {
    case BlockKind::no_environment_fits:
      if (block.have == 0) {
        return fmt::format("compute environment {} has no nodes and can get none: {} vCPUs wanted",
                           name, block.wanted);
      }
      return fmt::format(
          "no instance type of compute environment {} can ever hold it: {} vCPUs in all wanted, "
          "MaxvCpus is {}",
          name, block.wanted, block.have);
    case BlockKind::environment_full:
      return fmt::format(
          "compute environment {} is full: {} more vCPUs wanted, {} left up to MaxvCpus", name,
          block.wanted, block.have);
    case BlockKind::environment_disabled:
      return fmt::format("compute environment {} is DISABLED", name);
    case BlockKind::nodes_starting:
      return fmt::format(
          "nodes of compute environment {} are starting: {} of {} there or on their way", name,
          block.have, block.wanted);
    case BlockKind::nodes_busy:
      return fmt::format("nodes of compute environment {} are busy: {} wanted, {} free", name,
                         block.wanted, block.have);
    case BlockKind::behind_wide_job:
      return fmt::format(
          "nodes of compute environment {} are kept free for job {}, which was first", name,
          block.by);
    case BlockKind::spot_multi_node:
      return fmt::format("multi-node jobs do not run in Spot compute environment {}", name);
    case BlockKind::queue_limit:
      return fmt::format("job queue {} lets {} {} run at once, and {} {}", block.queue,
                         block.wanted, block.wanted == 1 ? "job" : "jobs", block.have,
                         block.have == 1 ? "does" : "do");
    case BlockKind::share_reservation:
      return fmt::format(
          "vCPUs of job queue {} are kept for shares that have no jobs yet: {} wanted, {} left for "
          "those that have",
          block.queue, block.wanted, block.have);
    case BlockKind::lent_too_short:
      return fmt::format(
          "free nodes of compute environment {} are taken away in {} s: it may take {} s, with "
          "time "
          "to stop",
          name, block.have, block.wanted);
    case BlockKind::never_lent_so_long:
      return fmt::format(
          "nodes of compute environment {} are lent for {} s at most: {} s wanted, its timeout "
          "with "
          "time to start and stop",
          name, block.have, block.wanted);
  }
  return "";
}

}  // namespace

const char* to_string(BlockKind kind) {
  switch (kind) {
    case BlockKind::no_environment_fits:
      return "no_environment_fits";
    case BlockKind::environment_full:
      return "environment_full";
    case BlockKind::environment_disabled:
      return "environment_disabled";
    case BlockKind::nodes_starting:
      return "nodes_starting";
    case BlockKind::nodes_busy:
      return "nodes_busy";
    case BlockKind::behind_wide_job:
      return "behind_wide_job";
    case BlockKind::spot_multi_node:
      return "spot_multi_node";
    case BlockKind::queue_limit:
      return "queue_limit";
    case BlockKind::share_reservation:
      return "share_reservation";
    case BlockKind::lent_too_short:
      return "lent_too_short";
    case BlockKind::never_lent_so_long:
      return "never_lent_so_long";
  }
  return "";
}

std::string to_sentence(const Block& block) {
  const auto reason = reason_of(block);
  return block.note.empty() ? reason : fmt::format("{}; {}", reason, block.note);
}

}  // namespace cox::core
