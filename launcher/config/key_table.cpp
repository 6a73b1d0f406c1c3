#include "launcher/config/key_rule.hpp"
#include "launcher/config/schema.hpp"
#include "runtime/base/text.hpp"

/// The table of keys for people.
namespace cox::config {

namespace {

constexpr const char* kBegin =
    "# Keys of a cluster's file\n"
    "\n"
    "Every key of a ParallelCluster 3 file and what Coxswain does with it. Made by\n"
    "`cox validate --keys`; a test holds it equal to the code. `[]` stands where a list's items "
    "are\n"
    "maps. A file without `Coxswain` is a plain ParallelCluster file.\n"
    "\n"
    "`cox validate FILE` checks a file. `cox validate --schema` prints a JSON Schema of these "
    "keys,\n"
    "for editors.\n";

constexpr const char* kHead =
    "\n"
    "| Key | Type | Default | Allowed | Here |\n"
    "|---|---|---|---|---|\n";

const char* name_of(KeyKind kind) {
  switch (kind) {
    case KeyKind::map:
      return "map";
    case KeyKind::list:
      return "list of maps";
    case KeyKind::hosts:
      return "list of texts or maps";
    case KeyKind::text:
      return "text";
    case KeyKind::texts:
      return "list of texts";
    case KeyKind::integer:
      return "whole number";
    case KeyKind::number:
      return "number";
    case KeyKind::boolean:
      return "true or false";
    case KeyKind::scalar:
      return "text, true or false";
    case KeyKind::settings:
      return "map of any keys";
    case KeyKind::settings_list:
      return "list of maps of any keys";
  }
  return "";
}

/// What becomes of the key, in words.
std::string fate_of(const SchemaKey& key, const std::string& above) {
  std::string said;
  switch (key.fate) {
    case Fate::inherited:
      said = above;
      break;
    case Fate::served:
      said = std::string(key.note);
      break;
    case Fate::aws_only:
      said = fmt::format("only on AWS: {}", key.note);
      break;
    case Fate::warned:
      said = fmt::format("warning: {}", key.note);
      break;
    case Fate::refused:
      said = fmt::format("refused: {}", key.note);
      break;
  }
  if (!key.only.empty()) {
    said += fmt::format("{}with `Scheduler: {}` only", said.empty() ? "" : "; ", key.only);
  }
  return said;
}

std::string cell(std::string_view text) { return join(split(text, '|'), "\\|"); }

void add_rows(std::string& out, const std::string& path, const std::string& above) {
  for (const auto& [name, key] : keys_below(path)) {
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", key->path, name_of(key->kind),
                       key->required ? "**required**" : cell(key->absent),
                       cell(describe_rules(key->rule)), cell(fate_of(*key, above)));
    const bool items = key->kind == KeyKind::list || key->kind == KeyKind::hosts;
    const auto inherited = key->fate == Fate::inherited  ? above
                           : key->fate == Fate::aws_only ? std::string("only on AWS")
                                                         : std::string();
    add_rows(out, items ? key->path + "[]" : key->path, inherited);
  }
}

}  // namespace

std::string render_key_table() {
  std::string out = kBegin;
  out += "\n## Coxswain's own\n";
  out += kHead;
  add_rows(out, "Coxswain", "");
  out += "\n## ParallelCluster's\n";
  out += kHead;
  std::string rows;
  add_rows(rows, "", "");
  for (const auto& line : split(rows, '\n')) {
    if (!line.empty() && !line.starts_with("| `Coxswain")) out += line + "\n";
  }
  return out;
}

}  // namespace cox::config
