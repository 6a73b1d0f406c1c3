#include "runtime/model/catalog.hpp"

#include <fmt/format.h>

namespace cox {

namespace {

CatalogKey key(const ComputeEnvironment& item) { return {kEnvironmentKind, item.name.value}; }
CatalogKey key(const JobQueue& item) { return {kQueueKind, item.name.value}; }
CatalogKey key(const SchedulingPolicy& item) { return {kPolicyKind, item.name}; }
CatalogKey key(const JobDefinition& item) {
  return {kDefinitionKind, fmt::format("{}:{}", item.name, item.revision)};
}

}  // namespace

CatalogKey key_of(const CatalogItem& item) {
  return std::visit([](const auto& each) { return key(each); }, item);
}

}  // namespace cox
