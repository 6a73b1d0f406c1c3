#include "runtime/api/sigv4.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace cox::api {
namespace {

// The vectors were made by botocore 1.29.27 with its clock at 2024-01-31T15:29:25Z.
constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const Millis kThen{1'706'714'965'000};

std::string authorization(const std::string& service, const std::string& headers,
                          const std::string& signature) {
  return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE00000000A/20240131/eu-central-1/" + service +
         "/aws4_request, SignedHeaders=" + headers + ", Signature=" + signature;
}

SignedCall submission() {
  return {"POST",
          "/v1/submitjob",
          {{"host", "127.0.0.1:4711"},
           {"content-type", "application/json"},
           {"x-amz-date", "20240131T152925Z"},
           {"authorization",
            authorization("batch", "content-type;host;x-amz-date",
                          "516bfea84fdb223cf2974da21c3ff1167be4eb3b1662bd46317c07f21ad4d392")}},
          R"({"jobName": "a"})"};
}

SignedCall untagging() {
  return {"DELETE",
          "/v1/tags/arn%3Aaws%3Abatch%3Aeu-central-1%3A123456789012%3Ajob-queue%2Fq"
          "?tagKeys=b&tagKeys=a%20c",
          {{"host", "127.0.0.1:4711"},
           {"x-amz-date", "20240131T152925Z"},
           {"authorization",
            authorization("batch", "host;x-amz-date",
                          "8be89f84cfa94e551e2c280aec0e9f5b991c642319ac09b17ecbc7f5e26aaa86")}},
          ""};
}

SignedCall reading_logs() {
  return {"POST",
          "/",
          {{"host", "127.0.0.1:4711"},
           {"content-type", "application/x-amz-json-1.1"},
           {"x-amz-date", "20240131T152925Z"},
           {"x-amz-target", "Logs_20140328.GetLogEvents"},
           {"authorization",
            authorization("logs", "content-type;host;x-amz-date;x-amz-target",
                          "d9303932126420b5ec4a2b5c5254641c133a7286abb6db37d37408b5b38b574e")}},
          "{}"};
}

/// The code of the refusal, or "admitted".
std::string outcome_of(const SignedCall& call, Millis now = kThen) {
  const auto read = read_claim(call, now);
  if (const auto* refused = std::get_if<Answer>(&read)) {
    const auto body = boost::json::parse(refused->body).as_object();
    EXPECT_EQ(std::string(body.at("__type").as_string()), refused->error_type);
    EXPECT_EQ(refused->status, refused->error_type == "IncompleteSignatureException" ? 400 : 403);
    return refused->error_type;
  }
  return is_signed_by(call, std::get<Claim>(read), kSecret) ? "admitted" : "wrong signature";
}

TEST(Signature, IsTheOneThatBotocoreMakes) {
  EXPECT_EQ(outcome_of(submission()), "admitted");
  EXPECT_EQ(outcome_of(untagging()), "admitted");
  EXPECT_EQ(outcome_of(reading_logs()), "admitted");
}

TEST(Signature, TellsWhoseItIsAndForWhere) {
  const auto read = read_claim(reading_logs(), kThen);

  const auto& claim = std::get<Claim>(read);
  EXPECT_EQ(claim.key_id, "AKIDEXAMPLE00000000A");
  EXPECT_EQ(claim.region, "eu-central-1");
  EXPECT_EQ(claim.service, "logs");
  EXPECT_EQ(claim.signed_at.value, kThen.value);
}

TEST(Signature, CoversMethodTargetSignedHeadersAndBody) {
  auto call = submission();
  call.method = "PUT";
  EXPECT_EQ(outcome_of(call), "wrong signature");
  call = submission();
  call.target = "/v1/terminatejob";
  EXPECT_EQ(outcome_of(call), "wrong signature");
  call = submission();
  call.body += " ";
  EXPECT_EQ(outcome_of(call), "wrong signature");
  call = submission();
  call.headers["host"] = "127.0.0.1:4712";
  EXPECT_EQ(outcome_of(call), "wrong signature");
  call = untagging();
  call.target += "&tagKeys=d";
  EXPECT_EQ(outcome_of(call), "wrong signature");
  call = submission();
  call.headers["user-agent"] = "not signed";
  EXPECT_EQ(outcome_of(call), "admitted");
}

TEST(Signature, OfAnotherSecretIsWrong) {
  const auto call = submission();
  const auto claim = std::get<Claim>(read_claim(call, kThen));
  EXPECT_FALSE(is_signed_by(call, claim, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEz"));
}

TEST(Signature, IsGoodForFiveMinutesEitherWay) {
  EXPECT_EQ(outcome_of(submission(), kThen + 300'000), "admitted");
  EXPECT_EQ(outcome_of(submission(), kThen + 300'001), "InvalidSignatureException");
  EXPECT_EQ(outcome_of(submission(), kThen + -300'000), "admitted");
  EXPECT_EQ(outcome_of(submission(), kThen + -300'001), "InvalidSignatureException");
}

TEST(Signature, SquashesBlanksInsideSignedHeaders) {
  auto call = submission();
  call.headers["content-type"] = "  application/json ";
  EXPECT_EQ(outcome_of(call), "admitted");
}

TEST(Claim, MustSignTheHostAndEveryAmzHeader) {
  auto call = reading_logs();
  call.headers["authorization"] =
      authorization("logs", "content-type;host;x-amz-date", std::string(64, '0'));
  EXPECT_EQ(outcome_of(call), "InvalidSignatureException") << "the operation is not signed";
  call = submission();
  call.headers["authorization"] =
      authorization("batch", "content-type;x-amz-date", std::string(64, '0'));
  EXPECT_EQ(outcome_of(call), "InvalidSignatureException") << "the host is not signed";
  call = submission();
  call.headers["authorization"] =
      authorization("batch", "content-type;host;x-amz-date;x-amz-meta", std::string(64, '0'));
  EXPECT_EQ(outcome_of(call), "InvalidSignatureException") << "a signed header was not sent";
}

TEST(Claim, MustBeForTheServiceThatIsCalled) {
  auto call = submission();
  call.headers["authorization"] =
      authorization("logs", "content-type;host;x-amz-date", std::string(64, '0'));
  EXPECT_EQ(outcome_of(call), "InvalidSignatureException");
  call.headers["authorization"] =
      authorization("s3", "content-type;host;x-amz-date", std::string(64, '0'));
  EXPECT_EQ(outcome_of(call), "InvalidSignatureException");
}

TEST(Claim, MustHaveTheDateOfItsScope) {
  auto call = submission();
  call.headers["x-amz-date"] = "20240201T000000Z";
  EXPECT_EQ(outcome_of(call, Millis{1'706'745'600'000}), "InvalidSignatureException");
}

TEST(Claim, ThatHashesAnotherBodyIsRefused) {
  auto call = submission();
  call.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
  call.headers["authorization"] = authorization(
      "batch", "content-type;host;x-amz-content-sha256;x-amz-date", std::string(64, '0'));
  EXPECT_EQ(outcome_of(call), "InvalidSignatureException");
}

TEST(Claim, OfASessionIsOfNoKeyHere) {
  auto call = submission();
  call.headers["x-amz-security-token"] = "token";
  call.headers["authorization"] = authorization(
      "batch", "content-type;host;x-amz-date;x-amz-security-token", std::string(64, '0'));
  EXPECT_EQ(outcome_of(call), "UnrecognizedClientException");
}

TEST(Claim, IsMissingWithoutTheHeader) {
  auto call = submission();
  call.headers.erase("authorization");
  EXPECT_EQ(outcome_of(call), "MissingAuthenticationTokenException");
  call.headers["authorization"] = " ";
  EXPECT_EQ(outcome_of(call), "MissingAuthenticationTokenException");
}

TEST(Claim, ThatIsBrokenIsIncomplete) {
  const std::string zeros(64, '0');
  const std::string credential = "Credential=K/20240131/eu-central-1/batch/aws4_request";
  const std::string broken[] = {
      "Basic dXNlcjpwYXNz",
      "AWS4-HMAC-SHA256",
      "AWS4-HMAC-SHA256 " + credential,
      "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host",
      "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host, Signature=",
      "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host, Signature=" + zeros + "0",
      "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;content-type, Signature=" + zeros,
      "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;host, Signature=" + zeros,
      "AWS4-HMAC-SHA256 " + credential + ", " + credential +
          ", SignedHeaders=host, Signature=" + zeros,
      "AWS4-HMAC-SHA256 Credential=K/20240131/eu-central-1/batch, SignedHeaders=host, Signature=" +
          zeros,
      "AWS4-HMAC-SHA256 Credential=K/20240131/EU/batch/aws4_request, SignedHeaders=host, "
      "Signature=" +
          zeros,
  };
  for (const auto& header : broken) {
    auto call = submission();
    call.headers["authorization"] = header;
    EXPECT_EQ(outcome_of(call), "IncompleteSignatureException") << header;
  }
  for (const char* date : {"", "yesterday", "20240131T152925", "20241331T152925Z",
                           "20240131T252925Z", "2024013-T152925Z"}) {
    auto call = submission();
    call.headers["x-amz-date"] = date;
    EXPECT_EQ(outcome_of(call), "IncompleteSignatureException") << date;
  }
}

}  // namespace
}  // namespace cox::api
