#include "runtime/agent/mpirun_order.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "runtime/base/text.hpp"

// "5:hello": each field is its length and its bytes; a list is its length as a field, then its own.
namespace cox::agent {
namespace {

class Writer {
 public:
  void field(const std::string& text) { bytes_ += fmt::format("{}:{}", text.size(), text); }
  void field(int number) { field(std::to_string(number)); }
  void field(const MpirunOrder::Program& program) {
    fields(program.words);
    field(program.directory);
    field(program.directory_asked ? 1 : 0);
    fields(program.settings);
  }
  template <class T>
  void fields(const std::vector<T>& list) {
    field(static_cast<int>(list.size()));
    for (const auto& each : list) field(each);
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  void field(std::string& text) {
    const auto colon = bytes_.find(':');
    const auto size =
        colon == std::string_view::npos ? std::nullopt : to_int(bytes_.substr(0, colon));
    const auto rest = size ? bytes_.size() - colon - 1 : 0;
    if (!size || *size < 0 || static_cast<std::size_t>(*size) > rest) return spoil();
    text = std::string(bytes_.substr(colon + 1, static_cast<std::size_t>(*size)));
    bytes_.remove_prefix(colon + 1 + text.size());
  }
  void field(int& number) {
    std::string text;
    field(text);
    const auto value = to_int(text);
    if (!value || *value < 0 || *value > kNumberMax) return spoil();
    number = static_cast<int>(*value);
  }
  void field(bool& flag) {
    int number = 0;
    field(number);
    flag = number != 0;
  }
  void field(MpirunOrder::Program& program) {
    fields(program.words);
    field(program.directory);
    field(program.directory_asked);
    fields(program.settings);
    if (program.words.empty()) spoil();
  }
  template <class T>
  void fields(std::vector<T>& list) {
    int size = 0;
    field(size);
    for (int i = 0; i < size && good_; ++i) field(list.emplace_back());
  }
  [[nodiscard]] bool is_whole() const { return good_ && bytes_.empty(); }

 private:
  static constexpr std::int64_t kNumberMax = 100'000'000;
  void spoil() {
    good_ = false;
    bytes_ = {};
  }

  std::string_view bytes_;
  bool good_ = true;
};

}  // namespace

std::string encode_order(const MpirunOrder& order) {
  Writer writer;
  writer.field(order.node_index);
  writer.field(order.name);
  writer.field(order.port);
  writer.field(order.fan_out);
  writer.field(order.secret);
  writer.fields(order.hosts);
  writer.fields(order.addresses);
  writer.fields(order.node_of_rank);
  writer.fields(order.program_of_rank);
  writer.field(order.universe);
  writer.fields(order.oversubscribed);
  writer.fields(order.names);
  writer.field(order.report_ranks ? 1 : 0);
  writer.field(order.output_directory);
  writer.field(order.map_by);
  writer.field(order.bind_to);
  writer.field(order.report_bindings ? 1 : 0);
  writer.fields(order.programs);
  return writer.take();
}

Result<MpirunOrder> decode_order(std::string_view bytes) {
  Reader reader(bytes);
  MpirunOrder order;
  reader.field(order.node_index);
  reader.field(order.name);
  reader.field(order.port);
  reader.field(order.fan_out);
  reader.field(order.secret);
  reader.fields(order.hosts);
  reader.fields(order.addresses);
  reader.fields(order.node_of_rank);
  reader.fields(order.program_of_rank);
  reader.field(order.universe);
  reader.fields(order.oversubscribed);
  reader.fields(order.names);
  reader.field(order.report_ranks);
  reader.field(order.output_directory);
  reader.field(order.map_by);
  reader.field(order.bind_to);
  reader.field(order.report_bindings);
  reader.fields(order.programs);
  const auto below = [](const std::vector<int>& list, std::size_t size) {
    return std::all_of(list.begin(), list.end(),
                       [size](int each) { return static_cast<std::size_t>(each) < size; });
  };
  const bool fits = reader.is_whole() && order.hosts.size() == order.addresses.size() &&
                    order.hosts.size() == order.oversubscribed.size() &&
                    order.hosts.size() == order.names.size() &&
                    static_cast<std::size_t>(order.node_index) < order.hosts.size() &&
                    order.node_of_rank.size() == order.program_of_rank.size() &&
                    below(order.node_of_rank, order.hosts.size()) &&
                    below(order.program_of_rank, order.programs.size()) &&
                    order.name.find('/') == std::string::npos;
  if (!fits) return fail(Errc::invalid_argument, "this is no order for a launch");
  return order;
}

}  // namespace cox::agent
