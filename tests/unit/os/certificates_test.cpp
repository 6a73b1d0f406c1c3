#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "runtime/os/frame_link.hpp"

namespace cox::os {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

Certificate parse(const std::string& pem) {
  BIO* const bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  Certificate certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
  BIO_free(bio);
  return certificate;
}

/// OpenSSL's own word about the chain: "ok", or why not.
std::string verified(const std::string& certificate, const std::string& ca, int purpose) {
  const auto leaf = parse(certificate);
  const auto root = parse(ca);
  if (!leaf || !root) return "unreadable";
  const std::unique_ptr<X509_STORE, Freed<X509_STORE_free>> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), root.get());
  const std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr);
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_X509_STRICT);
  X509_verify_cert(context.get());
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

TEST(Certificates, StandUnderTheirAuthorityForBothSides) {
  const auto ca = make_ca("tutorial");
  ASSERT_TRUE(ca) << ca.error().message;
  const auto identity = issue_certificate(*ca, "i-0123456789abcdef0");
  ASSERT_TRUE(identity) << identity.error().message;

  EXPECT_EQ(identity->ca_certificate, ca->certificate);
  EXPECT_EQ(verified(identity->certificate, ca->certificate, X509_PURPOSE_SSL_SERVER), "ok");
  EXPECT_EQ(verified(identity->certificate, ca->certificate, X509_PURPOSE_SSL_CLIENT), "ok");
  const auto leaf = parse(identity->certificate);
  char name[128] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(leaf.get()), NID_commonName, name, sizeof name);
  EXPECT_STREQ(name, "i-0123456789abcdef0");
  EXPECT_EQ(X509_check_ca(leaf.get()), 0) << "a node could issue certificates";
  EXPECT_EQ(EVP_PKEY_get_bits(X509_get0_pubkey(leaf.get())), 256);
}

TEST(Certificates, StandUnderNoOtherAuthorityOfTheSameName) {
  const auto ca = make_ca("tutorial").value();
  const auto other = make_ca("tutorial").value();
  const auto identity = issue_certificate(ca, "head").value();

  EXPECT_NE(verified(identity.certificate, other.certificate, X509_PURPOSE_SSL_CLIENT), "ok");
}

TEST(Certificates, AreValidForTenYearsFromYesterday) {
  const auto ca = make_ca("tutorial").value();
  const auto leaf = parse(issue_certificate(ca, "head")->certificate);
  int days = 0;
  int seconds = 0;

  ASSERT_EQ(ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(leaf.get())), 1);
  EXPECT_GE(days, 3649);
  ASSERT_EQ(ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notBefore(leaf.get())), 1);
  EXPECT_LE(days, 0);
}

TEST(Certificates, AreEachOfTheirOwnKeyAndNumber) {
  const auto ca = make_ca("tutorial").value();
  const auto one = issue_certificate(ca, "head").value();
  const auto two = issue_certificate(ca, "head").value();

  EXPECT_NE(one.private_key, two.private_key);
  EXPECT_NE(ASN1_INTEGER_cmp(X509_get0_serialNumber(parse(one.certificate).get()),
                             X509_get0_serialNumber(parse(two.certificate).get())),
            0);
}

TEST(Certificates, NeedANameThatFitsAndAnAuthority) {
  const auto ca = make_ca("tutorial").value();
  for (const auto& name : {std::string(), std::string(65, 'x'), std::string("a\0b", 3)}) {
    const auto issued = issue_certificate(ca, name);
    ASSERT_FALSE(issued) << name;
    EXPECT_EQ(issued.error().code, Errc::invalid_argument) << name;
  }
  EXPECT_TRUE(issue_certificate(ca, std::string(64, 'x')));
  EXPECT_TRUE(make_ca(std::string(300, 'n')));

  const auto issued = issue_certificate({"nonsense", "nonsense"}, "head");
  ASSERT_FALSE(issued);
  EXPECT_EQ(issued.error(),
            (Error{Errc::invalid_argument, "the cluster's certificate authority cannot be read"}));
}

// Source: FIPS 180-2, appendix B.
TEST(Sha256, AgreesWithTheStandard) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Certificates, NameTheHostsTheyAreFor) {
  const auto ca = make_ca("tutorial");
  ASSERT_TRUE(ca) << ca.error().message;
  const auto identity = issue_certificate(*ca, "api", {"batch.example", "10.1.2.3"});
  ASSERT_TRUE(identity) << identity.error().message;

  const auto leaf = parse(identity->certificate);
  EXPECT_EQ(X509_check_host(leaf.get(), "batch.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(leaf.get(), "other.example", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ip_asc(leaf.get(), "10.1.2.3", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(leaf.get(), "10.1.2.4", 0), 0);
}

TEST(Certificates, AreForNothingButNamesAndAddresses) {
  const auto ca = make_ca("tutorial");
  ASSERT_TRUE(ca) << ca.error().message;
  for (const auto* host : {"", "a b", "a,DNS:b", "a\nb", "*"}) {
    const auto identity = issue_certificate(*ca, "api", {"fine.example", host});
    ASSERT_FALSE(identity) << host;
    EXPECT_EQ(identity.error().code, Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace cox::os
