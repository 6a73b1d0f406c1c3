#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/base/units.hpp"

/// The clusters of this host: one directory each, below the state root.
///
///   <state root>/<name>/record.json   what and in which state (this file's Record)
///                      /config        the cluster's file, to the letter
///                      /config.next   the one that an update brings, while it is under way
///                      /api/api.sock  the head's socket
///                      /head/         store.db, logs/, blobs/, CA
///                      /home/         the home directory of all nodes
///                      /shared/<n>/   each shared directory
///                      /nodes/<id>/   each node's private files
///                      /coxd.log
///             /kept_storage/<name>-<storage>-<time>  what DeletionPolicy kept of clusters that are
///             gone
namespace cox::cluster {

/// $COX_STATE_DIR; else /var/lib/coxswain for root; else $XDG_STATE_HOME/coxswain; else
/// ~/.local/state/coxswain. Clusters of root are found beside the user's own, but where
/// $COX_STATE_DIR names the place.
[[nodiscard]] std::string state_root();

/// CloudFormation's words, as pcluster shows them: CREATE_IN_PROGRESS, CREATE_COMPLETE,
/// CREATE_FAILED, DELETE_IN_PROGRESS, UPDATE_IN_PROGRESS, UPDATE_COMPLETE,
/// UPDATE_ROLLBACK_COMPLETE …
struct Record {
  std::string name;
  std::string status;
  std::string status_reason;
  std::string version;  ///< of the product
  std::string region;
  std::string scheduler = "awsbatch";
  bool v2 = false;
  std::string config_file_name;
  std::string cluster_template;             ///< v2 -t
  std::map<std::string, std::string> tags;  ///< of the command line; they win over the file's
  std::string next_file_name;  ///< of an update under way: what becomes config_file_name
  std::string next_template;   ///< and cluster_template
  Millis created_at;
  Millis updated_at;
  int keeper_pid = 0;  ///< coxd; 0: not running
};

/// True for a cluster that is made, whatever became of its updates: it can be used. Pure.
[[nodiscard]] bool is_made(const std::string& status);

/// pcluster's word for a stack's status: UPDATE_FAILED for UPDATE_ROLLBACK_COMPLETE. Pure.
[[nodiscard]] std::string cluster_status(const std::string& stack_status);

[[nodiscard]] std::string directory_of(const std::string& name);
[[nodiscard]] Result<Record> load_record(const std::string& directory);
[[nodiscard]] Result<void> save_record(const std::string& directory, const Record& record);
/// All clusters that this user can see: own ones, then the system's; sorted by name.
[[nodiscard]] std::vector<Record> list_records();

}  // namespace cox::cluster
