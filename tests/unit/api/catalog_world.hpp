#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/api/api.hpp"

/// A head without a disk, for the operations that make and change things: what they ask for is done
/// to plain maps.
namespace cox::api {

class CatalogWorld : public View {
 public:
  CatalogWorld() {
    cluster_.name = "tutor2";
    cluster_.region = "eu-central-1";
    ComputeEnvironment environment;
    environment.name = ComputeEnvironmentName{"small"};
    environment.max_vcpus = 8;
    environment.instance_types = {{"c4.large", 2, MiB{3840}}};
    cluster_.environments.push_back(environment);
    JobQueue queue;
    queue.name = QueueName{"queue1"};
    queue.environments.push_back(environment.name);
    cluster_.queues.push_back(queue);
  }

  [[nodiscard]] const ClusterSettings& cluster() const override { return cluster_; }
  [[nodiscard]] const Job* find(const JobId& id) const override {
    const auto found = jobs_.find(id);
    return found == jobs_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::vector<const Job*> jobs(const QueueName& queue,
                                             JobStatus status) const override {
    std::vector<const Job*> list;
    for (const auto& [id, job] : jobs_) {
      if (job.spec->queue == queue && job.status == status) list.push_back(&job);
    }
    return list;
  }
  [[nodiscard]] std::vector<const Node*> nodes() const override { return {}; }
  [[nodiscard]] NodeLoad load(const NodeId& /*id*/) const override { return {}; }
  [[nodiscard]] std::vector<core::Block> blocks(const JobId& /*id*/) const override { return {}; }
  [[nodiscard]] std::string environment_note(
      const ComputeEnvironmentName& /*name*/) const override {
    return "";
  }
  [[nodiscard]] std::vector<const Job*> all_jobs() const override {
    std::vector<const Job*> list;
    for (const auto& [id, job] : jobs_) list.push_back(&job);
    return list;
  }
  [[nodiscard]] std::vector<const JobDefinition*> definitions() const override {
    std::vector<const JobDefinition*> list;
    for (const auto& [key, definition] : definitions_) list.push_back(&definition);
    return list;
  }
  [[nodiscard]] const JobDefinition* definition(const std::string& name,
                                                int revision) const override {
    const JobDefinition* newest = nullptr;
    for (const auto& [key, each] : definitions_) {
      if (key.first != name) continue;
      if (revision == key.second || (revision == 0 && each.active)) newest = &each;
    }
    return newest;
  }
  [[nodiscard]] int last_revision(const std::string& name) const override {
    int last = 0;
    for (const auto& [key, each] : definitions_) {
      if (key.first == name) last = key.second;
    }
    return last;
  }
  [[nodiscard]] std::vector<const SchedulingPolicy*> policies() const override {
    std::vector<const SchedulingPolicy*> list;
    for (const auto& [name, policy] : policies_) list.push_back(&policy);
    return list;
  }
  [[nodiscard]] Result<std::vector<InstanceType>> instance_types(
      const std::vector<std::string>& words) const override {
    std::vector<InstanceType> types;
    for (const auto& word : words) {
      if (word != "c4.large") return fail(Errc::not_found, "instance type {} is not known", word);
      types.push_back({word, 2, MiB{3840}});
    }
    return types;
  }

  [[nodiscard]] bool has_podman() const override { return podman; }
  [[nodiscard]] std::string progress(const JobId& /*id*/) const override { return told; }

  [[nodiscard]] ClusterSettings& settings() { return cluster_; }
  void add(Job job) { jobs_[job.id] = std::move(job); }

  /// Asks, does what comes of it, and returns the answer.
  Answer ask(const std::string& operation, const std::string& body) {
    request.method = "POST";
    request.target = "/v1/" + operation;
    request.body = body;
    return act(handle(*this, request));
  }
  /// The same of a request that was put together otherwise.
  Answer act(Outcome outcome) {
    if (const auto* given = std::get_if<Answer>(&outcome)) return *given;
    if (auto* change = std::get_if<ChangeCatalog>(&outcome)) {
      for (auto& item : change->put) put(std::move(item));
      for (const auto& key : change->gone) remove(key);
      killed = change->killed;
      return change->answer;
    }
    if (const auto* tagging = std::get_if<TagJob>(&outcome)) {
      jobs_[tagging->job].spec.edit().tags = tagging->tags;
      return tagging->answer;
    }
    if (const auto* submission = std::get_if<SubmitJob>(&outcome)) {
      submitted = submission->spec;
      return {200, "submitted", ""};
    }
    ADD_FAILURE() << "an outcome that this world does not know";
    return {};
  }

  boost::json::object answer_of(const std::string& operation, const std::string& body) {
    const auto answer = ask(operation, body);
    EXPECT_EQ(answer.status, 200) << operation << " " << body << ": " << answer.body;
    if (answer.status != 200) return {};
    return boost::json::parse(answer.body).as_object();
  }

  /// "ClientException: message" of a refusal, or the answer's body.
  std::string refusal_of(const std::string& operation, const std::string& body) {
    const auto answer = ask(operation, body);
    if (answer.status == 200) return answer.body;
    EXPECT_EQ(answer.status, answer.error_type == "ClientException" ? 400 : 403);
    const auto object = boost::json::parse(answer.body).as_object();
    return answer.error_type + ": " + std::string(object.at("message").as_string());
  }

  JobSpec spec_of(const std::string& body) {
    const auto answer = ask("submitjob", body);
    EXPECT_EQ(answer.body, "submitted");
    return submitted;
  }

  Request request{"POST", "", "", "", {1001, 1001, "anna"}, "", Millis{1'700'000'000'000}, true};
  std::vector<JobId> killed;
  JobSpec submitted;
  bool podman = true;
  std::string told;

 private:
  void put(CatalogItem item) {
    if (auto* definition = std::get_if<JobDefinition>(&item)) {
      definitions_[{definition->name, definition->revision}] = *definition;
    } else if (auto* policy = std::get_if<SchedulingPolicy>(&item)) {
      policies_[policy->name] = *policy;
    } else if (auto* queue = std::get_if<JobQueue>(&item)) {
      replace(cluster_.queues, *queue);
    } else if (auto* environment = std::get_if<ComputeEnvironment>(&item)) {
      replace(cluster_.environments, *environment);
    }
  }
  void remove(const CatalogKey& key) {
    std::erase_if(cluster_.queues, [&](const JobQueue& each) { return key_of(each) == key; });
    std::erase_if(cluster_.environments,
                  [&](const ComputeEnvironment& each) { return key_of(each) == key; });
    if (key.kind == kPolicyKind) policies_.erase(key.name);
  }
  template <class T>
  static void replace(std::vector<T>& list, const T& item) {
    std::erase_if(list, [&](const T& each) { return each.name == item.name; });
    list.push_back(item);
  }

  ClusterSettings cluster_;
  std::map<JobId, Job> jobs_;
  std::map<std::pair<std::string, int>, JobDefinition> definitions_;
  std::map<std::string, SchedulingPolicy> policies_;
};

}  // namespace cox::api
