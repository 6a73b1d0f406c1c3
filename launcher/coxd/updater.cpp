#include "launcher/coxd/updater.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "launcher/cluster/hosts.hpp"
#include "runtime/os/failpoint.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::coxd {

namespace {

constexpr const char* kInProgress = "UPDATE_IN_PROGRESS";
constexpr const char* kComplete = "UPDATE_COMPLETE";
constexpr const char* kRollback = "UPDATE_ROLLBACK_IN_PROGRESS";
constexpr const char* kRolledBack = "UPDATE_ROLLBACK_COMPLETE";

/// The new file's name and section become the cluster's.
void promote(cluster::Record& record) {
  record.config_file_name = std::exchange(record.next_file_name, "");
  record.cluster_template = std::exchange(record.next_template, "");
}

/// Renames for good: also after a loss of power the new name holds.
Result<void> rename_durably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail(os::errno_error(errno, to));
  const auto parent = to.substr(0, to.rfind('/'));
  const os::Fd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return fail(os::errno_error(errno, parent));
  return {};
}

}  // namespace

Result<bool> settle_files(const std::string& directory, Millis now) {
  const auto next = directory + "/config.next";
  const bool staged = ::access(next.c_str(), F_OK) == 0;
  auto record = cluster::load_record(directory);
  if (!record) return fail(record.error());
  const bool begun = record->status == kInProgress;
  if (staged && !begun) (void)::unlink(next.c_str());
  if (staged || !begun) return false;
  promote(*record);
  record->status = kComplete;
  record->updated_at = now;
  if (auto saved = cluster::save_record(directory, *record); !saved) return fail(saved.error());
  return true;
}

Updater::Updater(std::string directory, Described& described, NodeSources& provider,
                 head::Head& head, const Clock& clock)
    : directory_(std::move(directory)),
      described_(described),
      provider_(provider),
      head_(head),
      clock_(clock) {}

void Updater::begin(const head::UpdateRequest& request, const Answer& answer) {
  auto next = prepare(request);
  if (!next) return answer(fail(next.error()));
  auto record = described_.record;
  record.next_file_name = request.file_name;
  record.next_template = request.cluster_template;
  if (auto committed = commit(request.text, record); !committed) {
    (void)::unlink(next_file().c_str());
    return answer(committed);
  }
  answer({});
  head_.tell(described_.record.name, kInProgress, "User Initiated");
  carry_out(std::move(*next));
}

Result<Described> Updater::prepare(const head::UpdateRequest& request) const {
  const auto& record = described_.record;
  if (!cluster::is_made(record.status) || record.status == kInProgress) {
    return fail(Errc::conflict, "cluster {} cannot be updated while it is {}", record.name,
                record.status);
  }
  auto next_record = record;
  next_record.config_file_name = request.file_name;
  next_record.cluster_template = request.cluster_template;
  auto next = describe(std::move(next_record), request.text, described_.hosts, described_.site);
  if (!next) return next;
  if (auto fits = check_shared(*next); !fits) return fail(fits.error());
  if (auto fits = check_providers(*next); !fits) return fail(fits.error());
  if (auto fits = head_.check(next->settings); !fits) return fail(fits.error());
  return next;
}

/// Nodes and jobs use what is shared: directories may come, not go.
Result<void> Updater::check_shared(const Described& next) const {
  const auto& now = described_.config.shared;
  const auto& wanted = next.config.shared;
  for (const auto& storage : now) {
    const bool stays = std::any_of(wanted.begin(), wanted.end(), [&](const auto& each) {
      return each.mount_dir == storage.mount_dir && each.name == storage.name &&
             each.source == storage.source;
    });
    if (!stays) {
      return fail(Errc::conflict,
                  "the shared directory {} cannot go, nor get another Source, while the cluster is "
                  "there",
                  storage.mount_dir);
    }
  }
  if ((described_.hosts || described_.site) && wanted.size() != now.size()) {
    return fail(Errc::conflict,
                "a cluster with nodes beyond this machine gets no more shared directories: make a "
                "new cluster");
  }
  return {};
}

/// Where nodes come from is looked at when a cluster is made: a kind of nodes that was not is not
/// to be had.
Result<void> Updater::check_providers(const Described& next) const {
  for (const auto* provider : {"local", "ssh", "slurm"}) {
    for (const auto& name :
         cluster::environments_of(next.config, described_.record.name, provider)) {
      if (provider_.can_serve(ComputeEnvironmentName{name}, provider)) continue;
      return fail(Errc::conflict,
                  "compute environment {} has the provider {}, and the cluster was made without "
                  "such nodes for it: make a new cluster",
                  name, provider);
    }
  }
  return {};
}

/// From the record's word on, the update will happen, or be taken back with a reason.
Result<void> Updater::commit(const std::string& text, const cluster::Record& next) {
  return os::write_file_atomic(next_file(), text, 0644)
      .and_then([] { return os::failpoint("update/staged"); })
      .and_then([&]() -> Result<void> {
        const auto before = std::exchange(described_.record, next);
        auto saved = set_status(kInProgress, "");
        if (!saved) described_.record = before;
        return saved;
      });
}

