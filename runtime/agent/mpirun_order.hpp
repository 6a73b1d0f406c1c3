#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"

/// What our mpirun tells the nodes of a launch, its own among them.
namespace cox::agent {

struct MpirunOrder {
  struct Program {
    std::vector<std::string> words;
    std::string directory;              ///< absolute
    bool directory_asked = false;       ///< where it is missing, ranks cannot start
    std::vector<std::string> settings;  ///< "NAME=value" on top of the node's own environment

    friend bool operator==(const Program&, const Program&) = default;
  };

  int node_index = 0;  ///< whose order it is; 0: mpirun's own
  std::string name;    ///< of the launch, unique; a word
  int port = 0;        ///< of the node where it meets the others
  int fan_out = 0;     ///< of the tree in which they meet (mpi::HubTree)
  std::string secret;
  std::vector<std::string> hosts;      ///< by node
  std::vector<std::string> addresses;  ///< by node
  std::vector<int> node_of_rank;
  std::vector<int> program_of_rank;
  int universe = 0;
  bool report_ranks = false;        ///< the agent is to get each rank's lines
  std::vector<int> oversubscribed;  ///< by node, 1: more ranks than slots
  std::vector<std::string> names;   ///< by node, what mpirun calls it; empty: as its host
  std::string output_directory;     ///< of a file for each rank; empty: none
  std::string map_by;               ///< as mpi::Layout's, for the node's own ranks
  std::string bind_to;              ///< empty: they are not bound
  bool report_bindings = false;
  std::vector<Program> programs;

  friend bool operator==(const MpirunOrder&, const MpirunOrder&) = default;
};

/// As bytes, and back. Errors: invalid_argument for what is none. Pure.
[[nodiscard]] std::string encode_order(const MpirunOrder& order);
[[nodiscard]] Result<MpirunOrder> decode_order(std::string_view bytes);

}  // namespace cox::agent
