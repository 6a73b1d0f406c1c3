#pragma once

#include <string>

#include "runtime/base/result.hpp"
#include "runtime/model/catalog.hpp"
#include "runtime/model/cluster.hpp"

namespace cox::store {

/// A node as the text that is stored, and back. As to_text and event_from_text of store.hpp.
[[nodiscard]] std::string to_text(const Node& node);
[[nodiscard]] Result<Node> node_from_text(const std::string& text);

/// The same for what clients made through the API, by its key's kind.
[[nodiscard]] std::string to_text(const CatalogItem& item);
[[nodiscard]] Result<CatalogItem> item_from_text(const std::string& kind, const std::string& text);

}  // namespace cox::store
