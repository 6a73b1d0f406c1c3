#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launcher/config/convert.hpp"
#include "launcher/config/ini_text.hpp"
#include "launcher/config/yaml_writer.hpp"

namespace cox::config {

/// One key of version 2 and its name in version 3.
struct KeyPair {
  const char* from;
  const char* to;
  enum class As { text, integer, number, boolean } as = As::text;
};

/// What the parts of the conversion share: the sections, what is said, and how keys are carried
/// over. The first fault ends it: Fault is thrown and caught in convert_ini() alone.
class IniConverter {
 public:
  IniConverter(std::string_view text, const ConvertOptions& options);

  Conversion run();

  struct Fault {
    std::string text;
  };

 private:
  // What is checked before, in the original's order.
  void find_sections();
  void check_scheduler();
  void check_dropped();
  void check_ambiguous();
  void check_development();
  void check_storage_names();
  void check_queue_names();
  void check_unknown();

  // The parts of the result.
  [[nodiscard]] YamlNode image() const;
  [[nodiscard]] YamlNode roles() const;
  [[nodiscard]] YamlNode tags() const;
  [[nodiscard]] YamlNode storage() const;
  [[nodiscard]] YamlNode disk(const std::string& label, bool is_only) const;
  [[nodiscard]] YamlNode raid(const std::string& label) const;
  [[nodiscard]] YamlNode efs(const std::string& label) const;
  [[nodiscard]] YamlNode lustre(const std::string& label) const;
  [[nodiscard]] YamlNode storage_item(const char* type, const char* storage_type,
                                      const std::string& label) const;
  [[nodiscard]] YamlNode monitoring() const;
  [[nodiscard]] YamlNode head_node() const;
  [[nodiscard]] YamlNode head_networking() const;
  [[nodiscard]] YamlNode local_storage(const char* root_size) const;
  [[nodiscard]] YamlNode actions() const;
  [[nodiscard]] YamlNode permissions() const;
  [[nodiscard]] YamlNode scheduling() const;
  [[nodiscard]] YamlNode batch_queue() const;
  [[nodiscard]] YamlNode slurm_settings() const;
  [[nodiscard]] YamlNode slurm_queues() const;
  [[nodiscard]] YamlNode slurm_queue(const std::string& label) const;
  [[nodiscard]] YamlNode only_slurm_queue() const;
  [[nodiscard]] YamlNode slurm_resource(const std::string& label, const IniSection& queue) const;
  [[nodiscard]] YamlNode queue_networking() const;
  [[nodiscard]] YamlNode slurm_networking(const IniSection& queue) const;
  [[nodiscard]] YamlNode development() const;

  /// Adds the keys that the section has. Throws Fault for a value of a wrong type.
  void copy(const IniSection& from, YamlNode& to, std::initializer_list<KeyPair> keys) const;

  /// The section; throws Fault when it is not in the file.
  [[nodiscard]] const IniSection& section(const std::string& type, const std::string& label) const;
  /// The labels of `<type>_settings` of a section.
  [[nodiscard]] std::vector<std::string> labels(const IniSection& from,
                                                const std::string& type) const;
  [[nodiscard]] std::string get(const std::string& key) const { return cluster_->get(key); }
  [[nodiscard]] std::optional<bool> flag(const IniSection& from, const std::string& key) const;
  [[nodiscard]] std::string arn_of_role(const std::string& name) const;

  void note(const std::string& text);
  void warn(const std::string& text);
  void comment(const std::string& text);
  void drop(const IniSection* from, const std::string& key);

  const ConvertOptions& options_;
  std::vector<IniSection> sections_;
  const IniSection* cluster_ = nullptr;
  const IniSection* vpc_ = nullptr;
  std::string comments_;
  std::vector<std::string> remarks_;
};

}  // namespace cox::config
