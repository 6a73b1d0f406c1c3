#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/sim_head.hpp"

namespace cox::sim {

/// One life of a cluster, the same for the same seed: users submit and kill, nodes come, go silent
/// and die, agents do their work or forget it, time passes, and the head dies at any point of a
/// turn. The state is audited after each turn, and compared after each death with what had been
/// stored. Faults are failures of the test that runs it.
class World {
 public:
  explicit World(std::uint64_t seed);

  /// A turn with one event, or a few; the head may die in it and begin anew.
  void turn();
  /// No more trouble: everything works and nothing dies. In the end all jobs must have ended, and
  /// idle nodes must be gone.
  void settle();

  [[nodiscard]] int deaths() const { return deaths_; }
  [[nodiscard]] int ended_well() const;

 private:
  [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  [[nodiscard]] bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class Container>
  [[nodiscard]] auto any_of(const Container& container) {
    return *std::next(container.begin(), static_cast<std::ptrdiff_t>(below(container.size())));
  }

  void begin_head();
  void head_died();
  void attempt(const std::function<void()>& event);
  void something_happens();
  void submit();
  void agent_does_something(const NodeId& node);
  void node_has_trouble(const NodeId& node);
  void all_goes_well();
  void report(const NodeId& node, const wire::PartKey& key);
  [[nodiscard]] JobSpec any_spec();

  void committed(const store::Changes& changes);
  void audit();
  void audit_load();
  void compare_with_stored();
  [[nodiscard]] std::string look(Millis now) const;
  [[nodiscard]] std::vector<JobId> open_jobs() const;

  std::mt19937_64 random_;
  Surroundings around_;
  std::unique_ptr<SimHead> head_;
  std::uint64_t points_to_death_ = 0;  ///< 0: the head lives
  int deaths_ = 0;
  std::uint64_t submitted_ = 0;

  // What must be found again after a death.
  std::map<JobId, Job> stored_jobs_;
  std::string stored_look_;
  Millis stored_look_at_;
  std::set<JobId> answered_;
};

}  // namespace cox::sim
