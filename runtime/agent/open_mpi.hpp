#pragma once

#include <string>

#include "runtime/agent/agent.hpp"

namespace cox::agent {

/// Our PMI-1 library for Open MPI's flux component, beside the programs.
[[nodiscard]] std::string pmi_library(const AgentOptions& options);

/// True when the Open MPI of this machine has the component and our library is there for it. Looks
/// once; no program is run.
[[nodiscard]] bool has_open_mpi_flux(const AgentOptions& options);

}  // namespace cox::agent
