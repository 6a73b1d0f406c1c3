#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/provider/ssh_plan.hpp"
#include "runtime/base/result.hpp"

/// The words of ssh and of what it runs on hosts. Pure.
namespace cox::provider {

/// Exit status of agent_script() where the agent is not there yet.
inline constexpr int kNoAgent = 66;

/// ssh's argv that runs `script` by /bin/sh on the host, whatever the user's shell there. Nothing
/// is asked for, and a host key that is not known is refused whatever the configuration says.
[[nodiscard]] std::vector<std::string> ssh_argv(const SshTarget& target, const std::string& script,
                                                const std::vector<std::string>& more = {});

/// The same without host and script: what another program that uses ssh puts before its own words.
[[nodiscard]] std::vector<std::string> ssh_words(const SshTarget& target,
                                                 const std::vector<std::string>& more = {});

/// A tunnel: `script` runs on the host while a port of its loopback leads to this one's `port`.
/// ssh says on stderr which.
[[nodiscard]] std::vector<std::string> tunnel_argv(const SshTarget& target, int port,
                                                   const std::string& script);
/// The port that it has said, if this line does.
[[nodiscard]] std::optional<int> allocated_port(const std::string& line);

/// All that a cluster has on a host is below this, and its shared memory is that.
[[nodiscard]] std::string host_base(const std::string& tag);
[[nodiscard]] std::string host_shared_memory(const std::string& tag);
/// The jobs' own directories; at one path on all hosts.
[[nodiscard]] std::string host_scratch(const std::string& tag);
[[nodiscard]] std::string host_node_directory(const std::string& tag, const NodeId& id);

/// Runs the agent of this content with these words; ends with kNoAgent where it is not there.
[[nodiscard]] std::string agent_script(const std::string& tag, const std::string& hash,
                                       const std::vector<std::string>& words);
/// Unpacks a bundle from stdin.
[[nodiscard]] std::string install_script(const std::string& tag, const std::string& hash);
/// Ends a node, by whichever agent is there, and removes it.
[[nodiscard]] std::string clear_script(const std::string& tag, const NodeId& id);
/// Ends all of the cluster there, and removes it.
[[nodiscard]] std::string clear_all_script(const std::string& tag);
/// Writes each line that comes on stdin into the node's file of the way to the head.
[[nodiscard]] std::string head_file_script(const std::string& tag, const NodeId& id);

/// Why ssh, or what it ran, failed: one sentence with what to do. Errc unavailable.
[[nodiscard]] Error explain_ssh_failure(const SshTarget& target, int exit_code,
                                        const std::string& err);

}  // namespace cox::provider
