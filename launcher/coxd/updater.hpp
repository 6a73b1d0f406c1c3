#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "launcher/coxd/described.hpp"
#include "launcher/coxd/node_sources.hpp"
#include "runtime/head/head.hpp"
#include "runtime/ports/clock.hpp"

namespace cox::coxd {

/// Updates of a cluster that runs. What is on disk tells how far one has come, so that the head may
/// die at any step:
///
///   config.next is written            nothing has happened yet: the next head removes it
///   record: UPDATE_IN_PROGRESS        it will happen: the next head carries it out anew
///   config.next has become config     it has happened: the next head says so in the record
///   record: UPDATE_COMPLETE
///
/// What cannot be carried out is taken back: UPDATE_ROLLBACK_COMPLETE, with the old file whole.
class Updater {
 public:
  using Answer = std::function<void(Result<void>)>;

  /// All of them outlive this. `described` is what the cluster runs by, and follows the update.
  Updater(std::string directory, Described& described, NodeSources& provider, head::Head& head,
          const Clock& clock);

  /// Answers once the update is begun for good, or why it is not: conflict while another one is
  /// under way, and as head::Head::check(); invalid_argument for a file that cannot be read.
  void begin(const head::UpdateRequest& request, const Answer& answer);

  /// After a start: finishes an update that the head's end has cut short, then calls `done`.
  void resume(std::function<void()> done);

 private:
  using Paths = std::vector<std::pair<std::string, std::string>>;

  [[nodiscard]] Result<Described> prepare(const head::UpdateRequest& request) const;
  [[nodiscard]] Result<void> check_shared(const Described& next) const;
  [[nodiscard]] Result<void> check_providers(const Described& next) const;
  [[nodiscard]] Result<void> commit(const std::string& text, const cluster::Record& next);
  void carry_out(Described next);
  [[nodiscard]] Result<Paths> make_directories(const Described& next) const;
  void run_scripts(Described next, const Paths& shared);
  void apply(Described next, const Paths& shared);
  [[nodiscard]] Result<void> keep(Described next);
  void roll_back(const std::string& why, const Paths& shared);
  void ended();
  [[nodiscard]] Result<void> set_status(const char* status, const std::string& reason);
  [[nodiscard]] std::string next_file() const { return directory_ + "/config.next"; }

  std::string directory_;
  Described& described_;
  NodeSources& provider_;
  head::Head& head_;
  const Clock& clock_;
  std::function<void()> done_;
};

/// Sets in order what an update that was cut short has left on disk, before the cluster is
/// described: removes a file that never came into force; completes the record where the new file is
/// in force already. True in the second case.
[[nodiscard]] Result<bool> settle_files(const std::string& directory, Millis now);

}  // namespace cox::coxd