void Updater::resume(std::function<void()> done) {
  if (described_.record.status != kInProgress) return done();
  done_ = std::move(done);
  head_.tell(described_.record.name, kInProgress, "goes on after the daemon had ended");
  auto record = described_.record;
  promote(record);
  auto next = os::read_file(next_file()).and_then([&](const std::string& text) {
    return describe(std::move(record), text, described_.hosts, described_.site);
  });
  if (!next) return roll_back(next.error().message, {});
  carry_out(std::move(*next));
}

void Updater::carry_out(Described next) {
  auto shared = os::failpoint("update/begun").and_then([&] { return make_directories(next); });
  if (!shared) return roll_back(shared.error().message, {});
  provider_.share(
      *shared, [this, next = std::move(next), paths = *shared](const Result<void>& done) mutable {
        const auto shown = done.and_then([] { return os::failpoint("update/shared"); });
        if (!shown) return roll_back(shown.error().message, paths);
        run_scripts(std::move(next), paths);
      });
}

/// OnNodeUpdated: before the rest is in force, so that a failure is taken back whole.
void Updater::run_scripts(Described next, const Paths& shared) {
  NodeScripts scripts{{}, next.config.head_start_limit_s};
  for (const auto& each : next.config.head_actions.on_node_updated) {
    scripts.list.push_back({"OnNodeUpdated", each.script, each.args});
  }
  // Nobody waits for scripts before asking something of a head that has just come back.
  if (!scripts.list.empty()) ended();
  head_.run_on_head_node(std::move(scripts),
                         [this, next = std::move(next), shared](const Result<void>& done) mutable {
                           if (described_.record.status != kInProgress)
                             return;  // the cluster is being deleted
                           if (!done) return roll_back(done.error().message, shared);
                           apply(std::move(next), shared);
                         });
}

/// Those that the cluster has not had so far, made.
Result<Updater::Paths> Updater::make_directories(const Described& next) const {
  Paths more;
  for (const auto& storage : next.config.shared) {
    const auto& now = described_.config.shared;
    const bool known = std::any_of(now.begin(), now.end(), [&](const auto& each) {
      return each.mount_dir == storage.mount_dir;
    });
    if (known) continue;
    const auto here = directory_of(directory_, storage);
    if (auto made = make_shared_directory(here); !made) return fail(made.error());
    more.emplace_back(here, storage.mount_dir);
  }
  return more;
}

void Updater::apply(Described next, const Paths& shared) {
  if (next.site) provider_.serve_by_site(*next.site);
  const auto settings = next.settings;
  const auto taken = head_.reconfigure(settings, [this, next = std::move(next)]() mutable {
    // Cut short here, it is carried out anew: what is in force already is in force again then.
    if (auto kept = keep(std::move(next)); !kept) {
      os::log_error("the update cannot be completed: {}", kept.error().message);
    }
  });
  if (!taken) roll_back(taken.error().message, shared);
}

Result<void> Updater::keep(Described next) {
  if (described_.record.status != kInProgress) return {};  // the cluster is being deleted
  return os::failpoint("update/applied")
      .and_then([&] { return rename_durably(next_file(), directory_ + "/config"); })
      .and_then([] { return os::failpoint("update/kept"); })
      .and_then([&]() -> Result<void> {
        described_.config = std::move(next.config);
        described_.settings = std::move(next.settings);
        described_.site = std::move(next.site);
        promote(described_.record);
        if (auto saved = set_status(kComplete, ""); !saved) return saved;
        head_.tell(described_.record.name, kComplete, "");
        head_.forget_head_node_scripts();
        ended();
        return {};
      });
}

/// The old file never went away; the record's word comes first, so that nobody begins anew.
void Updater::roll_back(const std::string& why, const Paths& shared) {
  if (described_.record.status != kInProgress) return;
  head_.tell(described_.record.name, kRollback, why);
  provider_.unshare(shared);
  if (described_.site) provider_.serve_by_site(*described_.site);
  for (const auto& [here, path] : shared) (void)::rmdir(here.c_str());
  described_.record.next_file_name.clear();
  described_.record.next_template.clear();
  if (auto saved = set_status(kRolledBack, why); !saved) {
    os::log_error("the update cannot be taken back: {}", saved.error().message);
    return;
  }
  (void)::unlink(next_file().c_str());
  head_.tell(described_.record.name, kRolledBack, "");
  head_.forget_head_node_scripts();
  ended();
}

void Updater::ended() {
  if (const auto done = std::exchange(done_, nullptr)) done();
}

Result<void> Updater::set_status(const char* status, const std::string& reason) {
  os::log_info("the cluster is {}{}{}", status, reason.empty() ? "" : ": ", reason);
  described_.record.status = status;
  described_.record.status_reason = reason;
  described_.record.updated_at = clock_.now();
  return cluster::save_record(directory_, described_.record);
}

}  // namespace cox::coxd
