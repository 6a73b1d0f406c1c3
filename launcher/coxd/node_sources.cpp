#include "launcher/coxd/node_sources.hpp"

#include <utility>

namespace cox::coxd {

NodeSources::NodeSources(std::unique_ptr<provider::LocalProvider> local,
                         std::unique_ptr<provider::SshProvider> ssh,
                         std::unique_ptr<provider::SlurmProvider> slurm)
    : local_(std::move(local)), ssh_(std::move(ssh)), slurm_(std::move(slurm)) {}

void NodeSources::provision(NodeRequest request,
                            std::function<void(Result<ProvisionedNode>)> done) {
  if (slurm_ && slurm_->serves(request.environment)) {
    slurm_->provision(std::move(request), std::move(done));
  } else if (ssh_ && ssh_->serves(request.environment)) {
    ssh_->provision(std::move(request), std::move(done));
  } else if (local_) {
    local_->provision(std::move(request), std::move(done));
  } else {
    done(fail(Errc::unavailable, "{} has no hosts: name some in Coxswain.Ssh.Hosts",
              request.environment));
  }
}

void NodeSources::terminate(const NodeId& id, std::function<void(Result<void>)> done) {
  if (slurm_ && slurm_->knows(id)) return slurm_->terminate(id, std::move(done));
  if (ssh_ && (!local_ || ssh_->knows(id))) return ssh_->terminate(id, std::move(done));
  local_->terminate(id, std::move(done));
}

void NodeSources::on_node_ended(std::function<void(NodeId, std::string)> handler) {
  if (slurm_) slurm_->on_node_ended(handler);
  if (ssh_) ssh_->on_node_ended(handler);
  if (local_) local_->on_node_ended(std::move(handler));
}

void NodeSources::on_node_waiting(std::function<void(NodeId, std::string)> handler) {
  if (slurm_) slurm_->on_node_waiting(std::move(handler));
}

void NodeSources::on_node_lent(std::function<void(NodeId)> handler) {
  if (slurm_) slurm_->on_node_lent(std::move(handler));
}

Millis NodeSources::lent_until(const NodeId& id) const {
  return slurm_ ? slurm_->lent_until(id) : Millis{};
}

bool NodeSources::may_wait(const NodeId& id) const { return slurm_ && slurm_->may_wait(id); }

void NodeSources::suspect(const NodeId& id) {
  if (slurm_) slurm_->suspect(id);
}

std::string NodeSources::scratch_here(const NodeId& id) const {
  return local_ ? local_->scratch_here(id) : std::string();
}

std::vector<NodeId> NodeSources::adopt(const std::vector<Node>& known) {
  std::vector<Node> of_local;
  std::vector<Node> of_ssh;
  std::vector<Node> of_slurm;
  for (const auto& node : known) {
    if (slurm_ && slurm_->serves(node.environment)) {
      of_slurm.push_back(node);
      continue;
    }
    const bool on_host = ssh_ && ssh_->serves(node.environment);
    (on_host ? of_ssh : of_local).push_back(node);
  }
  auto living = local_ ? local_->adopt(of_local) : std::vector<NodeId>{};
  if (ssh_) {
    for (auto& id : ssh_->adopt(of_ssh)) living.push_back(std::move(id));
  }
  if (slurm_) {
    for (auto& id : slurm_->adopt(of_slurm)) living.push_back(std::move(id));
  }
  return living;
}

void NodeSources::share(std::vector<std::pair<std::string, std::string>> more,
                        std::function<void(Result<void>)> done) {
  if (local_) return local_->share(std::move(more), std::move(done));
  done({});
}

bool NodeSources::can_serve(const ComputeEnvironmentName& environment,
                            std::string_view provider) const {
  const bool has_hosts = ssh_ && ssh_->serves(environment);
  if (provider == "ssh") return has_hosts;
  return provider == "slurm" ? slurm_ != nullptr : local_ != nullptr && !has_hosts;
}

void NodeSources::serve_by_site(const provider::SlurmPlan& site) {
  if (slurm_) slurm_->serve(site.environments);
}

std::optional<std::size_t> NodeSources::host_of(const NodeId& id) const {
  return ssh_ ? ssh_->host_of(id) : std::nullopt;
}

void NodeSources::unshare(const std::vector<std::pair<std::string, std::string>>& paths) {
  if (local_) local_->unshare(paths);
}

void NodeSources::end_all(const std::function<void(std::vector<std::string>)>& done) {
  struct End {
    int left = 0;
    std::vector<std::string> troubles;
  };
  const auto end = std::make_shared<End>();
  end->left = (local_ ? 1 : 0) + (ssh_ ? 1 : 0) + (slurm_ ? 1 : 0);
  const auto one = [end, done](std::vector<std::string> troubles) {
    for (auto& trouble : troubles) end->troubles.push_back(std::move(trouble));
    if (--end->left == 0) done(end->troubles);
  };
  if (local_) local_->end_all([one] { one({}); });
  if (ssh_) ssh_->end_all(one);
  if (slurm_) slurm_->end_all(one);
}

}  // namespace cox::coxd
